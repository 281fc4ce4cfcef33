"""What rows become: counts by a plan, or where there is none yet, a sample that never leaves."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from driftline_api.monitor import BaselineState, DriftCounts, Packed, ProfileFile
from driftline_serving.watched.extract import Extractor
from driftline_stats.drift.build import plan_of
from driftline_stats.drift.kernel import Counter, Kernel
from driftline_stats.drift.plan import Plan
from driftline_stats.drift.rows import Feature, Rows
from driftline_stats.drift.sample import Sampler

PROFILE: Final = "profile"
LEARNED: Final = "learned"
NOTHING: Final = "none"

#: Rows that a plan can be proposed from, rows of a sample, and bytes that it takes. Twice as many
#: are there before it is cut, and as many again while a plan is made of it.
ENOUGH: Final = 1_000
MOST_SAMPLED: Final = 10_000
MOST_SAMPLE_BYTES: Final = 8 * 1024 * 1024
#: A level takes about as much as an object of Python.
_LEVEL_BYTES: Final = 128
_BLOCK: Final = 256


class Sample:
    """A uniform sample of rows, of which bins are made.

    Args:
        features: of the rows.
    """

    def __init__(self, features: tuple[Feature, ...]) -> None:
        self.features = features
        self._sampler = Sampler(size=sample_size(features))
        self._waiting: list[Rows] = []
        self._number = 0

    @property
    def kept(self) -> int:
        """Rows that are kept."""
        return min(self._sampler.seen + self._number, self._sampler.size)

    def add(self, rows: Rows) -> None:
        """See more rows."""
        if not len(rows):
            return
        self._waiting.append(rows)
        self._number += len(rows)
        if self._number >= _BLOCK:
            self._flush()

    def frozen(self) -> Sampler:
        """Return a copy of what is kept, for another thread."""
        self._flush()
        copy = Sampler(size=self._sampler.size)
        copy.merge(self._sampler)
        return copy

    def _flush(self) -> None:
        if self._waiting:
            self._sampler.add(Rows.joined(self._waiting))
        self._waiting, self._number = [], 0


def sample_size(features: tuple[Feature, ...]) -> int:
    """Return how many rows a sample keeps.

    >>> sample_size((Feature(name="x"),) * 20), sample_size((Feature(name="x"),) * 1024)
    (10000, 2048)
    """
    numeric = sum(each.kind == "numeric" for each in features)
    of_row = 4 * numeric + _LEVEL_BYTES * (len(features) - numeric)
    return max(ENOUGH, min(MOST_SAMPLED, MOST_SAMPLE_BYTES // max(of_row, 1)))


def proposed(features: tuple[Feature, ...], sample: Sampler) -> Plan:
    """Return the plan that a sample suggests; slow, and safe in a thread."""
    return plan_of(features, sample)


@dataclass(slots=True, kw_only=True)
class Counting:
    """What is done with the rows of inferences under one configuration.

    Attributes:
        config: its digest.
        extractor: makes the rows; None: nothing is counted.
        source: see `BaselineState`.
        problem: why a profile is refused, for people.
        profile: whose plan it is, narrowed to what is watched.
        sample: of the rows, where there is no plan.
    """

    config: str
    extractor: Extractor | None = None
    source: str = NOTHING
    problem: str = ""
    profile: ProfileFile | None = None
    sample: Sample | None = field(init=False, default=None)
    _counter: Counter | None = field(init=False, default=None)

    def count_by(self, kernel: Kernel) -> None:
        """Count by a plan."""
        self._counter = Counter(kernel)

    def keep_sample(self) -> None:
        """Keep a sample: there is no plan."""
        if self.extractor is not None and self.extractor.features:
            self.sample = Sample(self.extractor.features)

    @property
    def is_ready(self) -> bool:
        """Whether it is known what rows are."""
        return self.extractor is not None

    def add(self, rows: Rows) -> None:
        """Count rows of the extractor."""
        if self._counter is not None:
            self._counter.add(rows)
        elif self.sample is not None:
            self.sample.add(rows)

    def drift(self) -> DriftCounts | None:
        """Return the counts so far; None where there is no plan."""
        if self._counter is None:
            return None
        found = self._counter.counts()
        raw = np.ascontiguousarray(found.values, "<i8").tobytes()
        return DriftCounts(plan=found.plan, rows=found.rows, values=Packed.of(raw))

    def baseline(self) -> BaselineState:
        """Return what there is to compare with."""
        sampled = self.sample.kept if self.sample else 0
        return BaselineState(source=self.source, problem=self.problem, sampled=sampled)
