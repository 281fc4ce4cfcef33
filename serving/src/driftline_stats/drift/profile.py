"""A profile: what is counted, and how the reference came out. Counts: how live rows did."""

import base64
import zlib
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.channels import Channel, channels_of
from driftline_stats.drift.plan import Plan
from driftline_stats.errors import StateError
from driftline_stats.state import State

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counts(State):
    """How many rows fell into each bin of each channel. Merging is addition.

    Counts that only grow are what a replica gives; what came between two looks is the difference:

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.kernel import Kernel
    >>> from driftline_stats.drift.rows import Feature, rows_of
    >>> features = (Feature(name="age"),)
    >>> earlier = rows_of(features, {"age": range(100)})
    >>> profile = build(features, earlier)
    >>> kernel = Kernel(profile.plan)
    >>> window = kernel.count(rows_of(features, {"age": [20, 30, None]}))
    >>> later = kernel.count(earlier) + window
    >>> later.rows, later - kernel.count(earlier) == window
    (103, True)

    Attributes:
        plan: digest of the plan by which was counted.
        rows: how many rows were.
        values: shape [all bins]; `Channel.place` says which are whose.
    """

    KIND: ClassVar[str] = "drift-counts"
    plan: str
    rows: int
    values: Ints

    def __post_init__(self) -> None:
        if self.rows < 0 or (len(self.values) and int(self.values.min()) < 0):
            raise StateError(f"counts below zero, of {self.rows} rows")

    @classmethod
    def none(cls, plan: Plan) -> Self:
        """Return the counts of no rows."""
        return cls(plan=plan.digest, rows=0, values=np.zeros(plan.starts[-1], np.int64))

    def __add__(self, other: "Counts") -> "Counts":
        """Return the counts of the rows of both.

        Raises:
            StateError: they are of different plans.
        """
        self._check(other)
        return Counts(
            plan=self.plan, rows=self.rows + other.rows, values=self.values + other.values
        )

    def __sub__(self, earlier: "Counts") -> "Counts":
        """Return the counts of the rows since earlier ones, of which these are the continuation.

        Raises:
            StateError: they are of different plans, or not earlier.
        """
        self._check(earlier)
        return Counts(
            plan=self.plan, rows=self.rows - earlier.rows, values=self.values - earlier.values
        )

    def update(self, batch: "Counts") -> "Counts":
        """Return the counts after one more batch: the same as adding it."""
        return self + batch

    merge = update

    def of(self, channel: Channel) -> Ints:
        """Return the counts of one channel, shape [bins]."""
        return self.values[channel.place]

    def _check(self, other: "Counts") -> None:
        if (self.plan, self.values.shape) != (other.plan, other.values.shape):
            raise StateError(f"counts of plan {self.plan} and of {other.plan} do not add")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(State):
    """How the reference came in time: counts of successive blocks of rows.

    Variance inflation (deff) of any sum over bins is the variance of its block sums, over the
    block's rows times its variance under q. Rows that do not come in time tell nothing about it.

    >>> order = Order.of(100, np.array([[90, 10], [40, 60]]))
    >>> order.width, order.counts.tolist()
    (1, [[90, 10], [40, 60]])

    Attributes:
        rows: rows of each block.
        blocks: number of blocks; the last rows, which fill none, are left out.
        width: bytes of each count.
        packed: their counts, as text: `counts` unpacks them.
    """

    KIND: ClassVar[str] = "drift-order"
    rows: int
    blocks: int
    width: int
    packed: str

    @classmethod
    def of(cls, rows: int, counts: Ints) -> Self:
        """Return the order of blocks of so many rows, whose counts have shape [blocks, bins]."""
        # The same bin of all blocks stands together: like numbers pack well.
        width = next(width for width in (1, 2, 4, 8) if rows < 1 << 8 * width)
        raw = np.ascontiguousarray(counts.T, f"<u{width}").tobytes()
        packed = base64.b85encode(zlib.compress(raw)).decode()
        return cls(rows=rows, blocks=len(counts), width=width, packed=packed)

    @property
    def counts(self) -> Ints:
        """Return the counts, shape [blocks, all bins].

        Raises:
            StateError: they are damaged.
        """
        try:
            raw = zlib.decompress(base64.b85decode(self.packed))
            by_bin = np.frombuffer(raw, f"<u{self.width}").reshape(-1, self.blocks)
        except (ValueError, TypeError, zlib.error) as error:
            raise StateError(f"{self.KIND}.packed: {error}") from error
        return np.ascontiguousarray(by_bin.T, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile(State):
    """A reference: training data, or the first live rows that were accepted.

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.rows import Feature, rows_of
    >>> features = (Feature(name="age"),)
    >>> profile = build(features, rows_of(features, {"age": range(100)}))
    >>> Profile.from_json(profile.to_json()) == profile, profile.merge(profile).n_ref
    (True, 200)

    Attributes:
        plan: what is counted.
        reference: its counts, by the same kernel as those of live rows.
        order: how it came in time; None where its rows did not come in time or were shuffled, and
            so nothing is known of their dependence.
    """

    KIND: ClassVar[str] = "drift-profile"
    plan: Plan
    reference: Counts
    order: Order | None = None

    def __post_init__(self) -> None:
        expected = self.plan.starts[-1]
        if self.reference.values.shape != (expected,):
            raise StateError(
                f"{self.KIND}.reference: {len(self.reference.values)} bins, expected {expected}"
            )
        if self.reference.plan != self.plan.digest:
            raise StateError(f"{self.KIND}.reference: counted by another plan")

    @property
    def n_ref(self) -> int:
        """Rows of the reference."""
        return self.reference.rows

    @property
    def channels(self) -> tuple[Channel, ...]:
        """All channels, in the order in which they are counted."""
        return channels_of(self.plan, self.reference.values)

    def merge(self, other: "Profile") -> "Profile":
        """Return the profile of the rows of both, which were counted by the same plan.

        The order is that of the longer one: blocks of different stretches of time do not add.

        Raises:
            StateError: the plans differ.
        """
        order = max(self.order, other.order, key=_rows_in_order)
        return Profile(plan=self.plan, reference=self.reference + other.reference, order=order)


def _rows_in_order(order: Order | None) -> tuple[int, str]:
    return (order.rows * order.blocks, order.packed) if order is not None else (0, "")
