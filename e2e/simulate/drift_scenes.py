"""Rows that drift and rows that do not, counted by the library's own kernel."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.build import Counting, build
from driftline_stats.drift.detector import DetectorPlan, DriftDetector
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.profile import Profile
from driftline_stats.drift.rows import CATEGORICAL, Feature, Rows
from driftline_stats.drift.watched import reference_of, window_of

Numbers = npt.NDArray[np.float64]

FEATURES: Final = 20
LEVELS: Final = (0.4, 0.3, 0.2, 0.1)
NEW_LEVEL: Final = len(LEVELS)
MISSING: Final = 0.01
CORRELATION: Final = 0.8
CHUNK: Final = 4096

#: Draws so many rows.
Draw = Callable[[np.random.Generator, int], Rows]


def table(numbers: Numbers, levels: npt.NDArray[np.int64] | None = None) -> Rows:
    """Return rows of these numbers, and of these levels where there are any."""
    categorical = () if levels is None else (levels,)
    return Rows(numeric=numbers.astype(np.float32), categorical=categorical)


def plain(rng: np.random.Generator, rows: int) -> Rows:
    """Return rows of the reference: 20 normal features, the first two correlated, and a level."""
    x = rng.normal(size=(rows, FEATURES))
    x[:, 1] = CORRELATION * x[:, 0] + np.sqrt(1 - CORRELATION**2) * x[:, 1]
    x[rng.random(rows) < MISSING, 2] = np.nan
    return table(x, draw_levels(rng, rows, LEVELS))


def draw_levels(
    rng: np.random.Generator, rows: int, shares: tuple[float, ...]
) -> npt.NDArray[np.int64]:
    """Return a level a row, in these shares."""
    return np.searchsorted(np.cumsum(shares)[:-1], rng.random(rows), side="right")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A detector and how it is fed.

    Attributes:
        reference: draws the reference.
        live: draws what is watched.
        n_ref: rows of the reference.
        budget: rows between two false alarms.
        tolerance: of the detector.
        look: rows of a window.
        in_order: whether the reference comes in the order of time.
        independent: whether rows are known not to depend on each other.
        pairs: whether pairs of features are watched too.
        z: the margin; by the reference's size where not given.
    """

    reference: Draw
    live: Draw
    n_ref: int = 10_000
    budget: float = 100_000.0
    tolerance: float = 0.0
    look: int = 64
    in_order: bool = False
    independent: bool = True
    pairs: bool = True
    z: float | None = None

    def start(self, rng: np.random.Generator) -> tuple[DriftDetector, Kernel]:
        """Return the detector for a reference that is drawn, and what counts its windows."""
        kernel = bins_of(self.reference, self.n_ref, pairs=self.pairs)
        counting = Counting(plan=kernel.plan, in_order=self.in_order)
        counting.add(self.reference(rng, self.n_ref))
        return DriftDetector.start(self.plan(counting.profile())), kernel

    def plan(self, profile: Profile) -> DetectorPlan:
        """Return what the detector looks for."""
        reference = reference_of(profile)
        if self.independent and not self.in_order:
            reference = replace(reference, ordered=True)
        plan = DetectorPlan.make(reference, budget=self.budget, tolerance=self.tolerance)
        return plan if self.z is None else replace(plan, z=self.z)

    def windows(self, rng: np.random.Generator, most: float) -> Iterator[Rows]:
        """Draw live rows, a window at a time, up to so many."""
        drawn = 0
        while drawn < most:
            chunk = self.live(rng, max(CHUNK // self.look, 1) * self.look)
            yield from (chunk[at : at + self.look] for at in _starts(len(chunk), self.look))
            drawn += len(chunk)

    def rows_to_alarm(self, rng: np.random.Generator, most: float) -> int | None:
        """Return the rows until the first alarm, None if there is none in so many."""
        detector, kernel = self.start(rng)
        for rows in self.windows(rng, most):
            detector = detector.update(window_of(kernel.count(rows)))
            if detector.alarmed:
                return detector.rows
        return None


def _starts(rows: int, look: int) -> Iterator[int]:
    yield from range(0, rows, look)


@cache
def bins_of(draw: Draw, rows: int, *, pairs: bool) -> Kernel:
    """Return a kernel whose bins a reference of so many rows has cut, once for all runs."""
    drawn = draw(np.random.default_rng(0), rows)
    features = [Feature(name=f"x{at}") for at in range(drawn.numeric.shape[1])]
    features += [Feature(name="level", kind=CATEGORICAL) for _ in drawn.categorical]
    plan = build(features, drawn).plan
    return Kernel(plan if pairs else replace(plan, pairs=(), distance=None))
