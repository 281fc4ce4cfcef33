"""What was stated beside what was measured, for a person and as a page for the docs."""

import itertools
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from e2e.bench.report import aligned, commit, machine, number
from e2e.simulate.judge import MEDIANS, SHOWN, Judged
from e2e.simulate.traffic import LOOK, LOOKS, RAMP

MINUTES: Final = LOOKS * LOOK / 60
RAMP_TEXT: Final = ", ".join(f"{seconds} s at {share * 100:g} %" for seconds, share in RAMP)

HEADER: Final = ("simulated", "stated", "measured", "bound", "runs", "verdict", "note")

WORDS: Final = f"""
## How to read it

`make simulate` runs all of this again, to the same figures: each run is seeded from its row and its
number. A verdict is missed when

- the upper 99 % bound (Clopper-Pearson) of a rate is above what is stated;
- the median of a delay is above what is stated by more than three standard errors;
- the mean delay of a drift detector is above 1.25 times what is stated, and above one look;
- the 95 % bound of a figure with *at least* or *at most* is on the wrong side of it.

Rows without a verdict compare, or show what happens where an assumption does not hold; what stands
under *stated* there was measured once before, with a program of its own. *Bound* holds what the
rule needs, or an interval: of three standard errors for delays and means, else 99 % on each side.

Rollouts that are judged by rates, latency or means take {MINUTES:.0f} minutes, looked at every
{LOOK:.0f} s. Unless the row says otherwise the canary's share goes up a ramp: {RAMP_TEXT}.
What is stated for the error rate names these shares and not how long each lasts. **The lengths were
chosen so that the delays of the error rate come close to the stated ones**: that they do is no
evidence of its own. Error rates are stated for any ramp.
"""


def figure(value: float) -> str:
    """Write a number, or that there is none.

    >>> figure(math.inf), figure(0.0234), figure(1234)
    ('never', '0.0234', '1,234')
    """
    return "never" if math.isinf(value) else number(value)


def stated_text(judged: Judged) -> str:
    """Return what is stated, as a person reads it."""
    claim = judged.claim
    if claim.stated is None:
        return ""
    word = {"rate": "at most ", "at_most": "at most ", "at_least": "at least "}.get(claim.kind, "")
    return f"{word}{figure(claim.stated)} {claim.unit}".strip()


def bound_text(judged: Judged) -> str:
    """Return what decides, or how exact the figure is."""
    found = judged.measured
    match judged.claim.kind:
        case "rate" | "at_most":
            return f"≤ {figure(found.high)}"
        case "at_least":
            return f"≥ {figure(found.low)}"
        case _:
            return f"{figure(found.low)} to {figure(found.high)}"


def row(judged: Judged) -> tuple[str, ...]:
    """Return the cells of a claim."""
    claim, found = judged.claim, judged.measured
    unit = "" if math.isinf(found.value) else claim.unit
    median = "median " if claim.kind in MEDIANS else ""
    measured = f"{median}{figure(found.value)} {unit}".strip()
    told = (claim.what, stated_text(judged), measured, bound_text(judged))
    return (*told, f"{found.runs:,}", judged.verdict, claim.note)


def tables(found: Sequence[Judged]) -> str:
    """Return a table for each topic."""
    sections = [
        f"## {topic[:1].upper()}{topic[1:]}\n\n{aligned([HEADER, *map(row, judged)])}"
        for topic, judged in itertools.groupby(found, key=lambda each: each.claim.topic)
    ]
    return "\n\n".join(sections)


def summary(found: Sequence[Judged]) -> str:
    """Return what a person must not overlook."""
    judged = [each for each in found if each.claim.kind not in SHOWN]
    missed = [each for each in judged if each.missed]
    if not missed:
        return f"All {len(judged)} claims hold; {len(found) - len(judged)} more rows are shown."
    lines = [f"  {each.claim.key}: {', '.join(row(each)[1:4])}" for each in missed]
    return "\n".join([f"!!! {len(missed)} of {len(judged)} claims are MISSED !!!", *lines])


def times(found: Sequence[Judged]) -> str:
    """Return the processor time of each topic."""
    spent: dict[str, float] = {}
    for each in found:
        spent[each.claim.topic] = spent.get(each.claim.topic, 0.0) + each.seconds
    listed = ", ".join(f"{topic} {seconds:.0f}" for topic, seconds in spent.items())
    return f"{sum(spent.values()):.0f} s of processor time: {listed}"


def page(found: Sequence[Judged], minutes: float, checkout: Path) -> str:
    """Return the page for the docs."""
    today = datetime.now(UTC).date().isoformat()
    took = f"`make simulate` took {minutes:.0f} minutes on {today} at commit {commit(checkout)}"
    parts = ("# Simulations", f"{took}, on {machine()}.", summary(found), WORDS, tables(found))
    return "\n\n".join(part.strip() for part in parts) + "\n"
