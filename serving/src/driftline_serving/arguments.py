"""Types of arguments that several commands take."""

import argparse
from typing import TypeVar

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


def _at_least(least: N, value: N) -> N:
    if not value >= least:
        raise argparse.ArgumentTypeError(f"must be at least {least}")
    return value
