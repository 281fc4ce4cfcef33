"""From false alarms a year to rows between two of them, and what follows from that."""

import math

DAYS_PER_YEAR = 365.25
#: A drift stays reported for at least so many rows after the last alarm.
SHORTEST_CONDITION = 10_000
#: The same in delays.
CONDITION_DELAYS = 5.0


def row_budget(false_alarms_per_year: float, rows_per_day: float) -> float:
    """Return the expected rows between two false alarms.

    Where there is hardly any traffic it is one row, which no detector can do worse than.

    >>> round(row_budget(2, 1_000))
    182625

    Raises:
        ValueError: the number of false alarms is not positive, or that of rows negative.
    """
    if not false_alarms_per_year > 0:
        raise ValueError(f"false alarms a year must be more than 0, got {false_alarms_per_year}")
    if not 0 <= rows_per_day < math.inf:
        raise ValueError(f"rows a day must be 0 or more, got {rows_per_day}")
    return max(1.0, rows_per_day * DAYS_PER_YEAR / false_alarms_per_year)


def condition_rows(delay: float) -> int:
    """Return for how many rows without another alarm a drift is still reported.

    >>> condition_rows(491), condition_rows(2400)
    (10000, 12000)
    """
    return math.ceil(max(SHORTEST_CONDITION, CONDITION_DELAYS * delay))
