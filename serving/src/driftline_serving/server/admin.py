"""What the supervisor answers, on a port of its own: health of all workers, and their metrics."""

from typing import Final

from prometheus_client import CollectorRegistry, generate_latest

from driftline_serving.server.crew import Crew
from driftline_serving.server.http.connection import Exchange
from driftline_serving.server.http.messages import Request, Response, as_error, as_json

METRICS: Final = "/metrics"
LIVE: Final = "/v2/health/live"
READY: Final = "/v2/health/ready"
_PATHS: Final = (METRICS, LIVE, READY)
_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


class Admin:
    """See `connection.Answering`."""

    def __init__(self, crew: Crew, registry: CollectorRegistry) -> None:
        self._crew = crew
        self._registry = registry

    def refuse(self, request: Request) -> Response | None:
        """See `connection.Answering`."""
        if request.path not in _PATHS:
            where = ", ".join(_PATHS)
            return as_error(f"there is nothing at {request.path}; there are {where}", 404)
        if request.method not in ("GET", "HEAD"):
            allowed = {"allow": "GET, HEAD"}
            return as_error(f"{request.path} takes GET and HEAD", 405, allowed)
        return None

    def refused(self, request: Request | None, status: int) -> None:
        """See `connection.Answering`: what is counted are requests to infer."""

    def answer(self, request: Request, exchange: Exchange) -> None:
        """See `connection.Answering`."""
        exchange.reply(self._answer(request.path))

    def _answer(self, path: str) -> Response:
        if path == METRICS:
            return Response(body=generate_latest(self._registry), content_type=_TEXT)
        if path == LIVE:
            return as_json({"live": True})
        crew = self._crew
        about = {"ready": crew.is_ready, "workers": len(crew.desks), "workers_ready": crew.ready}
        return as_json(about, 200 if crew.is_ready else 503)
