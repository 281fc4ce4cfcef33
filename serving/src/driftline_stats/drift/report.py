"""What drifted, and how far: channels ranked by evidence, in units people know.

The evidence here is of the rows that the report is about, taken as one sample: for channel c,
ln E_c = ln sum_i w_i prod L_i over its components (`mixture`), weights scaled to 1. Where the rows
were chosen beforehand, E_c is an e-value, and channels with E_c of at least K/alpha have moved, for
all K channels together with a false alarm probability of at most alpha: Markov and Bonferroni,
under any dependence between channels. Null hypothesis, assumptions and source are those of
`mixture`. Where a detector's alarm chose the rows, nothing is guaranteed: the evidence ranks and
names, and the alarm has decided. Distances beside it (`distances`) decide nothing.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.bins import BinKind
from driftline_stats.drift.channels import Channel
from driftline_stats.drift.detector import DetectorPlan, Window
from driftline_stats.drift.distances import (
    Binned,
    Interval,
    population_stability,
    quantile_shift,
    shares_of,
    wasserstein,
)
from driftline_stats.drift.inflation import WARN_ABOVE
from driftline_stats.drift.profile import Profile
from driftline_stats.drift.watched import layout_of
from driftline_stats.errors import BatchError
from driftline_stats.state import State

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_VALUES = (BinKind.BELOW, BinKind.INTERVAL, BinKind.VALUE, BinKind.ABOVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileMove(State):
    """A quantile before and now.

    Attributes:
        level: share of values below it.
        reference: its value then.
        shift: by how much it moved.
    """

    KIND: ClassVar[str] = "drift-quantile-move"

    level: float
    reference: float
    shift: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelMove(State):
    """How one channel moved.

    Attributes:
        name: of the channel.
        role: `feature`, `prediction`, `pair`, `distance` or `errors`.
        log_evidence: natural logarithm of E_c.
        moved: whether that is enough for all channels together.
        by: the evidence of each direction, the strongest first, as (family, name, ln E).
        psi: population stability index.
        wasserstein: average distance that values moved; None where they have no order.
        quantiles: None where values have no order.
        missing: share of rows without a value, then and now.
        out_of_range: share that the reference hardly has (out of its range, infinite, a new level).
        infinite: of these, the share of infinities.
    """

    KIND: ClassVar[str] = "drift-channel-move"

    name: str
    role: str
    log_evidence: float
    moved: bool
    by: tuple[tuple[str, str, float], ...]
    psi: Interval
    wasserstein: Interval | None
    quantiles: tuple[QuantileMove, ...]
    missing: tuple[float, float]
    out_of_range: tuple[float, float]
    infinite: tuple[float, float] = (0.0, 0.0)

    def __str__(self) -> str:
        """Say it for people."""
        shift = [each for each in self.quantiles if each.level == 0.5]
        median = f", median {shift[0].shift}" if shift else ""
        evidence = self.log_evidence / math.log(10)
        return f"{self.name}: evidence 1e{evidence:.0f} by {self.by[0][1]}, PSI {self.psi}{median}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport(State):
    """All channels, those with most evidence first.

    Attributes:
        rows: live rows that it is about.
        channels: of the reference.
        dependent: names of channels whose rows depend on each other so much (variance inflation
            above 5) that evidence builds up slowly and intervals are wide.
    """

    KIND: ClassVar[str] = "drift-report"

    rows: int
    channels: tuple[ChannelMove, ...]
    dependent: tuple[str, ...]

    @property
    def moved(self) -> tuple[ChannelMove, ...]:
        """The channels that have moved."""
        return tuple(each for each in self.channels if each.moved)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a report is made of.

    Attributes:
        plan: of the detector, or of the skew test.
        windows: counts of the live rows; those of one stratum may be summed.
        deff: variance inflation by direction: the detector's.
        tolerance: of each component, where channels have one of their own; the plan's if None.
    """

    plan: DetectorPlan
    windows: tuple[Window, ...]
    deff: Floats
    tolerance: float | Floats | None = None

    @property
    def counts(self) -> Ints:
        """Live rows by bin, of all channels one after another."""
        nothing = np.zeros(self.plan.mixture.scores.bins, np.int64)
        return nothing + sum(each.counts for each in self.windows)

    @property
    def log_products(self) -> Floats:
        """Return ln prod L_i of every component."""
        plan, mixture = self.plan, self.plan.mixture
        tolerance = plan.tolerance if self.tolerance is None else self.tolerance
        total = np.zeros(mixture.weight.size)
        for each in self.windows:
            constants = mixture.log_constants(tolerance, plan.z, self.deff, each.stratum)
            total += mixture.log_ratios(each.counts, constants, self.deff, each.stratum)
        return total


def report_of(profile: Profile, seen: Seen, alpha: float = 0.01) -> DriftReport:
    """Return the report on live rows.

    The reference has all ages from 0 to 99 alike, live rows none below 20:

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.kernel import Kernel
    >>> from driftline_stats.drift.rows import Feature, rows_of
    >>> from driftline_stats.drift.watched import reference_of, window_of
    >>> features = (Feature(name="age"), Feature(name="income"))
    >>> at = np.arange(2_000)
    >>> rows = rows_of(features, {"age": at % 100, "income": at * 37 % 1_000})
    >>> profile = build(features, rows)
    >>> plan = DetectorPlan.make(reference_of(profile), budget=100_000)
    >>> live = rows_of(features, {"age": at % 80 + 20, "income": at * 37 % 1_000})
    >>> window = window_of(Kernel(profile.plan).count(live))
    >>> report = report_of(profile, Seen(plan=plan, windows=(window,), deff=plan.deff))
    >>> report.rows, report.channels[0].name, "income" in {each.name for each in report.moved}
    (2000, 'age', False)
    >>> str(report.channels[0])
    'age: evidence 1e20 by location, PSI 1.08 (0.771 to 1.39), median 10 (7.2 to 12.8)'

    Args:
        profile: that the plan's reference was made of.
        seen: plan, counts and inflation.
        alpha: of naming any channel that has not moved, where rows were chosen beforehand.

    Raises:
        BatchError: the plan's reference is not of this profile.
    """
    names = [each.name for each in profile.channels]
    if names != [each.name for each in seen.plan.reference.channels]:
        raise BatchError("the plan's reference is of another profile")
    evidence = _evidence(seen)
    bar = math.log(len(names) / alpha)
    moves = (
        _move(each, seen, by, bar) for each, by in zip(profile.channels, evidence, strict=True)
    )
    ranked = sorted(moves, key=lambda each: (-each.log_evidence, each.name))
    scores = seen.plan.mixture.scores
    large = sorted({scores.names[at][0] for at in np.flatnonzero(seen.deff > WARN_ABOVE)})
    rows = int(np.add.reduceat(seen.counts, scores.starts).max())
    return DriftReport(rows=rows, channels=tuple(ranked), dependent=tuple(large))


def _evidence(seen: Seen) -> list[list[tuple[str, str, float]]]:
    """Return by channel the weighted evidence of its directions, the strongest first.

    Weights are those within the channel: they sum to 1 over its components.
    """
    mixture, scores = seen.plan.mixture, seen.plan.mixture.scores
    terms = seen.log_products + np.log(mixture.weight)
    by_direction = np.array(
        [np.logaddexp.reduce(terms[part]) for part in _parts(mixture.direction)]
    )
    channel = scores.channel[mixture.direction]
    whole = np.log(np.bincount(channel, mixture.weight))
    found: list[list[tuple[str, str, float]]] = [[] for _ in range(len(scores.starts))]
    for at in np.argsort(-by_direction, kind="stable"):
        of = int(scores.channel[at])
        log = float(by_direction[at] - whole[of])
        found[of].append((scores.families[at], scores.names[at][1], log))
    return found


def _parts(numbers: Ints) -> Iterable[Ints]:
    return (np.flatnonzero(numbers == each) for each in range(int(numbers.max()) + 1))


def _move(
    channel: Channel, seen: Seen, by: list[tuple[str, str, float]], bar: float
) -> ChannelMove:
    layout, live = layout_of(channel), seen.counts[channel.place]
    deff = _deff_of(channel.name, seen)
    log_evidence = float(np.logaddexp.reduce([each[2] for each in by]))
    before, after = _binned(channel, channel.reference, 1.0), _binned(channel, live, deff)
    return ChannelMove(
        name=channel.name,
        role=next(each.role for each in seen.plan.reference.channels if each.name == channel.name),
        log_evidence=log_evidence,
        moved=log_evidence >= bar,
        by=tuple(by),
        psi=population_stability(channel.reference, live, deff),
        wasserstein=wasserstein(before, after) if before and after else None,
        quantiles=_quantiles(before, after) if before and after else (),
        missing=_then_and_now(channel.reference, live, layout.missing),
        out_of_range=_then_and_now(channel.reference, live, layout.range),
        infinite=_then_and_now(channel.reference, live, _infinite(channel)),
    )


def _then_and_now(reference: Ints, live: Ints, bins: tuple[int, ...]) -> tuple[float, float]:
    return shares_of(reference, bins), shares_of(live, bins)


def _infinite(channel: Channel) -> tuple[int, ...]:
    return tuple(at for at, kind in enumerate(channel.bins) if kind is BinKind.INFINITE)


def _binned(channel: Channel, counts: Ints, deff: float) -> Binned | None:
    if not channel.edges.size or BinKind.ABOVE not in channel.bins:
        return None
    places = [at for at, kind in enumerate(channel.bins) if kind in _VALUES]
    return Binned(edges=channel.edges, counts=counts[places], deff=deff)


def _quantiles(before: Binned, after: Binned) -> tuple[QuantileMove, ...]:
    return tuple(
        QuantileMove(
            level=level,
            reference=before.quantile(level),
            shift=quantile_shift(before, after, level),
        )
        for level in QUANTILES
    )


def _deff_of(name: str, seen: Seen) -> float:
    """Return the largest inflation of a channel's directions: intervals are rather too wide."""
    names = seen.plan.mixture.scores.names
    return max(float(seen.deff[at]) for at, each in enumerate(names) if each[0] == name)
