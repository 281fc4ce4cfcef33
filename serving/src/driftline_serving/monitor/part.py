"""What else a monitor does with what it sees, such as joining labels with predictions."""

from collections.abc import Mapping
from typing import Protocol

from aiohttp import web

from driftline_serving.tap.frame import Frame
from driftline_stats.drift.plan import Plan


class Part(Protocol):
    """Sees every frame, and tells something of its own in the summary. Its memory is bounded."""

    def observe(self, frame: Frame) -> None:
        """See a frame, whose arrays may not be kept."""

    def began(self, plan: Plan | None) -> None:
        """Begin with another configuration, and the plan of it if there is one."""

    def tell(self) -> Mapping[str, object]:
        """Return fields of `driftline_api.monitor.Summary`."""

    def end(self) -> None:
        """Count nothing any more: the last summary has been made."""

    def join(self, app: web.Application) -> None:
        """Add routes, and what is to begin and end with the application."""
