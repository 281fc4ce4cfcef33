"""What a real server tells, and that it does not care who listens."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

from driftline_serving.server.tensors import Datatype
from driftline_serving.tap.records import Omitted, Stamp
from tests.serving import grpc_calls, onnx_models
from tests.serving.processes import Server, Setup, serving, until
from tests.serving.tap_readers import Told, dragging, listening
from tests.serving.test_protocol import outputs, rows

STAMPS = {"driftline-arm": "canary", "driftline-epoch": "12", "driftline-slot": "1700000005"}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server that tests share looks for a reader."""
    return tmp_path_factory.mktemp("tapped") / "tap"


def tapping(path: Path, *more: str) -> Setup:
    environ = (("DRIFTLINE_REVISION", "m-7"), ("DRIFTLINE_DIGEST", "sha256:ab"))
    return Setup(arguments=("--tap", str(path), *more), environ=environ)


@pytest.fixture(scope="module")
def tapped(path: Path) -> Iterator[Server]:
    with serving(path.parent, onnx_models.cancer_onnx(), tapping(path)) as server:
        yield server


async def test_a_call_is_told_as_it_was_answered(tapped: Server, path: Path) -> None:
    told = Told()
    async with listening(path, told):
        headers = {**STAMPS, "x-request-id": "order-17"}
        answer = await asyncio.to_thread(tapped.infer, rows(3, 5), headers)
        await told.until_seen(1)
    (found,) = told.inferences
    assert told.frames[-1].source.about == {"model": "m", "revision": "m-7", "digest": "sha256:ab"}
    assert found.id == answer.headers["driftline-prediction-id"]
    assert (found.request_id, found.status) == ("order-17", 200)
    assert found.stamp == Stamp("canary", 12, 1_700_000_005)
    assert 0 < found.latency_us < 60_000_000
    assert found.received_us // 1000 == int(found.id.replace("-", "")[:12], 16)
    assert np.array_equal(found.inputs["X"], onnx_models.cancer_rows()[0][3:5])
    for name, output in outputs(answer.json).items():
        served = found.outputs[name]
        assert isinstance(served, np.ndarray)
        assert served.shape == tuple(output["shape"])
        np.testing.assert_allclose(served.reshape(-1), output["data"], rtol=1e-6)


async def test_calls_over_grpc_are_told_as_well(tapped: Server, path: Path) -> None:
    def ask() -> None:
        metadata = (*STAMPS.items(), ("x-request-id", "order-18"))
        with grpc_calls.stub_of(tapped) as stub:
            stub.ModelInfer(grpc_calls.rows(0, 2), metadata=metadata)

    told = Told()
    async with listening(path, told):
        await asyncio.to_thread(ask)
        await told.until_seen(1)
    (found,) = told.inferences
    assert (found.request_id, found.stamp.arm, found.status) == ("order-18", "canary", 200)
    assert np.array_equal(found.inputs["X"], onnx_models.cancer_rows()[0][0:2])


async def test_what_a_client_did_wrong_is_told_with_its_status(tapped: Server, path: Path) -> None:
    told = Told()
    async with listening(path, told):
        await asyncio.to_thread(tapped.infer, b"no JSON")
        await told.until_seen(1)
    (found,) = told.inferences
    assert (found.status, found.inputs, found.outputs) == (400, {}, {})
    assert found.stamp == Stamp()


async def test_replays_are_told_to_nobody(tapped: Server, path: Path) -> None:
    told = Told()
    async with listening(path, told):
        await told.until(lambda: bool(told.frames), "it is connected")
        answer = await asyncio.to_thread(tapped.infer, rows(0, 1), {"driftline-replay": "1"})
        assert answer.status == 200
        await asyncio.to_thread(tapped.infer, rows(1, 2))
        await told.until_seen(1)
    first, last = told.frames[0].counters, told.frames[-1].counters
    assert told.seen == last.offered - first.offered == 1
    assert np.array_equal(told.inferences[0].inputs["X"], onnx_models.cancer_rows()[0][1:2])


@pytest.mark.parametrize(
    ("headers", "stamp"),
    [
        ({"driftline-epoch": "x", "driftline-slot": "-1"}, Stamp()),
        ({"driftline-epoch": "9" * 30, "driftline-arm": "a" * 500}, Stamp("a" * 256)),
        ({"x-request-id": "i" * 500}, Stamp()),
    ],
)
async def test_what_a_client_makes_up_does_no_harm(
    tapped: Server, path: Path, headers: dict[str, str], stamp: Stamp
) -> None:
    told = Told()
    async with listening(path, told):
        assert (await asyncio.to_thread(tapped.infer, rows(0, 1), headers)).status == 200
        await told.until_seen(1)
    (found,) = told.inferences
    assert found.stamp == stamp
    assert len(found.request_id) in (0, 256)


async def test_strings_and_large_tensors(tmp_path: Path) -> None:
    def tensor(kind: Datatype, shape: list[int], data: list[Any]) -> dict[str, Any]:
        name = f"in_{kind.value.lower()}"
        return {"name": name, "datatype": kind.value, "shape": shape, "data": data}

    model = onnx_models.identities((Datatype.FP32, Datatype.BYTES))
    told, path = Told(), tmp_path / "tap"
    with serving(tmp_path, model, tapping(path)) as server:
        async with listening(path, told):
            words = tensor(Datatype.BYTES, [1, 2], ["é", ""])
            numbers = tensor(Datatype.FP32, [3, 100_000], [0.5] * 300_000)
            await asyncio.to_thread(server.infer, {"inputs": [words, numbers]})
            await told.until_seen(1)
    (found,) = told.inferences
    for prefix, tensors in (("in", found.inputs), ("out", found.outputs)):
        assert tensors[f"{prefix}_fp32"] == Omitted(Datatype.FP32, (3, 100_000))
        kept = tensors[f"{prefix}_bytes"]
        assert isinstance(kept, np.ndarray)
        assert kept.tolist() == [["é", ""]]


def ask_often(server: Server, count: int) -> None:
    """Eight clients, each of which sees to its answers."""
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(
            server.infer, (rows(each % 500, each % 500 + 1) for each in range(count))
        )
        assert {answer.status for answer in answers} == {200}


async def test_everyone_who_was_answered_is_told_before_the_end(tmp_path: Path) -> None:
    told, path = Told(), tmp_path / "tap"
    with serving(tmp_path, onnx_models.cancer_onnx(), tapping(path)) as server:
        async with listening(path, told):
            await asyncio.to_thread(ask_often, server, 200)
            server.terminate()
            assert await asyncio.to_thread(server.process.wait, 30) == 0
            await told.until(lambda: told.accounts_for(200), "all is told")
    assert told.seen == 200
    assert "tap: 200 inferences sent, 0 dropped" in "".join(server.log)


def test_a_path_that_no_socket_can_have_is_refused_at_once(tmp_path: Path) -> None:
    setup = Setup(arguments=("--tap", "x" * 108), wait_ready=False)
    with serving(tmp_path, b"", setup) as server:
        assert server.process.wait(30) == 2
    assert "--tap: the path of a Unix socket has at most 107 bytes" in "".join(server.log)


def resident(server: Server) -> int:
    """Bytes of memory."""
    status = Path(f"/proc/{server.worker}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


async def test_a_stuck_reader_is_no_reason_to_grow_or_to_linger(tmp_path: Path) -> None:
    """Far more than the queue holds is answered."""
    request = np.zeros((1, 100_000), np.float32)
    size = {"binary_data_size": request.nbytes}
    header = {"name": "in_fp32", "datatype": "FP32", "shape": request.shape, "parameters": size}
    wanted = {"name": "out_fp32", "parameters": {"binary_data": True}}
    head = json.dumps({"inputs": [header], "outputs": [wanted]}).encode()
    body, length = head + request.tobytes(), {"inference-header-content-length": str(len(head))}

    def ask(count: int) -> None:
        for _ in range(count):
            assert server.infer(body, length).status == 200

    model, path = onnx_models.identities((Datatype.FP32,)), tmp_path / "tap"
    with serving(tmp_path, model, tapping(path)) as server:
        async with dragging(path, Told(), asyncio.Event().wait):
            await asyncio.to_thread(ask, 80)
            before = resident(server)
            await asyncio.to_thread(ask, 200)
            assert resident(server) - before < 64 * request.nbytes
            server.terminate()
            assert await asyncio.to_thread(server.process.wait, 30) == 0


@contextmanager
def watching(path: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "driftline_serving.tap.watch", str(path), "--seconds", "0.05"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def until_line(lines: IO[str] | None, **wanted: object) -> dict[str, Any]:
    """The first line that says so."""
    assert lines is not None
    for line in lines:
        said: dict[str, Any] = json.loads(line)
        if wanted.items() <= said.items():
            return said
    raise AssertionError("it has ended")


def test_a_person_can_watch(tapped: Server, path: Path) -> None:
    with watching(path) as watch:
        before = until_line(watch.stdout, workers=1)
        ask_often(tapped, 30)
        tapped.infer(b"no JSON")
        found = until_line(watch.stdout, seen=31)
        assert found["statuses"] == {"200": 30, "400": 1}
        assert (found["offered"] - before["offered"], found["dropped"]) == (31, 0)
        watch.send_signal(signal.SIGTERM)
        assert watch.wait(10) == 0
    assert not path.exists()


def test_a_reader_that_was_killed_is_replaced(tapped: Server, path: Path) -> None:
    with watching(path) as killed:
        until_line(killed.stdout, workers=1)
    ask_often(tapped, 20)
    with watching(path) as other:
        assert until_line(other.stdout, seen=20)["dropped"] == 0
    until(lambda: "nobody listens" in "".join(tapped.log), "the log says so")
