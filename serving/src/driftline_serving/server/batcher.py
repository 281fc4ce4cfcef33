"""Joins calls that arrive together into one run of the model.

Nothing waits for a timer. What one turn of the event loop has received runs as one batch, at once
and in the loop if that takes no time to speak of; else on a thread, and what arrives while all
threads are busy is the next batch.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np

from driftline_serving.errors import InferenceError, ServingError, UnavailableError
from driftline_serving.server.engine import Engine
from driftline_serving.server.observation import Observer
from driftline_serving.server.tensors import Array
from driftline_serving.server.trial import Trial

log = logging.getLogger(__name__)

#: More rows than this in one run are never computed in the event loop.
MOST_ROWS_INLINE = 256
#: Nor is what takes longer than this in one turn, in seconds: all who are connected wait for it.
LONGEST_INLINE = 0.002
#: Runs in the loop that took so many seconds of CPU, so often in a row, show that the estimate
#: means nothing: what the model takes depends on the values. From then on all goes to threads.
MUCH_TOO_LONG = 0.02
TOO_OFTEN = 3
#: Rows of one batch. A call that alone has more is a batch of its own.
MOST_ROWS = 256

Results = list[Array] | ServingError


class Call(Protocol):
    """One inference call.

    Attributes:
        inputs: all of the model's, checked against its signature.
        outputs: those wanted, by name.
        rows: the length of the first axis of every input; 0 where they differ or have none.
        size: elements of all inputs together.
        expires: time of the loop after which nobody waits for the answer.
        abandoned: the client has gone; set by whoever notices.
    """

    inputs: Mapping[str, Array]
    outputs: tuple[str, ...]
    rows: int
    size: int
    expires: float
    abandoned: bool

    def deliver(self, results: Results) -> None:
        """Take the outputs in that order, or what went wrong.

        It is called once, in the loop, whatever happens.
        """


class Batcher:
    """Runs calls of one model. Used from one event loop.

    Args:
        engine: The model.
        trial: What it did when it was loaded: whether calls may be joined, what rows take.
        runs: How many may go on at a time, on threads: the loop's own take no time to speak of.
        observers: Are told of every run.
        clock: Seconds of CPU that this thread has used.
    """

    def __init__(
        self,
        engine: Engine,
        trial: Trial,
        *,
        runs: int,
        observers: Sequence[Observer] = (),
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._engine = engine
        self._names = [spec.name for spec in engine.signature.inputs]
        self._trial = trial
        self._observers = observers
        self._clock = clock
        self._longest_inline = LONGEST_INLINE
        self._too_long = 0
        self._pool = ThreadPoolExecutor(runs, thread_name_prefix="infer")
        self._free = runs
        self._loop = asyncio.get_running_loop()
        self.time = self._loop.time
        self._arrived: dict[Hashable, list[Call]] = {}
        self._waiting: dict[Hashable, list[Call]] = {}

    def submit(self, call: Call) -> None:
        """Take a call in; `call.deliver` is called later, never from here."""
        if not self._arrived:
            self._loop.call_soon(self._turn)
        self._arrived.setdefault(self._kind_of(call), []).append(call)

    @property
    def waiting(self) -> int:
        """Calls for which there was no thread yet."""
        return sum(map(len, self._waiting.values()))

    def drop_dead(self) -> None:
        """End the waiting calls that nobody waits for any more, so that they free their places."""
        live = {kind: self._live(calls) for kind, calls in self._waiting.items()}
        self._waiting = {kind: calls for kind, calls in live.items() if calls}

    def close(self) -> None:
        """Take no more calls; do not wait for what runs."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _kind_of(self, call: Call) -> Hashable:
        """Return what calls have in common that may be joined; others are alone of their kind."""
        if not self._trial.joins or not call.rows:
            return id(call)
        return call.outputs, tuple([call.inputs[name].shape[1:] for name in self._names])

    def _turn(self) -> None:
        """Begin what one turn of the loop has received."""
        arrived, self._arrived = self._arrived, {}
        left = self._longest_inline
        for kind, calls in arrived.items():
            rows = sum(call.rows for call in calls)
            seconds = self._trial.seconds(sum(call.size for call in calls))
            if rows <= MOST_ROWS_INLINE and seconds <= left:
                left -= max(seconds, self._run_inline(self._live(calls)))
            else:
                self._waiting.setdefault(kind, []).extend(calls)
        self._begin()

    def _run_inline(self, calls: Sequence[Call]) -> float:
        """Compute here and now; return the seconds that it took."""
        if not calls:
            return 0.0
        began = self._clock()
        results = run_together(self._engine, calls)
        took = self._clock() - began
        self._too_long = self._too_long + 1 if took > MUCH_TOO_LONG else 0
        if self._too_long == TOO_OFTEN:
            log.warning("runs take longer than they should: all go to threads from now on")
            self._longest_inline = -1.0
        self._computed(calls, results)
        return took

    def _begin(self) -> None:
        """Give every free thread a batch, the kind that has waited longest first."""
        while self._free and self._waiting:
            kind = next(iter(self._waiting))
            batch, rest = _cut(self._waiting.pop(kind))
            if rest:
                self._waiting[kind] = rest
            if live := self._live(batch):
                self._free -= 1
                self._loop.create_task(self._run(live))

    async def _run(self, calls: Sequence[Call]) -> None:
        try:
            run = self._loop.run_in_executor(self._pool, run_together, self._engine, calls)
            self._computed(calls, await run)
        finally:
            self._free += 1
            self._begin()

    def _live(self, calls: Sequence[Call]) -> list[Call]:
        """Return the calls that somebody waits for; the others are over."""
        now = self.time()
        live = [call for call in calls if not call.abandoned and now < call.expires]
        if len(live) < len(calls):
            gone = [call for call in calls if call.abandoned or now >= call.expires]
            late = UnavailableError("the request has waited longer than it may take")
            self._deliver(gone, [late] * len(gone))
        return live

    def _computed(self, calls: Sequence[Call], results: Sequence[Results]) -> None:
        rows = sum([call.rows for call in calls])
        for observer in self._observers:
            observer.computed(len(calls), rows)
        self._deliver(calls, results)

    def _deliver(self, calls: Sequence[Call], results: Sequence[Results]) -> None:
        for call, result in zip(calls, results, strict=True):
            try:
                call.deliver(result)
            except Exception:
                log.exception("a bug in Driftline: an answer was lost")


def rows_of(inputs: Mapping[str, Array]) -> int:
    """Return the length that the first axes of all inputs have, 0 where there is none.

    >>> rows_of({"a": np.zeros((3, 2)), "b": np.zeros(3)})
    3
    >>> rows_of({"a": np.zeros((3, 2)), "b": np.zeros(1)})
    0
    """
    lengths = [array.shape[0] if array.shape else 0 for array in inputs.values()]
    return lengths[0] if lengths and lengths.count(lengths[0]) == len(lengths) else 0


def run_together(engine: Engine, calls: Sequence[Call]) -> list[Results]:
    """Compute calls of one kind as one batch; one by one if that fails, so that one fails alone."""
    if len(calls) == 1:
        return [_run_alone(engine, calls[0])]
    first = calls[0]
    inputs = {name: np.concatenate([call.inputs[name] for call in calls]) for name in first.inputs}
    total = sum(call.rows for call in calls)
    try:
        results = engine.run(inputs, first.outputs)
    except Exception:  # noqa: BLE001 - each call is tried again, and says for itself what is wrong
        return [_run_alone(engine, call) for call in calls]
    if any(result.shape[:1] != (total,) for result in results):
        return [_run_alone(engine, call) for call in calls]
    return _split(results, calls)


def _split(results: Sequence[Array], calls: Sequence[Call]) -> list[Results]:
    parts: list[Results] = []
    start = 0
    for call in calls:
        end = start + call.rows
        parts.append([result[start:end] for result in results])
        start = end
    return parts


def _run_alone(engine: Engine, call: Call) -> Results:
    try:
        return engine.run(call.inputs, call.outputs)
    except ServingError as error:
        return error
    except Exception as error:
        log.exception("a bug in Driftline")
        return InferenceError(f"the model failed on this request: {type(error).__name__}")


def _cut(calls: list[Call]) -> tuple[list[Call], list[Call]]:
    """Return as many calls as make a batch, at least one, and the rest."""
    rows = 0
    for count, call in enumerate(calls):
        rows += call.rows
        if count and rows > MOST_ROWS:
            return calls[:count], calls[count:]
    return calls, []
