"""One revision: what it is compared with, what was counted of it, and what is asked of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final, Self

import numpy as np

from driftline_api.monitor import LabelCohort, MonitorConfig, Summary
from driftline_api.monitoring import Monitoring
from driftline_operator.drift.seen import Increment
from driftline_operator.drift.units import Ledger
from driftline_stats.drift.plan import Plan
from driftline_stats.drift.profile import Counts, Profile
from driftline_stats.errors import StatsError
from driftline_stats.watch.learning import Learning
from driftline_stats.watch.look import LOSS_BINS, LabelBatch, Look
from driftline_stats.watch.narrow import narrowed_plan
from driftline_stats.watch.packing import packed_text, unpacked
from driftline_stats.watch.plan import WatchPlan
from driftline_stats.watch.watch import Watch

#: Rows in one monitor's sample from which it can propose bins.
ENOUGH_SAMPLED: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was said of a revision last: what an edge is told by.

    Attributes:
        reason: of the condition; empty before the first.
        since: Unix seconds at which it was first given.
        rows: rows that had been watched then.
        source: of the baseline.
        problem: of the baseline.
    """

    reason: str = ""
    since: float = 0.0
    rows: int = 0
    source: str = "None"
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What is asked at every look of what rows are compared with; to unpack it takes milliseconds.

    Attributes:
        digests: of the plans whose counts a watch takes: without excluded features, and with.
        bins: of the first of them.
        rows: that it is made of.
    """

    digests: tuple[str, ...]
    bins: int
    rows: int

    @classmethod
    def of(cls, plan: WatchPlan) -> Self:
        """Unpack it once."""
        profile = plan.unpacked()
        narrow = narrowed_plan(profile.plan, frozenset(plan.exclude))
        digests = tuple(dict.fromkeys((narrow.digest, profile.plan.digest)))
        return cls(digests=digests, bins=narrow.starts[-1], rows=profile.n_ref)

    @property
    def none(self) -> Counts:
        """The counts of no rows."""
        return Counts(plan=self.digests[0], rows=0, values=np.zeros(self.bins, np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionDrift:
    """What is kept of a revision between looks.

    Attributes:
        ledger: inferences, by who tells of them.
        looked: Unix seconds of the last look at its data; 0 before the first.
        settled: a monitor has counted by our configuration, and so knows what it compares with.
        plan: bins that a monitor proposed, packed, while rows are learned by them.
        learning: while the first rows become the baseline.
        watch: while there is a baseline.
        reference: the baseline's.
        stored: a watch that was kept before this operator started, packed, until its profile
            comes.
        problem: why the profile is refused; empty where nothing is wrong.
        note: what else there is to say of the baseline, for people.
        told: what was said last.
    """

    ledger: Ledger = field(default_factory=Ledger)
    looked: float = 0.0
    settled: bool = False
    plan: str = ""
    learning: Learning | None = None
    watch: Watch | None = None
    reference: Reference | None = None
    stored: str = ""
    problem: str = ""
    note: str = ""
    told: Told = field(default_factory=Told)

    @property
    def can_be_told(self) -> bool:
        """Whether there is something to say, and not only what an earlier operator knew."""
        return self.settled and not (self.stored and self.watch is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asks:
    """What is to be asked of the monitors of a revision, beside their summaries.

    Attributes:
        profile_of: pod whose profile is wanted.
        plan_of: pod that shall propose bins.
    """

    profile_of: str | None = None
    plan_of: str | None = None


def configuration(revision: RevisionDrift, monitoring: Monitoring) -> MonitorConfig:
    """Return what all monitors of a revision are told."""
    plan = _pushed(_packed_plan(revision), tuple(monitoring.exclude))
    loaded = json.loads(plan.to_json()) if plan else None
    return MonitorConfig(monitoring=monitoring, plan=loaded)


def config_digest(revision: RevisionDrift, monitoring: Monitoring) -> str:
    """Return the digest of `configuration`, at once where it was asked for before."""
    return _config_digest(_packed_plan(revision), monitoring.model_dump_json(by_alias=True))


def _packed_plan(revision: RevisionDrift) -> str:
    """Return what tells the monitors' plan: bins that are learned by, or what was learned."""
    if revision.watch:
        return "" if revision.watch.plan.trained else revision.watch.plan.profile
    return revision.plan


@lru_cache(maxsize=4096)
def _config_digest(packed: str, monitoring: str) -> str:
    settings = Monitoring.model_validate_json(monitoring)
    plan = _pushed(packed, tuple(settings.exclude))
    loaded = json.loads(plan.to_json()) if plan else None
    return MonitorConfig(monitoring=settings, plan=loaded).digest


def _pushed(packed: str, exclude: tuple[str, ...]) -> Plan | None:
    if not packed:
        return None
    text = unpacked(packed)
    kind = json.loads(text).get("kind")
    plan = Plan.from_json(text) if kind == Plan.KIND else Profile.from_json(text).plan
    return narrowed_plan(plan, frozenset(exclude))


def asks_of(revision: RevisionDrift, summaries: Sequence[Summary], monitoring: Monitoring) -> Asks:
    """Return what is still to be known.

    A monitor that counts by a profile is asked for it once. Where none has one, the monitor
    that has kept the most rows proposes bins, once it has enough.
    """
    wanted = config_digest(revision, monitoring)
    settled = [each for each in summaries if each.config == wanted]
    for each in settled:
        if each.baseline.source == "profile" and each.drift:
            known = revision.reference and each.drift.plan in revision.reference.digests
            return Asks() if known else Asks(profile_of=each.pod)
    if (
        _packed_plan(revision)
        or not settled
        or any(each.baseline.source != "none" for each in settled)
    ):
        return Asks()
    if any(each.baseline.problem for each in settled):
        return Asks()
    best = max(settled, key=lambda each: (each.baseline.sampled, each.pod))
    return Asks(plan_of=best.pod if best.baseline.sampled >= ENOUGH_SAMPLED else None)


def with_profile(
    revision: RevisionDrift, name: str, profile: Profile, monitoring: Monitoring
) -> RevisionDrift:
    """Return the revision with what it was trained on; a watch of the same profile goes on."""
    plan = watch_plan(name, monitoring, WatchPlan.packed(profile), trained=True)
    watch = Watch.start(plan)
    if revision.stored:
        try:
            watch = Watch.restored(plan, unpacked(revision.stored).decode())
        except StatsError:
            watch = Watch.start(plan)
    settled = replace(revision, stored="", plan="", learning=None, problem="")
    return replace(settled, watch=watch, reference=Reference.of(plan))


def with_plan(revision: RevisionDrift, plan: str | bytes) -> RevisionDrift:
    """Return the revision with bins that were proposed.

    Raises:
        StatsError: that is no plan.
    """
    packed = packed_text(Plan.from_json(plan).to_json())
    return replace(revision, plan=packed, learning=None, watch=None, reference=None)


def replanned(revision: RevisionDrift, name: str, monitoring: Monitoring) -> RevisionDrift:
    """Return the revision under the settings of today; nothing changes where they are the same.

    Whoever gives a profile no longer wants what was learned without one.
    """
    if monitoring.baseline.uri and _packed_plan(revision):
        return RevisionDrift(ledger=revision.ledger, looked=revision.looked, told=revision.told)
    if revision.watch is None:
        return revision
    before = revision.watch.plan
    plan = watch_plan(name, monitoring, before.profile, trained=before.trained)
    if plan == before:
        return revision
    watch = revision.watch.replanned(plan)
    if plan.exclude == before.exclude:
        return replace(revision, watch=watch)
    return replace(revision, watch=watch, reference=Reference.of(plan))


def watch_plan(name: str, monitoring: Monitoring, profile: str, *, trained: bool) -> WatchPlan:
    """Return what is watched for in a revision."""
    return WatchPlan(
        profile=profile,
        trained=trained,
        tolerance=monitoring.tolerance,
        tolerances={each.name: each.tolerance for each in monitoring.features},
        exclude=tuple(sorted(monitoring.exclude)),
        false_alarms_per_year=monitoring.expected_false_alarms_per_year,
        first=monitoring.baseline.rows,
        accepted=trained and monitoring.baseline.accept == name,
    )


def looked(
    revision: RevisionDrift, increment: Increment, monitoring: Monitoring, now: float
) -> RevisionDrift:
    """Return the revision after one look at what its monitors counted.

    Args:
        revision: before; its ledger knows of the increment.
        increment: of all replicas, since the last look.
        monitoring: the settings.
        now: Unix seconds.

    Raises:
        StatsError: the counts are no such counts. Nothing was taken in.
    """
    seconds = max(0.0, now - revision.looked) if revision.looked else 0.0
    after = replace(revision, looked=now)
    if after.watch and after.reference:
        watch = _watched(after.watch, after.reference, increment, seconds)
        return replace(after, watch=watch)
    if after.plan:
        return _learned(after, increment, monitoring)
    return after


def _watched(watch: Watch, reference: Reference, increment: Increment, seconds: float) -> Watch:
    """Take in the counts of each plan that are counts of the profile that is watched against.

    There are two right after a change of what is excluded; that is the only time.
    """
    found = [increment.counts[each] for each in reference.digests if each in increment.counts]
    first, *others = found or [reference.none]
    totals = increment.totals
    watch = watch.update(
        Look(
            counts=first,
            seconds=seconds,
            inferences=totals.seen + totals.dropped,
            seen=totals.seen,
            counted=totals.counted,
            latency=increment.latency,
            faults=increment.faults,
            labels=tuple(label_batch(each) for each in increment.cohorts),
            calibration=increment.calibration,
        )
    )
    for counts in others:
        watch = watch.update(Look(counts=counts, seconds=0.0))
    return watch


def _learned(
    revision: RevisionDrift, increment: Increment, monitoring: Monitoring
) -> RevisionDrift:
    """Count rows toward the baseline; once there are enough, watch against them."""
    plan = _pushed(revision.plan, tuple(monitoring.exclude))
    assert plan is not None
    learning = revision.learning
    if learning is None or learning.plan != packed_text(plan.to_json()):
        learning = Learning.start(plan, monitoring.baseline.rows)
    if plan.digest in increment.counts:
        learning = learning.update(increment.counts[plan.digest])
    if learning.profile is None:
        return replace(revision, learning=learning)
    packed = WatchPlan.packed(learning.profile)
    started = watch_plan("", monitoring, packed, trained=False)
    note = "" if learning.stable else learning.findings().message
    learned = replace(revision, plan="", learning=None, note=note)
    return replace(learned, watch=Watch.start(started), reference=Reference.of(started))


def label_batch(cohort: LabelCohort) -> LabelBatch:
    """Return labels as the watch takes them."""
    return LabelBatch(
        cohort=f"{cohort.hour}/{cohort.epoch or 0}/{cohort.arm}",
        rows=cohort.rows,
        labelled=cohort.labelled,
        losses=tuple((at, count) for at, count in cohort.losses if 0 <= at < LOSS_BINS),
        delays=tuple(cohort.delays),
        rewards=cohort.rewards,
    )
