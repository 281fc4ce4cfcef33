"""Frames to predictions that are remembered and counted."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline_serving.monitor.feedback.calibration import Calibration
from driftline_serving.monitor.feedback.cohorts import Cohort, Cohorts
from driftline_serving.monitor.feedback.memory import Floats, Memory, Origin, Told, milliseconds
from driftline_serving.monitor.feedback.outputs import Outputs
from driftline_serving.receipt import MOST_ARM
from driftline_serving.server.tensors import Array
from driftline_serving.tap.frame import Column, Frame, Group
from driftline_serving.tap.records import Stamp

_HOUR_MS: Final = 3_600_000
#: What numpy says of outputs that are not what the signature says. Our own server checks that
#: they are; of another only what can be read is known.
_UNREADABLE: Final = (TypeError, ValueError, IndexError)


class Observer:
    """Remembers predictions and counts their rows.

    Args:
        outputs: what is read of each prediction; None where no signature says what that is.
        memory: what remembers them.
        cohorts: what counts their rows.
        calibration: what counts probabilities; None where they are none.
    """

    def __init__(
        self,
        outputs: Outputs | None,
        memory: Memory,
        cohorts: Cohorts,
        calibration: Calibration | None,
    ) -> None:
        self._outputs = outputs
        self._memory = memory
        self._cohorts = cohorts
        self._calibration = calibration

    def observe(self, frame: Frame) -> None:
        """Take what was predicted; inferences that failed have no outputs, and are left out."""
        origins = [_origin(each) for each in frame.stamps]
        first = 0
        for group in frame.groups:
            part = slice(first, first + group.count)
            first += group.count
            rows = self._rows(group)
            if rows is not None:
                told = Told(
                    ids=frame.ids[part],
                    origins=origins,
                    origin=frame.stamp[part].astype(np.int64),
                    rows=rows,
                    values=None,
                )
                self._take(told, group)

    def _take(self, told: Told, group: Group) -> None:
        outputs = {
            name: column.values
            for name, column in group.outputs.items()
            if column.values is not None
        }
        values = None
        with contextlib.suppress(*_UNREADABLE):
            values = self._values(outputs, int(told.rows.sum()))
            if self._calibration:
                self._calibration.observe(outputs)
        self._memory.add(replace(told, values=values))
        for cohort, count in _cohorts(told):
            self._cohorts.predicted(cohort, count)

    def _values(self, outputs: Mapping[str, Array], rows: int) -> Floats | None:
        values = self._outputs.read(outputs) if self._outputs else None
        return values if values is not None and len(values) == rows else None

    def _rows(self, group: Group) -> npt.NDArray[np.int64] | None:
        """Return the rows of each inference: the length of what is read, or of any output."""
        names = self._outputs.names if self._outputs else ()
        column = next((group.outputs[each] for each in names if each in group.outputs), None)
        column = column or next(iter(group.outputs.values()), None)
        return None if column is None else _lengths(column, group.count)


def _lengths(column: Column, count: int) -> npt.NDArray[np.int64]:
    if column.lengths is None:
        return np.ones(count, np.int64)
    return column.lengths.astype(np.int64)


def _origin(stamp: Stamp) -> Origin:
    """Return what a stamp says of the route; an arm that no router of ours names says nothing."""
    return Origin(arm=stamp.arm if len(stamp.arm) <= MOST_ARM else "", epoch=stamp.epoch)


def _cohorts(told: Told) -> Iterator[tuple[Cohort, int]]:
    """Yield the rows of each cohort."""
    hours, ways = milliseconds(told.ids) // _HOUR_MS, len(told.origins)
    first, last = int(hours.min()), int(hours.max())
    if first == last and ways == 1:
        yield Cohort(first, told.origins[0]), int(told.rows.sum())
        return
    codes, place = np.unique(hours * ways + told.origin, return_inverse=True)
    counts = np.bincount(place, weights=told.rows)
    for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
        yield Cohort(code // ways, told.origins[code % ways]), int(count)
