"""The margin z that a reference of so many rows asks for; see `mixture`."""

import numpy as np

#: Rows of the reference, and the z at which simulated distances between false alarms reach nominal.
SIMULATED = ((300, 2.0), (1_000, 1.5), (10_000, 1.0))


def margin_for(rows: int) -> float:
    """Return z for a reference of so many rows, between simulated ones by the logarithm.

    >>> margin_for(10_000), margin_for(10**6)
    (1.0, 1.0)
    """
    sizes, margins = np.array(SIMULATED).T
    return float(np.interp(np.log(max(rows, 1)), np.log(sizes), margins))
