"""Small gRPC servers in the place of model servers, and calls to them."""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
import grpc.aio

from tests.router.harness import free_port

INFER = "/inference.GRPCInferenceService/ModelInfer"
READY = "/inference.GRPCInferenceService/ServerReady"
HEALTH = "/grpc.health.v1.Health/Check"
ANY_SIZE = (("grpc.max_receive_message_length", -1),)

Context: TypeAlias = grpc.aio.ServicerContext[bytes, bytes]


class _Answer(grpc.GenericRpcHandler):
    """Takes any method."""

    def __init__(self, upstream: "GrpcUpstream") -> None:
        self._upstream = upstream

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes]":
        method = str(handler_call_details.method)

        async def answer(_request: bytes, context: Context) -> bytes:
            return await self._upstream.answer(method, context)

        return grpc.unary_unary_rpc_method_handler(answer)


@dataclass(slots=True)
class GrpcUpstream:
    """Answers any call in the place of one revision, and says what it was asked.

    Attributes:
        options: of grpcio, such as the age of connections.
        code: with which all calls end.
    """

    name: str
    port: int = field(default_factory=free_port)
    options: Sequence[tuple[str, int]] = ()
    code: grpc.StatusCode = grpc.StatusCode.OK
    delay: float = 0.0
    peers: set[str] = field(default_factory=set)
    _server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = grpc.aio.server(options=(*ANY_SIZE, *self.options))
        self._server.add_generic_rpc_handlers((_Answer(self),))
        self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self, grace: float | None = None) -> None:
        """Stop listening and, after `grace` seconds, close all connections."""
        if self._server:
            server, self._server = self._server, None
            await server.stop(grace)

    async def answer(self, method: str, context: Context) -> bytes:
        """Say what was asked."""
        self.peers.add(context.peer())
        await asyncio.sleep(self.delay)
        if self.code is not grpc.StatusCode.OK:
            await context.abort(self.code, f"{self.name} says so")
        metadata = dict(context.invocation_metadata() or ())
        return json.dumps({"by": self.name, "method": method, "metadata": metadata}).encode()


@dataclass(slots=True)
class Refusing:
    """Says of every other call that it has not begun with it, and answers the others.

    Written in frames of HTTP/2 (RFC 9113, section 6), since no server can be made to do so.
    """

    name: str
    port: int
    calls: int = 0
    refused: int = 0
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Stop listening."""
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readexactly(len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
            writer.write(_frame(_SETTINGS))
            while True:
                head = await reader.readexactly(9)
                await reader.readexactly(int.from_bytes(head[:3]))
                kind, flags, stream = head[3], head[4], int.from_bytes(head[5:])
                if kind == _SETTINGS and not flags:
                    writer.write(_frame(_SETTINGS, flags=1))
                if kind in {_DATA, _HEADERS} and flags & _END_STREAM:
                    writer.write(self._answer(stream))
        writer.close()

    def _answer(self, stream: int) -> bytes:
        self.calls += 1
        if self.calls % 2:
            self.refused += 1
            return _frame(_RST_STREAM, stream, content=(7).to_bytes(4))
        message = json.dumps({"by": self.name}).encode()
        headers = b"\x88" + _header("content-type", "application/grpc")
        return (
            _frame(_HEADERS, stream, _END_HEADERS, headers)
            + _frame(_DATA, stream, content=b"\0" + len(message).to_bytes(4) + message)
            + _frame(_HEADERS, stream, _END_HEADERS | _END_STREAM, _header("grpc-status", "0"))
        )


_DATA, _HEADERS, _RST_STREAM, _SETTINGS = 0, 1, 3, 4
_END_STREAM, _END_HEADERS = 1, 4


def _frame(kind: int, stream: int = 0, flags: int = 0, content: bytes = b"") -> bytes:
    return len(content).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + content


def _header(name: str, value: str) -> bytes:
    """One header as RFC 7541 writes it without compression."""
    return b"\0" + b"".join(bytes([len(each)]) + each.encode() for each in (name, value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of a call: its answer, or the status and the message that it ended with."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    details: str = ""
    answer: Any = None

    @property
    def by(self) -> str:
        """Who answered, or with what the call ended."""
        return str(self.answer["by"]) if self.answer else self.code.name


async def call(
    channel: grpc.aio.Channel, method: str = INFER, message: bytes = b"", **how: Any
) -> Told:
    """Call; a call that takes long is not waited for."""
    made: Any = channel.unary_unary(method)
    try:
        answer = await made(message, **{"timeout": 10, **how})
    except grpc.aio.AioRpcError as error:
        return Told(code=error.code(), details=error.details() or "")
    return Told(answer=json.loads(answer))
