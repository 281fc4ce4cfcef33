"""A mixture in few bytes: what cannot be computed again quickly, and nothing else.

An operator of a thousand models has as many mixtures, of a quarter of a megabyte each and a tenth
of a second to make. What is kept is the tilts, the scores and the law: normalisers, spreads and
largest ratios follow from them within a few milliseconds.

Numbers are rounded to float32 before normalisers are computed, so likelihood ratios are as well
normalised as before.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.mixture import Mixture, Scores
from driftline_stats.drift.tilts import law

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Slim(NamedTuple):
    """Arrays of a mixture of one stratum; q is the law of the bins of all channels."""

    names: tuple[tuple[str, str], ...]
    families: tuple[str, ...]
    channel: npt.NDArray[np.uint32]
    starts: npt.NDArray[np.uint32]
    columns: npt.NDArray[np.uint32]
    pointers: npt.NDArray[np.uint32]
    direction: npt.NDArray[np.uint32]
    values: npt.NDArray[np.float32]
    theta: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    q: npt.NDArray[np.float32]
    n_ref: float


def slim_of(mixture: Mixture, counts: Ints) -> Slim:
    """Return what there is to keep of a mixture of one stratum.

    Args:
        mixture: of a reference.
        counts: of the reference, the bins of all channels one after another.
    """
    scores = mixture.scores
    parts = np.split(counts, scores.starts[1:])
    return Slim(
        names=scores.names,
        families=scores.families,
        channel=scores.channel.astype(np.uint32),
        starts=scores.starts.astype(np.uint32),
        columns=scores.columns.astype(np.uint32),
        pointers=scores.pointers.astype(np.uint32),
        direction=mixture.direction.astype(np.uint32),
        values=scores.values[0].astype(np.float32),
        theta=mixture.theta[0].astype(np.float32),
        weight=mixture.weight.astype(np.float32),
        q=np.concatenate([law(each) for each in parts]).astype(np.float32),
        n_ref=float(mixture.n_ref[0, 0]),
    )


def mixture_of(kept: Slim) -> Mixture:
    """Return the mixture of which this was kept."""
    columns, pointers = kept.columns.astype(np.int64), kept.pointers.astype(np.int64)
    values, q = kept.values.astype(np.float64), kept.q.astype(np.float64)
    theta, direction = kept.theta.astype(np.float64), kept.direction.astype(np.int64)
    psi, spread, top = _moments(theta, direction, _Entries(values, q[columns], pointers))
    mean = np.add.reduceat(values * q[columns], pointers)
    square = np.add.reduceat(values**2 * q[columns], pointers)
    scores = Scores(
        names=kept.names,
        families=kept.families,
        channel=kept.channel.astype(np.int64),
        starts=kept.starts.astype(np.int64),
        bins=q.size,
        columns=columns,
        pointers=pointers,
        values=values[None],
        mean=mean[None],
        spread=np.sqrt(np.maximum(square - mean**2, 1e-300))[None],
    )
    weight = kept.weight.astype(np.float64)
    return Mixture(
        scores=scores,
        direction=direction,
        weight=weight / weight.sum(),
        theta=theta[None],
        psi=psi[None],
        spread=spread[None],
        top=top[None],
        n_ref=np.full((1, theta.size), kept.n_ref),
    )


class _Entries(NamedTuple):
    """Bins that have a score, direction after direction: scores, shares, and where each begins."""

    values: Floats
    q: Floats
    pointers: Ints


def _moments(theta: Floats, direction: Ints, entries: _Entries) -> tuple[Floats, Floats, Floats]:
    """Return psi, sd(b) and max(b) of each component; bins without a score have b = exp(-psi)."""
    lengths = np.diff(entries.pointers, append=entries.values.size)[direction]
    begins = np.cumsum(lengths) - lengths
    component = np.repeat(np.arange(theta.size), lengths)
    at = np.arange(component.size) - begins[component] + entries.pointers[direction][component]
    exponent, q = theta[component] * entries.values[at], entries.q[at]
    rest = np.maximum(1 - np.add.reduceat(q, begins), 0.0)
    # What is left by rounding is no bin.
    rest[rest < 1e-6] = 0.0
    highest = np.maximum.reduceat(exponent, begins)
    highest = np.where(rest > 0, np.maximum(highest, 0.0), highest)
    above = np.exp(exponent - highest[component]) * q
    psi = highest + np.log(rest * np.exp(-highest) + np.add.reduceat(above, begins))
    squares = np.exp(2 * (exponent - psi[component])) * q
    second = rest * np.exp(-2 * psi) + np.add.reduceat(squares, begins)
    return psi, np.sqrt(np.maximum(second - 1, 0.0)), np.exp(highest - psi)
