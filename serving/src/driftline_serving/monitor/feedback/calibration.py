"""How well a model probably does while labels are not there: counts of its probabilities."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from driftline_serving.monitor.feedback.outputs import Floats, Outputs
from driftline_serving.server.tensors import Array
from driftline_stats.risk.cbpe import Cbpe

#: More classes make the counts too large to be told at every look.
MOST_CLASSES: Final = 16
#: Rows that are counted at a time.
_ROWS: Final = 512

Places = npt.NDArray[np.int64]


class Calibration:
    """Counts calibrated probabilities of the rows since it was last started anew."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs
        self._counts: Cbpe | None = None
        self._waiting: list[tuple[Floats, Places]] = []
        self._rows = 0

    def restart(self) -> None:
        """Begin from nothing."""
        self._counts, self._waiting, self._rows = None, [], 0

    def observe(self, outputs: Mapping[str, Array]) -> None:
        """Count rows, many at a time: few cost as much."""
        scores, classes = self._outputs.probabilities(outputs), self._outputs.classes(outputs)
        if scores is None or classes is None or len(scores) != len(classes):
            return
        if scores.ndim == 2 and scores.shape[1] > MOST_CLASSES:
            return
        if self._waiting and self._waiting[0][0].shape[1:] != scores.shape[1:]:
            self._settle()
        self._waiting.append((scores, classes))
        self._rows += len(scores)
        if self._rows >= _ROWS or len(self._waiting) >= _ROWS:
            self._settle()

    def _settle(self) -> None:
        if not self._waiting:
            return
        scores, classes = (np.concatenate(each) for each in zip(*self._waiting, strict=True))
        self._waiting, self._rows = [], 0
        positive = self._outputs.positive
        predicted = classes
        if scores.ndim == 1:
            predicted = np.where(classes < 0, math.nan, classes == positive)
        new = Cbpe.of(scores, predicted=predicted)
        if self._counts is None or len(self._counts.counts) == len(new.counts):
            self._counts = new if self._counts is None else self._counts.merge(new)

    def report(self) -> dict[str, Any] | None:
        """Return the counts as JSON of `Cbpe`; None where nothing was counted."""
        self._settle()
        if self._counts is None:
            return None
        found: dict[str, Any] = json.loads(self._counts.to_json())
        return found
