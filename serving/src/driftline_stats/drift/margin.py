"""The margin z that a reference of so many rows asks for; see `mixture`.

A law that is estimated from n_ref rows is off by about 1/sqrt(n_ref) in every direction, and a
detector without tolerance sees that as drift, given time. z allows for so many standard errors. How
many are needed has no formula here: they are those at which simulated distances between false
alarms, of 20 features with their pairs and without tolerance, reach nominal with the lower 95 %
bound of their mean. With a tolerance of 0.1 the margin hardly matters: 1/sqrt(n_ref) is far less.
"""

import numpy as np

#: Rows of the reference, and z. Simulated up to 20,000 rows between false alarms for the first of
#: them, 1,000,000 for the others; below 300 rows and beyond these budgets it is extrapolated.
SIMULATED = ((300, 2.0), (1_000, 1.5), (10_000, 1.0))


def margin_for(rows: int) -> float:
    """Return z for a reference of so many rows, between simulated ones by the logarithm.

    >>> margin_for(10_000), margin_for(10**6), margin_for(1_000)
    (1.0, 1.0, 1.5)
    """
    sizes, margins = np.array(SIMULATED).T
    return float(np.interp(np.log(max(rows, 1)), np.log(sizes), margins))
