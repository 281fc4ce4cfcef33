"""Predictions that are remembered until their labels come, in memory that is bounded.

They are kept as they come, in columns, a few thousand to a segment, since all are written and few
are asked for. The ids begin with the time: a segment is found by that, and sorted when it is first
asked. The oldest segment goes when there are too many bytes.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

#: Bytes of all that is kept.
BYTES: Final = 16 * 1024 * 1024
ID_BYTES: Final = 16
#: Segments that the bytes are dealt to: as large a part of them goes at a time.
_SEGMENTS: Final = 64
#: Epochs and arms that are told apart; a router makes a new one with each change of weights.
_MOST_ORIGINS: Final = 4096
#: Of a prediction: its id, origin, rows, whether its values are kept, and its place.
_ROW_BYTES: Final = ID_BYTES + 2 + 4 + 1 + 4
#: Pieces that are laid into one; more of them at a time would be more to do at a time.
_MOST_WAITING: Final = 128

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the router sent a request; empty or None where no router did."""

    arm: str = ""
    epoch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A prediction.

    Attributes:
        origin: where the router sent it.
        rows: that were predicted.
        values: what a loss is made from, shape [rows, width]; None where that was not kept.
    """

    origin: Origin
    rows: int
    values: Floats | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Predictions of one model, as columns.

    Attributes:
        ids: shape [count, 16].
        origins: the different ones.
        origin: which of them a prediction has, shape [count].
        rows: of each, shape [count].
        values: of all rows, one prediction behind the other; None where they are not known.
    """

    ids: Bytes
    origins: Sequence[Origin]
    origin: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    values: Floats | None


def milliseconds(ids: Bytes) -> npt.NDArray[np.int64]:
    """Return the Unix milliseconds in ids of shape [count, 16]."""
    wide = np.zeros((len(ids), 8), np.uint8)
    wide[:, 2:] = ids[:, :6]
    return wide.view(">i8")[:, 0].astype(np.int64)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Predictions in columns; of those that are `kept`, `values` has all rows."""

    ids: Bytes
    origins: npt.NDArray[np.uint16]
    rows: npt.NDArray[np.uint32]
    kept: npt.NDArray[np.bool_]
    values: Floats

    @property
    def size(self) -> int:
        return len(self.ids) * _ROW_BYTES + self.values.nbytes

    def values_at(self, place: int) -> Floats | None:
        """Return the values of one prediction; None where they were not kept."""
        if not self.kept[place]:
            return None
        start = int(self.rows[:place].sum(where=self.kept[:place], dtype=np.int64))
        return self.values[start : start + int(self.rows[place])]


def _joined(chunks: Sequence[_Chunk]) -> _Chunk:
    # One that came before there were any values is not as wide as others.
    values = [each.values for each in chunks if len(each.values)] or [chunks[0].values]
    return _Chunk(
        ids=np.concatenate([each.ids for each in chunks]),
        origins=np.concatenate([each.origins for each in chunks]),
        rows=np.concatenate([each.rows for each in chunks]),
        kept=np.concatenate([each.kept for each in chunks]),
        values=np.concatenate(values),
    )


@dataclass(slots=True)
class _Segment:
    chunks: list[_Chunk] = field(default_factory=list)
    size: int = 0
    count: int = 0
    first_ms: int = 2**62
    last_ms: int = 0
    order: npt.NDArray[np.int64] | None = None
    sorted: npt.NDArray[np.bytes_] | None = None
    starts: npt.NDArray[np.int64] | None = None

    def add(self, chunk: _Chunk) -> None:
        times = milliseconds(chunk.ids)
        self.first_ms = min(self.first_ms, int(times.min()))
        self.last_ms = max(self.last_ms, int(times.max()))
        self.chunks.append(chunk)
        self.size += chunk.size
        self.count += len(chunk.ids)
        self.order = None

    def find(self, identity: bytes) -> tuple[_Chunk, int] | None:
        """Return the chunk that holds an id, and its place there."""
        if self.order is None or self.sorted is None or self.starts is None:
            ids = np.concatenate([each.ids for each in self.chunks])
            keys = np.ascontiguousarray(ids).view(f"S{ID_BYTES}")[:, 0]
            self.order = np.argsort(keys, kind="stable")
            self.sorted = keys[self.order]
            self.starts = np.cumsum([0, *(len(each.ids) for each in self.chunks)])
        at = int(np.searchsorted(self.sorted, np.bytes_(identity)))
        if at >= len(self.order) or self.sorted[at] != np.bytes_(identity):
            return None
        place = int(self.order[at])
        chunk = int(np.searchsorted(self.starts, place, side="right")) - 1
        return self.chunks[chunk], place - int(self.starts[chunk])


class Memory:
    """Remembers the newest predictions.

    Args:
        most: bytes that they may take; a prediction of one row and one value takes 35.

    Attributes:
        size: bytes that they take.
    """

    def __init__(self, most: int = BYTES) -> None:
        self._most = most
        self._segments: deque[_Segment] = deque([_Segment()])
        self._waiting: list[_Chunk] = []
        self._bytes_waiting = 0
        self._origins: dict[Origin, int] = {Origin(): 0}
        self._by_number: list[Origin] = [Origin()]
        self._width: int | None = None
        self.size = 0

    @property
    def count(self) -> int:
        """Predictions that are remembered."""
        self._settle()
        return sum(each.count for each in self._segments)

    def add(self, told: Told) -> None:
        """Remember predictions, and forget the oldest that there is no room for."""
        if not len(told.ids):
            return
        chunk = self._chunk(told)
        self._waiting.append(chunk)
        self._bytes_waiting += chunk.size
        self.size += chunk.size
        if len(self._waiting) >= _MOST_WAITING or self._bytes_waiting >= self._share:
            self._settle()
        while self.size > self._most and len(self._segments) > 1:
            self.size -= self._segments.popleft().size

    def find(self, identity: bytes) -> Remembered | None:
        """Return what is remembered of an id; None where that is nothing."""
        self._settle()
        at = int.from_bytes(identity[:6])
        for segment in reversed(self._segments):
            if segment.first_ms <= at <= segment.last_ms and (found := segment.find(identity)):
                return self._remembered(*found)
        return None

    @property
    def _share(self) -> int:
        return self._most // _SEGMENTS

    def _settle(self) -> None:
        """Lay what came in small pieces into one: a piece costs more than what is in it."""
        if self._waiting:
            chunk = _joined(self._waiting)
            self._waiting, self._bytes_waiting = [], 0
            if self._segments[-1].size >= self._share:
                self._segments.append(_Segment())
            self._segments[-1].add(chunk)

    def _chunk(self, told: Told) -> _Chunk:
        values = told.values
        if values is not None and self._width is None:
            self._width = values.shape[1]
        if values is None or values.nbytes > self._share or values.shape[1] != self._width:
            values = np.empty((0, self._width or 0))
        count, numbers = len(told.ids), [self._number(each) for each in told.origins]
        return _Chunk(
            ids=told.ids.copy(),
            origins=np.array(numbers, np.uint16)[told.origin],
            rows=told.rows.astype(np.uint32),
            kept=np.full(count, told.values is not None and len(values) == len(told.values)),
            values=values.copy(),
        )

    def _remembered(self, chunk: _Chunk, place: int) -> Remembered:
        origin = self._by_number[int(chunk.origins[place])]
        rows, values = int(chunk.rows[place]), chunk.values_at(place)
        return Remembered(origin=origin, rows=rows, values=values)

    def _number(self, origin: Origin) -> int:
        """Return the number of an origin: the first, which says nothing, once they are too many."""
        known = self._origins.get(origin)
        if known is None:
            if len(self._by_number) >= _MOST_ORIGINS:
                return 0
            known = self._origins[origin] = len(self._by_number)
            self._by_number.append(origin)
        return known
