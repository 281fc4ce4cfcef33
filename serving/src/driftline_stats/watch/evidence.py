"""The e-detector of a watch, in a form that is small while nothing happens.

The recursion, its null hypothesis and what is guaranteed are those of `drift.detector`; the share
of the budget that a look uses up is that of `WatchPlan.share`. What differs is how it is kept:
logarithms of R rounded down to float16, the inflation meter only until it is complete, and no
tables, which watches of one profile share.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.inflation import WARN_ABOVE, InflationMeter, Moments, standardised
from driftline_stats.shiryaev_roberts import ShiryaevRoberts
from driftline_stats.state import State
from driftline_stats.watch.packing import floats_of, logs_of, packed_floats, packed_logs
from driftline_stats.watch.tables import Tables

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_PARTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter(State):
    """An `InflationMeter`, packed.

    Attributes:
        sums: its five arrays, one after another; empty before the first row.
        pending_rows, last_rows, blocks, rows: as there.
    """

    KIND: ClassVar[str] = "watch-meter"

    sums: str = ""
    pending_rows: int = 0
    last_rows: int = 0
    blocks: int = 0
    rows: int = 0

    @classmethod
    def of(cls, meter: InflationMeter) -> Self:
        """Pack a meter."""
        parts = (meter.pending, meter.last, meter.differences, meter.sums, meter.squares)
        return cls(
            sums=packed_floats(np.concatenate(parts)),
            pending_rows=meter.pending_rows,
            last_rows=meter.last_rows,
            blocks=meter.blocks,
            rows=meter.rows,
        )

    def unpacked(self, directions: int) -> InflationMeter:
        """Return the meter.

        Raises:
            StateError: it is of another number of directions.
        """
        if not self.sums:
            return InflationMeter.start(directions)
        pending, last, differences, sums, squares = floats_of(self.sums, (_PARTS, directions))
        return InflationMeter(
            pending=pending,
            pending_rows=self.pending_rows,
            last=last,
            last_rows=self.last_rows,
            differences=differences,
            sums=sums,
            squares=squares,
            blocks=self.blocks,
            rows=self.rows,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Inflation(State):
    """How much the rows depend on each other: a meter, and what it said when it was complete.

    Attributes:
        meter: None once it is complete.
        found: inflation by direction, packed, once it is.
    """

    KIND: ClassVar[str] = "watch-inflation"

    meter: Meter | None = Meter()
    found: str = ""

    def before(self, tables: Tables) -> Floats | None:
        """Return the inflation that evidence is to be divided by; None: rows must tell first."""
        trusted = tables.facts.ordered
        if self.meter is None:
            live = floats_of(self.found, (tables.directions,))
        else:
            meter = self.meter.unpacked(tables.directions)
            if not (trusted or meter.enough):
                return None
            live = meter.allowed_for(trusted=trusted)
        return np.maximum(tables.facts.deff, live)

    def add(self, tables: Tables, counts: Ints, rows: int) -> Self:
        """Return the inflation after a window."""
        if self.meter is None:
            return self
        moments: Moments = standardised(tables.mixture.scores, counts)
        meter = self.meter.unpacked(tables.directions).add(moments, rows)
        if not meter.complete:
            return replace(self, meter=Meter.of(meter))
        trusted = tables.facts.ordered
        return replace(self, meter=None, found=packed_floats(meter.allowed_for(trusted=trusted)))

    def dependent(self, tables: Tables) -> tuple[tuple[str, float], ...]:
        """Return channels whose inflation is above 5, with it, the largest first."""
        deff = self.before(tables)
        if deff is None:
            return ()
        largest = dict[str, float]()
        names = tables.mixture.scores.names
        for at in np.flatnonzero(deff > WARN_ABOVE):
            channel = names[at][0]
            largest[channel] = max(largest.get(channel, 0.0), float(deff[at]))
        return tuple(sorted(largest.items(), key=lambda each: -each[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """What a window says: ln L of every component, and the inflation it was divided by."""

    log: Floats
    deff: Floats
    rows: int


def ratios_of(tables: Tables, counts: Ints, deff: Floats, tolerance: float | Floats) -> Ratios:
    """Return ln L of every component for a window."""
    rows, mixture = tables.rows(counts), tables.mixture
    constants = mixture.log_constants(tolerance, tables.facts.z, deff)
    log = mixture.log_ratios(counts, constants, deff)
    return Ratios(log=log, deff=deff, rows=rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recursion(State):
    """`ShiryaevRoberts`, packed.

    Attributes:
        log_r: packed; empty where all R are 0, as after an alarm.
        log_evidence: natural logarithm of M; the bar is at 0.
        alarms: how many there have been.
    """

    KIND: ClassVar[str] = "watch-recursion"

    log_r: str = ""
    log_evidence: float = -math.inf
    alarms: int = 0

    def update(self, tables: Tables, ratios: Ratios, share: float) -> Self:
        """Return the recursion after a window that uses up a share of the budget."""
        mixture = tables.mixture
        before = ShiryaevRoberts.start(mixture.weight / mixture.weight.sum())
        if self.log_r:
            before = replace(before, log_r=logs_of(self.log_r, tables.components))
        after = before.update(ratios.log, share=share)
        return replace(
            self,
            log_r="" if after.alarmed else packed_logs(after.log_r),
            log_evidence=after.log_evidence,
            alarms=self.alarms + after.alarmed,
        )

    @property
    def alarmed(self) -> bool:
        """Whether the last window raised an alarm."""
        return self.log_evidence >= 0
