"""A client that checks what servers answer, before a load and during it."""

import json
import math
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle

from e2e.bench.serving.case import Post, Row
from e2e.bench.serving.load import LoadError

#: Batches sum products in another order, so that networks differ in the last bits.
RTOL, ATOL = 1e-4, 1e-5
AT_ONCE = 16
#: Seconds between two checks during a load. Each takes a millisecond of the CPU that is wrk's too,
#: and so holds up all who are connected: more of them would show in the 99th percentile.
EVERY = 1.0
SECONDS = 60.0

Asked = Sequence[tuple[Post, Row]]


def check(url: str, asked: Asked) -> None:
    """See that each request gets the answer that ONNX Runtime gives, alone and among others.

    Raises:
        LoadError: some answer is an error, or wrong.
    """
    for post, row in asked:
        _check_one(url, post, row)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for checking in [pool.submit(_check_one, url, *each) for each in asked]:
            checking.result()


@contextmanager
def checking(url: str, asked: Asked) -> Iterator[None]:
    """Check answers now and then for as long as the context lasts.

    Raises:
        LoadError: at its end, if some answer was an error, or wrong.
    """
    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(_check_until, over, url, asked)
        try:
            yield
        finally:
            over.set()
        seen.result()


def _check_until(over: threading.Event, url: str, asked: Asked) -> None:
    for each in cycle(asked):
        _check_one(url, *each)
        if over.wait(EVERY):
            return


def _check_one(url: str, post: Post, row: Row) -> None:
    request = urllib.request.Request(url, post.body, dict(post.headers))  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - loopback
            outputs = {each["name"]: each["data"] for each in json.load(answer)["outputs"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LoadError(f"{url} does not answer as it should: {error}") from error
    if not agree(outputs, row):
        raise LoadError(f"{url} answers {outputs}, ONNX Runtime {dict(row.answers)}")


def agree(outputs: dict[str, list[float]], row: Row) -> bool:
    """Tell whether all outputs are there and right.

    >>> row = Row(json=b"", raw=b"", answers={"label": [1], "score": [0.25]})
    >>> agree({"label": [1], "score": [0.250001]}, row), agree({"label": [1], "score": [0.26]}, row)
    (True, False)
    >>> agree({"label": [1]}, row)
    False
    """
    return outputs.keys() == row.answers.keys() and all(
        len(outputs[name]) == len(expected) and all(map(_is_close, outputs[name], expected))
        for name, expected in row.answers.items()
    )


def _is_close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=RTOL, abs_tol=ATOL)
