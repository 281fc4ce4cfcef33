"""Where bins are cut: what a sample of the reference says about one feature."""

from collections import Counter

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.bins import (
    FIRST,
    LAST,
    ZERO,
    CategoricalBins,
    Cells,
    NumericBins,
    cells_of,
    kept_level,
)
from driftline_stats.drift.rows import Column, Feature

Numbers = npt.NDArray[np.float32]

#: Intervals of a numeric feature, of about equal numbers of rows.
INTERVALS = 20
#: Heavy values get a bin each: at most so many, of at least one interval's share of the rows.
HEAVY_VALUES = 8
#: A value with so much of the rows is the location, where cells are finest.
LOCATION_SHARE = 0.1
LEVELS = 64
#: And its inverse the largest: 16 / scale must be a float32.
SMALLEST_SCALE = 1e-30


def numeric_bins(
    feature: Feature, sample: Numbers, extremes: tuple[float, float] | None = None
) -> NumericBins:
    """Choose intervals of about equal numbers of rows, and a bin for each heavy value.

    A sample is enough: how many rows of the reference are in each bin is counted afterwards.

    >>> bins = numeric_bins(Feature(name="age"), np.array([0] * 9 + [1, 2, 3, 4], np.float32))
    >>> bins.labels[:3]
    ('below 0', '= 0', '0 to 1')

    Args:
        feature: whose bins these are.
        sample: shape [rows]; NaN and infinities are left out.
        extremes: the smallest and the largest finite value, where the sample may not have them.
    """
    finite = np.sort(sample[np.isfinite(sample)]) + np.float32(0)
    location = _location(finite)
    with np.errstate(over="ignore"):
        finite = finite[np.isfinite(finite - np.float32(location))]
    edges, heavy = np.array([ZERO]), tuple[float | None, ...]()
    low = high = 0.0
    scale = 1.0
    if len(finite):
        edges, heavy = _runs(finite, location)
        if extremes is not None:
            outer = np.clip(cells_of(np.array(extremes, np.float32), location), FIRST, LAST)
            edges, heavy = _widened(edges, heavy, outer)
        d = finite - np.float32(location)
        low, high = _terciles(d)
        scale = _scale(d)
    return NumericBins(
        name=feature.name,
        role=feature.role,
        location=location,
        edges=edges,
        heavy=heavy,
        low=low,
        high=high,
        scale=scale,
    )


def categorical_bins(feature: Feature, sample: Column) -> CategoricalBins:
    """Keep the commonest levels.

    >>> categorical_bins(Feature(name="city", kind="categorical"), np.array([2, 1, 2])).levels
    (2, 1)
    """
    counted = Counter(map(kept_level, sample.tolist()))
    del counted[None]
    ranked = sorted(
        counted, key=lambda level: (-counted[level], str(level), isinstance(level, str))
    )
    levels = tuple(level for level in ranked[:LEVELS] if level is not None)
    return CategoricalBins(name=feature.name, role=feature.role, levels=levels)


def _location(finite: Numbers) -> float:
    """Return the heaviest value, or the median where that one is not heavy or blurs the others.

    A code for what is missing, such as -999, is heavy, but from there all others are in few cells.
    """
    if not len(finite):
        return 0.0
    values, counts = np.unique(finite, return_counts=True)
    top = int(np.argmax(counts))
    heaviest = float(values[top])
    if counts[top] <= max(1, LOCATION_SHARE * len(finite)):
        return float(finite[(len(finite) - 1) // 2])
    others = finite[finite != heaviest]
    if not len(others):
        return heaviest
    median = float(others[(len(others) - 1) // 2])
    from_heaviest, from_median = (
        len(np.unique(cells_of(others, location))) for location in (heaviest, median)
    )
    return heaviest if 2 * from_heaviest >= from_median else median


def _runs(finite: Numbers, location: float) -> tuple[Cells, tuple[float | None, ...]]:
    """Return the edges of the runs, and the heavy value of those that are one."""
    found = cells_of(finite, location)
    cells, first, counts = np.unique(found, return_index=True, return_counts=True)
    last = first + counts - 1
    share = len(finite) / INTERVALS
    is_heavy = (counts >= max(share, 2)) & (finite[first] == finite[last])
    lightest_first = np.argsort(np.where(is_heavy, counts, 0), kind="stable")
    is_heavy[lightest_first[:-HEAVY_VALUES]] = False

    # A segment is one heavy cell, or what lies between two; it has a whole number of runs.
    begins = is_heavy | np.concatenate([[True], is_heavy[:-1]])
    segment, starts = np.cumsum(begins) - 1, np.flatnonzero(begins)
    rows = np.add.reduceat(counts, starts)
    before = np.cumsum(counts) - counts
    within = (before - before[starts][segment] + counts / 2) / rows[segment]
    run = np.floor(within * np.maximum(1, np.rint(rows / share))[segment])
    begins |= np.diff(run, prepend=-1) != 0
    edges = np.unique(np.concatenate([cells[begins], cells[is_heavy] + 1, cells[-1:] + 1]))
    values = dict(zip(cells[is_heavy].tolist(), finite[first[is_heavy]].tolist(), strict=True))
    return edges, tuple(values.get(edge) for edge in edges[:-1].tolist())


def _widened(
    edges: Cells, heavy: tuple[float | None, ...], extremes: Cells
) -> tuple[Cells, tuple[float | None, ...]]:
    """Let the outer runs reach the extremes; beside a heavy value a new run does."""
    lower, upper = int(extremes[0]), int(extremes[1]) + 1
    if lower < edges[0]:
        edges = np.concatenate([[lower], edges[0 if heavy[0] is not None else 1 :]])
        heavy = (None, *heavy) if len(heavy) < len(edges) - 1 else heavy
    if upper > edges[-1]:
        edges = np.concatenate([edges[: None if heavy[-1] is not None else -1], [upper]])
        heavy = (*heavy, None) if len(heavy) < len(edges) - 1 else heavy
    return edges, heavy


def _terciles(d: Numbers) -> tuple[float, float]:
    """Return the values below and above which about a third of the rows are each."""
    values, counts = np.unique(d, return_counts=True)
    below = np.cumsum(counts) - counts
    above = len(d) - below - counts
    low = values[np.argmin(np.abs(below - len(d) / 3))]
    high = values[np.argmin(np.abs(above - len(d) / 3))]
    return float(low), float(max(high, np.nextafter(low, np.float32(-np.inf))))


def _scale(d: Numbers) -> float:
    """Return a robust standard deviation: of the quartiles, or if they are equal of all."""
    exact = d.astype(np.float64)
    lower, upper = np.quantile(exact, (0.25, 0.75))
    scale = float(upper - lower) / 1.349 or float(np.std(exact))
    return min(max(scale, SMALLEST_SCALE), 1 / SMALLEST_SCALE) if scale else 1.0
