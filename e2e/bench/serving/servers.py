"""The servers, how each is started, and how a request to it looks."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from e2e.bench.serving.case import Case, Command, Post, Row, Start
from e2e.bench.serving.environments import interpreter, python_of
from e2e.bench.serving.extras import EXTRAS, Beside, Extra, nothing
from e2e.compiled import compiled_for
from e2e.environment import source_path

OURS, PLAIN, MOSEC = "Driftline", "aiohttp and ONNX Runtime", "mosec"
BARE, ONE_BY_ONE = f"{OURS}, bare", f"{OURS}, one by one"
INTERPRETED = f"{OURS}, interpreted"
VARIANTS = (OURS, BARE, INTERPRETED, ONE_BY_ONE)

JSON: Final = {"Content-Type": "application/json"}
OCTETS: Final = {"Content-Type": "application/octet-stream"}
PEERS: Final = "e2e.bench.serving.peers"

Encode = Callable[[Case, Row], Post]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server of one worker.

    Attributes:
        name: for people.
        command: starts it.
        beside: programs that belong to it, and are started before it.
        encode_binary: how it takes raw values; None: not over HTTP.
        package: what it is of, whose version is told; empty for a variant of another.
        lock: of its environment; empty: what our image holds.
        single: it is given the model with its first axis fixed to 1.
    """

    name: str
    command: Callable[[Start], Command]
    beside: Callable[[Start], list[Beside]] = nothing
    encode_binary: Encode | None
    package: str = ""
    lock: str = ""
    single: bool = False

    def takes(self, case: Case) -> bool:
        """Whether the case can be measured with it."""
        if self.single and case.single is None:
            return False
        return not case.binary or self.encode_binary is not None

    def post(self, case: Case, row: Row) -> Post:
        """Return the request for a row."""
        if case.binary and self.encode_binary:
            return self.encode_binary(case, row)
        return Post(headers=JSON, body=row.json)


def driftline(
    name: str, extras: tuple[Extra, ...], *, single: bool = False, compiled: bool = True
) -> Server:
    """Return ours, with these."""
    return Server(
        name=name,
        command=lambda start: _serve(start, extras, compiled=compiled),
        beside=lambda start: [each for extra in extras for each in extra.beside(start)],
        encode_binary=extension,
        package="driftline" if name == OURS else "",
        single=single,
    )


def _serve(start: Start, extras: tuple[Extra, ...], *, compiled: bool) -> Command:
    where = ["--model-name", "m", "--model-dir", str(start.directory), "--port", str(start.port)]
    where += ["--host", "127.0.0.1", "--grpc-port", "0", "--admin-port", "0"]
    more = ["--cpus", "1", "--drain-seconds", "0", "--termination-log", f"{start.directory}/end"]
    added = [argument for extra in extras for argument in extra.arguments(start)]
    named = ["env", "DRIFTLINE_REVISION=m-0123456789", f"DRIFTLINE_DIGEST=sha256:{'0' * 64}"]
    sources = str(compiled_for(interpreter())) if compiled else source_path()
    named.append(f"PYTHONPATH={sources}")
    return [*named, str(python_of("")), "-m", "driftline_serving", "serve", *where, *more, *added]


def raw(_case: Case, row: Row) -> Post:
    """The values and nothing else."""
    return Post(headers=OCTETS, body=row.raw)


def extension(case: Case, row: Row) -> Post:
    """The protocol's binary extension: a head in JSON, then the values."""
    about = {"binary_data_size": len(row.raw)}
    tensor = {"name": "X", "shape": case.shape, "datatype": "FP32", "parameters": about}
    head = orjson.dumps({"inputs": [tensor]})
    length = {"Inference-Header-Content-Length": str(len(head))}
    return Post(headers={**OCTETS, **length}, body=head + row.raw)


def _peer(name: str, encode_binary: Encode | None) -> Server:
    package, lock = name.lower(), f"bench-{name.lower()}"
    return Server(
        name=name,
        command=lambda start: _script(python_of(lock), f"{package}_server", start),
        encode_binary=encode_binary,
        package=package,
        lock=lock,
    )


def _script(python: Path, module: str, start: Start) -> Command:
    wire = "binary" if start.binary else "json"
    return [str(python), "-m", f"{PEERS}.{module}", start.model, str(start.port), wire]


SERVERS: Final = (
    driftline(OURS, EXTRAS),
    driftline(BARE, ()),
    driftline(INTERPRETED, EXTRAS, compiled=False),
    driftline(ONE_BY_ONE, EXTRAS, single=True),
    Server(
        name=PLAIN,
        command=lambda start: _script(python_of(""), "plain", start),
        encode_binary=raw,
        package="aiohttp",
    ),
    _peer(MOSEC, raw),
    _peer("MLServer", None),
    _peer("KServe", extension),
)
