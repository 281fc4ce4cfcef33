"""The loop that watches data: asks every Model's monitors, and tells what they say together.

Runs on the leader alone. Each Model is asked in its own time; a pod that is new or is leaving is
asked soon. What is decided is decided in `driftline_operator.drift`, in a thread of its own: a
look takes milliseconds, and the first at a profile takes more.
"""

import asyncio
import logging
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from driftline_operator.core.clock import Clock
from driftline_operator.core.controller import Snapshot
from driftline_operator.core.plan import Key
from driftline_operator.drift.findings import FIGURES_EVERY, DriftBoard, DriftFindings
from driftline_operator.drift.model_drift import Heard, ModelDrift, Taken, advanced
from driftline_operator.drift.notices import About
from driftline_operator.drift.pods import MonitorPod, MonitorPods
from driftline_operator.drift.telling import Said, said
from driftline_operator.errors import DriftlineError, NotLeaderError
from driftline_operator.shell.asking import Asker, Subject, subject_of
from driftline_operator.shell.courier import Courier
from driftline_operator.shell.drift_metrics import DriftMetrics
from driftline_operator.shell.keeper import Keeper
from driftline_operator.shell.monitors import MonitorClient

log = logging.getLogger(__name__)

Place = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftCadence:
    """How often a Model's monitors are asked, in seconds.

    Attributes:
        usual: when nothing changes.
        leaving: while a pod of it is on its way out and has not told its last, and after monitors
            were told how to count.
        kept: between two writes of a state that has no news, only figures.
        tick: between two looks at who is due.
    """

    usual: float = 60.0
    leaving: float = 3.0
    kept: float = 300.0
    tick: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watched:
    """What the loop knows of a Model beside what it keeps.

    Attributes:
        drift: the state, None until it was read.
        pods: that were asked last.
        polled: when, by the monotonic clock.
        kept: when the state was written last.
        told: when the Model was last enqueued for its figures.
        news: something came since the state was written.
        urgent: it must be written at once: an earlier write failed, or events were sent.
        final: pods that have told their last.
    """

    drift: ModelDrift | None = None
    pods: tuple[MonitorPod, ...] = ()
    polled: float = 0.0
    kept: float = 0.0
    told: float = 0.0
    news: bool = False
    urgent: bool = False
    final: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """What the loop works with.

    Attributes:
        snapshot: where pods and Models are read.
        board: where findings are noted.
        enqueue: for a Model whose findings changed.
        keeper: where state is kept.
        courier: who sends events.
        metrics: what is counted.
        clock: time.
    """

    snapshot: Snapshot
    board: DriftBoard
    enqueue: Callable[[Key], None]
    keeper: Keeper
    courier: Courier
    metrics: DriftMetrics
    clock: Clock


class DriftLoop:
    """The loop, and what it last heard.

    Args:
        watching: what it works with.
        client: makes the client of monitors; it is entered anew each time we lead.
        cadence: how often.
    """

    def __init__(
        self,
        watching: Watching,
        client: Callable[[], MonitorClient] = MonitorClient,
        cadence: DriftCadence | None = None,
    ) -> None:
        self._with = watching
        self._client = client
        self._cadence = cadence or DriftCadence()
        self._pods = MonitorPods()
        self._known: dict[Place, _Watched] = {}
        self._findings: dict[Place, DriftFindings] = {}
        self._asking: set[Place] = set()
        self._sent: dict[Place, set[str]] = {}
        self._began = 0.0
        watching.metrics.watch(self._each_finding, lambda: watching.courier.waiting)

    async def run(self) -> None:
        """Watch until cancelled, as long as this replica leads.

        Nothing is taken over from an earlier time in which it led: another may have led since.
        """
        self._known.clear()
        self._asking.clear()
        self._sent.clear()
        self._with.keeper.forget_all()
        self._began = self._with.clock.monotonic()
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="drift")
        try:
            async with self._client() as client, asyncio.TaskGroup() as polls:
                asker = Asker(self._with.snapshot, client, self._with.clock, self._with.metrics)
                while True:
                    for place in self._due():
                        self._asking.add(place)
                        polls.create_task(self.look_at(place, asker, thread))
                    await asyncio.sleep(self._cadence.tick)
        finally:
            await self._with.courier.stop()
            thread.shutdown(wait=False, cancel_futures=True)

    def _due(self) -> list[Place]:
        """Return the Models to ask now, none of which is being asked."""
        now = self._with.clock.monotonic()
        there: set[Place] = set()
        due = []
        for namespace in self._with.snapshot.namespaces("Model"):
            pods = self._pods.of(self._with.snapshot, namespace)
            for name in self._with.snapshot.stamps("Model", namespace):
                place = namespace, name
                there.add(place)
                if place not in self._asking and self._is_due(place, pods.get(name, ()), now):
                    due.append(place)
        for gone in self._known.keys() - there - self._asking:
            self._forget(gone)
        return due

    def _is_due(self, place: Place, pods: tuple[MonitorPod, ...], now: float) -> bool:
        """Tell whether it is time.

        Models that are there when we begin to lead are spread over the usual time: all at once
        would be a storm. One without monitors, and of which nothing is known, is never asked.
        """
        known = self._known.get(place)
        if known is None:
            if not pods:
                return False
            self._known[place] = _Watched(polled=now - self._cadence.usual + self._head(place, now))
            return self._is_due(place, pods, now)
        if now - known.polled >= self._cadence.usual:
            return bool(pods or known.pods or (known.drift and known.drift.waiting))
        if known.drift is not None and _arrived(known.pods, pods):
            return True
        leaving = any(pod.leaving and pod.uid not in known.final for pod in pods)
        return leaving and now - known.polled >= self._cadence.leaving

    def _head(self, place: Place, now: float) -> float:
        """Return how many seconds a Model waits that was first seen now."""
        if now - self._began > self._cadence.tick:
            return 0.0
        share = zlib.crc32("/".join(place).encode()) / 2**32
        return share * self._cadence.usual

    async def look_at(self, place: Place, asker: Asker, thread: ThreadPoolExecutor) -> None:
        """Poll one Model once; whatever goes wrong with it is no other's concern."""
        try:
            await self._poll(place, asker, thread)
        except NotLeaderError as error:
            log.info("drift of %s/%s: %s", *place, error)
            self._known.pop(place, None)
        except DriftlineError as error:
            log.warning("drift of %s/%s: %s", *place, error)
        except Exception:
            self._with.metrics.polled("model", "bug")
            log.exception("a bug in Driftline; drift of %s/%s is not looked at", *place)
        finally:
            self._asking.discard(place)

    async def _poll(self, place: Place, asker: Asker, thread: ThreadPoolExecutor) -> None:
        model = self._with.snapshot.find("Model", *place)
        subject = subject_of(model) if model else None
        pods = self._pods.of(self._with.snapshot, place[0]).get(place[1], ())
        known = replace(
            self._known.get(place, _Watched()), polled=self._with.clock.monotonic(), pods=pods
        )
        self._known[place] = known
        if subject is None:
            return
        drift = known.drift
        if drift is None or drift.uid != subject.uid:
            drift = await self._with.keeper.read(*place, subject.uid)
        heard = await asker.heard(subject, pods, drift)
        drift = self._without_sent(place, drift)
        about = About(namespace=place[0], model=place[1], uid=subject.uid)
        loop = asyncio.get_running_loop()
        taken, told = await loop.run_in_executor(
            thread, _decided, drift, heard, subject, about if self._with.courier.wanted else None
        )
        for problem in taken.problems:
            self._with.metrics.polled("monitor", "damaged")
            log.warning("drift of %s/%s: %s", *place, problem)
        for _ in range(told.given_up):
            self._with.metrics.event("dead")
        known = await self._keep(place, known, _Step(heard=heard, taken=taken, told=told))
        self._tell(place, known, told)
        if await asker.configure(subject, heard, told.drift.revisions):
            self._ask_soon(place)

    def _ask_soon(self, place: Place) -> None:
        """Ask again before the usual time: monitors now know what they compare with."""
        sooner = self._with.clock.monotonic() - self._cadence.usual + self._cadence.leaving
        self._known[place] = replace(self._known[place], polled=sooner)

    async def _keep(self, place: Place, known: _Watched, step: "_Step") -> _Watched:
        """Write the state where there is reason to, and remember it."""
        now = self._with.clock.monotonic()
        news = known.news or step.brings_rows
        urgent = known.urgent or step.is_urgent or (known.drift is None and news)
        urgent = urgent or step.told.drift.waiting != (known.drift or step.told.drift).waiting
        after = replace(
            known,
            drift=step.told.drift,
            news=news,
            urgent=urgent,
            final=frozenset(step.finals),
        )
        # Nothing is decided twice even if this write fails: memory goes on.
        self._known[place] = after
        if urgent or (news and now - known.kept >= self._cadence.kept):
            done = await self._with.keeper.write(*place, step.told.drift)
            self._with.metrics.kept("done" if done else "failed")
            after = replace(after, kept=now, news=news and not done, urgent=not done)
            self._known[place] = after
        return after

    def _tell(self, place: Place, known: _Watched, told: Said) -> None:
        """Note the findings, enqueue the Model where they are worth it, and offer the events."""
        self._with.board.note(*place, told.findings)
        before = self._findings.get(place)
        self._findings[place] = told.findings
        now = self._with.clock.monotonic()
        moved = before is None or _edge(before) != _edge(told.findings)
        if moved or now - known.told >= FIGURES_EVERY.total_seconds():
            self._known[place] = replace(self._known[place], told=now)
            self._with.enqueue(Key(controller="model", namespace=place[0], name=place[1]))
        for each in told.drift.waiting:
            self._with.courier.offer(each, partial(self._note_sent, place, each.id))

    def _note_sent(self, place: Place, notice: str) -> None:
        self._sent.setdefault(place, set()).add(notice)

    def _without_sent(self, place: Place, drift: ModelDrift) -> ModelDrift:
        """Return the state without the events that need no other try."""
        sent = self._sent.pop(place, set())
        if not sent:
            return drift
        return replace(drift, waiting=tuple(each for each in drift.waiting if each.id not in sent))

    def _forget(self, place: Place) -> None:
        for known in (self._known, self._findings, self._sent):
            known.pop(place, None)
        self._with.keeper.forget(*place)
        self._with.board.note(*place, None)

    def _each_finding(self) -> Iterator[tuple[str, str, DriftFindings]]:
        for (namespace, name), found in list(self._findings.items()):
            yield namespace, name, found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One poll, and what was made of it."""

    heard: Heard
    taken: Taken
    told: Said

    @property
    def brings_rows(self) -> bool:
        """Whether anything was counted that is not in what was kept."""
        return any(
            each.totals.seen or each.totals.dropped or each.outcomes or each.counts
            for each in self.taken.increments.values()
        )

    @property
    def is_urgent(self) -> bool:
        """Whether it would be lost, or be done twice, if we ended now."""
        leaving = any(pod.leaving for pod in self.heard.pods)
        chosen = bool(self.heard.plans)
        return self.told.edge or self.taken.ended or chosen or (leaving and self.brings_rows)

    @property
    def finals(self) -> list[str]:
        """Pods that have told their last."""
        return [uid for uid, each in self.heard.summaries.items() if each.final]


def _decided(
    drift: ModelDrift, heard: Heard, subject: Subject, about: About | None
) -> tuple[Taken, Said]:
    taken = advanced(drift, heard, subject.monitoring)
    return taken, said(taken.drift, heard, subject.monitoring, about)


def _edge(found: DriftFindings) -> tuple[object, ...]:
    """Return what a Model is woken by when it changes; one made again is another."""
    return found.uid, found.edge


def _arrived(before: tuple[MonitorPod, ...], now: tuple[MonitorPod, ...]) -> bool:
    """Tell whether a monitor is there that has not been asked, or one begins to leave."""
    return bool(set(now) - set(before))
