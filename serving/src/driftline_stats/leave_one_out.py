"""Does the evidence rest on one pod?

Alpha covers the randomness of requests, not the placement of pods: a slow node under the only
canary pod looks like a slow canary. So beside the evidence stands what it would be without each
pod, and an abort whose evidence vanishes without one says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from driftline_stats.errors import BatchError, StateError
from driftline_stats.evidence import judged, log_mean
from driftline_stats.rates import RateBatch, RateRatio
from driftline_stats.state import State

Tests = tuple[RateRatio, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOneOut(State):
    """The evidence of a guardrail, and what it would be without each pod.

    A guardrail is one `RateRatio`, or several whose mean counts, such as one a latency threshold.
    For each pod the same tests are run on the slots less that pod's counts; a pod that comes later
    was left out of what was before by not being there.

    This is a diagnosis, no test: what is said of a pod has no error rate. A pod that is all of its
    arm is named at every abort, since without it there is nothing to compare; that is meant: arm
    and pod cannot then be told apart.

    Attributes:
        whole: the tests on all pods.
        without: by pod, the tests on all others.

    >>> start = LeaveOneOut.start((RateRatio.above(),))
    >>> stable = RateBatch(stable_units=4500, stable_events=45)
    >>> slot = {
    ...     "stable-0": (stable,),
    ...     "stable-1": (stable,),
    ...     "canary-0": (RateBatch(canary_units=500, canary_events=5),),
    ...     "canary-1": (RateBatch(canary_units=500, canary_events=50),),
    ... }
    >>> start.update(slot).rests_on(0.05)
    ('canary-1',)
    """

    KIND: ClassVar[str] = "leave-one-out"

    whole: Tests
    without: dict[str, Tests]

    @classmethod
    def start(cls, tests: Sequence[RateRatio]) -> Self:
        """Start with tests that have seen nothing."""
        return cls(whole=tuple(tests), without={})

    def __post_init__(self) -> None:
        for pod, tests in self.without.items():
            if len(tests) != len(self.whole):
                raise StateError(f"{pod}: {len(tests)} tests, expected {len(self.whole)}")

    def update(self, slot: Mapping[str, Sequence[RateBatch]]) -> Self:
        """Return the tests after one more concurrent slot, as each pod saw it: a batch a test.

        Raises:
            BatchError: a pod has another number of batches than there are tests.
        """
        for pod, batches in slot.items():
            if len(batches) != len(self.whole):
                raise BatchError(f"{pod}: {len(batches)} batches, expected {len(self.whole)}")
        pods = sorted({*self.without, *slot})
        return type(self)(
            whole=_updated(self.whole, slot, leave_out=None),
            without={pod: _updated(self._without(pod), slot, leave_out=pod) for pod in pods},
        )

    def merge(self, other: Self) -> Self:
        """Return the tests after the slots of both, which are different ones.

        Raises:
            StateError: the other's tests are not the same.
        """
        if len(self.whole) != len(other.whole):
            raise StateError(f"{len(self.whole)} tests are not {len(other.whole)}")
        pods = sorted({*self.without, *other.without})
        return type(self)(
            whole=_merged(self.whole, other.whole),
            without={pod: _merged(self._without(pod), other._without(pod)) for pod in pods},
        )

    def _without(self, pod: str) -> Tests:
        return self.without.get(pod, self.whole)

    def rests_on(self, alpha: float) -> tuple[str, ...]:
        """Return the pods without which the null would not be rejected at alpha, though it is.

        Raises:
            ValueError: alpha is not between 0 and 1.
        """
        if not judged(_log_evidence(self.whole), alpha).rejected:
            return ()
        return tuple(
            pod
            for pod, tests in self.without.items()
            if not judged(_log_evidence(tests), alpha).rejected
        )


def _updated(
    tests: Tests, slot: Mapping[str, Sequence[RateBatch]], *, leave_out: str | None
) -> Tests:
    others = [batches for pod, batches in slot.items() if pod != leave_out]
    return tuple(
        test.update(sum((batches[at] for batches in others), RateBatch()))
        for at, test in enumerate(tests)
    )


def _merged(one: Tests, other: Tests) -> Tests:
    return tuple(a.merge(b) for a, b in zip(one, other, strict=True))


def _log_evidence(tests: Tests) -> float:
    return log_mean([test.log_evidence for test in tests])
