"""Cuts what there is to tell into frames, and leaves out what is too large for them."""

import math
import time
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Final

import numpy as np

from driftline_serving.tap import columns
from driftline_serving.tap.encode import Payload, encode
from driftline_serving.tap.layout import MOST_ROWS, Source
from driftline_serving.tap.records import Batch, Omitted, Tensors
from driftline_serving.tap.size import is_text, values_bytes

#: Bytes of an inference's tensors that are always told.
SMALL: Final = 16 * 1024
#: That are told at most. Where there are more, the largest tensors are left out.
LARGEST: Final = 1024 * 1024
#: Bytes a second of inferences that are not small: to copy more of them would be felt by those who
#: wait for answers.
RATE: Final = 16 * 1024 * 1024


class Allowance:
    """Decides how much of an inference is told. What is not used within a second is lost."""

    def __init__(self, rate: float = RATE, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._left = rate
        self._seen = clock()

    def of(self, size: int) -> int:
        """Return how many bytes may be told of so many."""
        if size <= SMALL:
            return SMALL
        now = self._clock()
        self._left = min(self._rate, self._left + self._rate * (now - self._seen))
        self._seen = now
        if size > LARGEST or size > self._left:
            return SMALL
        self._left -= size
        return size


def portions(batch: Batch, source: Source, allowance: Allowance) -> Iterator[Payload]:
    """Return frames that tell of these, in this order."""
    for first in range(0, batch.length, MOST_ROWS):
        part = batch if batch.length <= MOST_ROWS else batch.part(first, first + MOST_ROWS)
        group = columns.alike(part.inputs, part.outputs)
        if group and _size_of_each(group) <= SMALL:
            yield encode(part, [group], source)
        else:
            yield from _one_by_one(part, source, allowance)


def _one_by_one(batch: Batch, source: Source, allowance: Allowance) -> Iterator[Payload]:
    pairs = zip(batch.inputs, batch.outputs, strict=True)
    inputs, outputs, sizes = zip(*[_fitted(*pair, allowance) for pair in pairs], strict=True)
    fitted = batch._replace(inputs=inputs, outputs=outputs)
    frames = [total // LARGEST for total in accumulate(sizes)]
    for frame in dict.fromkeys(frames):
        first = frames.index(frame)
        part = fitted.part(first, first + frames.count(frame))
        yield encode(part, columns.groups(part.inputs, part.outputs), source)


def _size_of_each(group: columns.Group) -> float:
    """Return the bytes of each inference's tensors; infinity where they are not all the same."""
    both = (*group.inputs.values(), *group.outputs.values())
    sizes: list[float] = [
        math.inf if is_text(each.tensors[0]) else values_bytes(each.tensors[0]) for each in both
    ]
    return sum(sizes)


def _fitted(
    inputs: Tensors, outputs: Tensors, allowance: Allowance
) -> tuple[Tensors, Tensors, int]:
    """Return the tensors, the largest of them left out if need be, and how many bytes are left."""
    sizes = sorted(map(values_bytes, (*inputs.values(), *outputs.values())))
    most = allowance.of(sum(sizes))
    beyond = (size for size, total in zip(sizes, accumulate(sizes), strict=True) if total > most)
    if not (limit := next(beyond, 0)):
        return inputs, outputs, sum(sizes)
    left = sum(size for size in sizes if size < limit)
    return _below(limit, inputs), _below(limit, outputs), left


def _below(limit: int, tensors: Tensors) -> Tensors:
    return {
        name: Omitted(columns.DATATYPES[each.dtype], each.shape)
        if isinstance(each, np.ndarray) and values_bytes(each) >= limit
        else each
        for name, each in tensors.items()
    }
