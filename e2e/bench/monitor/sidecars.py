"""The monitor and the payload logger, each as a process of its own."""

import json
import re
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from e2e.bench.monitor.source import COLUMNS
from e2e.bench.process import Running, running
from e2e.bench.scene import CHECKOUT
from e2e.bench.serving.environments import interpreter, python_of
from e2e.bench.serving.load import LoadError
from e2e.bench.serving.running import pinned
from e2e.compiled import compiled_for
from e2e.environment import source_path

MONITOR, LOGGER = "monitor", "payload logger"
START_SECONDS: Final = 60.0
_SIGNATURE: Final = {
    "signature": {
        "features": [
            {"name": f"x{column}", "tensor": "X", "column": column} for column in range(COLUMNS)
        ],
        "prediction": {
            "task": "binary",
            "tensor": "label",
            "classes": ["no", "yes"],
            "positive": "yes",
            "score": "probabilities",
        },
    }
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """One that runs.

    Attributes:
        how: by which it is told, for `source`.
        where: it is told.
        url: of what it answers.
    """

    program: Running
    how: str
    where: str
    url: str


@cache
def environment() -> dict[str, str]:
    """Return what our programs are started with: what the image holds, compiled as there."""
    sources = f"{compiled_for(interpreter())}:{source_path()}:{CHECKOUT}"
    about = {"DRIFTLINE_REVISION": "m-0123456789", "DRIFTLINE_DIGEST": f"sha256:{'0' * 64}"}
    return {"PYTHONPATH": sources, "OPENBLAS_NUM_THREADS": "1", **about}


def ours(*arguments: str) -> list[str]:
    """Return a command line of ours."""
    return [str(python_of("")), "-m", *arguments]


@contextmanager
def sidecar(name: str, directory: Path, cpus: Sequence[int]) -> Iterator[Sidecar]:
    """Start one; until the block ends.

    Raises:
        LoadError: it does not listen.
        DiedError: it has ended.
    """
    tap, log = directory / "tap", directory / f"{name}.log"
    (directory / "driftline.json").write_text(json.dumps(_SIGNATURE))
    command = ours("e2e.bench.monitor.logger", str(directory / "payloads"))
    if name == MONITOR:
        command = ours("driftline_serving", "monitor", "--model-name", "m", "--model-dir")
        command += [str(directory), "--tap", str(tap), "--port", "0", "--host", "127.0.0.1"]
    with running(name, pinned(command, cpus), log, environment()) as program:
        url = f"http://127.0.0.1:{port_of(program)}"
        is_monitor = name == MONITOR
        yield Sidecar(
            program=program,
            how="tap" if is_monitor else "event",
            where=str(tap) if is_monitor else url,
            url=url,
        )
        program.check()


def port_of(program: Running) -> int:
    """Return the port that a program of ours says that it listens on.

    Raises:
        LoadError: it says none for a while.
        DiedError: it has ended.
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        program.check()
        found = re.search(r"(?:listening on port|passing on:) (\d+)", program.log.read_text())
        if found:
            return int(found[1])
        if time.monotonic() > deadline:
            raise LoadError(f"{program.name} does not listen:\n{program.tail()}")
        time.sleep(0.05)


def ask(method: str, url: str, body: object = None) -> Any:
    """Ask a monitor for something; return its JSON, None where there is none."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data=data, method=method)  # noqa: S310 - http, see above
    with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310 - the same
        text = answer.read()
    return json.loads(text) if text else None
