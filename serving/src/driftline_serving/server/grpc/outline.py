"""How much room a message would take, told before it is read.

Reading makes an object of whatever stands in a message, and the smallest takes two bytes there: 64
MiB of them become gigabytes. Raw tensors alone stay what they are.
"""

from typing import Final

from driftline_serving.errors import RequestError

_RAW_INPUT_CONTENTS: Final = 7
#: Bytes that a field is taken to cost, beside those of its content.
_FIELD_BYTES: Final = 64
_VARINT, _FIXED_64, _LENGTH_DELIMITED, _FIXED_32 = 0, 1, 2, 5
_LONGEST_VARINT: Final = 63


def check_outline(data: bytes, most: int) -> None:
    """Check what stands in the bytes of a ModelInferRequest beside raw tensors.

    Bytes that are no message pass, for the parser to refuse.

    Raises:
        RequestError: it is more than `most` bytes.
    """
    left, at = most, 0
    while at < len(data):
        try:
            field, end = _field(data, at)
        except (IndexError, ValueError):
            return
        size = 0 if field == _RAW_INPUT_CONTENTS else min(end, len(data)) - at
        left -= _FIELD_BYTES + size
        if left < 0:
            raise RequestError(
                f"more than {most} bytes of the message are not in raw_input_contents; send large "
                "tensors there",
                status=413,
            )
        at = end


def _field(data: bytes, at: int) -> tuple[int, int]:
    """Return the number of the field that begins at `at`, and where it ends.

    Raises:
        IndexError: the data end before.
        ValueError: it is malformed, or of a kind that nobody sends any more.
    """
    key, at = _varint(data, at)
    kind = key & 7
    if kind == _LENGTH_DELIMITED:
        length, at = _varint(data, at)
    elif kind == _VARINT:
        length, (_, at) = 0, _varint(data, at)
    elif kind in (_FIXED_64, _FIXED_32):
        length = 8 if kind == _FIXED_64 else 4
    else:
        raise ValueError(kind)
    return key >> 3, at + length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while data[at] & 0x80:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if shift > _LONGEST_VARINT:
            raise ValueError(shift)
    return value | data[at] << shift, at + 1
