"""Profiles of references: in one pass over rows in memory, or in two over rows that stream.

The first pass takes a sample, which decides where bins are cut; the second counts all rows, by
the kernel that counts live ones. Both can be split into parts that merge.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.cuts import categorical_bins, numeric_bins
from driftline_stats.drift.dependence import PAIRS, distance_of, pairs_of
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.plan import Plan
from driftline_stats.drift.profile import Counts, Order, Profile
from driftline_stats.drift.rows import CATEGORICAL, NUMERIC, Feature, Rows
from driftline_stats.drift.sample import Sampler

#: Blocks of the reference's order: two are joined when there are twice as many.
BLOCKS = 64
SMALLEST_BLOCK = 32


def build(features: Sequence[Feature], rows: Rows, *, in_order: bool = False) -> Profile:
    """Return the profile of rows that are in memory.

    >>> from driftline_stats.drift.rows import rows_of
    >>> features = (Feature(name="age"), Feature(name="city", kind="categorical"))
    >>> rows = rows_of(features, {"age": [31, 54, None], "city": ["Rome", "Oslo", "Rome"]})
    >>> profile = build(features, rows)
    >>> [(channel.name, len(channel.bins), channel.n_ref) for channel in profile.channels]
    [('age', 6, 3), ('city', 4, 3)]

    Args:
        features: what the columns are; numeric and categorical ones each in the order of theirs.
        rows: the reference.
        in_order: whether rows stand in the order of time; only then does the profile say how much
            they depend on each other.
    """
    sampler = Sampler()
    sampler.add(rows)
    counting = Counting(plan=plan_of(features, sampler), in_order=in_order)
    counting.add(rows)
    return counting.profile()


def plan_of(features: Sequence[Feature], sampler: Sampler, pairs: int = PAIRS) -> Plan:
    """Choose the bins of all channels by a sample.

    However few rows the sample keeps, nothing of the reference is below or above its bins:

    >>> sampler = Sampler(size=50)
    >>> for begin in range(0, 3000, 1000):
    ...     sampler.add(Rows(numeric=np.arange(begin, begin + 1000, dtype=np.float32)[:, None]))
    >>> ends = plan_of((Feature(name="x"),), sampler).numeric[0].values[[0, -1]]
    >>> bool(ends[0] <= 0), bool(ends[1] > 2999)
    (True, True)

    Args:
        features: as in `build`.
        sampler: what has seen the reference, or the first part of it.
        pairs: how many pairs of features are watched.
    """
    sample = sampler.rows()
    numeric = [each for each in features if each.kind == NUMERIC]
    categorical = [each for each in features if each.kind == CATEGORICAL]
    marginal = Plan(
        numeric=tuple(
            numeric_bins(feature, column, _or_none(extremes))
            for feature, column, extremes in zip(
                numeric, sample.numeric.T, sampler.extremes, strict=True
            )
        ),
        categorical=tuple(
            categorical_bins(feature, column)
            for feature, column in zip(categorical, sample.categorical, strict=True)
        ),
    )
    return Plan(
        numeric=marginal.numeric,
        categorical=marginal.categorical,
        pairs=pairs_of(marginal, sample, pairs),
        distance=distance_of(marginal, sample),
    )


@dataclass(slots=True, kw_only=True)
class Counting:
    """Counts a reference that streams: the second pass.

    >>> import numpy as np
    >>> rows = Rows(numeric=np.arange(100, dtype=np.float32)[:, None])
    >>> whole = build((Feature(name="x"),), rows)
    >>> counting = Counting(plan=whole.plan)
    >>> for part in (rows[:10], rows[10:]):
    ...     counting.add(part)
    >>> counting.profile() == whole
    True

    Attributes:
        plan: what is counted.
        in_order: whether rows come in the order of time.
    """

    plan: Plan
    in_order: bool = False
    _kernel: Kernel = field(init=False)
    _block: int = field(init=False, default=SMALLEST_BLOCK)
    _blocks: list[npt.NDArray[np.int64]] = field(init=False, default_factory=list)
    _rest: list[Rows] = field(init=False, default_factory=list)
    _resting: int = field(init=False, default=0)
    _counts: Counts = field(init=False)

    def __post_init__(self) -> None:
        self._kernel = Kernel(self.plan)
        self._counts = Counts.none(self.plan)

    def add(self, rows: Rows) -> None:
        """Count more rows."""
        if not self.in_order:
            self._counts += self._kernel.count(rows)
            return
        self._rest.append(rows)
        self._resting += len(rows)
        if self._resting < self._block:
            return
        rest = Rows.joined(self._rest)
        while len(rest) >= self._block:
            counts = self._kernel.count(rest[: self._block])
            rest = rest[self._block :]
            self._counts += counts
            self._blocks.append(counts.values)
            self._join_blocks()
        self._rest, self._resting = [rest], len(rest)

    def profile(self) -> Profile:
        """Return the profile of the rows so far."""
        counts = self._counts
        for rest in self._rest:
            counts += self._kernel.count(rest)
        order = None
        if self.in_order and self._blocks:
            order = Order.of(self._block, np.array(self._blocks))
        return Profile(plan=self.plan, reference=counts, order=order)

    def _join_blocks(self) -> None:
        if len(self._blocks) == 2 * BLOCKS:
            pairs = zip(self._blocks[::2], self._blocks[1::2], strict=True)
            self._blocks = [first + second for first, second in pairs]
            self._block *= 2


def _or_none(extremes: npt.NDArray[np.float32]) -> tuple[float, float] | None:
    lower, upper = map(float, extremes)
    return None if np.isnan(lower) else (lower, upper)
