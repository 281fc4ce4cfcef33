"""What live traffic is compared with: the counts of a reference, channel by channel."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.tilts import Direction, Layout, directions, law
from driftline_stats.errors import StateError
from driftline_stats.state import State

#: The share of a detector's weight that each role's channels get together, before scaling to 1.
ROLE_WEIGHTS = {"feature": 0.66, "prediction": 0.14, "pair": 0.1, "distance": 0.05, "errors": 0.05}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferenceChannel(State):
    """One histogram of the reference.

    A channel of one bin says nothing, and is none:

    >>> counts, unknown = np.array([[700, 300]]), unknown_inflation()
    >>> two = Layout(levels=(0, 1))
    >>> channel = ReferenceChannel(
    ...     name="plan", role="feature", layout=two, counts=counts, inflation=unknown
    ... )
    >>> [each.name for each in channel.pooled]
    ['bin 0', 'bin 1']
    >>> replace(channel, layout=Layout(ordered=(0,)), counts=np.array([[1000]]))
    Traceback (most recent call last):
    ...
    driftline_stats.errors.StateError: plan: a channel of 1 bins cannot drift

    Attributes:
        name: unique within the reference.
        role: a key of ROLE_WEIGHTS.
        layout: what its bins are.
        counts: rows by stratum and bin.
        inflation: variance inflation of each direction's window sums in the reference, 1 where rows
            are independent; empty where it is not known.
    """

    KIND: ClassVar[str] = "drift-reference-channel"

    name: str
    role: str
    layout: Layout
    counts: npt.NDArray[np.int64]
    inflation: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.role not in ROLE_WEIGHTS:
            raise StateError(
                f"{self.name}: role {self.role!r} is none of {', '.join(ROLE_WEIGHTS)}"
            )
        if self.counts.ndim != 2 or self.counts.shape[1] != self.layout.bins:
            raise StateError(
                f"{self.name}: expected counts of {self.layout.bins} bins in one or more strata, "
                f"found shape {self.counts.shape}"
            )
        if not self.pooled:
            raise StateError(f"{self.name}: a channel of {self.layout.bins} bins cannot drift")
        if (self.counts < 0).any():
            raise StateError(f"{self.name}: counts cannot be negative")

    @property
    def pooled(self) -> list[Direction]:
        """The directions by the law of all strata together."""
        return directions(self.layout, law(self.counts.sum(axis=0)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference(State):
    """The reference of a model, frozen when a detector starts.

    How well its law is known is said by its smallest stratum:

    >>> channel = ReferenceChannel(
    ...     name="plan",
    ...     role="feature",
    ...     layout=Layout(levels=(0, 1)),
    ...     counts=np.array([[700, 300], [1500, 2500]]),
    ...     inflation=unknown_inflation(),
    ... )
    >>> Reference(channels=(channel,), strata=("day", "night")).rows
    1000

    Attributes:
        channels: in an order that does not matter to any result.
        ordered: whether its rows stood in the order of time, so that their inflation can be
            trusted. A shuffled reference knows nothing of how rows depend on those before; one of
            rows that are known to be independent may say so, with no inflation.
        strata: what a row's stratum is called, one name per row of a channel's counts.
    """

    KIND: ClassVar[str] = "drift-reference"

    channels: tuple[ReferenceChannel, ...]
    ordered: bool = False
    strata: tuple[str, ...] = ("all",)

    def __post_init__(self) -> None:
        names = [each.name for each in self.channels]
        if not names or len(set(names)) != len(names):
            raise StateError(f"a reference needs one or more channels, all of other names: {names}")
        for each in self.channels:
            if each.counts.shape[0] != len(self.strata):
                raise StateError(
                    f"{each.name}: expected counts of {len(self.strata)} strata, "
                    f"found {each.counts.shape[0]}"
                )

    @property
    def rows(self) -> int:
        """Rows of the smallest stratum, by the channel that has most of them."""
        return int(max(each.counts.sum(axis=1).min() for each in self.channels))

    def with_inflation(self, inflation: Sequence[npt.NDArray[np.float64]]) -> Self:
        """Return the reference with the inflation of each channel, measured in time's order."""
        channels = zip(self.channels, inflation, strict=True)
        known = tuple(replace(each, inflation=found) for each, found in channels)
        return replace(self, channels=known, ordered=True)


def unknown_inflation() -> npt.NDArray[np.float64]:
    """Return what stands for an inflation that is not known: no numbers, where 1 would be one.

    >>> unknown_inflation().size
    0
    """
    return np.empty(0)
