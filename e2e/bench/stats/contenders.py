"""Who counts rows: each is given batches of float32, shape [rows, features].

This runs in the environment of `requirements/bench-stats.txt`.
"""

from collections.abc import Callable

import datasketches
import numpy as np
import numpy.typing as npt
from river import drift

from driftline_stats.drift.bins import BinKind
from driftline_stats.drift.kernel import Counter, Kernel
from driftline_stats.drift.plan import Plan
from driftline_stats.drift.profile import Profile
from driftline_stats.drift.rows import Rows
from e2e.bench.stats.names import ADWIN, ALL, AT_ONCE, KLL, OURS, SEARCHSORTED

Batch = npt.NDArray[np.float32]
Update = Callable[[Batch], object]


def contenders(profile: Profile) -> dict[str, Update]:
    """Return everybody, ready for the first batch of features like those of a profile."""
    marginal = Kernel(Plan(numeric=profile.plan.numeric))
    return {
        OURS: _counter(marginal),
        ALL: _counter(Kernel(profile.plan)),
        AT_ONCE: _at_once(marginal),
        KLL: datasketches.vector_of_kll_floats_sketches(200, len(profile.plan.numeric)).update,
        SEARCHSORTED: _searchsorted(profile),
        ADWIN: _adwin(len(profile.plan.numeric)),
    }


def _counter(kernel: Kernel) -> Update:
    counter = Counter(kernel)
    return lambda batch: counter.add(Rows(numeric=batch))


def _at_once(kernel: Kernel) -> Update:
    values = np.zeros(kernel.bins, np.int64)
    return lambda batch: kernel.add_block(values, batch)


def _searchsorted(profile: Profile) -> Update:
    """Bins as ours, by what numpy offers for it, feature after feature."""
    channels = [each for each in profile.channels if each.kind == "numeric"]
    edges = [each.edges.astype(np.float32) for each in channels]
    # NaN is sorted behind everything: one more bin for it, and above is what infinity is in.
    assert all(each.bins[-2:] == (BinKind.MISSING, BinKind.INFINITE) for each in channels)
    counts = [np.zeros(len(each) + 2, np.int64) for each in edges]

    def update(batch: Batch) -> None:
        for feature, (at, count) in enumerate(zip(edges, counts, strict=True)):
            bins = np.searchsorted(at, batch[:, feature], side="right")
            np.add(count, np.bincount(bins, minlength=len(count)), out=count)

    return update


def _adwin(features: int) -> Update:
    """One detector a feature; it takes one value at a time."""
    detectors = [drift.ADWIN() for _ in range(features)]

    def update(batch: Batch) -> None:
        for row in batch.tolist():
            for detector, value in zip(detectors, row, strict=True):
                detector.update(value)

    return update
