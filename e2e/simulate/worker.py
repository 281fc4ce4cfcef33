"""Runs claims in a process of its own: one line of JSON in, one out.

It is the same for every environment, so that a library that does not go together with ours is
measured in its own and seeded alike.
"""

import importlib
import json
import os
import sys
import time
from typing import TextIO

import numpy as np

from e2e.simulate.claims import Claim, Outcome


def claim_of(module: str, key: str) -> Claim:
    """Find a claim in its topic's module.

    Raises:
        LookupError: it has no such claim.
    """
    claims: tuple[Claim, ...] = importlib.import_module(module).CLAIMS
    found = [claim for claim in claims if claim.key == key]
    if len(found) != 1:
        raise LookupError(f"{module} has {len(found)} claims called {key!r}, not one")
    return found[0]


def plain(outcome: Outcome) -> Outcome:
    """Return what JSON can carry.

    >>> plain(np.True_), plain(np.float64(2)), plain(None)
    (True, 2.0, None)

    Raises:
        TypeError: it is no outcome.
    """
    if outcome is None:
        return None
    if isinstance(outcome, bool | np.bool_):
        return bool(outcome)
    return float(outcome)


def main() -> None:
    """Answer until there is no more to do."""
    answers = _answers()
    for line in sys.stdin:
        told = json.loads(line)
        claim = claim_of(told["module"], told["key"])
        first = told["first"]
        began = time.process_time()
        outcomes = [
            plain(claim.simulate(claim.generator(run)))
            for run in range(first, first + told["count"])
        ]
        seconds = time.process_time() - began
        answers.write(json.dumps({"outcomes": outcomes, "seconds": seconds}) + "\n")
        answers.flush()


def _answers() -> TextIO:
    """Return a stream of our own: what a library prints must not land between the answers."""
    stream = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return stream


if __name__ == "__main__":
    main()
