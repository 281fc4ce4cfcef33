"""Undoes what bodies are packed with, by their `content-encoding`."""

import zlib
from typing import Final

from driftline_serving.errors import RequestError

#: What zlib has to be told.
WBITS: Final = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


def unpacked(packed: bytes, wbits: int, most: int) -> bytes:
    """Undo gzip or deflate.

    Raises:
        RequestError: it is not that, ends early, or unpacks to more than `most` bytes.
    """
    reader = zlib.decompressobj(wbits)
    try:
        content = reader.decompress(packed, most)
    except zlib.error as error:
        raise RequestError(f"the body cannot be unpacked: {error}") from error
    if reader.unconsumed_tail:
        raise RequestError(f"the body unpacks to more than {most} bytes", 413)
    if not reader.eof:
        raise RequestError("the packed body ends early")
    if reader.unused_data:
        raise RequestError("there is more after the packed body")
    return content
