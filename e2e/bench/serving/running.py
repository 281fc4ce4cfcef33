"""A server with a model, for as long as it is measured."""

import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.bench.process import Running, running
from e2e.bench.scene import CHECKOUT
from e2e.bench.serving import answers
from e2e.bench.serving.case import Case, Command, Start
from e2e.bench.serving.load import LoadError
from e2e.bench.serving.peers.ports import free_port
from e2e.bench.serving.servers import Server

START_SECONDS = 60.0
PROOF_SECONDS = 5.0
#: What is measured is this checkout, whichever the environment was made for.
ENV = {"PYTHONPATH": ":".join(str(CHECKOUT / part) for part in ("", "src", "serving/src"))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpus:
    """Where servers and clients run; empty: anywhere."""

    server: Sequence[int]
    client: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A server that answers as it should."""

    url: str
    asked: answers.Asked
    program: Running


@contextmanager
def serving(server: Server, case: Case, cpus: Cpus) -> Iterator[Serving]:
    """Start a server, and what belongs to it, and see that it answers all rows as it should.

    Raises:
        LoadError: it does not.
        DiedError: it, or what belongs to it, has ended.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="driftline-")))
        model = case.single if server.single and case.single else case.onnx
        (directory / "model.onnx").write_bytes(model)
        start = Start(directory=directory, port=free_port(), binary=case.binary)

        def started(name: str, command: Command, on: Sequence[int]) -> Running:
            log = directory / f"{len(list(directory.glob('*.log')))}.log"
            return stack.enter_context(running(name, pinned(command, on), log, ENV))

        beside = [
            (each, started(" ".join(each.command), each.command, cpus.client))
            for each in server.beside(start)
        ]
        program = started(server.name, server.command(start), cpus.server)
        url = f"http://127.0.0.1:{start.port}/v2/models/m/infer"
        asked = [(server.post(case, row), row) for row in case.rows]
        _wait(program, url, asked[:1])
        answers.check(url, asked)
        yield Serving(url=url, asked=asked, program=program)
        program.check()
        for each, running_beside in beside:
            _see(running_beside, each.proof)


def _wait(program: Running, url: str, asked: answers.Asked) -> None:
    """Wait for the first right answer, which is what all servers' readiness comes down to."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        program.check()
        try:
            return answers.check(url, asked)
        except LoadError as error:
            if time.monotonic() > deadline:
                raise LoadError(f"{program.name}: {error}\n{program.tail()}") from error
        time.sleep(0.1)


def _see(program: Running, proof: str) -> None:
    """See that a program beside a server has done its part; it may tell so a little later."""
    deadline = time.monotonic() + PROOF_SECONDS
    while not re.search(proof, program.log.read_text()):
        program.check()
        if time.monotonic() > deadline:
            raise LoadError(f"{program.name} does not say {proof}:\n{program.tail()}")
        time.sleep(0.1)


def pinned(command: Sequence[str], cpus: Sequence[int]) -> list[str]:
    """Return the command, to run on these CPUs alone; empty: anywhere."""
    return ["taskset", "-c", ",".join(map(str, cpus)), *command] if cpus else list(command)
