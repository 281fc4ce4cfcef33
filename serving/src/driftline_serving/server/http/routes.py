"""The Open Inference Protocol v2 over HTTP: paths to what the service can do."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from driftline_api.names import PREDICTION_ID_HEADER, RECEIPT_HEADER
from driftline_serving.errors import RequestError, ServingError, UnavailableError
from driftline_serving.server.codec import Body, decode_request, encode_response
from driftline_serving.server.http.connection import Exchange
from driftline_serving.server.http.messages import (
    BINARY,
    Request,
    Response,
    as_error,
    as_json,
    header_lines,
)
from driftline_serving.server.packing import WBITS, unpacked
from driftline_serving.server.provenance import log_context, passed_on
from driftline_serving.server.request import LARGE, Answered, InferRequest
from driftline_serving.server.service import InferenceService
from driftline_serving.server.tensors import Signature

JSON_LENGTH_HEADER: Final = "inference-header-content-length"
RETRY_AFTER: Final = {"retry-after": "1"}
#: Of a length that nobody sends.
_DIGITS: Final = 18

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """What a path names; `verb` is empty for metadata."""

    model: str = ""
    version: str | None = None
    verb: str = ""


class Routes:
    """Answers requests out of the service.

    Args:
        service: The model.
        body_bytes: How large a body may be once it is unpacked.
    """

    def __init__(self, service: InferenceService, body_bytes: int) -> None:
        self.service = service
        self._body_bytes = body_bytes
        self.about = header_lines(service.identity.headers)
        self._fixed: Mapping[str, Callable[[], Response]] = {
            "/v2": lambda: as_json(service.server_metadata()),
            "/v2/health/live": lambda: as_json({"live": True}),
            "/v2/health/ready": self._ready,
        }
        self._infer_path = f"/v2/models/{service.identity.model}/infer"

    def refuse(self, request: Request) -> Response | None:
        """See `connection.Answering`."""
        path = request.path
        if path == self._infer_path and request.method == "POST":
            return None
        target = None if path in self._fixed else _target(path)
        if path not in self._fixed and target is None:
            return as_error(f"there is nothing at {path}; inference is at /v2/models", 404)
        allowed = ("POST",) if target and target.verb == "infer" else ("GET", "HEAD")
        if request.method in allowed:
            return None
        takes = ", ".join(allowed)
        return as_error(f"{path} takes {takes}, not {request.method}", 405, {"allow": takes})

    def refused(self, request: Request | None, status: int) -> None:
        """See `connection.Answering`."""
        if request is None or request.path == self._infer_path or _is_infer(request.path):
            self.service.refused(_Question.protocol, status)

    def answer(self, request: Request, exchange: Exchange) -> None:
        """See `connection.Answering`."""
        try:
            if request.path == self._infer_path:
                self._infer(self.service.identity.model, None, request, exchange)
            elif fixed := self._fixed.get(request.path):
                exchange.reply(fixed())
            elif target := _target(request.path):
                self._about_model(target, request, exchange)
        except ServingError as error:
            self.refused(request, error.status)
            exchange.reply(self.told(error, request.headers))
        except Exception:
            context = log_context(request.headers)
            log.exception("%s %s", request.method, request.path, extra=context)
            self.refused(request, 500)
            exchange.reply(as_error("internal error; the server's log has it", 500))

    def _about_model(self, target: _Target, request: Request, exchange: Exchange) -> None:
        service = self.service
        if target.verb == "infer":
            self._infer(target.model, target.version, request, exchange)
        elif target.verb == "ready":
            service.check_model(target.model, target.version)
            about = {"name": service.identity.model, "ready": service.is_ready}
            exchange.reply(as_json(about, 200 if service.is_ready else 503))
        else:
            exchange.reply(as_json(service.model_metadata(target.model, target.version)))

    def _infer(self, model: str, version: str | None, request: Request, exchange: Exchange) -> None:
        headers = request.headers
        body = Body(content=request.body)
        if JSON_LENGTH_HEADER in headers:
            body.json_length = _json_length(headers[JSON_LENGTH_HEADER])
        if "content-encoding" in headers:
            body.unpack = self._unpacker(headers["content-encoding"])
        question = _Question(self, body, headers, exchange)
        abandon = self.service.infer(model, version, question)
        if exchange.response is None:
            exchange.abandon = abandon

    def told(self, error: ServingError, headers: Mapping[str, str]) -> Response:
        """Return an error with what it has in common with an answer."""
        if not isinstance(error, RequestError | UnavailableError):
            log.error("%s", error, extra=log_context(headers))
        response = failure(error)
        response.headers += self.about + _passed_on(headers)
        return response

    def _unpacker(self, encoding: str) -> Callable[[bytes], bytes] | None:
        """Return what undoes a body's `content-encoding`, None if it says that there is none.

        Raises:
            RequestError: it is one that is not known.
        """
        coding = encoding.strip().lower()
        if coding == "identity":
            return None
        wbits = WBITS.get(coding)
        if wbits is None:
            raise RequestError(f"content-encoding is {coding}; gzip and deflate are taken", 415)
        return lambda packed: unpacked(packed, wbits, self._body_bytes)

    def _ready(self) -> Response:
        ready = self.service.is_ready
        return as_json({"ready": ready}, 200 if ready else 503)


def failure(error: ServingError) -> Response:
    """Return how an error is told."""
    if isinstance(error, UnavailableError):
        return as_error(str(error), 503, RETRY_AFTER)
    if isinstance(error, RequestError):
        return as_error(str(error), error.status)
    return as_error(str(error), 500)


class _Question:
    """An inference call over HTTP; see `request.Question`."""

    protocol: Final = "http"

    def __init__(
        self, routes: Routes, body: Body, headers: Mapping[str, str], exchange: Exchange
    ) -> None:
        self.headers = headers
        # What has to be unpacked may turn out to be.
        self.is_large = len(body.content) > LARGE or body.unpack is not None
        self._routes = routes
        self._body = body
        self._exchange = exchange

    def read(self, signature: Signature) -> InferRequest:
        """See `decode_request`."""
        body, self._body = self._body, _NO_BODY
        return decode_request(body, signature, self._routes.service.bounds.json_bytes)

    def answer(self, answered: Answered, signature: Signature) -> Response:
        """See `encode_response`."""
        routes, request = self._routes, answered.request
        assert request is not None
        provenance = routes.service.provenance
        about: Mapping[str, object] = routes.service.about
        receipt = provenance.receipt(answered)
        if request.with_provenance:
            about = {**about, "parameters": provenance.of(answered, receipt)}
        body = encode_response(request, answered.results, about, signature)
        headers = f"{PREDICTION_ID_HEADER}: {answered.prediction_id}\r\n{routes.about}"
        if receipt:
            headers += f"{RECEIPT_HEADER}: {receipt}\r\n"
        headers += _passed_on(answered.headers)
        if body.json_length is None:
            return Response(body=body.content, headers=headers)
        headers += f"{JSON_LENGTH_HEADER}: {body.json_length}\r\n"
        return Response(body=body.content, content_type=BINARY, headers=headers)

    def deliver(self, result: Response | ServingError) -> None:
        """Reply."""
        if isinstance(result, ServingError):
            result = self._routes.told(result, self.headers)
        self._exchange.reply(result)


_NO_BODY: Final = Body(content=b"")


def _passed_on(headers: Mapping[str, str]) -> str:
    return header_lines(dict(passed)) if (passed := passed_on(headers)) else ""


def _target(path: str) -> _Target | None:
    """Return what a path below /v2/models names, None for any other.

    >>> _target("/v2/models/m/versions/3/infer")
    _Target(model='m', version='3', verb='infer')
    >>> _target("/v2/models/m/else") is None
    True
    """
    parts = [unquote(part) for part in path.split("/")]
    if parts[:3] != ["", "v2", "models"] or not all(parts[3:]):
        return None
    match parts[3:]:
        case [model]:
            return _Target(model=model)
        case [model, "infer" | "ready" as verb]:
            return _Target(model=model, verb=verb)
        case [model, "versions", version]:
            return _Target(model=model, version=version)
        case [model, "versions", version, "infer" | "ready" as verb]:
            return _Target(model=model, version=version, verb=verb)
    return None


def _is_infer(path: str) -> bool:
    target = _target(path)
    return target is not None and target.verb == "infer"


def _json_length(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < _DIGITS):
        raise RequestError(
            f"Inference-Header-Content-Length must be a number of bytes, got {value[:40]!r}"
        )
    return int(value)
