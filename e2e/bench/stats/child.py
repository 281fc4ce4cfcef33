"""Measures, and prints what was measured: `python -m e2e.bench.stats.child`.

It runs in the environment of the libraries that ours is compared with.
"""

import argparse
import json
import time
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from driftline_stats.drift.build import build
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.profile import Counts, Profile
from driftline_stats.drift.rows import Feature, Rows
from e2e.bench.stats.contenders import Batch, Update, contenders
from e2e.bench.stats.names import BATCHES, FEATURES

#: Rows of the reference, and of what is counted over and over.
REFERENCE = 20_000
ROWS = 8192
CATEGORICAL = 3
LEVELS = 10


def main() -> None:
    """Print what was measured, as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    args = parser.parse_args()
    rates = [
        {"features": features, "batch": batch, "who": who, "rates": found}
        for features in FEATURES
        for batch in BATCHES
        for who, found in measured(features, batch, args.runs, args.seconds).items()
    ]
    versions = [f"{package} {version(package)}" for package in ("datasketches", "numpy", "river")]
    sizes = [sizes_of(features) for features in FEATURES]
    print(json.dumps({"rates": rates, "sizes": sizes, "versions": versions}))


def values(rng: np.random.Generator, rows: int, features: int) -> Batch:
    """Return rows of skewed and symmetric features; 1 % of the values are missing."""
    drawn = rng.normal(size=(rows, features))
    drawn[:, ::2] = np.exp(drawn[:, ::2])
    drawn[rng.random((rows, features)) < 0.01] = np.nan
    return drawn.astype(np.float32)


def profile_of(features: int, categorical: int = 0) -> Profile:
    """Return a profile of such rows."""
    rng = np.random.default_rng(1)
    named = [Feature(name=f"feature_{at:03}") for at in range(features)]
    named += [Feature(name=f"level_{at:03}", kind="categorical") for at in range(categorical)]
    columns = tuple(rng.integers(0, LEVELS, REFERENCE) for _ in range(categorical))
    rows = Rows(numeric=values(rng, REFERENCE, features), categorical=columns)
    return build(named, rows, in_order=True)


def measured(features: int, batch: int, runs: int, seconds: float) -> dict[str, list[float]]:
    """Return rows per second of processor time of each contender, run by run, in turn."""
    rows = values(np.random.default_rng(2), ROWS, features)
    batches = [np.ascontiguousarray(rows[at : at + batch]) for at in range(0, ROWS, batch)]
    found: dict[str, list[float]] = {}
    ready = contenders(profile_of(features))
    for _ in range(runs):
        for who, update in ready.items():
            found.setdefault(who, []).append(rate(update, batches, seconds))
    return found


def rate(update: Update, batches: Sequence[Batch], seconds: float) -> float:
    """Return rows per second of processor time.

    Time is looked at after every 1,024 rows, so that a slow contender is not kept for long.
    """
    rows = 0
    chunk = max(1, 1024 // len(batches[0]))
    began = time.thread_time()
    while True:
        for at in range(0, len(batches), chunk):
            for each in batches[at : at + chunk]:
                update(each)
                rows += len(each)
            took = time.thread_time() - began
            if took > seconds:
                return rows / took


def sizes_of(features: int) -> dict[str, int]:
    """Return how many bytes a profile and its counts take."""
    profile = profile_of(features, CATEGORICAL)
    kernel = Kernel(profile.plan)
    counts = kernel.count(
        Rows(
            numeric=values(np.random.default_rng(3), ROWS, features),
            categorical=(np.zeros(ROWS, np.int64),) * CATEGORICAL,
        )
    )
    assert Counts.from_json(counts.to_json()) == counts
    return {
        "features": features,
        "categorical": CATEGORICAL,
        "pairs": len(profile.plan.pairs),
        "bins": kernel.bins,
        "profile": len(profile.to_json()),
        "order": len(profile.order.packed) if profile.order else 0,
        "counts": counts.values.nbytes,
        "counts_json": len(counts.to_json()),
        "tables": kernel.table_bytes,
    }


if __name__ == "__main__":
    main()
