"""Strata of the week: a reference that knows nights and weekends.

What traffic looks like often depends on the hour of the week. A law of all hours together then
differs from the law of each, and a detector alarms every night. So a reference may be stratified:
one law a stratum, and a window is compared with the law of its own.

A stratum needs enough rows to know its law. So the finest partition of the week is taken of which
most strata have them, and those that have not are merged with a neighbour.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

HOURS = 168
SMALLEST_STRATUM = 1_000
#: Of the strata of a partition, how many must have enough rows for it to be taken.
ENOUGH = 0.75
_WEEKDAYS = 120


def week_strata(
    rows: Sequence[int] | npt.NDArray[np.int64], smallest: int = SMALLEST_STRATUM
) -> npt.NDArray[np.int64]:
    """Return the number of each hour's stratum, counted from 0.

    The partitions tried are, from fine to coarse: hours of the week, hours of a weekday and of a
    weekend's day, hours of the day, then parts of the day of 3, 6 and 12 hours; or one stratum.

    >>> weekly = week_strata([2_000] * 168)
    >>> len(set(weekly.tolist()))
    168
    >>> daily = week_strata([200] * 168)
    >>> len(set(daily.tolist())), bool(daily[3] == daily[27])
    (24, True)
    >>> set(week_strata([1] * 168).tolist())
    {0}

    Args:
        rows: of the reference in each hour of the week, from Monday's first (UTC).
        smallest: rows that each stratum must have; where all together have less there is one.

    Raises:
        ValueError: there are not 168 hours.
    """
    counted = np.asarray(rows, np.int64)
    if counted.shape != (HOURS,):
        raise ValueError(f"expected the rows of {HOURS} hours, got {counted.shape}")
    for partition in _partitions():
        held = np.bincount(partition, counted)
        if (held >= smallest).mean() >= ENOUGH:
            merged: npt.NDArray[np.int64] = _merged(held, smallest)[partition]
            return merged
    return np.zeros(HOURS, np.int64)


def hour_of_week(unix_seconds: float) -> int:
    """Return the hour of the week (UTC), 0 on Monday from midnight to one.

    >>> hour_of_week(0)  # a Thursday
    72
    """
    return int(unix_seconds // 3600 + 72) % HOURS


def _partitions() -> list[npt.NDArray[np.int64]]:
    hour = np.arange(HOURS)
    weekend = (hour >= _WEEKDAYS).astype(np.int64)
    parts = [hour % 24 // width for width in (1, 3, 6, 12)]
    return [hour, hour % 24 + 24 * weekend, *parts]


def _merged(held: npt.NDArray[np.int64], smallest: int) -> npt.NDArray[np.int64]:
    """Return the stratum of each part: the smallest joins its smaller neighbour until all do."""
    groups = [[part] for part in range(held.size)]
    sizes = [int(each) for each in held]
    while len(groups) > 1 and min(sizes) < smallest:
        at = sizes.index(min(sizes))
        beside = [near for near in (at - 1, at + 1) if 0 <= near < len(groups)]
        into = min(beside, key=lambda near: sizes[near])
        groups[into] += groups.pop(at) if into < at else groups[at]
        sizes[into] += sizes[at]
        if into > at:
            groups.pop(at)
        sizes.pop(at)
    strata = np.zeros(held.size, np.int64)
    for number, parts in enumerate(groups):
        strata[parts] = number
    return strata
