"""Takes frames, and counts what is in them. Memory is bounded, whatever comes."""

import logging
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline_api.monitor import Faults, Totals
from driftline_serving.monitor.counting import Counting
from driftline_serving.monitor.sampling import chosen
from driftline_serving.monitor.slots import Slots
from driftline_serving.monitor.workers import Workers
from driftline_serving.tap.frame import Frame, Group
from driftline_serving.watched.extract import Extracted, FaultCounts

log = logging.getLogger(__name__)

#: Features and tensors by which faults are told; the others are added up.
MOST_NAMES: Final = 256
OTHERS: Final = "…"
_REFUSED: Final = 400
_FAILED: Final = 500


class Intake:
    """Counts the inferences of one model.

    Inferences that were answered are counted as rows too, once it is known by what: see `counting`.

    Attributes:
        rate: share of inferences whose rows are counted; which ones follows from their ids.
        observers: are given every frame as well, in the order in which frames come.
        slots: by arm, epoch and time.
        counting: what is done with rows; None before it is known what may be looked at.
    """

    def __init__(self) -> None:
        self.rate = 1.0
        self.observers: list[Callable[[Frame], None]] = []
        self.slots = Slots()
        self.counting: Counting | None = None
        self._workers = Workers()
        self._faults = FaultCounts()
        self._sums: Counter[str] = Counter()
        self._names: set[str] = set()
        self._bugs: set[str] = set()

    def take(self, frame: Frame) -> None:
        """Count a frame. The arrays in it are not kept."""
        self._workers.take(frame)
        if not frame.count:
            return
        self._sums["seen"] += frame.count
        refused = int(np.count_nonzero(frame.status >= _REFUSED))
        failed = int(np.count_nonzero(frame.status >= _FAILED)) if refused else 0
        self._sums["failed"] += failed
        self._sums["rejected"] += refused - failed
        self.slots.take(frame)
        for observe in (self._count, *self.observers):
            try:
                observe(frame)
            except Exception as bug:  # noqa: BLE001 - the other counts must go on
                self._tell(bug)

    def totals(self) -> Totals:
        """Return how many inferences there were, and what became of them."""
        tally = self._workers.tally()
        return Totals(offered=tally.offered, dropped=tally.dropped, lost=tally.lost, **self._sums)

    def faults(self) -> Faults:
        """Return what was wrong with inputs and outputs."""
        counts: dict[str, dict[str, int]] = {}
        for (name, fault), number in self._faults.items():
            of_name = counts.setdefault(name, {})
            of_name[fault] = of_name.get(fault, 0) + number
        return Faults(counts=counts)

    def _count(self, frame: Frame) -> None:
        counting = self.counting
        if counting is None or counting.extractor is None:
            return
        wanted = frame.status < _REFUSED
        if self.rate < 1.0:
            wanted = wanted & chosen(frame.ids, self.rate)
        begin = 0
        for group in frame.groups:
            of_group = wanted[begin : begin + group.count]
            begin += group.count
            if of_group.any():
                self._count_group(counting, group, of_group)

    def _count_group(self, counting: Counting, group: Group, wanted: npt.NDArray[np.bool_]) -> None:
        assert counting.extractor is not None
        found: Extracted = counting.extractor.of_group(group, None if wanted.all() else wanted)
        counting.add(found.rows)
        self._sums["counted"] += found.inferences
        self._sums["rows"] += len(found.rows)
        for (name, fault), number in found.faults.items():
            self._faults[self._told(name), fault] += number

    def _tell(self, bug: Exception) -> None:
        """Log where a bug is, once; its message may hold what a client sent."""
        at = traceback.extract_tb(bug.__traceback__)[-1]
        told = f"{type(bug).__name__} at {Path(at.filename).name}:{at.lineno}"
        if told not in self._bugs:
            self._bugs.add(told)
            log.error("a bug in Driftline: a frame is not counted: %s", told)

    def _told(self, name: str) -> str:
        """Return a name while there are few, else what stands for all others."""
        if name not in self._names:
            if len(self._names) >= MOST_NAMES - 1:
                return OTHERS
            self._names.add(name)
        return name
