"""Labels and rewards as a part of the monitor; `feedback` has what becomes of them."""

from collections.abc import Mapping

from aiohttp import web

from driftline_serving.monitor.feedback.desk import FeedbackDesk
from driftline_serving.monitor.feedback.endpoint import FeedbackEndpoint, Keys, add_feedback
from driftline_serving.monitor.feedback.peers import Place
from driftline_serving.tap.frame import Frame
from driftline_stats.drift.plan import Plan
from driftline_stats.drift.rows import PREDICTION


class Labels:
    """See `part.Part`.

    Args:
        desk: joins labels with predictions.
        place: where this monitor stands among those of its Model.
        keys: returns those that are known.
    """

    def __init__(self, desk: FeedbackDesk, place: Place, keys: Keys) -> None:
        self._desk = desk
        self._place = place
        self._keys = keys

    def observe(self, frame: Frame) -> None:
        """See `Part`: remember the predictions."""
        self._desk.observe(frame)

    def began(self, plan: Plan | None) -> None:
        """See `Part`: losses of values are in units of what the reference predicts."""
        predicted = [each.scale for each in plan.numeric if each.role == PREDICTION] if plan else []
        self._desk.began(predicted[0] if predicted else None)

    def tell(self) -> Mapping[str, object]:
        """See `Part`."""
        return {"feedback": self._desk.feedback(), "calibration": self._desk.calibration()}

    def join(self, app: web.Application) -> None:
        """See `Part`."""
        add_feedback(app, FeedbackEndpoint(self._desk, self._place, self._keys))
