"""What a model does when it is tried, once loaded: do batches change its answers, what is its pace.

A model that says of all its first axes that they may have any length need not mean it: it may
normalise over the batch, or refuse some lengths. So the same rows are computed in batches of 1, 8
and 64, and only if the answers agree are the calls of different clients ever joined.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftline_serving.errors import ServingError
from driftline_serving.server.engine import Engine
from driftline_serving.server.tensors import ANY_LENGTH, Array, Datatype, Signature, TensorSpec

SIZES: Final = (1, 8, 64)
#: Answers of models whose arithmetic depends on the batch's size: matrix products are summed in
#: another order. Relative and absolute.
RTOL, ATOL = 1e-5, 1e-6
#: Seconds that one row may take for batches to be tried, and to be worth it.
DEAREST = 0.05
_TIMED_RUNS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What was found.

    Attributes:
        joins: calls may be joined.
        reason: why they may not, or how well batches agree.
        fixed: seconds that any run takes.
        per_row: seconds that each row adds.
    """

    joins: bool
    reason: str
    fixed: float
    per_row: float

    def seconds(self, rows: int) -> float:
        """Estimate how long a run takes."""
        return self.fixed + self.per_row * rows


def try_out(
    engine: Engine, *, exact: bool, clock: Callable[[], float] = time.perf_counter
) -> Trial:
    """Try a model that has been warmed up.

    Args:
        engine: The model.
        exact: Its answers must agree in every bit, not only within the tolerance.
        clock: Seconds.
    """
    signature = engine.signature
    single = _inputs(signature, 1)
    names = [spec.name for spec in signature.outputs]
    try:
        one = _median_seconds(lambda: engine.run(single, names), clock)
    except ServingError:
        return _unjoined("the model does not accept random values", 0.0)
    if fixed := _fixed_axes(signature):
        return _unjoined(f"the first axis of {', '.join(fixed)} is fixed", one)
    if one > DEAREST:
        return _unjoined(f"one row takes {one:.2g} s: batches would gain nothing", one)
    try:
        answers = [_answers(engine, size) for size in SIZES]
    except ServingError as error:
        return _unjoined(f"the model does not accept batches: {error}", one)
    agreement = _agreement(answers, exact=exact)
    if agreement is None:
        return _unjoined("its answers depend on what else is in the batch", one)
    eight = _inputs(signature, 8)
    per_row = max((_median_seconds(lambda: engine.run(eight, names), clock) - one) / 7, 0.0)
    return Trial(joins=True, reason=agreement, fixed=max(one - per_row, 0.0), per_row=per_row)


def _unjoined(reason: str, seconds: float) -> Trial:
    return Trial(joins=False, reason=reason, fixed=0.0, per_row=seconds)


def _fixed_axes(signature: Signature) -> list[str]:
    """Return the tensors whose first axis cannot be of any length."""
    tensors = (*signature.inputs, *signature.outputs)
    return [spec.name for spec in tensors if spec.shape[:1] != (ANY_LENGTH,)]


def _answers(engine: Engine, size: int) -> list[Array]:
    """Return all outputs for the same 64 rows, computed in batches of `size`.

    Raises:
        ServingError: the model failed, or gave another number of rows than it got.
    """
    inputs = _inputs(engine.signature, max(SIZES))
    names = [spec.name for spec in engine.signature.outputs]
    parts: list[Sequence[Array]] = []
    for start in range(0, max(SIZES), size):
        part = engine.run({name: a[start : start + size] for name, a in inputs.items()}, names)
        if any(each.shape[:1] != (size,) for each in part):
            raise ServingError(f"for {size} rows it answers with another number")
        parts.append(part)
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _agreement(answers: Sequence[Sequence[Array]], *, exact: bool) -> str | None:
    """Return how well the answers agree, None if not well enough."""
    first, *others = answers
    if all(_is_same(a, b) for each in others for a, b in zip(first, each, strict=True)):
        return "batches of 1, 8 and 64 agree in every bit"
    if exact or not all(
        _is_close(a, b) for each in others for a, b in zip(first, each, strict=True)
    ):
        return None
    return f"batches of 1, 8 and 64 agree within {RTOL:g} relative and {ATOL:g} absolute"


def _is_same(one: Array, other: Array) -> bool:
    if one.shape != other.shape:
        return False
    return one.tobytes() == other.tobytes() if one.dtype != object else bool((one == other).all())


def _is_close(one: Array, other: Array) -> bool:
    if one.dtype.kind != "f":
        return _is_same(one, other)
    return one.shape == other.shape and np.allclose(
        one, other, rtol=RTOL, atol=ATOL, equal_nan=True
    )


def _median_seconds(run: Callable[[], object], clock: Callable[[], float]) -> float:
    """Time a few runs, but not for longer than it takes to know that they are dear."""
    seconds: list[float] = []
    while len(seconds) < _TIMED_RUNS and sum(seconds) <= DEAREST:
        began = clock()
        run()
        seconds.append(clock() - began)
    return statistics.median(seconds)


def _inputs(signature: Signature, rows: int) -> Mapping[str, Array]:
    """Return random values, the same ones at every call; any other dynamic axis has length 1."""
    random = np.random.default_rng(0)
    return {spec.name: _values(spec, rows, random) for spec in signature.inputs}


def _values(spec: TensorSpec, rows: int, random: np.random.Generator) -> Array:
    shape = tuple(1 if axis == ANY_LENGTH else axis for axis in spec.shape)
    if spec.shape[:1] == (ANY_LENGTH,):
        shape = (rows, *shape[1:])
    if spec.datatype is Datatype.BYTES:
        return random.choice(np.array(["", "a", "b"], dtype=object), shape)
    if spec.datatype.is_float:
        return random.standard_normal(shape).astype(spec.datatype.dtype)
    return random.integers(0, 2, shape).astype(spec.datatype.dtype)
