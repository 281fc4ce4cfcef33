"""Types of arguments that several commands take."""

import argparse
import os
from pathlib import Path
from typing import Final, TypeVar

#: The kernel has no room for more, unix(7).
_MOST_SOCKET: Final = 107

N = TypeVar("N", int, float)


def positive(text: str) -> int:
    """A whole number from 1 on."""
    return _at_least(1, int(text))


def not_negative(text: str) -> int:
    """A whole number from 0 on."""
    return _at_least(0, int(text))


def seconds(text: str) -> float:
    """A time that has not passed before it began."""
    return _at_least(0.0, float(text))


def socket_path(text: str) -> Path:
    """The path of a Unix socket."""
    if len(os.fsencode(text)) > _MOST_SOCKET:
        raise argparse.ArgumentTypeError(
            f"the path of a Unix socket has at most {_MOST_SOCKET} bytes"
        )
    return Path(text)


def _at_least(least: N, value: N) -> N:
    if not value >= least:
        raise argparse.ArgumentTypeError(f"must be at least {least}")
    return value
