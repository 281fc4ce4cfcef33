"""What a cluster adds to the model server, and bare figures leave out: the one switch for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from e2e.bench.serving.case import Command, Start


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


#: What is switched on.
EXTRAS: Final[tuple[Extra, ...]] = ()
