"""All that is known of one Model's data, as one frozen value: what is kept is all of it.

Evidence and the counters that it consumed are one value, and are written in one write. So a
crash between any two steps goes back to where evidence and counters agree: what came since is
counted then, as long as the processes that counted it live.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from driftline_api.monitor import Summary
from driftline_api.monitoring import Monitoring
from driftline_operator.drift.notices import Notice
from driftline_operator.drift.pods import MonitorPod
from driftline_operator.drift.revision import (
    RevisionDrift,
    config_digest,
    looked,
    replanned,
    with_plan,
    with_profile,
)
from driftline_operator.drift.seen import CountersError, Increment, Seen, taken_in
from driftline_operator.drift.units import RouterCounts
from driftline_operator.router.stats import Outcome
from driftline_operator.router.traffic import RouterInstance
from driftline_stats.drift.profile import Profile
from driftline_stats.errors import StatsError

#: Seconds for which the counters of a process are kept that is heard no more, its pod gone.
KEPT: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDrift:
    """What is kept of a Model.

    Attributes:
        uid: of the Model.
        seen: what was taken in of each process, by `pod/process`.
        routers: what was taken in of each router.
        revisions: by name.
        waiting: events that are yet to be sent, oldest first.
        edges: changes of an answer so far.
    """

    uid: str
    seen: Mapping[str, Seen] = field(default_factory=dict)
    routers: RouterCounts = field(default_factory=RouterCounts)
    revisions: Mapping[str, RevisionDrift] = field(default_factory=dict)
    waiting: tuple[Notice, ...] = ()
    edges: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one poll of a Model's monitors and routers brought.

    Attributes:
        now: Unix seconds.
        pods: all of the Model that have a monitor.
        summaries: of those that answered, by pod.
        outcomes: of the routers that answered.
        routers: pods of all routers there are.
        profiles: that were asked for, by revision.
        plans: bins that were proposed, as JSON, by revision.
        awaited: revisions whose profile was asked for in vain: they wait, and lose nothing.
        known: revisions that are still there.
    """

    now: float
    pods: tuple[MonitorPod, ...] = ()
    summaries: Mapping[str, Summary] = field(default_factory=dict)
    outcomes: Sequence[tuple[RouterInstance, tuple[Outcome, ...]]] = ()
    routers: frozenset[str] = frozenset()
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    plans: Mapping[str, bytes] = field(default_factory=dict)
    awaited: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of a poll.

    Attributes:
        drift: after it.
        increments: what came, by revision.
        problems: answers that could not be taken in, for the log.
        ended: a process told its last, which nobody can ask for again.
    """

    drift: ModelDrift
    increments: Mapping[str, Increment]
    problems: tuple[str, ...] = ()
    ended: bool = False


def advanced(drift: ModelDrift, heard: Heard, monitoring: Monitoring) -> Taken:
    """Take in a poll, and look at every revision of which something was heard."""
    drift = _with_units(drift, heard)
    taken = _taken_in(drift, heard)
    revisions = dict(taken.drift.revisions)
    problems = list(taken.problems)
    for name in sorted(taken.increments):
        before = revisions.get(name, RevisionDrift())
        after, problem = _looked(name, before, taken.increments[name], heard, monitoring)
        revisions[name] = after
        problems.extend([problem] if problem else [])
    kept = {name: each for name, each in revisions.items() if name in heard.known}
    return replace(taken, drift=replace(taken.drift, revisions=kept), problems=tuple(problems))


def _with_units(drift: ModelDrift, heard: Heard) -> ModelDrift:
    routers, revisions = drift.routers, dict(drift.revisions)
    for router, outcomes in heard.outcomes:
        routers, units = routers.after(router, outcomes)
        for name, number in units.items():
            before = revisions.get(name, RevisionDrift())
            revisions[name] = replace(before, ledger=before.ledger.sent(number))
    return replace(drift, routers=routers.only(heard.routers), revisions=revisions)


def _taken_in(drift: ModelDrift, heard: Heard) -> Taken:
    """Subtract what was taken in before; what cannot be is left out, and begins anew."""
    seen = dict(drift.seen)
    increments: dict[str, Increment] = {}
    problems: list[str] = []
    ended = False
    for pod in heard.pods:
        summary = heard.summaries.get(pod.uid)
        if summary is None or pod.revision in heard.awaited:
            continue
        name = f"{pod.uid}/{summary.process}"
        before = seen.get(name)
        try:
            seen[name], increment = taken_in(before, summary, heard.now)
        except CountersError as error:
            seen[name], increment = Seen.of(summary, -1, heard.now), Increment()
            problems.append(f"{pod.revision} at {pod.address}: {error}")
        ended = ended or (summary.final and before is None) or _just_ended(before, summary)
        known = increments.get(pod.revision, Increment())
        increments[pod.revision] = known + increment
    kept = dict(_kept(seen, heard))
    return Taken(
        drift=replace(drift, seen=kept),
        increments=increments,
        problems=tuple(problems),
        ended=ended,
    )


def _just_ended(before: Seen | None, summary: Summary) -> bool:
    return bool(summary.final and before and not (before.packed and before.summary().final))


def _kept(seen: Mapping[str, Seen], heard: Heard) -> Iterable[tuple[str, Seen]]:
    """Yield the processes that may yet tell more."""
    here = {pod.uid for pod in heard.pods}
    current = {f"{uid}/{each.process}" for uid, each in heard.summaries.items()}
    for name, each in seen.items():
        pod = name.partition("/")[0]
        replaced = pod in heard.summaries and name not in current
        gone = pod not in here and heard.now - each.at > KEPT
        if not (replaced or gone):
            yield name, each


def _looked(
    name: str, before: RevisionDrift, increment: Increment, heard: Heard, monitoring: Monitoring
) -> tuple[RevisionDrift, str]:
    """Return a revision after a look, and what kept the look from being taken in."""
    ledger = before.ledger.told(increment.totals, increment.direct)
    settled = before.settled or _is_settled(name, before, heard, monitoring)
    revision = replace(before, ledger=ledger, problem=_problem(name, heard), settled=settled)
    try:
        revision = replanned(revision, name, monitoring)
        if name in heard.profiles:
            revision = with_profile(revision, name, heard.profiles[name], monitoring)
        if name in heard.plans:
            revision = with_plan(revision, heard.plans[name])
        return looked(revision, increment, monitoring, heard.now), ""
    except StatsError as error:
        return replace(revision, looked=heard.now), f"{name}: {error}"


def _is_settled(name: str, revision: RevisionDrift, heard: Heard, monitoring: Monitoring) -> bool:
    wanted = config_digest(revision, monitoring)
    return any(_of(each, name) and each.config == wanted for each in heard.summaries.values())


def _problem(name: str, heard: Heard) -> str:
    """Return why the profile is refused, in the words of the first monitor that says so."""
    of = (heard.summaries[pod.uid] for pod in heard.pods if pod.uid in heard.summaries)
    return next(
        (each.baseline.problem for each in of if _of(each, name) and each.baseline.problem), ""
    )


def _of(summary: Summary, revision: str) -> bool:
    return summary.revision == revision
