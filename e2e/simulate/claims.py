"""A claim: a figure that is stated, and one run of the simulation that tests it.

Each topic module has `CLAIMS: tuple[Claim, ...]`. A run is a function of a Generator
and of nothing else, so that runs can be spread over processes and repeated.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Outcome = bool | float | None
Kind = Literal["rate", "delay", "drift_delay", "at_least", "at_most", "shown", "shown_delay"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A figure, and how it is simulated.

    What the kinds mean, with what a run returns:

    - `rate`: whether it alarmed. Met when the upper 99 % bound of the share is at most `stated`.
    - `delay`: how long it took, None for never. Met when the median is at most `stated` plus
      three standard errors of the difference.
    - `drift_delay`: rows, None for never. Met when the mean is at most 1.25 times `stated`, or
      one look, whichever is larger.
    - `at_least`, `at_most`: a number, or whether it was so. Met when the lower (upper) 95 %
      bound of the mean is on the right side of `stated`.
    - `shown`, `shown_delay`: the share or mean, or the median; no verdict. For baselines, and
      for what happens where an assumption is broken.

    But for delays, None leaves a run out: it says nothing about the claim.

    Attributes:
        topic: part of the library, as a reader knows it: "error rate".
        what: the row's name, unique within its topic: "false alarms, base rate drifts".
        stated: the figure, in `unit`; None where there is none, for what is shown.
        unit: of the figure: "of runs", "s", "rows".
        simulate: one run.
        runs: of the long version.
        short_runs: of the version that every test run makes; 0 leaves the row out.
        kind: how outcomes are summed up and judged.
        look: rows between two looks, for `drift_delay`.
        stated_runs: how many runs the stated figure was measured with, where that is known;
            0 takes the figure as exact.
        environment: lock of the environment that the run needs; empty for the development one.
        note: what a reader should know, in a few words.
    """

    topic: str
    what: str
    stated: float | None
    unit: str
    simulate: Callable[[np.random.Generator], Outcome]
    runs: int
    short_runs: int = 0
    kind: Kind = "rate"
    look: float = 0.0
    stated_runs: int = 0
    environment: str = ""
    note: str = ""

    @property
    def key(self) -> str:
        """What the claim is found by, and seeded from."""
        return f"{self.topic}: {self.what}"

    def generator(self, run: int) -> np.random.Generator:
        """Return the randomness of one run, the same wherever it is made."""
        return np.random.default_rng([zlib.crc32(self.key.encode()), run])
