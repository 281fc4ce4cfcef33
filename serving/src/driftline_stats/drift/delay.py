"""In how many rows a drift would be found: what a plan can see, before anything happens."""

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.detector import DetectorPlan
from driftline_stats.drift.reference import ReferenceChannel
from driftline_stats.drift.tilts import law

_NORMAL = NormalDist()
#: Rows that expectations are taken over, so that rounding to whole rows is nothing.
_MANY = 10**9


def expected_delay(
    plan: DetectorPlan, channel: str, shift: float, budget: float | None = None
) -> float:
    """Return about how many rows pass until a shift of a channel's mean alarms; inf if it does not.

    With the law p of the shifted channel, component i gains k_i = E_p[ln(b_i/c_i)]/deff_i a row,
    and reaches the bar after about ln(budget k_i / w_i) / k_i rows: the soonest counts. It is a
    mean, for windows that are small beside it, and leaves out what passes until a look; simulated
    delays are within a third of it.

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.rows import Feature, rows_of
    >>> from driftline_stats.drift.watched import reference_of
    >>> features = (Feature(name="age"),)
    >>> ages = {"age": np.random.default_rng(1).normal(40, 10, 10_000)}
    >>> reference = reference_of(build(features, rows_of(features, ages)))
    >>> plan = DetectorPlan.make(reference, budget=100_000)
    >>> 800 < expected_delay(plan, "age", 0.25) < 1500
    True
    >>> expected_delay(plan, "age", 0.1)  # that much is tolerated
    inf

    Args:
        plan: of the detector.
        channel: name of one whose bins have an order.
        shift: of its mean, in standard deviations.
        budget: rows between two false alarms; the plan's where not given.

    Raises:
        ValueError: there is no such channel.
    """
    mixture, counts, found = plan.mixture, [], False
    for each in plan.reference.channels:
        moved = each.name == channel and bool(each.layout.ordered)
        shares = _shifted(each, shift) if moved else np.zeros(each.layout.bins)
        counts.append(np.rint(shares * _MANY).astype(np.int64))
        found = found or moved
    if not found:
        raise ValueError(f"no channel {channel!r} whose bins have an order")
    constants = mixture.log_constants(plan.tolerance, plan.z, plan.deff)
    gains = mixture.log_ratios(np.concatenate(counts), constants, plan.deff) / _MANY
    seen = gains > 0
    if not seen.any():
        return math.inf
    needed = np.log(
        np.maximum((budget or plan.budget) * gains[seen] / mixture.weight[seen], math.e)
    )
    return float((needed / gains[seen]).min())


def _shifted(channel: ReferenceChannel, shift: float) -> npt.NDArray[np.float64]:
    """Return the law of a channel whose normal score has moved."""
    q = law(channel.counts.sum(axis=0))
    ordered = list(channel.layout.ordered)
    whole = float(q[ordered].sum())
    inner = np.clip(np.cumsum(q[ordered])[:-1] / whole, 1e-12, 1 - 1e-12)
    scores = [_NORMAL.inv_cdf(float(each)) - shift for each in inner]
    q[ordered] = whole * np.diff([0.0, *(_NORMAL.cdf(each) for each in scores), 1.0])
    return q
