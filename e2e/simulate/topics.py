"""All claims, in the order in which a reader meets them."""

import importlib
from collections.abc import Sequence
from typing import Final

from e2e.simulate.claims import Claim
from e2e.simulate.runner import Task

TOPICS: Final = ("error_rate", "assumptions", "drift_peers")
PACKAGE: Final = "e2e.simulate"


def gather(words: Sequence[str] = (), *, short: bool = False) -> list[Task]:
    """Return what is to be run.

    Args:
        words: Only claims whose topic or name has one of them; all if there is none.
        short: The version that every test run makes.

    Raises:
        ValueError: two claims go by the same name.
    """
    tasks = [
        Task(module=module, claim=claim, runs=claim.short_runs if short else claim.runs)
        for module in (f"{PACKAGE}.{topic}" for topic in TOPICS)
        for claim in claims_of(module)
    ]
    keys = [task.claim.key for task in tasks]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ValueError(f"more than one claim is called {', '.join(twice)}")
    return [task for task in tasks if task.runs and _is_wanted(task.claim, words)]


def claims_of(module: str) -> tuple[Claim, ...]:
    """Return the claims of a topic's module."""
    claims: tuple[Claim, ...] = importlib.import_module(module).CLAIMS
    return claims


def _is_wanted(claim: Claim, words: Sequence[str]) -> bool:
    return not words or any(word.casefold() in claim.key.casefold() for word in words)
