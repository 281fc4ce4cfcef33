"""How well a model probably does while labels are not there: counts of its probabilities."""

import json
from collections.abc import Mapping
from typing import Any, Final

from driftline_serving.monitor.feedback.outputs import Outputs
from driftline_serving.server.tensors import Array
from driftline_stats.risk.cbpe import Cbpe

#: More classes make the counts too large to be told at every look.
MOST_CLASSES: Final = 16


class Calibration:
    """Counts calibrated probabilities of the rows since it was last started anew."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs
        self._counts: Cbpe | None = None

    def restart(self) -> None:
        """Begin from nothing."""
        self._counts = None

    def observe(self, outputs: Mapping[str, Array]) -> None:
        """Count rows."""
        positive = self._outputs.positive
        scores, classes = self._outputs.probabilities(outputs), self._outputs.classes(outputs)
        if scores is None or classes is None or len(scores) != len(classes):
            return
        if scores.ndim == 1:
            decided = [None if at < 0 else at == positive for at in classes.tolist()]
            new = Cbpe.of(scores, predicted=decided)
        elif scores.shape[1] <= MOST_CLASSES:
            new = Cbpe.of(scores, predicted=classes)
        else:
            return
        if self._counts is None or len(self._counts.counts) == len(new.counts):
            self._counts = new if self._counts is None else self._counts.merge(new)

    def report(self) -> dict[str, Any] | None:
        """Return the counts as JSON of `Cbpe`; None where nothing was counted."""
        if self._counts is None:
            return None
        found: dict[str, Any] = json.loads(self._counts.to_json())
        return found
