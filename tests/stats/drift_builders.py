"""Rows of every kind, for tests of drift."""

import numpy as np
from hypothesis import strategies as st

from driftline_stats.drift.rows import Feature, Rows

FEATURES = (
    Feature(name="a"),
    Feature(name="b"),
    Feature(name="score", role="prediction"),
    Feature(name="city", kind="categorical"),
    Feature(name="class", kind="categorical", role="prediction"),
)
#: What a float32 can be at its most inconvenient.
ODD = (np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-45, -1e-40, 3.4e38, -3.4e38, 1.0, 16777217.0)
#: What a level can be at its most inconvenient.
LEVELS = (None, "", "Rome", b"Rome", b"\xff", 0, -1, 7, 3.0, 0.5, True, 2**70, float("nan"), "7")

numbers = st.floats(width=32) | st.integers(-3, 3).map(float)
levels = st.text(max_size=3) | st.integers() | st.sampled_from(LEVELS)


@st.composite
def rows(draw: st.DrawFn, most: int = 60) -> Rows:
    """Return up to so many rows of `FEATURES`, of few values, so that some are heavy."""
    size = draw(st.integers(0, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    few = np.array([*ODD, *draw(st.lists(numbers, max_size=5))], np.float32)
    many = rng.normal(size=(size, 3)).astype(np.float32)
    named = np.empty(len(LEVELS) + 3, object)
    named[:] = [*LEVELS, *draw(st.tuples(levels, levels, levels))]
    return Rows(
        numeric=np.where(rng.random((size, 3)) < 0.5, rng.choice(few, (size, 3)), many),
        categorical=(rng.choice(named, size), rng.integers(0, 4, size)),
    )


def typical(seed: int, size: int, numeric: int = 4) -> tuple[tuple[Feature, ...], Rows]:
    """Return rows as they are in practice: correlated, skewed, whole, with zeros and gaps."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(size, numeric))
    values[:, 1] = np.exp(values[:, 0] + values[:, 1])
    values[:, 2] = rng.poisson(3, size)
    values[:, 3] *= rng.random(size) < 0.5
    values[rng.random((size, numeric)) < 0.01] = np.nan
    features = [Feature(name=f"x{at:03}") for at in range(numeric)]
    features.append(Feature(name="city", kind="categorical"))
    city = np.array(["Rome", "Oslo", "Lima"], object)[rng.choice(3, size, p=(0.7, 0.2, 0.1))]
    return tuple(features), Rows(numeric=values.astype(np.float32), categorical=(city,))
