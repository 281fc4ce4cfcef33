"""What a cluster adds to the model server, and bare figures leave out: the one switch for it."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from driftline_api.keys import ID_BYTES, KEYS_FILE, SECRET_BYTES, new_key, render_keys
from e2e.bench.serving.case import Command, Start
from e2e.bench.serving.environments import python_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A program that belongs to a server.

    Attributes:
        command: starts it.
        proof: a pattern that its output holds once it has done its part.
    """

    command: Command
    proof: str


def nothing(_: Start) -> list[Beside]:
    """What has nothing beside it."""
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """Something that is added: arguments of the server, and what is started before it."""

    arguments: Callable[[Start], Command]
    beside: Callable[[Start], list[Beside]] = nothing


def _keys(start: Start) -> Command:
    directory = start.directory / "keys"
    directory.mkdir()
    key = new_key(secrets.token_bytes(ID_BYTES + SECRET_BYTES), datetime.now(UTC))
    (directory / KEYS_FILE).write_text(render_keys([key]))
    return ["--keys", str(directory)]


def tapping(start: Start) -> Command:
    """Tell the server of the tap's reader, who may or may not be there."""
    return ["--tap", socket_of(start)]


def _reader(start: Start) -> list[Beside]:
    watch = [str(python_of("")), "-m", "driftline_serving.tap.watch", socket_of(start)]
    return [Beside(command=watch, proof='"seen":[1-9]')]


def socket_of(start: Start) -> str:
    """Return where the tap's reader listens."""
    return str(start.directory / "tap.sock")


RECEIPTS: Final = Extra(arguments=_keys)
TAP: Final = Extra(arguments=tapping, beside=_reader)
#: What is switched on.
EXTRAS: Final = (RECEIPTS, TAP)
