"""Arrays as text: small in memory, and JSON as they are."""

import base64
import zlib

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import StateError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: No array of a watch is larger, in bytes.
MOST_BYTES = 8 * 1024 * 1024


def packed_floats(values: Floats) -> str:
    """Return numbers as text, with the precision of a float32.

    >>> floats_of(packed_floats(np.array([0.5, -np.inf])), (2,))
    array([ 0.5, -inf])
    """
    return base64.b64encode(values.astype("<f4").tobytes()).decode()


def floats_of(text: str, shape: tuple[int, ...]) -> Floats:
    """Return what `packed_floats` has packed.

    Raises:
        StateError: it is damaged, or of another shape.
    """
    try:
        found = np.frombuffer(base64.b64decode(text, validate=True), "<f4")
        return found.reshape(shape).astype(np.float64)
    except ValueError as error:
        raise StateError(f"packed numbers: expected shape {shape}: {error}") from error


def packed_logs(values: Floats) -> str:
    """Return logarithms of evidence as text, each rounded down to a float16.

    Evidence that is rounded down is still evidence: its mean under the null only falls. What is
    lost is below a thousandth of the logarithm; what is below -65,504 becomes minus infinity.

    >>> logs_of(packed_logs(np.array([-10.001, -np.inf, -1e6])), 3)
    array([-10.0078125,        -inf,        -inf])
    """
    with np.errstate(over="ignore"):
        near = values.astype(np.float16)
    above = near.astype(np.float64) > values
    down = np.where(above, np.nextafter(near, np.float16(-np.inf)), near)
    return base64.b64encode(down.astype("<f2").tobytes()).decode()


def logs_of(text: str, size: int) -> Floats:
    """Return what `packed_logs` has packed.

    Raises:
        StateError: it is damaged, or of another size.
    """
    try:
        found = np.frombuffer(base64.b64decode(text, validate=True), "<f2")
        return found.reshape(size).astype(np.float64)
    except ValueError as error:
        raise StateError(f"packed evidence: expected {size}: {error}") from error


def packed_counts(values: Ints) -> str:
    """Return counts as text.

    >>> counts_of(packed_counts(np.array([3, 0, 2**40])), 3)
    array([            3,             0, 1099511627776])
    """
    return base64.b64encode(zlib.compress(values.astype("<i8").tobytes(), 6)).decode()


def counts_of(text: str, size: int) -> Ints:
    """Return what `packed_counts` has packed.

    Raises:
        StateError: it is damaged, or of another size.
    """
    try:
        raw = unpacked(text)
        return np.frombuffer(raw, "<i8").astype(np.int64).reshape(size)
    except ValueError as error:
        raise StateError(f"packed counts: expected {size}: {error}") from error


def packed_text(text: str) -> str:
    """Return text, deflated.

    >>> unpacked(packed_text("a" * 1000)) == b"a" * 1000
    True
    """
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpacked(text: str) -> bytes:
    """Return bytes that were deflated.

    Raises:
        StateError: they are damaged, or more than 8 MiB.
    """
    try:
        unpacker = zlib.decompressobj()
        found = unpacker.decompress(base64.b64decode(text, validate=True), MOST_BYTES)
    except (ValueError, zlib.error) as error:
        raise StateError(f"packed bytes: {error}") from error
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise StateError(f"packed bytes: more than {MOST_BYTES}, or cut off")
    return found
