"""The distance of a row from the centre of the reference, exact whatever rows are beside it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.plan import Plan

Numbers = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

#: Steps of u in one scale, and where it is cut off: at 8 scales.
STEPS = 16
CUT = 8 * STEPS
#: Sums of products of whitening and (u - centre) stay below 2**24, so float32 holds them exactly.
LARGEST_ROW = (1 << 24) // (2 * CUT) - 1


def quantised(d: Numbers, scale: Numbers, centre: Numbers) -> Numbers:
    """Return u - centre, where u = round(16 d / scale), at most 128; 0 where d is missing.

    Args:
        d: shape [features, rows].
        scale: shape [features, 1].
        centre: whole numbers, shape [features, 1].
    """
    u = d * (np.float32(STEPS) / scale)
    np.rint(u, out=u)
    np.clip(u, -CUT, CUT, out=u)
    np.subtract(u, centre, out=u)
    u[np.isnan(u)] = 0
    return u


def squared_lengths(whitening: Numbers, u: Numbers) -> npt.NDArray[np.float64]:
    """Return the squared length of `whitening @ u` of each column: exact, as all are integers."""
    whitened = np.matmul(whitening, u).astype(np.float64)
    np.multiply(whitened, whitened, out=whitened)
    lengths: npt.NDArray[np.float64] = whitened.sum(axis=0)
    return lengths


@dataclass(frozen=True, slots=True, kw_only=True)
class DistanceIndex:
    """The bin of each row's distance."""

    features: Ints
    all_of: int
    scale: Numbers
    centre: Numbers
    whitening: Numbers
    edges: npt.NDArray[np.float64]

    @classmethod
    def of(cls, plan: Plan) -> "DistanceIndex | None":
        """Return the index of a plan's distance, if it has one."""
        distance = plan.distance
        if distance is None:
            return None
        return cls(
            features=np.array(distance.features, np.int64),
            all_of=len(plan.numeric),
            scale=np.array([plan.numeric[at].scale for at in distance.features], np.float32)[
                :, None
            ],
            centre=distance.centre.astype(np.float32)[:, None],
            whitening=distance.whitening.astype(np.float32),
            edges=np.square(distance.edges * distance.unit),
        )

    def bins_of(self, d: Numbers) -> Ints:
        """Return the bin of each column of d."""
        chosen = d if len(self.features) == self.all_of else d[self.features]
        lengths = squared_lengths(self.whitening, quantised(chosen, self.scale, self.centre))
        return np.searchsorted(self.edges, lengths, side="right")
