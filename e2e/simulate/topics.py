"""All claims, in the order in which a reader meets them."""

import importlib
import pkgutil
from collections.abc import Sequence
from typing import Final

import e2e.simulate
from e2e.simulate.claims import Claim
from e2e.simulate.runner import Task

FIRST: Final = (
    "error_rate",
    "assumptions",
    "certificates",
    "guardrails",
    "intervals",
    "classes",
    "latency",
    "means",
    "labels",
    "split_labels",
    "risk",
    "drift",
    "drift_assumptions",
    "drift_peers",
    "watch",
    "experiment",
    "bandits",
)
"""Modules in the order in which they are read; others follow by name."""


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
        for module in modules()
        for claim in claims_of(module)
    ]
    keys = [task.claim.key for task in tasks]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ValueError(f"more than one claim is called {', '.join(twice)}")
    return [task for task in tasks if task.runs and _is_wanted(task.claim, words)]


def modules() -> list[str]:
    """Return the modules of this package that have claims: a new one is there by being there."""
    names = {each.name for each in pkgutil.iter_modules(e2e.simulate.__path__)} - {"__main__"}
    ordered = [*(name for name in FIRST if name in names), *sorted(names - set(FIRST))]
    return [f"{e2e.simulate.__name__}.{name}" for name in ordered]


def claims_of(module: str) -> tuple[Claim, ...]:
    """Return the claims of a module; most of them state none."""
    claims: tuple[Claim, ...] = getattr(importlib.import_module(module), "CLAIMS", ())
    return claims


def _is_wanted(claim: Claim, words: Sequence[str]) -> bool:
    return not words or any(word.casefold() in claim.key.casefold() for word in words)
