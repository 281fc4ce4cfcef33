"""What a person at a terminal is shown: where the server listens, and a request that it answers."""

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from driftline_serving.server.tensors import ANY_LENGTH, Datatype

#: So many numbers can still be looked at; more go as binary data, all of them zero.
_MOST_SHOWN: Final = 64
#: Of the length that stands before every string; without anything after it, an empty one.
_LENGTH_BYTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where; `grpc` is None where nobody does."""

    host: str
    http: int
    grpc: int | None
    admin: int


def welcome(metadata: Mapping[str, Any], where: Listening) -> str:
    """Return what is shown.

    Args:
        metadata: What the server says of its model.
        where: Its ports.
    """
    host = "127.0.0.1" if where.host in ("0.0.0.0", "::") else where.host  # noqa: S104 - compared
    host = f"[{host}]" if ":" in host else host
    base = f"http://{host}:{where.http}"
    lines = [f"{metadata['name']} is served at {base}/v2/models/{quote(metadata['name'], safe='')}"]
    if where.grpc is not None:
        lines.append(f"gRPC at {host}:{where.grpc}")
    lines += [f"metrics at http://{host}:{where.admin}/metrics", "", "Try it:", ""]
    return "\n".join([*lines, curl(metadata, base), "", ""])


def curl(metadata: Mapping[str, Any], base: str) -> str:
    """Return a command that asks the model the question of its warm-up: axes of 1, zeros."""
    url = shlex.quote(f"{base}/v2/models/{quote(metadata['name'], safe='')}/infer")
    tensors = [{**spec, "shape": _shape(spec["shape"])} for spec in metadata["inputs"]]
    if sum(math.prod(tensor["shape"]) for tensor in tensors) <= _MOST_SHOWN:
        shown = [{**each, "data": [_blank(each)] * math.prod(each["shape"])} for each in tensors]
        return f"curl {url} -d {shlex.quote(_text(shown))}"
    packed = [{**each, "parameters": {"binary_data_size": _bytes(each)}} for each in tensors]
    text, zeros = _text(packed), sum(map(_bytes, tensors))
    return (
        f"(printf %s {shlex.quote(text)}; head -c {zeros} /dev/zero) | curl {url}"
        f" -H 'Inference-Header-Content-Length: {len(text.encode())}' --data-binary @-"
    )


def _text(inputs: list[dict[str, Any]]) -> str:
    return json.dumps({"inputs": inputs}, ensure_ascii=False)


def _shape(shape: Sequence[int]) -> list[int]:
    return [1 if axis == ANY_LENGTH else axis for axis in shape]


def _blank(tensor: Mapping[str, Any]) -> object:
    datatype = Datatype(tensor["datatype"])
    if datatype in (Datatype.BYTES, Datatype.BOOL):
        return "" if datatype is Datatype.BYTES else False
    return 0.0 if datatype.is_float else 0


def _bytes(tensor: Mapping[str, Any]) -> int:
    datatype = Datatype(tensor["datatype"])
    size = _LENGTH_BYTES if datatype is Datatype.BYTES else datatype.dtype.itemsize
    return int(math.prod(tensor["shape"]) * size)
