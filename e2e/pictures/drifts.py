"""A feature that drifts, as a monitor counts it and as the detector sees it."""

from typing import Final

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.detector import DriftDetector, Plan, Window
from driftline_stats.drift.reference import Channel, Reference, unknown_inflation
from driftline_stats.drift.tilts import Layout
from e2e.pictures.rollouts import Floats
from e2e.pictures.style import (
    AMBER,
    GREEN,
    INDIGO,
    LINE,
    QUIET,
    RED,
    TEAL,
    note,
    panels,
    powers,
    svg,
)

BINS: Final = 20
REFERENCE_ROWS: Final = 20_000
WINDOW: Final = 50
WINDOWS: Final = 120
SHIFTED_AFTER: Final = 40
BUDGET: Final = 100_000
SHIFTS: Final = ((0.0, QUIET), (0.1, GREEN), (0.3, TEAL), (0.5, INDIGO), (1.0, AMBER))
LABELS: Final = ((0.1, 4300, 1e-5), (0.3, 2950, 2), (0.5, 2250, 15), (1.0, 1150, 15))


def drift() -> str:
    """Counts in the bins of the reference after a shift, and what the detector makes of them."""
    random = np.random.default_rng(12)
    rows = random.normal(size=REFERENCE_ROWS)
    edges = np.quantile(rows, np.arange(1, BINS) / BINS)
    plan = _plan(_counts(rows, edges))

    figure, (left, right) = panels(2)
    live = _counts(random.normal(0.5, 1, 5_000), edges) / 5_000
    left.bar(np.arange(BINS), live * 100, color=INDIGO, alpha=0.75, width=0.8)
    left.axhline(100 / BINS, color=QUIET)
    left.set(title="% of live rows in each bin of the reference", xticks=[])
    left.set_xlabel("bins, from low values to high")
    note(left, 0, 100 / BINS + 0.3, "reference", QUIET)
    note(left, 8, 11.5, "shifted by 0.5 sd", INDIGO)

    at = np.arange(1, WINDOWS + 1) * WINDOW
    for shift, color in SHIFTS:
        path = _path(plan, edges, shift, np.random.default_rng(5))
        alarm = int(np.argmax(path >= 1)) if (path >= 1).any() else WINDOWS - 1
        right.plot(at[: alarm + 1], path[: alarm + 1], color=color)
    for (shift, x, y), (_, color) in zip(LABELS, SHIFTS[1:], strict=True):
        note(right, x, y, f"{shift:g} sd", color)
    right.axvline(SHIFTED_AFTER * WINDOW, color=LINE, linewidth=1, zorder=0)
    right.axhline(1, color=RED, linestyle="--", linewidth=1)
    right.set(title="evidence of drift: alarm at 1", xlabel="rows", xlim=(0, at[-1]))
    powers(right, [1e-6, 1e-4, 1e-2, 1, 100])
    right.set_xticks(range(0, WINDOW * WINDOWS + 1, 1000))
    return svg(
        figure,
        "A feature that drifts",
        "Left: after a shift by half a standard deviation high bins hold more rows and low bins "
        "fewer. Right: evidence reaches 1 the sooner the larger the shift; without a shift, and "
        "with one within the tolerance, it does not.",
    )


def _counts(values: Floats, edges: Floats) -> npt.NDArray[np.int64]:
    return np.bincount(np.searchsorted(edges, values), minlength=BINS)


def _plan(counts: npt.NDArray[np.int64]) -> Plan:
    channel = Channel(
        name="age",
        role="feature",
        layout=Layout(ordered=tuple(range(BINS))),
        counts=counts[None, :],
        inflation=unknown_inflation(),
    )
    return Plan.make(Reference(channels=(channel,)), budget=BUDGET, tolerance=0.1)


def _path(plan: Plan, edges: Floats, shift: float, random: np.random.Generator) -> Floats:
    """Return the evidence after each window; the shift comes after some of them."""
    detector, found = DriftDetector.start(plan), []
    for window in range(WINDOWS):
        values = random.normal(shift if window >= SHIFTED_AFTER else 0.0, 1, WINDOW)
        detector = detector.update(Window(counts=_counts(values, edges)))
        found.append(np.exp(min(detector.log_evidence, 50)))
    return np.array(found)
