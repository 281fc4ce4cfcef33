"""Counts and latencies by arm, epoch and slot of five seconds."""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from driftline_api.monitor import MOST_SLOTS, SLOT_SECONDS, SlotCounts
from driftline_serving.tap.frame import Frame
from driftline_serving.tap.records import Stamp
from driftline_stats.histogram import LatencyHistogram, bucket_edges

Integers = npt.NDArray[np.int64]
_Key: TypeAlias = tuple[int | None, str, int]

#: Of all arms and epochs: 4 MiB of histograms.
MOST_ENTRIES: Final = 4 * MOST_SLOTS
_DIGITS: Final = 2
_FAILED: Final = 500
_REFUSED: Final = 400


@dataclass(slots=True)
class _Slot:
    latency: Integers
    seen: int = 0
    failed: int = 0
    rejected: int = 0


@dataclass(slots=True)
class Slots:
    """The last slots, in the order in which they were first heard of.

    The router's stamp names a slot, whatever the time is here: a clock that is wrong moves none.
    Where no router stamped, it is the time at which the server had the request.
    """

    _kept: OrderedDict[_Key, _Slot] = field(default_factory=OrderedDict)
    _entries: Counter[int] = field(default_factory=Counter)

    def take(self, frame: Frame) -> None:
        """Count the inferences of a frame."""
        buckets = _buckets(frame.latency_us)
        for key, chosen in _parts(frame):
            slot = self._kept.get(key) or self._begun(key)
            status = frame.status[chosen]
            slot.latency += np.bincount(buckets[chosen], minlength=len(slot.latency))
            slot.seen += len(status)
            refused = int(np.count_nonzero(status >= _REFUSED))
            failed = int(np.count_nonzero(status >= _FAILED)) if refused else 0
            slot.failed += failed
            slot.rejected += refused - failed
        while len(self._entries) > MOST_SLOTS or len(self._kept) > MOST_ENTRIES:
            (_, _, oldest), _ = self._kept.popitem(last=False)
            self._entries[oldest] -= 1
            self._entries += Counter()

    def counts(self) -> list[SlotCounts]:
        """Return all of them, oldest first."""
        return [_counts(key, slot) for key, slot in self._kept.items()]

    def _begun(self, key: _Key) -> _Slot:
        slot = self._kept[key] = _Slot(np.zeros(len(bucket_edges(_DIGITS)), np.int64))
        self._entries[key[2]] += 1
        return slot


def _counts(key: _Key, slot: _Slot) -> SlotCounts:
    epoch, arm, begins = key
    return SlotCounts(
        epoch=epoch,
        arm=arm,
        slot=begins,
        seen=slot.seen,
        failed=slot.failed,
        rejected=slot.rejected,
        latency=histogram_json(slot.latency),
    )


def histogram_json(counts: Integers) -> dict[str, object]:
    """Return what `LatencyHistogram.from_json` reads, from the counts of all buckets.

    >>> histogram_json(np.array([0, 3]))["edges"]
    [1]
    """
    held = np.flatnonzero(counts)
    return {
        "kind": LatencyHistogram.KIND,
        "version": LatencyHistogram.VERSION,
        "digits": _DIGITS,
        "edges": bucket_edges(_DIGITS)[held].tolist(),
        "counts": counts[held].tolist(),
        "missing": 0,
    }


def _buckets(microseconds: npt.NDArray[np.int64]) -> Integers:
    found = np.searchsorted(bucket_edges(_DIGITS), microseconds, side="right") - 1
    return np.maximum(found, 0)


def _parts(frame: Frame) -> Iterator[tuple[_Key, Integers]]:
    """Yield which inferences of a frame belong to which slot."""
    several = len(frame.stamps) > 1
    for at in np.unique(frame.stamp).tolist() if several else (0,):
        chosen = np.flatnonzero(frame.stamp == at) if several else np.arange(frame.count)
        stamp = frame.stamps[at]
        if stamp.slot is not None:
            yield _key(stamp, stamp.slot), chosen
            continue
        seconds = frame.received_us[chosen] // 1_000_000
        begins = seconds - seconds % SLOT_SECONDS
        for slot in np.unique(begins).tolist():
            yield _key(stamp, slot), chosen[begins == slot]


def _key(stamp: Stamp, second: int) -> _Key:
    return stamp.epoch, stamp.arm, second - second % SLOT_SECONDS
