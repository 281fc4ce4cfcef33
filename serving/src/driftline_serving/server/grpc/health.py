"""The standard health service, which Kubernetes, Envoy and gRPC clients ask.

grpcio's own keeps a state beside ours, and forgets those who watch as soon as one of them leaves.
This one looks at the service whenever it is asked or something has changed.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, TypeAlias

import grpc
import grpc.aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from driftline_serving.server.grpc.methods import SERVICE
from driftline_serving.server.service import InferenceService

NAME: Final = "grpc.health.v1.Health"
#: Services that one may ask about; the empty name is the server as a whole.
KNOWN: Final = frozenset({"", SERVICE})

Context: TypeAlias = grpc.aio.ServicerContext[HealthCheckRequest, HealthCheckResponse]


class Health:
    """Tells whether the service is ready."""

    def __init__(self, service: InferenceService) -> None:
        self._service = service
        self._changed = asyncio.Event()
        self._over = False
        service.watch(self._wake)

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what a gRPC server is given."""
        read, write = HealthCheckRequest.FromString, HealthCheckResponse.SerializeToString
        handlers: dict[str, grpc.RpcMethodHandler[HealthCheckRequest, HealthCheckResponse]] = {
            "Check": grpc.unary_unary_rpc_method_handler(self._check, read, write),
            "Watch": grpc.unary_stream_rpc_method_handler(self._watch, read, write),
        }
        return grpc.method_handlers_generic_handler(NAME, handlers)

    def close(self) -> None:
        """End the calls of those who watch: a server that stops waits for all calls."""
        self._over = True
        self._wake()

    async def _check(self, request: HealthCheckRequest, context: Context) -> HealthCheckResponse:
        if request.service not in KNOWN:
            await context.abort(
                grpc.StatusCode.NOT_FOUND, f"unknown service {request.service[:100]!r}"
            )
        return self._response(request.service)

    async def _watch(
        self, request: HealthCheckRequest, _context: Context
    ) -> AsyncIterator[HealthCheckResponse]:
        told = None
        while not self._over:
            changed = self._changed
            response = self._response(request.service)
            if response != told:
                told = response
                yield response
            else:
                await changed.wait()

    def _response(self, service: str) -> HealthCheckResponse:
        if service not in KNOWN:
            return HealthCheckResponse(status=HealthCheckResponse.SERVICE_UNKNOWN)
        if self._service.is_ready:
            return HealthCheckResponse(status=HealthCheckResponse.SERVING)
        return HealthCheckResponse(status=HealthCheckResponse.NOT_SERVING)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
