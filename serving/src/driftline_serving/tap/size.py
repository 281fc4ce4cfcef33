"""How many bytes tensors take."""

import sys

import numpy as np

from driftline_serving.server.tensors import Array
from driftline_serving.tap.records import Omitted


def is_text(tensor: Array | Omitted) -> bool:
    """Whether it holds strings, whose array only counts pointers."""
    return isinstance(tensor, np.ndarray) and tensor.dtype.kind == "O"


def values_bytes(tensor: Array | Omitted) -> int:
    """Return how many bytes the values take; of strings, as many as Python takes for them."""
    if isinstance(tensor, Omitted):
        return 0
    return tensor.nbytes + (sum(map(sys.getsizeof, tensor.flat)) if is_text(tensor) else 0)


def held_bytes(array: Array) -> int:
    """Return how many bytes are not freed as long as this array is there.

    A tensor of a binary request is a view on the whole body, which may be much larger. A slice of a
    batch counts as what it is: the others of the batch are told as well.

    >>> held_bytes(np.zeros(8, np.float32)), held_bytes(np.frombuffer(bytes(100), np.uint8, 4))
    (32, 100)
    """
    base: object = array.base
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    return len(base) if isinstance(base, bytes | bytearray) else values_bytes(array)
