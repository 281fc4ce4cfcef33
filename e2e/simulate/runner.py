"""Spreads runs over processes, one for each processor, and gathers what they found."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from e2e.environment import python_with, source_path
from e2e.simulate.claims import Claim, Outcome
from e2e.simulate.judge import Judged, measure

#: A claim's runs are handed out in so many portions.
PORTIONS: Final = 40
Told = Callable[[int, Judged | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A claim, where it is found, and how many runs of it are wanted."""

    module: str
    claim: Claim
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Portion:
    task: Task
    first: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    portion: _Portion
    outcomes: Sequence[Outcome]
    seconds: float


class Worker:
    """A process that runs claims; ends with its `with` block."""

    def __init__(self, environment: str) -> None:
        python = python_with(environment) if environment else Path(sys.executable)
        # Each process has a processor: threads of the linear algebra would only wait for another.
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            [str(python), "-m", "e2e.simulate.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # an interrupt is for us alone: we end it
            env={**os.environ, **single, "PYTHONPATH": source_path()},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe:
                    pipe.close()

    def run(self, portion: _Portion) -> _Done:
        """Run a portion.

        Raises:
            RuntimeError: the process ended instead; it has said why.
        """
        task, process = portion.task, self._process
        assert process.stdin
        assert process.stdout
        asked = {"module": task.module, "key": task.claim.key}
        line = json.dumps({**asked, "first": portion.first, "count": portion.count})
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(line + "\n")
            process.stdin.flush()
        if not (answer := process.stdout.readline()):
            raise RuntimeError(f"{task.claim.key}: its process ended with code {process.wait()}")
        return _Done(portion=portion, **json.loads(answer))


@dataclass(slots=True)
class _Workers:
    """A worker for each environment, and each thread."""

    free: dict[str, "queue.SimpleQueue[Worker]"] = field(default_factory=dict)
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    making: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def borrowed(self, environment: str) -> Iterator[Worker]:
        with self.making:
            waiting = self.free.setdefault(environment, queue.SimpleQueue())
            try:
                worker = waiting.get_nowait()
            except queue.Empty:
                worker = self.stack.enter_context(Worker(environment))
        yield worker
        waiting.put(worker)


def run_all(tasks: Sequence[Task], told: Told, *, short: bool, processes: int) -> list[Judged]:
    """Run all tasks; the result is in their order, and the same for any number of processes.

    Args:
        tasks: What to run.
        told: Called with the number of runs that are done, and with a claim when it is judged.
        short: Whether claims are judged as by few runs.
        processes: How many at a time.

    Raises:
        RuntimeError: a run failed.
        ClusterError: an environment is not to be had.
    """
    for environment in sorted({task.claim.environment for task in tasks} - {""}):
        python_with(environment)  # rather now than after a quarter of an hour
    judged: dict[str, Judged] = {}
    done: dict[str, list[_Done]] = {}
    workers = _Workers()
    with workers.stack, ThreadPoolExecutor(processes) as threads:
        waiting = [threads.submit(_run, workers, each) for task in tasks for each in portions(task)]
        try:
            for finished in as_completed(waiting):
                found = finished.result()
                task = found.portion.task
                parts = done.setdefault(task.claim.key, [])
                parts.append(found)
                if sum(part.portion.count for part in parts) == task.runs:
                    judged[task.claim.key] = _judge(task.claim, parts, short=short)
                told(found.portion.count, judged.get(task.claim.key))
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            workers.stack.close()  # so that what runs need not be waited for
            raise
    return [judged[task.claim.key] for task in tasks]


def portions(task: Task) -> list[_Portion]:
    """Return the portions that a task is handed out in."""
    size = -(-task.runs // PORTIONS)
    return [
        _Portion(task=task, first=first, count=min(size, task.runs - first))
        for first in range(0, task.runs, size)
    ]


def _run(workers: _Workers, portion: _Portion) -> _Done:
    with workers.borrowed(portion.task.claim.environment) as worker:
        return worker.run(portion)


def _judge(claim: Claim, parts: Sequence[_Done], *, short: bool) -> Judged:
    ordered = sorted(parts, key=lambda part: part.portion.first)
    outcomes = [outcome for part in ordered for outcome in part.outcomes]
    seconds = sum(part.seconds for part in parts)
    return Judged(claim=claim, measured=measure(claim, outcomes), seconds=seconds, short=short)
