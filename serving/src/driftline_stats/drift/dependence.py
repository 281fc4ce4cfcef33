"""What several features together look like in the reference: pairs, and distance."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.distance import (
    LARGEST_ROW,
    DistanceIndex,
    quantised,
)
from driftline_stats.drift.pairs import PairIndex
from driftline_stats.drift.plan import Distance, Pair, Plan
from driftline_stats.drift.rows import FEATURE, Rows

Ints = npt.NDArray[np.int64]

#: Pairs that are watched: those with the largest mutual information.
PAIRS = 190
#: What is looked at together when pairs are chosen, so that memory is bounded.
PAIRS_AT_ONCE = 1024
ROWS_AT_ONCE = 8192
DISTANCE_BINS = 16
#: Rows of the sample that distances ask for, as a multiple of features**1.5; see `distance_of`.
ROWS_FOR_DISTANCE = 25
#: Of the mean variance: what is added to each, so that collinear features do not decide all.
RIDGE = 1e-3


def pairs_of(plan: Plan, sample: Rows, most: int = PAIRS) -> tuple[Pair, ...]:
    """Return the pairs of numeric features with the largest mutual information of terciles.

    They are chosen on the rows that then are their reference: where none depend, those that are
    kept look as if they did, a little.

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.rows import Feature
    >>> numbers = np.random.default_rng(1).normal(size=(1000, 3)).astype(np.float32)
    >>> numbers[:, 2] += 2 * numbers[:, 0]
    >>> rows = Rows(numeric=numbers)
    >>> plan = build(tuple(Feature(name=name) for name in "abc"), rows).plan
    >>> [(pair.first, pair.second) for pair in pairs_of(plan, rows, most=1)]
    [(0, 2)]
    """
    places = np.array(_by_name(plan), np.int64)
    first, second = np.triu_indices(len(places), 1)
    if not len(first) or not most:
        return ()
    information = _information(plan, sample, places, (first, second))
    return tuple(
        Pair(
            first=int(places[first[at]]),
            second=int(places[second[at]]),
            information=float(information[at]),
        )
        for at in np.argsort(-information, kind="stable")[:most].tolist()
    )


def _information(
    plan: Plan, sample: Rows, places: Ints, tried: tuple[Ints, Ints]
) -> npt.NDArray[np.float64]:
    """Return the mutual information of pairs, some at a time: a thousand features have 500,000."""
    chosen = [plan.numeric[at] for at in places]
    index = PairIndex(
        features=places,
        as_they_stand=False,
        low=np.array([[each.low] for each in chosen], np.float32),
        high=np.array([[each.high] for each in chosen], np.float32),
        first=tried[0],
        second=tried[1],
    )
    parts = (sample[at : at + ROWS_AT_ONCE] for at in range(0, len(sample) or 1, ROWS_AT_ONCE))
    bits = np.concatenate([index.bits_of(_d(plan, part)) for part in parts], axis=2)
    some = (slice(at, at + PAIRS_AT_ONCE) for at in range(0, len(tried[0]), PAIRS_AT_ONCE))
    return np.concatenate(
        [
            mutual_information(
                replace(index, first=tried[0][part], second=tried[1][part]).tables_of(
                    [bits], len(sample)
                )
            )
            for part in some
        ]
    )


def mutual_information(tables: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the mutual information, in nats, of tables of counts, shape [tables, 3, 3].

    >>> round(float(mutual_information(np.array([[[1, 0, 0], [0, 1, 0], [0, 0, 1]]]))[0]), 12)
    1.098612288668
    """
    joint = tables / np.maximum(tables.sum((1, 2), keepdims=True), 1)
    apart = joint.sum(2, keepdims=True) * joint.sum(1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(joint > 0, joint * np.log(joint / apart), 0.0)
    information: npt.NDArray[np.float64] = np.maximum(terms.sum((1, 2)), 0.0)
    return information


def distance_of(plan: Plan, sample: Rows) -> Distance | None:
    """Return how far rows are from the centre, where two features or more vary.

    Rows are nearer to a centre that they were fitted to than others are: of p features on n rows
    the mean squared distance of new rows is larger by about p (p + 2) / n, which is
    p**1.5 / (sqrt(2) n) standard deviations. That would pass for drift, so where it is more than
    0.03 there is no distance.

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.rows import Feature
    >>> rows = Rows(numeric=np.random.default_rng(1).normal(size=(300, 5)).astype(np.float32))
    >>> plan = build(tuple(Feature(name=name) for name in "abcde"), rows).plan
    >>> distance_of(plan, rows) is None, distance_of(plan, rows[:279]) is None
    (False, True)
    """
    d = _d(plan, sample)
    places = [at for at in _by_name(plan) if _varies(d[at])]
    if len(places) < 2 or len(sample) < ROWS_FOR_DISTANCE * len(places) ** 1.5:
        return None
    scale = np.array([plan.numeric[at].scale for at in places], np.float32)[:, None]
    zero = np.zeros_like(scale)
    u = quantised(d[places], scale, zero, np.empty_like(d[places])).astype(np.float64)
    whitening, unit = _whitening(np.cov(u))
    uncut = Distance(
        features=tuple(places),
        centre=np.rint(u.mean(axis=1)).astype(np.int64),
        whitening=whitening,
        unit=unit,
        edges=np.empty(0),
    )
    index = DistanceIndex.of(Plan(numeric=plan.numeric, distance=uncut))
    assert index is not None
    shares = [*(k / DISTANCE_BINS for k in range(1, DISTANCE_BINS)), 0.99, 1.0]
    edges = np.unique(np.quantile(index.distances_of(d), shares, method="higher"))
    return replace(uncut, edges=edges)


def _by_name(plan: Plan) -> list[int]:
    """Return the places of the features in the order of names, so that columns may be permuted."""
    places = [at for at, bins in enumerate(plan.numeric) if bins.role == FEATURE]
    return sorted(places, key=lambda at: plan.numeric[at].name)


def _d(plan: Plan, sample: Rows) -> npt.NDArray[np.float32]:
    location = np.array([each.location for each in plan.numeric], np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray((sample.numeric - location).T)


def _varies(d: npt.NDArray[np.float32]) -> bool:
    finite = d[np.isfinite(d)]
    return bool(len(finite)) and bool(finite.min() < finite.max())


def _whitening(
    covariance: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.int64], float]:
    """Return the inverse square root of a covariance, in whole numbers, and their unit."""
    ridge = RIDGE * float(np.mean(np.diag(covariance))) + 1 / 12
    values, vectors = np.linalg.eigh(covariance + ridge * np.eye(len(covariance)))
    root = (vectors / np.sqrt(values)) @ vectors.T
    unit = LARGEST_ROW / float(np.abs(root).sum(axis=1).max())
    return np.fix(root * unit).astype(np.int64), unit
