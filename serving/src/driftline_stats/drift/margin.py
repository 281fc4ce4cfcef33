"""The margin z that a reference of so many rows asks for; see `mixture`.

A law that is estimated from n_ref rows is off by about 1/sqrt(n_ref) in every direction, and a
detector without tolerance sees that as drift, given time. z allows for so many standard errors. No
theorem gives the number: it is a heuristic. The values here are those at which simulated distances
between false alarms, of 20 features with their pairs and without tolerance, reach nominal with the
lower 95 % bound of their mean. With a tolerance of 0.1 the margin hardly matters: 1/sqrt(n_ref) is
far less.

What it does not know: the budget. Evidence has to last the longer the rarer false alarms are to be,
and an error of the reference lasts for ever. For one location tilt of strength lambda, rows being
independent, false alarms are about as rare as stated where

    z >= ln(budget) / (lambda sqrt(n_eff)),    lambda sqrt(n_eff) >= 10,

1.2 at a budget of 1e5 rows and 2.1 at 1e9, where lambda sqrt(n_eff) is 10. So for budgets beyond
the simulated ones (`SIMULATED`) false alarms may be more frequent than stated; give such a detector
a tolerance, or a `DetectorPlan` with a larger z. Bins that the reference has not, of which the law
is a guess, need more than that formula says.
"""

import numpy as np

#: Rows of the reference, and z. Simulated up to 20,000 rows between false alarms for the first of
#: them, 1,000,000 for the others; below 300 rows z stays, and nothing there was simulated.
SIMULATED = ((300, 2.0), (1_000, 1.5), (10_000, 1.0))


def margin_for(rows: int) -> float:
    """Return z for a reference of so many rows, between simulated ones by the logarithm.

    >>> margin_for(10_000), margin_for(10**6), margin_for(1_000)
    (1.0, 1.0, 1.5)

    Budgets up to which that is enough by the formula of the module, where the smallest lambda is
    0.15 or 10/sqrt(rows): the least of them is between two sizes that were simulated.

    >>> for rows in (300, 1_000, 4_444, 10_000):
    ...     print(rows, f"{np.exp(margin_for(rows) * max(0.15 * rows**0.5, 10)):.1g}")
    300 5e+08
    1000 3e+06
    4444 1e+05
    10000 3e+06

    Args:
        rows: of the reference's smallest stratum.
    """
    sizes, margins = np.array(SIMULATED).T
    return float(np.interp(np.log(max(rows, 1)), np.log(sizes), margins))
