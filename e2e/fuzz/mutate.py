"""Changes of requests that leave them JSON, which single bytes that change seldom do."""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from e2e.fuzz.seeds import WORDS

#: Values that a reader may take for others.
VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, 1, -1, 2, 3, 127, 128, 255, 256, -32769, 65536, 2**31, 2**32, 2**40,
    2**53 + 1, 2**63, 2**64, -(2**63) - 1, 0.0, -0.0, 0.5, 1.0, 1e-320, 65519.99, 65520.0, 3.4e38,
    3.5e38, 1e308, float("nan"), float("inf"), float("-inf"), "", "ü", "null", "\x00", [], {}, [[]],
    [0], [1, 2], {"a": 1}, *WORDS,
)  # fmt: skip


def mutated_json(data: bytes, seed: int) -> bytes | None:
    """Return a request of the target `json` with a change or a few; None if it is none."""
    changed = _changed(data[1:], random.Random(seed))  # noqa: S311 - nothing secret
    return None if changed is None else data[:1] + changed


def mutated_binary(data: bytes, seed: int) -> bytes | None:
    """Do the same for the target `binary`, and keep the length that it says of its JSON right."""
    length = int.from_bytes(data[1:3], "big")
    draw = random.Random(seed)  # noqa: S311 - nothing secret
    changed = _changed(data[3 : 3 + length], draw)
    if changed is None or len(changed) >= 2**16:
        return None
    return data[:1] + len(changed).to_bytes(2, "big") + changed + data[3 + length :]


MUTATORS: Final[Mapping[str, Callable[[bytes, int], bytes | None]]] = {
    "json": mutated_json, "binary": mutated_binary,
}  # fmt: skip


def _changed(text: bytes, draw: random.Random) -> bytes | None:
    try:
        told = [json.loads(text.decode())]
    except (ValueError, RecursionError):
        return None
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        _change(told, draw)
    # No double holds it, and Python's own reader takes it for infinity.
    written = json.dumps(told[0], ensure_ascii=draw.random() < 0.5) if told else ""
    if draw.random() < 0.1:
        written = written.replace(" 1", " 1e999")
    return written.encode("utf-8", "replace")


def _change(told: list[Any], draw: random.Random) -> None:
    slots = list(_slots(told))
    if not slots:
        return
    holder, key = draw.choice(slots)
    match draw.randrange(6):
        case 0:
            del holder[key]
        case 1:
            other, elsewhere = draw.choice(slots)
            holder[key] = _copied(other[elsewhere])
        case 2 if isinstance(holder, list):
            holder.insert(key, _copied(holder[key]))
        case 3 if isinstance(holder, dict):
            holder[draw.choice(WORDS)] = holder.pop(key)
        case 4 if type(holder[key]) in {int, float}:
            holder[key] += draw.choice((-1, 1))
        case _:
            holder[key] = _copied(draw.choice(VALUES))


def _slots(holder: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in which a value stands: what holds it, and the key or index."""
    keys = holder if isinstance(holder, dict) else range(len(holder))
    for key in list(keys):
        yield holder, key
        if isinstance(holder[key], dict | list):
            yield from _slots(holder[key])


def _copied(value: Any) -> Any:
    return json.loads(json.dumps(value))
