"""What the proxy says of itself, on a port of its own: whether it lives, and its metrics."""

from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from driftline_serving.proxy.calls import Ledger
from driftline_serving.proxy.telling import Teller
from driftline_serving.server.http.connection import Exchange
from driftline_serving.server.http.messages import Request, Response, as_error, as_json

PREFIX: Final = "driftline_proxy"
METRICS: Final = "/metrics"
LIVE: Final = "/v2/health/live"
_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


class Passing(Protocol):
    """What there is to say of the proxy."""

    @property
    def ledger(self) -> Ledger:
        """Of all connections."""

    @property
    def connections(self) -> int:
        """How many there are."""


class Exposition(Collector):
    """The figures, at each scrape.

    Args:
        about: Labels of `driftline_proxy_info`.
        proxy: What passes on.
        teller: What tells of it.
    """

    def __init__(self, about: Mapping[str, str], proxy: Passing, teller: Teller) -> None:
        self._about = dict(about)
        self._proxy = proxy
        self._teller = teller

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        info = InfoMetricFamily(PREFIX, "Whose requests are passed on.")
        info.add_metric([], self._about)
        yield info
        ledger, counts = self._proxy.ledger, self._proxy.ledger.counts
        connections = "Connections of clients."
        yield GaugeMetricFamily(_name("connections"), connections, self._proxy.connections)
        kept = "Bytes of bodies that are kept until they are told."
        yield GaugeMetricFamily(_name("kept_bytes"), kept, ledger.kept)
        yield _counter("calls", "Inference calls that came to an end.", counts.calls)
        left_out = "Bodies that were passed on and are not told, because of their size."
        yield _counter("bodies_left_out", left_out, counts.left_out)
        unread = "Connections that were passed on from some point without being read along."
        yield _counter("unread_connections", unread, counts.unread)
        yield _counter("unreachable", "Connections without a server.", counts.unreachable)
        yield _counter("refused_connections", "Connections beyond the most.", counts.refused)
        writer = self._teller.writer
        if writer:
            yield _counter("tap_sent", "Calls that the monitor was sent.", writer.sent)
            dropped = "Calls that it was not, being slow or away."
            yield _counter("tap_dropped", dropped, writer.queue.dropped)


class Admin:
    """See `connection.Answering`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def refuse(self, request: Request) -> Response | None:
        """See `connection.Answering`."""
        if request.path not in (METRICS, LIVE):
            return as_error(f"there is nothing at {request.path}; see {METRICS}, {LIVE}", 404)
        if request.method not in ("GET", "HEAD"):
            return as_error(f"{request.path} takes GET and HEAD", 405, {"allow": "GET, HEAD"})
        return None

    def refused(self, request: Request | None, status: int) -> None:
        """See `connection.Answering`: what is counted are requests to infer."""

    def answer(self, request: Request, exchange: Exchange) -> None:
        """See `connection.Answering`."""
        if request.path == METRICS:
            body = generate_latest(self._registry)
            exchange.reply(Response(body=body, content_type=_TEXT))
        else:
            exchange.reply(as_json({"live": True}))


def _name(name: str) -> str:
    return f"{PREFIX}_{name}"


def _counter(name: str, words: str, value: int) -> Metric:
    return CounterMetricFamily(_name(name), words, value)
