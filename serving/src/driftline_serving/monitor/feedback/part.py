"""Feedback as a part of the monitor."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aiohttp import web

from driftline_api.keys import ReceiptKey
from driftline_api.names import monitors_service
from driftline_api.signature import ModelSignature
from driftline_serving.monitor.feedback.desk import FeedbackDesk
from driftline_serving.monitor.feedback.endpoint import FeedbackEndpoint, add_feedback
from driftline_serving.monitor.feedback.peers import Place
from driftline_serving.tap.frame import Frame
from driftline_serving.watched.predictions import NAME
from driftline_stats.drift.plan import Plan
from driftline_stats.drift.rows import PREDICTION

#: The pod's address, by the downward API; without it there are no other monitors.
ADDRESS_VARIABLE: Final = "POD_IP"


def place_of(model: str, port: int, environ: Mapping[str, str]) -> Place:
    """Return where this monitor stands, as its pod is told."""
    address = environ.get(ADDRESS_VARIABLE, "")
    return Place(
        model=model,
        revision=environ.get("DRIFTLINE_REVISION", ""),
        address=address or "127.0.0.1",
        peers=monitors_service(model) if address else "",
        port=port,
    )


class FeedbackPart:
    """Remembers what is predicted, and takes what was true; see `monitor.part.Part`.

    Args:
        signature: of the model; None where it has none.
        place: where this monitor stands.
        keys: returns those that receipts may be signed with, oldest first.
    """

    def __init__(
        self,
        signature: ModelSignature | None,
        place: Place,
        keys: Callable[[], Sequence[ReceiptKey]],
    ) -> None:
        self._place = place
        self._keys = keys
        self._desk = FeedbackDesk(signature, place.model, place.revision, keys)

    def observe(self, frame: Frame) -> None:
        """Remember the predictions of a frame."""
        self._desk.observe(frame)

    def began(self, plan: Plan | None) -> None:
        """Begin with another configuration: losses of values are in the unit of its plan."""
        self._desk.began(deviation_of(plan))

    def tell(self) -> Mapping[str, object]:
        """Return what a summary says of feedback."""
        return {"feedback": self._desk.feedback(), "calibration": self._desk.calibration()}

    def end(self) -> None:
        """Take nothing any more: whoever sends something is told to send it again."""
        self._desk.end()

    def join(self, app: web.Application) -> None:
        """Answer for feedback."""
        add_feedback(app, FeedbackEndpoint(self._desk, self._place, self._keys))


def deviation_of(plan: Plan | None) -> float | None:
    """Return the standard deviation of what is predicted, by a plan; None without values."""
    bins = plan.numeric if plan else ()
    found = (each.scale for each in bins if (each.name, each.role) == (NAME, PREDICTION))
    return next(found, None)
