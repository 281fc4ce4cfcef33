"""Whatever fails, and wherever an operator ends: no row is counted twice, and few are lost.

A schedule is drawn from a seed. Operators crash before and after writes, writes and answers are
lost, leaders change and former ones go on for a while, polls get no answer, monitors are killed,
and pods leave.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from driftline_api.monitor import MonitorConfig, ProfileFile, Summary
from driftline_operator.core.clock import Clock
from driftline_operator.core.plan import ObjectRef
from driftline_operator.drift.findings import DriftBoard
from driftline_operator.drift.keeping import parse_kept
from driftline_operator.drift.model_drift import ModelDrift
from driftline_operator.shell.asking import Asker
from driftline_operator.shell.courier import Courier, Delivery
from driftline_operator.shell.drift import DriftLoop, Watching
from driftline_operator.shell.drift_metrics import DriftMetrics
from driftline_operator.shell.keeper import Keeper
from driftline_operator.shell.monitors import MonitorError
from tests.drift.builders import a_profile, counted
from tests.drift.world import MODEL_NAME, NAMESPACE, REVISION_NAME, Cluster, FakeMonitor
from tests.faults.faulty import CrashError, FaultyApi, Weather

PLACE = NAMESPACE, MODEL_NAME
KEPT = ObjectRef(api_version="v1", kind="ConfigMap", namespace=NAMESPACE, name="m-drift")
STEPS = 60
SEEDS = range(40)


@dataclass(slots=True)
class Lines:
    """The way to monitors, without sockets: any request may get no answer."""

    cluster: Cluster
    random: Random
    loss: float

    def _at(self, address: str) -> FakeMonitor:
        if self.random.random() < self.loss:
            raise MonitorError("timeout", "no answer in time")
        return self.cluster.monitors[address]

    async def summary(self, address: str, token: str) -> Summary:
        assert token
        return self._at(address).summary()

    async def profile(self, address: str, token: str) -> ProfileFile:
        assert token
        profile = self._at(address).profile
        assert profile
        import json  # noqa: PLC0415 - here alone

        return ProfileFile(profile=json.loads(profile.to_json()))

    async def configure(self, address: str, token: str, config: MonitorConfig) -> None:
        assert token
        self._at(address).configured(config)

    async def outcomes(self, router: object, model: str) -> Any:
        raise MonitorError("unreachable", f"{router} knows nothing of {model}")


@dataclass(slots=True)
class Replica:
    """One process that leads, or believes that it does."""

    loop: DriftLoop
    asker: Asker
    transition: int

    @property
    def drift(self) -> ModelDrift | None:
        known = self.loop._known.get(PLACE)
        return known.drift if known else None


@dataclass(slots=True)
class Schedule:
    """A cluster, its leader, and the one before it."""

    seed: int
    kills: bool
    random: Random = field(init=False)
    cluster: Cluster = field(init=False)
    lines: Lines = field(init=False)
    weather: Weather = field(init=False)
    elapsed: float = 0.0
    transition: int = 0
    came: int = 0
    lost_at_most: int = 0
    log: list[str] = field(default_factory=list)
    leader: Replica = field(init=False)
    former: Replica | None = None

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.cluster = Cluster()
        self.lines = Lines(self.cluster, self.random, loss=0.1)
        self.weather = Weather(self.random, write=0.3, read=0.1)
        self.leader = self.replica()
        for _ in range(self.random.randint(1, 3)):
            self.add_pod()

    def replica(self) -> Replica:
        self.transition += 1
        number = self.transition
        api = FaultyApi(self.cluster.api, self.weather, lambda *_: None)
        clock = Clock(
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.elapsed),
            monotonic=lambda: self.elapsed,
        )
        metrics = DriftMetrics(CollectorRegistry())
        watching = Watching(
            snapshot=self.cluster.store,
            board=DriftBoard(),
            enqueue=lambda _: None,
            keeper=Keeper(api, self.cluster, lambda: number),
            courier=Courier(Delivery(), metrics.event),
            metrics=metrics,
            clock=clock,
        )
        asker = Asker(self.cluster.store, self.lines, clock, metrics)  # type: ignore[arg-type]  # it has all that is called
        return Replica(loop=DriftLoop(watching), asker=asker, transition=number)

    def add_pod(self) -> None:
        monitor = FakeMonitor(profile=a_profile())
        self.cluster.add_pod(monitor, f"10.0.0.{len(self.cluster.monitors) + 1}")

    async def step(self, thread: ThreadPoolExecutor) -> None:
        happenings: dict[Callable[..., Any], int]
        happenings = {self.rows: 10, self.poll: 10, self.change_leader: 1, self.poll_former: 1}
        if self.kills:
            happenings |= {self.kill: 1, self.replace_pod: 1}
        chosen = self.random.choices(list(happenings), list(happenings.values()))[0]
        self.log.append(f"{self.elapsed:6.0f} {chosen.__name__}")
        self.elapsed += self.random.choice((1.0, 60.0, 400.0))
        if chosen in {self.poll, self.poll_former}:
            await chosen(thread)
        else:
            chosen()

    def living(self) -> list[FakeMonitor]:
        uids = {each["metadata"]["uid"] for each in self.cluster.api.everything("Pod")}
        return [each for each in self.cluster.monitors.values() if each.pod in uids]

    def rows(self) -> None:
        monitor = self.random.choice(self.living())
        if monitor.counts is not None and not monitor.final:
            window = counted(self.random.randint(1, 40), seed=self.came)
            monitor.came(window)
            self.came += window.rows

    async def poll(self, thread: ThreadPoolExecutor) -> None:
        try:
            await self.leader.loop.look_at(PLACE, self.leader.asker, thread)
        except CrashError:
            self.log.append("       the leader crashes")
            self.leader = self.replica()

    async def poll_former(self, thread: ThreadPoolExecutor) -> None:
        """Somebody who has lost the Lease does not know it yet."""
        try:
            if self.former:
                await self.former.loop.look_at(PLACE, self.former.asker, thread)
        except CrashError:
            self.former = None

    def change_leader(self) -> None:
        self.former, self.leader = self.leader, self.replica()

    def kill(self) -> None:
        monitor = self.random.choice(self.living())
        self.note_loss(monitor)
        monitor.restart()

    def replace_pod(self) -> None:
        """A pod ends, and its last words may be heard by nobody."""
        monitor = self.random.choice(self.living())
        name = next(
            each["metadata"]["name"]
            for each in self.cluster.api.everything("Pod")
            if each["metadata"]["uid"] == monitor.pod
        )
        self.note_loss(monitor)
        self.cluster.api.delete_now(
            ObjectRef(api_version="v1", kind="Pod", namespace=NAMESPACE, name=name)
        )
        self.add_pod()

    def note_loss(self, monitor: FakeMonitor) -> None:
        """No more can be lost than what nobody had kept when it ended."""
        manifest = self.cluster.api.find(KEPT)
        kept = parse_kept(manifest, self.cluster.uid) if manifest else None
        seen = kept.seen.get(f"{monitor.pod}/{monitor.process}") if kept else None
        drift = seen.summary().drift if seen else None
        rows = monitor.counts.rows if monitor.counts is not None else 0
        self.lost_at_most += rows - (drift.rows if drift else 0)

    def check(self) -> None:
        for each in (self.leader, self.former):
            assert each is None or watched(each.drift) <= self.came, self.story()

    def story(self) -> str:
        return f"seed {self.seed}\n" + "\n".join(self.log)


def watched(drift: ModelDrift | None) -> int:
    """Return the rows that are evidence, or were when it was kept."""
    revision = drift.revisions.get(REVISION_NAME) if drift else None
    return revision.watch.state.drifting.seen.rows if revision and revision.watch else 0


async def ended(seed: int, *, kills: bool) -> Schedule:
    """Storm, then calm: everybody answers, and the leader asks once more."""
    schedule = Schedule(seed=seed, kills=kills)
    with ThreadPoolExecutor(max_workers=1) as thread:
        for _ in range(STEPS):
            await schedule.step(thread)
            schedule.check()
        schedule.weather.calm()
        schedule.lines.loss = 0.0
        for _ in range(3):
            schedule.elapsed += 400.0
            await schedule.poll(thread)
            schedule.check()
    return schedule


@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_lost_or_counted_twice_whatever_becomes_of_operators(seed: int) -> None:
    schedule = await ended(seed, kills=False)
    assert watched(schedule.leader.drift) == schedule.came, schedule.story()


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_monitor_that_ends_loses_no_more_than_was_not_kept(seed: int) -> None:
    schedule = await ended(seed, kills=True)
    lost = schedule.came - watched(schedule.leader.drift)
    assert 0 <= lost <= schedule.lost_at_most, schedule.story()


@pytest.mark.parametrize("seed", range(5))
async def test_the_next_leader_knows_all_that_the_last_one_kept(seed: int) -> None:
    schedule = await ended(seed, kills=True)
    before = watched(schedule.leader.drift)
    schedule.change_leader()
    with ThreadPoolExecutor(max_workers=1) as thread:
        await schedule.poll(thread)
    assert watched(schedule.leader.drift) == before, schedule.story()
