"""Which Model listens on which port.

A Model keeps its port as long as it exists. A port that was given up rests, so that nobody who
still remembers it reaches another Model there.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from driftline_api.names import FIRST_PORT, LAST_PORT
from driftline_operator.router.inputs import Wanted

REST: Final = timedelta(hours=1)
ALL_PORTS: Final = range(FIRST_PORT, LAST_PORT + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A port, and the uid of the Model that holds it."""

    uid: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """Who has which port, and which ports rest since when. Models in `without` found none."""

    held: Mapping[str, Held]
    freed: Mapping[int, datetime]
    without: Sequence[str] = ()


def allocate(
    models: Sequence[Wanted], before: Allocation, now: datetime, ports: range = ALL_PORTS
) -> Allocation:
    """Return the ports of `models`, given those of before.

    A Model that was re-created under its name is another Model: it gets another port, and the
    old one rests.
    """
    kept = {each.model: held for each in models if (held := _kept(each, before, ports))}
    freed = _resting(before, kept, now)
    taken = {held.port for held in kept.values()} | freed.keys()
    without = []
    for each in sorted(models, key=lambda each: each.model):
        if each.model in kept:
            continue
        port = _first_free(each.uid, taken, ports)
        if port is None:
            without.append(each.model)
        else:
            kept[each.model] = Held(uid=each.uid, port=port)
            taken.add(port)
    return Allocation(held=kept, freed=freed, without=tuple(without))


def _kept(model: Wanted, before: Allocation, ports: range) -> Held | None:
    held = before.held.get(model.model)
    return held if held and held.uid == model.uid and held.port in ports else None


def _resting(before: Allocation, kept: Mapping[str, Held], now: datetime) -> dict[int, datetime]:
    """Return the ports that must not be given out now."""
    used = {held.port for held in kept.values()}
    given_up = {held.port: now for held in before.held.values() if held.port not in used}
    resting = {port: at for port, at in before.freed.items() if now - at < REST}
    return {port: at for port, at in (given_up | resting).items() if port not in used}


def _first_free(uid: str, taken: set[int], ports: range) -> int | None:
    """Return the free port that follows the one which the uid hashes to.

    So a Model finds its port again after the record of ports was lost, unless two hash alike.
    """
    start = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8]) % len(ports)
    turned = (ports[(start + step) % len(ports)] for step in range(len(ports)))
    return next((port for port in turned if port not in taken), None)
