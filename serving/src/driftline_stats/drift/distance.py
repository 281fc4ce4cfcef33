"""The distance of a row from the centre of the reference, exact whatever rows are beside it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.plan import Plan

Numbers = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

#: Steps of u in one scale.
STEPS = 16
#: Rows that are taken at once.
STEP = 1024
#: Where u is cut off: at 8 scales.
CUT = 8 * STEPS
#: Sums of products of whitening and (u - centre) stay below 2**24, so float32 holds them exactly.
LARGEST_ROW = (1 << 24) // (2 * CUT) - 1


def quantised(d: Numbers, scale: Numbers, centre: Numbers, out: Numbers) -> Numbers:
    """Return u - centre, where u = round(16 d / scale), at most 128; 0 where d is missing.

    >>> d, one = np.array([[0.5, -100, np.nan]], np.float32), np.ones((1, 1), np.float32)
    >>> quantised(d, scale=one, centre=0 * one, out=np.empty_like(d)).tolist()
    [[8.0, -128.0, 0.0]]

    Args:
        d: shape [features, rows].
        scale: shape [features, 1].
        centre: whole numbers, shape [features, 1].
        out: where it is written, shape [features, rows].
    """
    with np.errstate(over="ignore", invalid="ignore"):
        np.multiply(d, np.float32(STEPS) / scale, out=out)
    np.rint(out, out=out)
    out.clip(np.float32(-CUT), np.float32(CUT), out=out)
    np.subtract(out, centre, out=out)
    missing = np.isnan(out)
    if missing.any():
        out[missing] = 0
    return out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DistanceIndex:
    """The bin of each row's distance. It keeps memory to work in: one for each thread.

    Two features that rise together: what is far is a row in which one does and the other does not.

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.rows import Feature, Rows
    >>> rng = np.random.default_rng(1)
    >>> size = rng.normal(size=1000)
    >>> numbers = np.stack([size, size + rng.normal(size=1000) / 10], axis=1).astype(np.float32)
    >>> profile = build((Feature(name="height"), Feature(name="weight")), Rows(numeric=numbers))
    >>> index = DistanceIndex.of(profile.plan)
    >>> together, apart = index.distances_of(np.array([[2, 2], [2, -2]], np.float32))
    >>> bool(together < 3), bool(apart > 30)
    (True, True)
    """

    features: Ints
    as_they_stand: bool
    scale: Numbers
    centre: Numbers
    whitening: Numbers
    unit: float
    edges: npt.NDArray[np.float64]
    _u: Numbers
    _whitened: Numbers
    _squares: npt.NDArray[np.float64]

    @classmethod
    def of(cls, plan: Plan) -> "DistanceIndex | None":
        """Return the index of a plan's distance, if it has one."""
        distance = plan.distance
        if distance is None:
            return None
        scales = [plan.numeric[at].scale for at in distance.features]
        shape = len(scales), STEP
        return cls(
            features=np.array(distance.features, np.int64),
            as_they_stand=list(distance.features) == list(range(len(plan.numeric))),
            scale=np.array(scales, np.float32)[:, None],
            centre=distance.centre.astype(np.float32)[:, None],
            whitening=distance.whitening.astype(np.float32),
            unit=distance.unit,
            edges=distance.edges,
            _u=np.empty(shape, np.float32),
            _whitened=np.empty(shape, np.float32),
            _squares=np.empty(shape, np.float64),
        )

    def bins_of(self, d: Numbers) -> Ints:
        """Return the bin of each column of d, shape [numeric features, rows]."""
        bins: Ints = np.searchsorted(self.edges, self.distances_of(d), side="right")
        return bins

    def distances_of(self, d: Numbers) -> npt.NDArray[np.float64]:
        """Return the distance of each column of d: the root of a whole number, over the unit."""
        distances = np.empty(d.shape[1])
        for begin in range(0, d.shape[1], STEP):
            part = d[:, begin : begin + STEP]
            rows = part.shape[1]
            u, whitened, squares = (
                self._u[:, :rows],
                self._whitened[:, :rows],
                self._squares[:, :rows],
            )
            chosen = part if self.as_they_stand else part[self.features]
            quantised(chosen, self.scale, self.centre, u)
            np.matmul(self.whitening, u, out=whitened)
            np.copyto(squares, whitened)
            np.multiply(squares, squares, out=squares)
            squares.sum(axis=0, out=distances[begin : begin + rows])
        np.sqrt(distances, out=distances)
        distances /= self.unit
        return distances
