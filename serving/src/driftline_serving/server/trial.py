"""What a model does when it is tried, once loaded: do batches change its answers, what is its pace.

A model that says of all its first axes that they may have any length need not mean it: it may
normalise over the batch, or refuse some lengths. So the same rows are computed in batches of 1, 8
and 64, and only if the answers agree are the calls of different clients ever joined.
"""

import math
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
#: Bytes that the inputs of 64 rows may take for batches to be tried.
LARGEST: Final = 64 * 1024 * 1024
_TIMED_RUNS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What was found.

    Attributes:
        joins: calls may be joined.
        reason: why they may not, or how well batches agree.
        fixed: seconds that any run takes.
        per_row: seconds that each row adds.
        row_size: elements of all inputs together in one row, as it was tried. Axes of any length
            had length 1, so a row may be larger, and is taken to cost as much more.
    """

    joins: bool
    reason: str
    fixed: float
    per_row: float = 0.0
    row_size: int = 1

    def seconds(self, size: int) -> float:
        """Estimate how long a run takes whose inputs have so many elements."""
        return self.fixed + self.per_row * size / self.row_size


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
        one = _least_seconds(lambda: engine.run(single, names), clock)
    except ServingError:
        return _unjoined("the model does not accept random values", math.inf)
    if obstacle := _obstacle(signature, single, one):
        return _unjoined(obstacle, one)
    try:
        answers = [_answers(engine, size) for size in SIZES]
    except ServingError as error:
        return _unjoined(f"the model does not accept batches: {error}", one)
    agreement = _agreement(answers, exact=exact)
    if agreement is None:
        return _unjoined("its answers depend on what else is in the batch", one)
    eight = _inputs(signature, 8)
    per_row = max((_least_seconds(lambda: engine.run(eight, names), clock) - one) / 7, 0.0)
    return Trial(
        joins=True,
        reason=agreement,
        fixed=max(one - per_row, 0.0),
        per_row=per_row,
        row_size=max(1, sum(each.size for each in single.values())),
    )


def _unjoined(reason: str, seconds: float) -> Trial:
    """Say that calls are not joined; each is taken to last as long as the one that was tried."""
    return Trial(joins=False, reason=reason, fixed=seconds)


def _obstacle(signature: Signature, single: Mapping[str, Array], seconds: float) -> str:
    """Return why batches need not be tried, empty if they should be."""
    if fixed := _fixed_axes(signature):
        return f"the first axis of {', '.join(fixed)} is fixed"
    if seconds > DEAREST:
        return f"one row takes {seconds:.2g} s: batches would gain nothing"
    if sum(each.nbytes for each in single.values()) * max(SIZES) > LARGEST:
        return f"{max(SIZES)} rows are too large to try"
    return ""


def _fixed_axes(signature: Signature) -> list[str]:
    """Return the tensors whose first axis cannot be of any length."""
    tensors = (*signature.inputs, *signature.outputs)
    return [spec.name for spec in tensors if spec.shape[:1] != (ANY_LENGTH,)]


def _answers(engine: Engine, size: int) -> list[Array]:
    """Return all outputs for the same 64 rows, computed in batches of `size`.

    Raises:
        ServingError: the model failed, gave another number of rows than it got, or rows whose
            shape depends on the batch.
    """
    inputs = _inputs(engine.signature, max(SIZES))
    names = [spec.name for spec in engine.signature.outputs]
    parts: list[Sequence[Array]] = []
    for start in range(0, max(SIZES), size):
        part = engine.run({name: a[start : start + size] for name, a in inputs.items()}, names)
        if any(each.shape[:1] != (size,) for each in part):
            raise ServingError(f"for {size} rows it answers with another number")
        if parts and any(a.shape[1:] != b.shape[1:] for a, b in zip(parts[0], part, strict=True)):
            raise ServingError("the shape of its rows depends on the batch")
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


def _least_seconds(run: Callable[[], object], clock: Callable[[], float]) -> float:
    """Time a few runs; the shortest is the one that nothing else disturbed."""
    seconds: list[float] = []
    while len(seconds) < _TIMED_RUNS and sum(seconds) <= 2 * DEAREST:
        began = clock()
        run()
        seconds.append(clock() - began)
    return min(seconds)


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
        return random.standard_normal(shape, dtype=np.float32).astype(spec.datatype.dtype)
    return random.integers(0, 2, shape).astype(spec.datatype.dtype)
