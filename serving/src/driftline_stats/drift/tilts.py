"""Ways in which a channel can drift: exponential tilts of its reference law.

A channel is a histogram: k bins with the reference law q. A direction gives each bin a score s(k);
component i tilts q along it by theta_i:

    b_i(k) = exp(theta_i s(k) - psi_i),    psi_i = ln sum_k q_k exp(theta_i s(k)),

the likelihood ratio of the tilted law to q, whose mean under q is 1. Because ln b_i is affine in
the score, a window enters only by its rows n and its sum of scores, for every component alike.

Directions and their strength lambda, which is about the square root of the chi-square distance:

- location and scale: the bin's mean normal score z, and (z**2 - 1)/sqrt(2); theta = +-lambda;
- shares (a level, a tail, missing, out of range): the share p of a set of bins becomes
  q +- lambda sqrt(q (1 - q)), of which the chi-square distance is lambda**2 exactly;
- pairs: the sign of the product of two terciles, scaled to variance 1; theta = +-lambda.

These are the alternatives, and no test by themselves: `mixture` has the null hypothesis, and what
holds under optional stopping. They are fixed before the first live row.

Source: Shin, Ramdas & Rinaldo, "E-detectors" (New England Journal of Statistics in Data Science,
2024), for mixtures of exponential tilts; the choice of directions is ours.

The smallest lambda is 10/sqrt(n_eff): a smaller one could not tell drift from the error with which
n_eff reference rows know q.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import StateError
from driftline_stats.state import State

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LAMBDAS = (0.15, 0.3, 0.6, 1.2)
#: The smallest lambda times the square root of the reference's effective rows.
RESOLUTION = 10.0
#: What a bin's count gains before it becomes a share, so that no bin is impossible.
PSEUDO_COUNT = 0.5
#: Of the values in a tail, at most; a little more than a twentieth, the size of a bin.
TAIL = 0.06
#: The share of a channel's weight that each family of directions gets, before scaling to 1.
FAMILY_WEIGHTS = {
    "location": 0.27,
    "scale": 0.3,
    "tail": 0.17,
    "level": 0.5,
    "missing": 0.13,
    "range": 0.13,
    "concordance": 1.0,
}
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout(State):
    """What the bins of a channel are, by their numbers.

    >>> Layout(ordered=(0, 1, 2), missing=(3,), range=(0, 2)).bins
    4
    >>> Layout(ordered=(0, 1), missing=(1,))
    Traceback (most recent call last):
    ...
    driftline_stats.errors.StateError: each of the bins must stand in one place, found [0, 1, 1]

    Attributes:
        ordered: bins of values, from low to high.
        levels: bins of values without an order.
        missing: bins of rows that have no value.
        grid: bins of a table of terciles, row by row.
        range: bins of what the reference hardly has: out of its range, infinite, a new level. They
            may be ordered too.
    """

    KIND: ClassVar[str] = "drift-layout"

    ordered: tuple[int, ...] = ()
    levels: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()
    grid: tuple[int, ...] = ()
    range: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        every = sorted(self._once)
        if every != list(range(len(every))):
            raise StateError(f"each of the bins must stand in one place, found {every}")
        if len(self.grid) not in (0, 9):
            raise StateError(f"a table of terciles has 9 bins, found {len(self.grid)}")

    @property
    def bins(self) -> int:
        """How many there are."""
        return len(self._once)

    @property
    def _once(self) -> list[int]:
        apart = set(self.range) - set(self.ordered)
        return [*self.ordered, *self.levels, *self.missing, *self.grid, *apart]


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """A way for a channel to drift.

    Attributes:
        family: a key of FAMILY_WEIGHTS.
        name: what moves, for people: "location", "bin 7", "missing".
        scores: one per bin.
        share: whether the scores are 0 and 1, the set of bins whose share changes.
        both_ways: whether it is also looked for the other way.
    """

    family: str
    name: str
    scores: Floats
    share: bool
    both_ways: bool


def law(counts: Ints) -> Floats:
    """Return the reference law: shares of the bins, none of them zero.

    Each bin counts half a row more than it has (the posterior mean under Jeffreys' prior).

    >>> law(np.array([3, 0]))
    array([0.875, 0.125])
    """
    shares: Floats = (counts + PSEUDO_COUNT) / (counts.sum() + PSEUDO_COUNT * counts.size)
    return shares


def directions(layout: Layout, q: Floats) -> list[Direction]:
    """Return the directions of a channel in a fixed order, whatever q is.

    >>> layout = Layout(ordered=(0, 1, 2), missing=(3,))
    >>> [each.name for each in directions(layout, np.array([0.3, 0.3, 0.3, 0.1]))]
    ['location', 'scale', 'low tail', 'high tail', 'both tails', 'missing']
    """
    return [
        *_ordered(layout, q),
        *(_share("level", f"bin {bin_}", [bin_], q, both_ways=True) for bin_ in layout.levels),
        *(_share("missing", "missing", [bin_], q, both_ways=True) for bin_ in layout.missing),
        *(_share("range", f"bin {bin_}", [bin_], q, both_ways=False) for bin_ in layout.range),
        *_concordance(layout, q),
    ]


def _ordered(layout: Layout, q: Floats) -> Iterator[Direction]:
    if len(layout.ordered) < 2:
        return
    first, second = normal_scores(q[list(layout.ordered)])
    for name, scores in (("location", first), ("scale", (second - 1) / math.sqrt(2))):
        over_all = np.zeros(q.size)
        over_all[list(layout.ordered)] = scores
        yield Direction(family=name, name=name, scores=over_all, share=False, both_ways=True)
    low, high = (_tail(end, layout.range, q) for end in (layout.ordered, layout.ordered[::-1]))
    for name, bins in (("low tail", low), ("high tail", high), ("both tails", [*low, *high])):
        yield _share("tail", name, bins, q, both_ways=False)


def _tail(ordered: Sequence[int], out_of_range: Sequence[int], q: Floats) -> list[int]:
    """Return the outermost bins, which hold no more than TAIL of the values.

    At least one of them is not out of range, since those are looked at by themselves.
    """
    whole = float(q[list(ordered)].sum())
    tail, held = list[int](), 0.0
    for bin_ in ordered:
        held += float(q[bin_]) / whole
        if held > TAIL and any(each not in out_of_range for each in tail):
            break
        tail.append(bin_)
    return tail[: max(1, len(ordered) // 2)]


def _share(family: str, name: str, bins: Sequence[int], q: Floats, *, both_ways: bool) -> Direction:
    scores = np.zeros(q.size)
    scores[list(bins)] = 1.0
    return Direction(family=family, name=name, scores=scores, share=True, both_ways=both_ways)


def _concordance(layout: Layout, q: Floats) -> Iterator[Direction]:
    if not layout.grid:
        return
    scores = np.zeros(q.size)
    scores[list(layout.grid)] = np.outer([-1, 0, 1], [-1, 0, 1]).ravel()
    spread = math.sqrt(float(q @ scores**2) - float(q @ scores) ** 2)
    yield Direction(
        family="concordance",
        name="concordance",
        scores=scores / max(spread, 1e-3),
        share=False,
        both_ways=True,
    )


def normal_scores(q: Floats) -> tuple[Floats, Floats]:
    """Return the first two moments of a standard normal within bins of these shares.

    >>> first, second = normal_scores(np.array([1.0, 1.0]))
    >>> first.round(3), second.round(3)
    (array([-0.798,  0.798]), array([1., 1.]))
    """
    shares = q / q.sum()
    inner = np.clip(np.cumsum(shares)[:-1], 1e-12, 1 - 1e-12)
    edges = np.array([_NORMAL.inv_cdf(float(each)) for each in inner])
    density = np.array([0.0, *(_NORMAL.pdf(float(each)) for each in edges), 0.0])
    moment = density * np.array([0.0, *edges, 0.0])
    return -np.diff(density) / shares, 1 - np.diff(moment) / shares


def lambdas(n_eff: float) -> tuple[float, ...]:
    """Return the strengths to look for with a reference of so many effective rows.

    >>> lambdas(10_000)
    (0.15, 0.3, 0.6, 1.2)
    >>> [round(each, 3) for each in lambdas(1_000)]
    [0.316, 0.6, 1.2]
    """
    smallest = RESOLUTION / math.sqrt(max(n_eff, 1.0))
    return tuple(dict.fromkeys(max(each, smallest) for each in LAMBDAS))


def thetas(direction: Direction, q: Floats, strengths: Sequence[float]) -> list[float]:
    """Return the tilt for each strength, signed.

    A share never becomes less than a tenth of what it was, nor does what is left of it.

    >>> rare = Direction(
    ...     family="level", name="a", scores=np.array([1.0, 0.0]), share=True, both_ways=True
    ... )
    >>> [round(each, 2) for each in thetas(rare, np.array([0.01, 0.99]), [0.3])]
    [1.41]
    """
    if not direction.share:
        return list(strengths)
    share = float(q @ direction.scores)
    moved = np.array(strengths) * math.sqrt(share * (1 - share))
    wanted = np.clip(share + moved, share / 10, 1 - (1 - share) / 10)
    tilts: list[float] = (np.log(wanted / share) - np.log((1 - wanted) / (1 - share))).tolist()
    return tilts


def strengths_of(direction: Direction, q: Floats, n_eff: float) -> tuple[float, ...]:
    """Return the signed strengths that a direction is looked at with.

    A share that is too small to lose a strength is only looked at upwards.

    >>> level = Direction(
    ...     family="level", name="a", scores=np.array([1.0, 0.0]), share=True, both_ways=True
    ... )
    >>> for share in (0.1, 0.01):
    ...     print(share, strengths_of(level, np.array([share, 1 - share]), 10_000))
    0.1 (0.15, 0.3, 0.6, 1.2, -0.15, -0.3)
    0.01 (0.15, 0.3, 0.6, 1.2)
    """
    up = lambdas(n_eff)
    if not direction.both_ways:
        return up
    down = tuple(-each for each in up)
    if direction.share:
        share = float(q @ direction.scores)
        room = 0.9 * share / math.sqrt(share * (1 - share))
        down = tuple(each for each in down if -each <= room)
    return (*up, *down)
