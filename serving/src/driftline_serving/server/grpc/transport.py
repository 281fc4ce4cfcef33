"""Listens for gRPC."""

from typing import Final

import grpc.aio
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from driftline_serving.server.grpc import health
from driftline_serving.server.grpc.health import Health
from driftline_serving.server.grpc.methods import SERVICE, Methods
from driftline_serving.server.grpc.open_inference_pb2 import DESCRIPTOR
from driftline_serving.server.grpc.settings import GrpcSettings
from driftline_serving.server.service import InferenceService

#: Milliseconds. How long a connection may be silent before the client is asked whether it is
#: still there, and how often a client may ask us the same.
_SILENCE: Final = 60_000
_PINGS: Final = 10_000


class GrpcTransport:
    """The listener."""

    def __init__(self, service: InferenceService, settings: GrpcSettings) -> None:
        self._settings = settings
        self._health = Health(service)
        self._server = grpc.aio.server(options=_options(settings))
        self._server.add_generic_rpc_handlers((Methods(service).handler(), self._health.handler()))
        _describe(self._server)

    async def start(self) -> int:
        """Listen; returns the port.

        Raises:
            OSError: the port is not to be had.
        """
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        try:
            port = self._server.add_insecure_port(f"{host}:{settings.port}")
        except RuntimeError as error:
            raise OSError(f"cannot listen for gRPC on {host}:{settings.port}") from error
        await self._server.start()
        return port

    async def stop(self) -> None:
        """Listen no more, and let calls in flight finish."""
        self._health.close()
        await self._server.stop(self._settings.finish_seconds)


def _options(settings: GrpcSettings) -> tuple[tuple[str, int], ...]:
    return (
        ("grpc.max_receive_message_length", settings.body_bytes),
        ("grpc.max_concurrent_streams", settings.streams),
        ("grpc.max_allowed_incoming_connections", settings.connections),
        ("grpc.max_connection_age_ms", int(settings.connection_seconds * 1000)),
        ("grpc.max_connection_age_grace_ms", int(settings.last_seconds * 1000)),
        ("grpc.keepalive_time_ms", _SILENCE),
        ("grpc.http2.min_ping_interval_without_data_ms", _PINGS),
        ("grpc.keepalive_permit_without_calls", 1),
        # Else a call that comes right after the end of one of sixteen is refused, as if it were the
        # seventeenth: grpcio also counts those that are over and not yet tidied away.
        ("grpc.http.overload_protection", 0),
        ("grpc.so_reuseport", int(settings.shared)),  # else two servers would share it unnoticed
    )


def _describe(server: grpc.aio.Server) -> None:
    """Let clients ask for the services that are here, and what their messages are."""
    pool = DESCRIPTOR.pool
    for described in (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
        pool.AddSerializedFile(described.serialized_pb)
    names = (SERVICE, health.NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server, pool=pool)
