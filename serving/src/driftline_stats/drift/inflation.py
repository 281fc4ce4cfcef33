"""By how much more the sums of a window vary than those of independent rows.

Rows that depend on those before (a sensor, a session, an hour of the day) make sums of n scores
vary with deff * n * var_q(s) instead of n * var_q(s). Blocks of at least 32 rows that follow one
another tell deff: with block means m_w of n_w rows,

    deff = mean over w of (m_w - m_(w-1))**2 / ((1/n_w + 1/n_(w-1)) var(s)),

von Neumann's estimate: differences of neighbours do not take one change of the level for variance.
Its standard error is about deff * sqrt(3/blocks). var(s) is that of single live rows, or that under
q where it is larger: a new level that a hundredth of the rows have makes sums vary more, but is no
dependence.

Assumptions: the series is stationary but for changes of its level, and dependence is short beside a
block. Evidence of a window is divided by what the rows before it say, never its own.

Under optional stopping there is no theorem: the division is right for sums that are close to
normal, and the estimate has an error. Both are checked by simulation.

Source: von Neumann, "Distribution of the ratio of the mean square successive difference to the
variance" (Annals of Mathematical Statistics, 1941), here for means of blocks.

When it is wrong: dependence that reaches much further than a block looks like a level. The
reference, all of which is at hand, is therefore looked at in blocks of 32, 64, 128 ... rows too.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.mixture import Mixture, Scores
from driftline_stats.drift.reference import Reference
from driftline_stats.state import State

Floats = npt.NDArray[np.float64]

BLOCK_ROWS = 32
LIVE_ROWS = 10_000
#: Fewer blocks say nothing.
FEWEST_BLOCKS = 10
#: Where the reference does not know the inflation, evidence waits for so many.
BLOCKS_TO_TRUST = 20
#: Where rows depend on each other so much, the report says so.
WARN_ABOVE = 5.0


class Moments(NamedTuple):
    """First and second moment of the scores of a window's rows, by direction."""

    mean: Floats
    square: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InflationMeter(State):
    """The estimate of the module over live rows, in constant space.

    >>> meter = InflationMeter.start(1)
    >>> for mean in (0.1, -0.1) * 10:
    ...     meter = meter.add(Moments(np.array([mean]), np.array([1.0])), 100)
    >>> meter.blocks, (meter.differences / meter.blocks).round(3)  # 0.2**2 / (2/100)
    (19, array([2.]))
    >>> meter.estimate.round(2)  # less than that while there are few blocks
    array([1.43])

    Attributes:
        pending: sums of standardised scores of the block that is being filled, by direction.
        pending_rows: its rows.
        last: means of the block before.
        last_rows: its rows, 0 if there was none.
        differences: sum of the scaled squared differences so far.
        sums: of standardised scores of all rows.
        squares: sum of their squares.
        blocks: how many differences.
        rows: seen so far.
    """

    KIND: ClassVar[str] = "drift-inflation"

    pending: Floats
    pending_rows: int
    last: Floats
    last_rows: int
    differences: Floats
    sums: Floats
    squares: Floats
    blocks: int
    rows: int

    @classmethod
    def start(cls, directions: int) -> Self:
        """Return the meter before the first row."""
        nothing = np.zeros(directions)
        return cls(
            pending=nothing,
            pending_rows=0,
            last=nothing,
            last_rows=0,
            differences=nothing,
            sums=nothing,
            squares=nothing,
            blocks=0,
            rows=0,
        )

    def add(self, window: "Moments", rows: int) -> Self:
        """Return the meter after a window.

        Args:
            window: of standardised scores.
            rows: of the window; one without rows changes nothing.
        """
        if not rows:
            return self
        filling = replace(
            self,
            pending=self.pending + window.mean * rows,
            pending_rows=self.pending_rows + rows,
            sums=self.sums + window.mean * rows,
            squares=self.squares + window.square * rows,
            rows=self.rows + rows,
        )
        return filling if filling.pending_rows < BLOCK_ROWS else filling.closed()

    def closed(self) -> Self:
        """Return the meter with the block that is being filled taken as whole."""
        mean = self.pending / self.pending_rows
        differences, blocks = self.differences, self.blocks
        if self.last_rows:
            scale = 1 / self.pending_rows + 1 / self.last_rows
            differences, blocks = differences + (mean - self.last) ** 2 / scale, blocks + 1
        return replace(
            self,
            pending=np.zeros_like(mean),
            pending_rows=0,
            last=mean,
            last_rows=self.pending_rows,
            differences=differences,
            blocks=blocks,
        )

    @property
    def complete(self) -> bool:
        """Whether it has seen as many rows as it was meant to, in as many blocks as say something.

        A block is at least a window: where traffic is dense, blocks take more rows.
        """
        return self.rows >= LIVE_ROWS and self.enough

    @property
    def estimate(self) -> Floats:
        """Variance inflation by direction, at least 1.

        Until enough rows are seen it is what chance alone hardly explains: the estimate less one
        standard error.
        """
        if self.blocks < FEWEST_BLOCKS:
            return np.ones_like(self.squares)
        if self.complete:
            return cautious(self._raw, self.blocks)
        return np.maximum(self._raw / (1 + math.sqrt(3 / self.blocks)), 1.0)

    def allowed_for(self, *, trusted: bool) -> Floats:
        """Return the inflation that evidence is to be divided by, at least 1.

        Args:
            trusted: whether the reference knows the inflation too. Otherwise nothing is taken off
                for doubt, however few rows there are.
        """
        if trusted or self.blocks < FEWEST_BLOCKS:
            return self.estimate
        return cautious(self._raw, self.blocks)

    @property
    def enough(self) -> bool:
        """Whether these rows alone can say how much they depend on each other."""
        return self.blocks >= BLOCKS_TO_TRUST

    @property
    def _raw(self) -> Floats:
        variance = self.squares / self.rows - (self.sums / self.rows) ** 2
        found: Floats = self.differences / self.blocks / np.maximum(variance, 1.0)
        return found


def cautious(estimate: Floats, blocks: int) -> Floats:
    """Return the inflation to allow for: the estimate, at least 1; its upper end once it is shown.

    Where it is two standard errors above 1, rows do depend on each other, and one standard error is
    added: too small an inflation costs the guarantee, too large a one some delay.

    >>> cautious(np.array([0.8, 1.1, 8.0]), 75)
    array([1. , 1.1, 9.6])
    """
    error = math.sqrt(3 / blocks)
    shown = estimate > 1 + 2 * error
    return np.where(shown, estimate * (1 + error), np.maximum(estimate, 1.0))


def standardised(scores: Scores, counts: npt.NDArray[np.int64], stratum: int = 0) -> Moments:
    """Return the moments of scores that have mean 0 and variance 1 under the reference.

    Without rows they are 0. Counts may be of one window or, by row, of many.

    >>> from driftline_stats.drift.reference import ReferenceChannel, unknown_inflation
    >>> from driftline_stats.drift.tilts import Layout
    >>> channel = ReferenceChannel(
    ...     name="plan",
    ...     role="feature",
    ...     layout=Layout(levels=(0, 1)),
    ...     counts=np.array([[5000, 5000]]),
    ...     inflation=unknown_inflation(),
    ... )
    >>> scores = Mixture.of(Reference(channels=(channel,))).scores
    >>> standardised(scores, np.array([60, 40]))  # 0.6 is 0.2 standard deviations from 0.5
    Moments(mean=array([ 0.2, -0.2]), square=array([1., 1.]))
    """
    rows = scores.rows(counts)
    mean = scores.sums(counts, stratum) / np.maximum(rows, 1.0)
    square = scores.squares(counts, stratum) / np.maximum(rows, 1.0)
    centre, spread = scores.mean[stratum], scores.spread[stratum]
    about = np.where(rows > 0, square - 2 * centre * mean + centre**2, 0.0)
    return Moments(np.where(rows > 0, mean - centre, 0.0) / spread, about / spread**2)


def blocked_inflation(means: Floats, rows: npt.NDArray[np.int64]) -> Floats:
    """Return the inflation of a whole series, the largest over blocks of growing size.

    Blocks of twice the size are made while 30 of them are left; of a larger size only what chance
    hardly explains counts (the estimate less one standard error).

    >>> independent = np.random.default_rng(1).normal(0, 32**-0.5, (1000, 1))
    >>> blocked_inflation(independent, np.full(1000, 32)).round(1)
    array([1.])

    Args:
        means: of standardised scores by block (row) and direction.
        rows: of each block, more than 0.
    """
    found = np.ones(means.shape[1])
    first = True
    while len(rows) > FEWEST_BLOCKS and (first or len(rows) > 30):
        scale = 1 / rows[1:] + 1 / rows[:-1]
        estimate = (np.diff(means, axis=0) ** 2 / scale[:, None]).mean(axis=0)
        blocks = len(rows) - 1
        by_chance = estimate / (1 + math.sqrt(3 / blocks))
        found = np.maximum(found, cautious(estimate, blocks) if first else by_chance)
        even = len(rows) // 2 * 2
        sums = (means * rows[:, None])[:even].reshape(even // 2, 2, -1).sum(axis=1)
        rows = rows[:even].reshape(-1, 2).sum(axis=1)
        means, first = sums / rows[:, None], False
    return found


def reference_inflation(
    reference: Reference,
    blocks: npt.NDArray[np.int64],
    strata: npt.NDArray[np.int64] | None = None,
) -> Reference:
    """Return the reference with the inflation that its own rows show, in the order of time.

    Blocks of 100 rows that keep to the reference's share vary no more than independent rows; such
    of which the share jumps from 0.8 to 0.6 and back do, 0.2**2 / (2/100 * 0.21) = 9.5 times as
    much, to which one standard error is added:

    >>> from driftline_stats.drift.reference import ReferenceChannel, unknown_inflation
    >>> from driftline_stats.drift.tilts import Layout
    >>> channel = ReferenceChannel(
    ...     name="plan",
    ...     role="feature",
    ...     layout=Layout(levels=(0, 1)),
    ...     counts=np.array([[3500, 1500]]),
    ...     inflation=unknown_inflation(),
    ... )
    >>> shuffled = Reference(channels=(channel,))
    >>> even = np.array([[71, 29], [69, 31]] * 25)
    >>> jumping = np.array([[80, 20], [60, 40]] * 25)
    >>> for blocks in (even, jumping):
    ...     known = reference_inflation(shuffled, blocks)
    ...     print(known.ordered, known.channels[0].inflation.round(1))
    True [1. 1.]
    True [11.9 11.9]

    Args:
        reference: its laws.
        blocks: counts of consecutive blocks of its rows (row) in the bins of all channels; each
            block in one stratum.
        strata: number of each block's stratum; all the first where not given.
    """
    scores = Mixture.of(reference).scores
    number = np.zeros(len(blocks), np.int64) if strata is None else strata
    means = np.zeros((len(blocks), len(scores.names)))
    for each in np.unique(number):
        means[number == each] = standardised(scores, blocks[number == each], int(each)).mean
    rows = np.add.reduceat(blocks, scores.starts, axis=1).max(axis=1)
    kept = rows > 0
    found = blocked_inflation(means[kept], rows[kept])
    channels = range(len(reference.channels))
    return reference.with_inflation([found[scores.channel == at] for at in channels])
