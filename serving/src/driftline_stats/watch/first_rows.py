"""The first rows of a revision: whether they look like training data, and what they looked like.

The test is that of `drift.skew`, on the likelihood ratios that the detector of drift takes too.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.state import State
from driftline_stats.watch.evidence import Ratios
from driftline_stats.watch.packing import counts_of, logs_of, packed_counts, packed_logs
from driftline_stats.watch.plan import WatchPlan
from driftline_stats.watch.tables import Tables

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstRows(State):
    """Counts of the first rows, and the one verdict about them.

    Attributes:
        rows: counted.
        counts: packed; empty before the first row.
        products: ln prod L_i of every component, packed; empty before evidence and after the end.
        used: rows that were evidence.
        log_evidence: natural logarithm of E.
        rejected: whether E has ever reached 1/alpha.
    """

    KIND: ClassVar[str] = "watch-first-rows"

    rows: int = 0
    counts: str = ""
    products: str = ""
    used: int = 0
    log_evidence: float = 0.0
    rejected: bool = False

    def add(self, counts: Ints, rows: int, first: int) -> Self:
        """Return them with more rows, until there are as many as wanted."""
        if self.rows >= first:
            return self
        summed = counts + self.counted(counts.size)
        return replace(self, rows=self.rows + rows, counts=packed_counts(summed))

    def counted(self, bins: int) -> Ints:
        """Return the counts.

        Raises:
            StateError: they are of other bins.
        """
        return counts_of(self.counts, bins) if self.counts else np.zeros(bins, np.int64)

    def check(self, tables: Tables) -> None:
        """Make sure that what was stored is of these tables.

        Raises:
            StateError: it is not.
        """
        self.counted(tables.bins)
        if self.products:
            logs_of(self.products, tables.components)

    def judge(self, plan: WatchPlan, tables: Tables, ratios: Ratios) -> Self:
        """Return them after more evidence; beyond the first rows nothing changes."""
        if self.decided(plan):
            return self
        mixture = tables.mixture
        products = ratios.log
        if self.products:
            products = products + logs_of(self.products, tables.components)
        top = float(products.max())
        log = top + math.log(float(mixture.weight @ np.exp(products - top)))
        used = self.used + ratios.rows
        rejected = log >= -math.log(plan.alpha)
        over = rejected or used >= plan.first
        return replace(
            self,
            products="" if over else packed_logs(products),
            used=used,
            log_evidence=log,
            rejected=rejected,
        )

    def decided(self, plan: WatchPlan) -> bool:
        """Whether the verdict stands: skew is shown, or the first rows have all been seen."""
        return self.rejected or self.used >= plan.first
