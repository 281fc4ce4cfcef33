"""The HTTP transport: aiohttp. Moves bodies and headers between clients and `InferenceService`."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson
from aiohttp import web

from driftline_api.names import DIGEST_HEADER, PREDICTION_ID_HEADER, REVISION_HEADER
from driftline_serving.errors import RequestError, ServingError, UnavailableError
from driftline_serving.server.codec import Body
from driftline_serving.server.service import InferenceService, Phase

JSON_LENGTH_HEADER = "Inference-Header-Content-Length"
RETRY_AFTER_SECONDS = "1"
DEFAULT_MAX_BODY_BYTES = 64 * 1024 * 1024
#: Longer than any idle time-out of a router's connection pool, Envoy's default of an hour included:
#: it must be the router that closes an idle connection, or a request meets one that just closed.
KEEP_ALIVE_SECONDS = 3900.0

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Where to listen and what to bound; port 0 takes a free one."""

    host: str = "0.0.0.0"  # noqa: S104 - a pod's server listens on the pod's address
    port: int = 8080
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    #: How long requests in flight may take once listening has ended.
    finish_seconds: float = 20.0


class HttpTransport:
    """Listens, and hands what it hears to the service."""

    def __init__(self, service: InferenceService, settings: HttpSettings) -> None:
        self._settings = settings
        self._runner = web.AppRunner(
            _application(service, settings.max_body_bytes),
            access_log=None,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            shutdown_timeout=settings.finish_seconds,
        )

    async def start(self) -> int:
        """Listen; returns the port."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.host, self._settings.port, backlog=1024)
        await site.start()
        return site.port

    async def stop(self) -> None:
        """Listen no more, close idle connections, and let requests in flight finish."""
        await self._runner.cleanup()


def _application(service: InferenceService, max_body_bytes: int) -> web.Application:
    endpoints = _Endpoints(service, max_body_bytes)
    application = web.Application(middlewares=[endpoints.answer], client_max_size=max_body_bytes)
    application.router.add_get("/v2", endpoints.server_metadata)
    application.router.add_get("/v2/health/live", endpoints.live)
    application.router.add_get("/v2/health/ready", endpoints.ready)
    for model in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        application.router.add_get(model, endpoints.model_metadata)
        application.router.add_get(f"{model}/ready", endpoints.model_ready)
        application.router.add_post(f"{model}/infer", endpoints.infer)
    return application


class _Endpoints:
    def __init__(self, service: InferenceService, max_body_bytes: int) -> None:
        self._service = service
        self._max_body_bytes = max_body_bytes
        identity = service.identity
        about = {REVISION_HEADER: identity.revision, DIGEST_HEADER: identity.digest}
        self._about = {name: value for name, value in about.items() if value}

    async def server_metadata(self, _request: web.Request) -> web.Response:
        return _json(self._service.server_metadata())

    async def live(self, _request: web.Request) -> web.Response:
        return _json({"live": True})

    async def ready(self, _request: web.Request) -> web.Response:
        ready = self._service.is_ready
        return _json({"ready": ready}, status=200 if ready else 503)

    async def model_metadata(self, request: web.Request) -> web.Response:
        return _json(self._service.model_metadata(*_model_and_version(request)))

    async def model_ready(self, request: web.Request) -> web.Response:
        self._service.check_model(*_model_and_version(request))
        ready = self._service.is_ready
        return _json(
            {"name": self._service.identity.model, "ready": ready}, status=200 if ready else 503
        )

    async def infer(self, request: web.Request) -> web.Response:
        model, version = _model_and_version(request)
        self._service.check_model(model, version)
        json_length = _json_length(request)
        body = Body(content=await request.read(), json_length=json_length)
        inferred = await self._service.infer(model, version, body)
        return _body(inferred.body, {PREDICTION_ID_HEADER: inferred.prediction_id, **self._about})

    @web.middleware
    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer; while draining, tell clients on kept connections to come back on another one."""
        response = await self._answer_errors(request, handler)
        if self._service.phase is Phase.DRAINING:
            response.force_close()
        return response

    async def _answer_errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Say every error in the protocol's form, and none with a traceback."""
        try:
            return await handler(request)
        except ServingError as error:
            return _serving_error(error)
        except web.HTTPRequestEntityTooLarge:
            return _error(f"the body is larger than {self._max_body_bytes} bytes", 413)
        except web.HTTPException as error:
            return _routing_error(request, error)
        except Exception:
            log.exception("%s %s", request.method, request.path)
            return _error("internal error; the server's log has it", 500)


def _model_and_version(request: web.Request) -> tuple[str, str | None]:
    return request.match_info["model"], request.match_info.get("version")


def _json_length(request: web.Request) -> int | None:
    value = request.headers.get(JSON_LENGTH_HEADER)
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal()):
        raise RequestError(f"{JSON_LENGTH_HEADER} must be a number of bytes, got {value!r}")
    return int(value)


def _body(body: Body, headers: dict[str, str]) -> web.Response:
    if body.json_length is None:
        return web.Response(body=body.content, headers=headers, content_type="application/json")
    return web.Response(
        body=body.content,
        headers={**headers, JSON_LENGTH_HEADER: str(body.json_length)},
        content_type="application/octet-stream",
    )


def _json(content: dict[str, object], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")


def _error(message: str, status: int, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=orjson.dumps({"error": message}),
        status=status,
        headers=headers,
        content_type="application/json",
    )


def _serving_error(error: ServingError) -> web.Response:
    if isinstance(error, UnavailableError):
        return _error(str(error), 503, {"Retry-After": RETRY_AFTER_SECONDS})
    if isinstance(error, RequestError):
        return _error(str(error), error.status)
    log.error("%s", error)
    return _error(str(error), 500)


def _routing_error(request: web.Request, error: web.HTTPException) -> web.Response:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return _error(
            f"{request.path} takes {allowed}, not {request.method}", 405, {"Allow": allowed}
        )
    if error.status == 404:
        return _error(f"there is nothing at {request.path}; inference is at /v2/models", 404)
    return _error(error.reason, error.status)
