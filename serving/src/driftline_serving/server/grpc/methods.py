"""The methods of `inference.GRPCInferenceService`: messages to what the service can do."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

import grpc
import grpc.aio
from google.protobuf.json_format import ParseDict

from driftline_serving.errors import RequestError, ServingError, UnavailableError
from driftline_serving.server.grpc import open_inference_pb2 as messages
from driftline_serving.server.grpc.codec import MessageQuestion, parse
from driftline_serving.server.provenance import log_context, passed_on
from driftline_serving.server.service import InferenceService

SERVICE: Final = "inference.GRPCInferenceService"

#: Characters of an error's message. It travels in the trailers, of which clients take 8 KiB, and a
#: character there has up to twelve bytes.
MOST_DETAILS: Final = 600

#: What is too large is not `RESOURCE_EXHAUSTED`, by which whoever counts takes a server for
#: overloaded.
_CODES: Final = {404: grpc.StatusCode.NOT_FOUND}

Context: TypeAlias = grpc.aio.ServicerContext[bytes, bytes]
#: Takes a message's bytes, gives a message's bytes. gRPC itself would tell of bytes that are no
#: message as if it had failed, and would read large ones in the event loop.
Method: TypeAlias = Callable[[bytes, Context], Awaitable[bytes]]

log = logging.getLogger(__name__)


class Methods:
    """Answers calls out of the service."""

    def __init__(self, service: InferenceService) -> None:
        self._service = service
        self._about = tuple(service.identity.headers.items())

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what a gRPC server is given."""
        methods: dict[str, Method] = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ServerMetadata": self._server_metadata,
            "ModelReady": self._model_ready,
            "ModelMetadata": self._model_metadata,
            "ModelInfer": self._model_infer,
        }
        handlers = {name: _handler(method) for name, method in methods.items()}
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    async def _server_live(self, _data: bytes, _context: Context) -> bytes:
        return messages.ServerLiveResponse(live=True).SerializeToString()

    async def _server_ready(self, _data: bytes, _context: Context) -> bytes:
        return messages.ServerReadyResponse(ready=self._service.is_ready).SerializeToString()

    async def _server_metadata(self, _data: bytes, _context: Context) -> bytes:
        about = self._service.server_metadata()
        return ParseDict(about, messages.ServerMetadataResponse()).SerializeToString()

    async def _model_ready(self, data: bytes, _context: Context) -> bytes:
        asked = parse(messages.ModelReadyRequest, data)
        self._service.check_model(asked.name, asked.version or None)
        return messages.ModelReadyResponse(ready=self._service.is_ready).SerializeToString()

    async def _model_metadata(self, data: bytes, _context: Context) -> bytes:
        asked = parse(messages.ModelMetadataRequest, data)
        about = self._service.model_metadata(asked.name, asked.version or None)
        answer = messages.ModelMetadataResponse()  # which has no place for parameters
        return ParseDict(about, answer, ignore_unknown_fields=True).SerializeToString()

    async def _model_infer(self, data: bytes, context: Context) -> bytes:
        """Infer; a client that cancels, or whose deadline is over, cancels the waiting."""
        service, headers = self._service, _headers(context)
        question = MessageQuestion(data, headers, service)
        context.set_trailing_metadata((*self._about, *passed_on(headers)))
        try:
            abandon = service.infer(service.identity.model, None, question)
        except ServingError as error:
            service.refused(question.protocol, error.status)
            raise
        try:
            result = await question.result
        finally:
            abandon()
        if isinstance(result, ServingError):
            try:
                raise result
            finally:
                del result  # which would lead, by its traceback, back to here
        context.set_trailing_metadata((*question.told.items(), *passed_on(headers)))
        return result


def _headers(context: Context) -> Mapping[str, str]:
    """Return the metadata that is text."""
    given = context.invocation_metadata() or ()
    return {name: value for name, value in given if isinstance(value, str)}


def status_of(error: ServingError) -> grpc.StatusCode:
    """Return the code by which an error is told."""
    if isinstance(error, UnavailableError):
        return grpc.StatusCode.UNAVAILABLE
    if isinstance(error, RequestError):
        return _CODES.get(error.status, grpc.StatusCode.INVALID_ARGUMENT)
    return grpc.StatusCode.INTERNAL


def _handler(method: Method) -> "grpc.RpcMethodHandler[bytes, bytes]":
    async def handle(data: bytes, context: Context) -> bytes:
        try:
            return await method(data, context)
        except ServingError as error:
            code = status_of(error)
            if code is grpc.StatusCode.INTERNAL:
                extra = log_context(_headers(context))
                log.error("%s", error, extra=extra)  # noqa: TRY400 - told in full; where it was raised is ours
            await context.abort(code, _clipped(str(error)))
        except Exception:
            log.exception("a bug in Driftline", extra=log_context(_headers(context)))
            await context.abort(grpc.StatusCode.INTERNAL, "internal error; the server's log has it")

    return grpc.unary_unary_rpc_method_handler(handle)


def _clipped(text: str) -> str:
    return text if len(text) <= MOST_DETAILS else f"{text[: MOST_DETAILS - 1]}…"
