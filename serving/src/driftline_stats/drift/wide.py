"""A wide tensor, such as an image, as few numbers that move when it does."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.rows import Feature
from driftline_stats.errors import BatchError
from driftline_stats.state import State

#: Tensors of more columns are watched by what `Wide` makes of them.
WIDE = 256
PROJECTIONS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Wide(State):
    """Norm, mean, missing share, and 16 random projections of each row of a tensor.

    A projection is `sum_j s_j x_j / sqrt(columns)` with fixed random signs s (Achlioptas,
    "Database-friendly random projections", JCSS 2003): a shift of the mean by a vector v moves it
    by a random multiple of mean square |v|^2 / columns. What changes neither these nor the norm is
    not seen. Values that are not finite are 0 in the projections; norm and mean are over the
    finite ones, and infinite where there are infinities.

    >>> wide = Wide(name="image", columns=4)
    >>> [feature.name for feature in wide.features[:4]]
    ['image.norm', 'image.mean', 'image.missing', 'image.projection00']
    >>> wide.numbers(np.ones((1, 4))).shape
    (1, 19)

    Attributes:
        name: of the tensor.
        columns: how many values each row has.
        seed: of the signs.
    """

    KIND: ClassVar[str] = "drift-wide"
    name: str
    columns: int
    seed: int = 0

    @property
    def features(self) -> tuple[Feature, ...]:
        """What comes out, in order."""
        projections = (f"projection{at:02}" for at in range(PROJECTIONS))
        parts = ("norm", "mean", "missing", *projections)
        return tuple(Feature(name=f"{self.name}.{part}") for part in parts)

    def signs(self) -> npt.NDArray[np.float64]:
        """Return the projections' signs, shape [columns, 16]; they are not stored, so keep them."""
        words = -(-self.columns * PROJECTIONS // 64)
        raw = np.random.Philox(key=self.seed).random_raw(words).astype("<u8")
        bits = np.unpackbits(raw.view(np.uint8))[: self.columns * PROJECTIONS]
        signs: npt.NDArray[np.float64] = np.where(bits.reshape(-1, PROJECTIONS), 1.0, -1.0)
        return signs

    def numbers(
        self, tensor: npt.ArrayLike, signs: npt.NDArray[np.float64] | None = None
    ) -> npt.NDArray[np.float32]:
        """Return the numbers of each row, float32, shape [rows, 19].

        Args:
            tensor: shape [rows, ...], numbers.
            signs: what `signs` has returned, so that they are not made anew.

        Raises:
            BatchError: rows do not have that many columns.
        """
        values = np.asarray(tensor, np.float64)
        values = values.reshape(len(values), -1) if values.size else values.reshape(0, self.columns)
        if values.shape[1] != self.columns:
            raise BatchError(f"{self.name}: expected {self.columns} columns, got {values.shape[1]}")
        finite = np.isfinite(values)
        infinite = np.isinf(values).any(axis=1)
        known = np.where(finite, values, 0.0)
        number = finite.sum(axis=1)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            projected = known @ (self.signs() if signs is None else signs) / np.sqrt(self.columns)
            norm = np.where(infinite, np.inf, np.sqrt(np.square(known).sum(axis=1)))
            mean = np.where(infinite, np.inf, known.sum(axis=1) / number)
            missing = np.isnan(values).mean(axis=1)
            parts = [norm[:, None], mean[:, None], missing[:, None], projected]
            return np.concatenate(parts, axis=1).astype(np.float32)
