"""Which rows have had their label: in memory that does not grow."""

import hashlib
from typing import Final, Literal

import numpy as np

Before = Literal["new", "same", "other"]

#: Rows whose label is remembered, about.
ROWS: Final = 2**19
_WAYS: Final = 8
_WORD: Final = 2**64 - 1


class Seen:
    """Remembers the first value that was said of each row.

    A table of sets of eight: a row is looked for in one set, and takes the place of the oldest
    in it. So memory is fixed (12 bytes a row, and one for each eight), and a row is forgotten
    after about as many others as the table holds, some sooner. Of a row, 64 bits of a hash are
    kept: that it is taken for another of those in its set happens once in 2^61 rows.

    Args:
        rows: that it holds, rounded up to a power of two.
    """

    def __init__(self, rows: int = ROWS) -> None:
        sets = 1 << max(0, (rows - 1).bit_length() - 3)
        self._mask = sets - 1
        self._rows = np.zeros((sets, _WAYS), np.uint64)
        self._values = np.zeros((sets, _WAYS), np.uint32)
        self._next = np.zeros(sets, np.uint8)

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return self._rows.nbytes + self._values.nbytes + self._next.nbytes

    def first(self, row: bytes, value: bytes) -> Before:
        """Remember the value if it is the row's first; return what was there before."""
        key = int.from_bytes(hashlib.blake2b(row, digest_size=8).digest()) or _WORD
        said = int.from_bytes(hashlib.blake2b(value, digest_size=4).digest())
        at = key & self._mask
        ways = self._rows[at]
        found = np.flatnonzero(ways == np.uint64(key))
        if found.size:
            return "same" if int(self._values[at, found[0]]) == said else "other"
        way = int(self._next[at])
        self._rows[at, way], self._values[at, way] = key, said
        self._next[at] = (way + 1) % _WAYS
        return "new"
