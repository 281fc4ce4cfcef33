"""The tilts of all channels of a reference as one mixture of likelihood ratios.

For component i of a channel, a window with n rows in the channel and n_k in bin k,

    log L_i = (1/deff_i) sum_k n_k ln(b_i(k) / c_i),
    c_i = 1 + (tol + z/sqrt(n_eff)) sd_q(b_i) + z**2 max(b_i) / (6 n_eff),   n_eff = n_ref/deff_i.

Null hypothesis: the live law p of each channel has a chi-square distance from the true reference
law of at most tol**2. Then, by Cauchy and Schwarz, E_p[b_i] is at most 1 + tol sd_q(b_i).

What is exact: with independent rows, a law q that is known (z = 0) and deff 1, E[L_i] <= 1. What is
heuristic, and checked by simulation: the terms in z, which allow for a law known from n_ref rows
only, and the power 1/deff, which is right where window sums are close to normal.

Under optional stopping: where that is exact, L_i has, given the past, a mean of at most 1. So
products over windows are e-processes (`skew`), and the recursion in `shiryaev_roberts` keeps its
budget. deff must be known before the window, and its rows must not say when it ends.

Source: Shin, Ramdas & Rinaldo, "E-detectors: a nonparametric framework for sequential change
detection" (New England Journal of Statistics in Data Science, 2024) for mixtures of tilts; the
constant c_i is ours: the Cauchy-Schwarz bound, and Bernstein's inequality for the terms in z.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.reference import ROLE_WEIGHTS, Reference, ReferenceChannel
from driftline_stats.drift.tilts import (
    FAMILY_WEIGHTS,
    Direction,
    directions,
    law,
    strengths_of,
    thetas,
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The sums by which a window enters, for every direction of every channel.

    A level's score is 1 in its bin, so that the sum is its count, of mean q and sd sqrt(q (1-q)):

    >>> from driftline_stats.drift.reference import unknown_inflation
    >>> from driftline_stats.drift.tilts import Layout
    >>> channel = ReferenceChannel(
    ...     name="plan",
    ...     role="feature",
    ...     layout=Layout(levels=(0, 1)),
    ...     counts=np.array([[7000, 3000]]),
    ...     inflation=unknown_inflation(),
    ... )
    >>> scores = Mixture.of(Reference(channels=(channel,))).scores
    >>> scores.names
    (('plan', 'bin 0'), ('plan', 'bin 1'))
    >>> scores.sums(np.array([55, 45])), scores.mean.round(3), scores.spread.round(3)
    (array([55., 45.]), array([[0.7, 0.3]]), array([[0.458, 0.458]]))

    Attributes:
        names: channel and direction, one each.
        families: one per direction.
        channel: number of the channel of each direction.
        starts: number of the first bin of each channel.
        bins: in all.
        columns: bins that have a score, direction after direction.
        pointers: where each direction begins in `columns`.
        values: scores by stratum, as `columns`.
        mean: of a score under the law, by stratum and direction.
        spread: its standard deviation.
    """

    names: tuple[tuple[str, str], ...]
    families: tuple[str, ...]
    channel: Ints
    starts: Ints
    bins: int
    columns: Ints
    pointers: Ints
    values: Floats
    mean: Floats
    spread: Floats

    def sums(self, counts: npt.NDArray[np.int64], stratum: int = 0) -> Floats:
        """Return the sum of scores of each direction, for one window or, by row, for many."""
        terms = counts[..., self.columns] * self.values[stratum]
        summed: Floats = np.add.reduceat(terms, self.pointers, axis=-1)
        return summed

    def squares(self, counts: npt.NDArray[np.int64], stratum: int = 0) -> Floats:
        """Return the sum of squares of scores, as `sums`."""
        terms = counts[..., self.columns] * self.values[stratum] ** 2
        summed: Floats = np.add.reduceat(terms, self.pointers, axis=-1)
        return summed

    def rows(self, counts: npt.NDArray[np.int64]) -> Floats:
        """Return the rows in the channel of each direction."""
        totals = np.add.reduceat(counts, self.starts, axis=-1)
        return totals[..., self.channel].astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Components by stratum; see the module.

    With a known law and tolerance 0 a row's likelihood ratios have mean 1 under the reference.
    Under the worst law that a tolerance of 0.1 allows, 0.1 standard deviations off, the mean is
    still at most 1, and reaches it:

    >>> from driftline_stats.drift.reference import unknown_inflation
    >>> from driftline_stats.drift.tilts import Layout
    >>> channel = ReferenceChannel(
    ...     name="plan",
    ...     role="feature",
    ...     layout=Layout(levels=(0, 1)),
    ...     counts=np.array([[7000, 3000]]),
    ...     inflation=unknown_inflation(),
    ... )
    >>> mixture = Mixture.of(Reference(channels=(channel,)))
    >>> q, rows, deff = law(channel.counts[0]), np.eye(2, dtype=np.int64), np.ones(2)
    >>> worst = q + 0.1 * np.sqrt(q[0] * q[1]) * np.array([1, -1])
    >>> for p, tolerance in ((q, 0.0), (worst, 0.0), (worst, 0.1)):
    ...     constants = mixture.log_constants(tolerance, 0.0, deff)
    ...     mean = p @ np.exp(mixture.log_ratios(rows, constants, deff))
    ...     print(tolerance, f"{mean.max():.3f}")
    0.0 1.000
    0.0 1.059
    0.1 1.000

    Attributes:
        scores: of the directions.
        direction: number of each component's direction.
        weight: of each component; they sum to 1.
        theta: by stratum and component.
        psi: logarithm of the normaliser, by stratum and component.
        spread: sd_q(b_i), by stratum and component.
        top: max(b_i), by stratum and component.
        n_ref: rows of the reference, by stratum and component.
    """

    scores: Scores
    direction: Ints
    weight: Floats
    theta: Floats
    psi: Floats
    spread: Floats
    top: Floats
    n_ref: Floats

    @classmethod
    def of(cls, reference: Reference) -> "Mixture":
        """Return the mixture for a reference.

        Weights are those of roles (`ROLE_WEIGHTS`), equal by channel within a role, then those of
        families of directions (`FAMILY_WEIGHTS`) within a channel; what is not there has none.
        """
        parts = [_Part.of(channel) for channel in reference.channels]
        scores = _scores(reference, parts)
        offsets = np.cumsum([0, *(len(part.pooled) for part in parts)])
        roles = [channel.role for channel in reference.channels]
        present = sum(ROLE_WEIGHTS[role] for role in set(roles))
        shares = [ROLE_WEIGHTS[role] / present / roles.count(role) for role in roles]
        return cls(
            scores=scores,
            direction=np.concatenate(
                [part.direction + first for part, first in zip(parts, offsets, strict=False)]
            ),
            weight=np.concatenate(
                [part.weight * share for part, share in zip(parts, shares, strict=True)]
            ),
            theta=np.concatenate([part.theta for part in parts], axis=1),
            psi=np.concatenate([part.psi for part in parts], axis=1),
            spread=np.concatenate([part.spread for part in parts], axis=1),
            top=np.concatenate([part.top for part in parts], axis=1),
            n_ref=np.concatenate([part.n_ref for part in parts], axis=1),
        )

    def log_ratios(
        self, counts: npt.NDArray[np.int64], constants: Floats, deff: Floats, stratum: int = 0
    ) -> Floats:
        """Return ln L of every component for one window or, by row, for many.

        Args:
            counts: integers, bins of all channels one after another along the last axis.
            constants: what `log_constants` returned.
            deff: variance inflation of each direction.
            stratum: of all these rows.
        """
        sums = self.scores.sums(counts, stratum)[..., self.direction]
        rows = self.scores.rows(counts)[..., self.direction]
        raw = self.theta[stratum] * sums - rows * (self.psi[stratum] + constants)
        ratios: Floats = raw / deff[self.direction]
        return ratios

    def log_constants(
        self, tolerance: float | Floats, z: float, deff: Floats, stratum: int = 0
    ) -> Floats:
        """Return ln c of every component; see the module.

        Args:
            tolerance: tol, the square root of the chi-square distance that does not matter; one, or
                one of each component, the same within a channel.
            z: standard errors that are allowed for.
            deff: variance inflation of each direction.
            stratum: whose law it is.
        """
        n_eff = np.maximum(self.n_ref[stratum], 1.0) / deff[self.direction]
        allowed = (tolerance + z / np.sqrt(n_eff)) * self.spread[stratum]
        constants: Floats = np.log1p(allowed + z**2 * self.top[stratum] / (6 * n_eff))
        return constants


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One channel's share of a mixture; numbers of directions count from 0."""

    pooled: list[Direction]
    strata: list[list[Direction]]
    direction: Ints
    weight: Floats
    theta: Floats
    psi: Floats
    spread: Floats
    top: Floats
    n_ref: Floats

    @classmethod
    def of(cls, channel: ReferenceChannel) -> "_Part":
        pooled = channel.pooled
        laws = [law(each) for each in channel.counts]
        strata = [directions(channel.layout, q) for q in laws]
        smallest = float(channel.counts.sum(axis=1).min())
        deff = (
            np.maximum(channel.inflation, 1.0) if channel.inflation.size else np.ones(len(pooled))
        )
        whole = law(channel.counts.sum(axis=0))
        strengths = [
            strengths_of(each, whole, smallest / by) for each, by in zip(pooled, deff, strict=True)
        ]
        moments = [_moments(each, q, strengths) for each, q in zip(strata, laws, strict=True)]
        theta, psi, spread, top = (np.array(each) for each in zip(*moments, strict=True))
        lengths = [len(each) for each in strengths]
        return cls(
            pooled=pooled,
            strata=strata,
            direction=np.repeat(np.arange(len(pooled)), lengths),
            weight=_weights(pooled, lengths),
            theta=theta,
            psi=psi,
            spread=spread,
            top=top,
            n_ref=np.repeat(channel.counts.sum(axis=1)[:, None], sum(lengths), axis=1) * 1.0,
        )


def _weights(pooled: list[Direction], lengths: list[int]) -> Floats:
    """Return weights that sum to 1, equal within a family by direction, and within that."""
    families = [each.family for each in pooled]
    shares = np.array([FAMILY_WEIGHTS[each] / families.count(each) for each in families])
    return np.repeat(shares / shares.sum() / lengths, lengths)


def _moments(
    ways: list[Direction], q: Floats, strengths: list[tuple[float, ...]]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return theta, psi, sd(b) and max(b) of each component of a channel in a stratum."""
    pairs = [
        (each.scores, theta)
        for each, own in zip(ways, strengths, strict=True)
        for theta in thetas(each, q, own)
    ]
    tilt = np.array([theta for _, theta in pairs])
    exponent = np.array([scores for scores, _ in pairs]) * tilt[:, None]
    highest = exponent.max(axis=1)
    psi = highest + np.log(np.exp(exponent - highest[:, None]) @ q)
    ratio = np.exp(exponent - psi[:, None])
    return tilt, psi, np.sqrt(np.maximum(ratio**2 @ q - 1, 0.0)), ratio.max(axis=1)


def _scores(reference: Reference, parts: list[_Part]) -> Scores:
    lengths = [channel.layout.bins for channel in reference.channels]
    starts = np.cumsum([0, *lengths])
    every = [
        (at, number, each)
        for at, part in enumerate(parts)
        for number, each in enumerate(part.pooled)
    ]
    # A bin without a score in one stratum may have one in another.
    used = [
        np.flatnonzero(np.any([own[number].scores != 0 for own in parts[at].strata], axis=0))
        for at, number, _ in every
    ]
    used = [bins if bins.size else np.zeros(1, np.int64) for bins in used]
    strata = range(len(reference.strata))
    laws = [[law(each) for each in channel.counts] for channel in reference.channels]
    found = [[parts[at].strata[s][number].scores for at, number, _ in every] for s in strata]
    mean = np.array(
        [[laws[at][s] @ found[s][i] for i, (at, _, _) in enumerate(every)] for s in strata]
    )
    square = np.array(
        [[laws[at][s] @ found[s][i] ** 2 for i, (at, _, _) in enumerate(every)] for s in strata]
    )
    return Scores(
        names=tuple((reference.channels[at].name, each.name) for at, _, each in every),
        families=tuple(each.family for _, _, each in every),
        channel=np.array([at for at, _, _ in every]),
        starts=starts[:-1],
        bins=int(starts[-1]),
        columns=np.concatenate([b + starts[at] for b, (at, _, _) in zip(used, every, strict=True)]),
        pointers=np.cumsum([0, *(each.size for each in used)])[:-1],
        values=np.array(
            [np.concatenate([found[s][i][b] for i, b in enumerate(used)]) for s in strata]
        ),
        mean=mean,
        spread=np.sqrt(np.maximum(square - mean**2, 1e-300)),
    )
