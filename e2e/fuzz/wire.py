"""A whole HTTP server without a socket: bytes in, responses out, one turn of the loop at a time."""

import asyncio
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeVar

from driftline_serving.server.http.connection import Limits
from driftline_serving.server.http.routes import Routes
from driftline_serving.server.http.transport import HttpSettings, HttpTransport
from driftline_serving.server.service import Bounds, Identity, InferenceService
from driftline_serving.server.tensors import Array, Datatype, Signature, TensorSpec
from driftline_serving.server.trial import Trial

#: What a client may be told. Never 500.
STATUSES: Final = frozenset({200, 400, 404, 405, 408, 413, 415, 431, 501})
#: Turns of the loop without a byte, after which nothing more is to come.
QUIET_TURNS: Final = 6
#: That arrive in one turn of the loop.
PIECES_A_TURN: Final = 8
LIMITS: Final = Limits(header_bytes=4000, body_bytes=4000)

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n")
T = TypeVar("T")


class Wrong(AssertionError):  # noqa: N818 - what fails is not this
    """The server said what it must not."""


@dataclass(frozen=True, slots=True)
class Response:
    """One response, without what differs from one run to the next."""

    status: int
    body: bytes


class Echo:
    """A model that gives back what it gets."""

    def __init__(self) -> None:
        x = TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, 2))
        self.signature = Signature(inputs=(x,), outputs=(x,))

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """See `engine.Engine`."""
        return [inputs[name] for name in outputs]


class Loop(asyncio.SelectorEventLoop):
    """A loop that has no threads, and keeps what makes a connection."""

    made: Callable[[], asyncio.Protocol]

    async def create_server(  # type: ignore[override]  # one of its two forms
        self, factory: Any, *args: Any, **more: Any
    ) -> asyncio.Server:
        """Keep the factory, and listen as well: someone may want to know where."""
        self.made = factory
        return await super().create_server(factory, *args, **more)

    def run_in_executor(  # type: ignore[override]  # mypy has it as a coroutine
        self, _pool: Executor | None, work: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        """Work at once."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(work(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever awaits
            future.set_exception(error)
        return future


class Pipe(asyncio.Transport):
    """What a connection writes to."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.paused = False
        self.closed = False
        self.ended = False

    def write(self, data: Any) -> None:
        """Take bytes; after the end there are none to come."""
        if self.ended:
            raise Wrong("more is written after the end")
        self.written += data

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class House:
    """The server, and what went wrong where nobody awaits it."""

    loop: Loop
    errors: list[dict[str, Any]]


@cache
def house() -> House:
    """Return the server, which is made once."""
    loop, errors = Loop(), []
    loop.set_exception_handler(lambda _loop, context: errors.append(context))
    service = InferenceService(Identity(model="m"), Bounds())

    async def begin() -> None:
        service.serve(Echo(), Trial(joins=True, reason="", fixed=1e-6, per_row=0.0))
        settings = HttpSettings(host="127.0.0.1", port=0, limits=LIMITS)
        routes = Routes(service, LIMITS.body_bytes)
        await HttpTransport(routes, settings, lambda: False).start()

    loop.run_until_complete(begin())
    return House(loop, errors)


def responses(sent: Sequence[bytes]) -> list[Response]:
    """Return what a client hears that sends these pieces.

    Raises:
        Wrong: it is no sequence of whole responses, or one of them is not to be said.
    """
    home = house()
    pipe = Pipe()
    home.loop.run_until_complete(_play(home.loop.made, pipe, sent))
    if home.errors:
        raise Wrong(str(home.errors.pop()))
    return list(_heard(bytes(pipe.written)))


async def _play(made: Callable[[], asyncio.Protocol], pipe: Pipe, sent: Sequence[bytes]) -> None:
    connection = made()
    connection.connection_made(pipe)
    for number, piece in enumerate(sent):
        while pipe.paused and not pipe.closed:  # noqa: ASYNC110 - turn by turn is the point
            await asyncio.sleep(0)
        if not pipe.closed:
            connection.data_received(piece)
            if not number % PIECES_A_TURN:
                await asyncio.sleep(0)
    await _settled(pipe)
    connection.eof_received()
    connection.connection_lost(None)
    await asyncio.sleep(0)


async def _settled(pipe: Pipe) -> None:
    quiet = 0
    while quiet < QUIET_TURNS:
        before = len(pipe.written)
        await asyncio.sleep(0)
        quiet = 0 if len(pipe.written) > before else quiet + 1


def _heard(said: bytes) -> Iterator[Response]:
    while said:
        head, end, rest = said.partition(b"\r\n\r\n")
        first = _STATUS.match(head + b"\r\n")
        if not first or not end:
            raise Wrong(f"this is no response: {said[:200]!r}")
        status = int(first[1])
        if status == 100:
            said = rest
            continue
        response, said = _response(status, head, rest)
        yield response


def _response(status: int, head: bytes, rest: bytes) -> tuple[Response, bytes]:
    """Return a response and what comes after it; to HEAD, it has no body."""
    length = re.search(rb"\r\ncontent-length: (\d+)", head)
    if status not in STATUSES or not length:
        raise Wrong(f"{head!r} {rest[:200]!r}")
    has_body = rest and not rest.startswith(b"HTTP/1.1 ")
    body = rest[: int(length[1])] if has_body else b""
    if has_body and len(body) != int(length[1]):
        raise Wrong(f"{head!r} has {len(body)} bytes")
    if status >= 400 and body and not isinstance(json.loads(body)["error"], str):
        raise Wrong(f"{status} says {body!r}")
    return Response(status, body), rest[len(body) :]


def pieces(data: bytes, seed: int) -> Iterator[bytes]:
    """Cut bytes as the seed says: into single ones, or few, or many."""
    draw = random.Random(seed)  # noqa: S311 - nothing secret
    longest = draw.choice((1, 5, 50, 500))
    at = 0
    while at < len(data):
        size = draw.randint(1, longest)
        yield data[at : at + size]
        at += size
