"""`driftline-serve` as a person at a terminal uses it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from driftline_serving.server.tensors import Datatype
from tests.serving import onnx_models

PROGRAM = [sys.executable, "-m", "driftline_serving.laptop"]
FREE_PORTS = ("--port", "0", "--grpc-port", "0", "--admin-port", "0")


def picture() -> bytes:
    """Takes one picture of 3 x 64 x 64, too large to be looked at."""
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["pixels"], ["mean"], keepdims=0)],
        "picture",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("mean", TensorProto.FLOAT, [])],
    )
    opset = [helper.make_opsetid("", 17)]
    return onnx_models.serialized(helper.make_model(graph, opset_imports=opset, ir_version=8))


MODELS = {
    "trees": onnx_models.cancer_onnx,
    "words and widths": onnx_models.iris_onnx,
    "every datatype": lambda: onnx_models.identities(tuple(Datatype)),
    "a picture": picture,
}


@contextmanager
def started(directory: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = [*PROGRAM, "--model", str(directory), *FREE_PORTS, "--workers", "1", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def shown(process: "subprocess.Popen[str]") -> list[str]:
    """What it shows, up to the example."""
    assert process.stdout
    lines: list[str] = []
    while not lines or "curl" not in lines[-1]:
        lines.append(process.stdout.readline())
        assert lines[-1], "it ended"
    return lines


@pytest.mark.parametrize("onnx", MODELS.values(), ids=MODELS)
def test_the_example_that_it_shows_works(tmp_path: Path, onnx: "Sequence[object]") -> None:
    directory = tmp_path / "it's mine"
    directory.mkdir()
    (directory / "model.onnx").write_bytes(onnx())  # type: ignore[operator]  # a table of functions
    with started(directory) as process:
        *about, example = shown(process)
        answer = subprocess.run(
            ["bash", "-c", example], capture_output=True, timeout=60, check=True
        ).stdout
        text, _ = json.JSONDecoder().raw_decode(answer.decode("latin-1"))
        assert text["model_name"] == "it's mine"
        assert text["outputs"]
        assert about[0].startswith("it's mine is served at http://127.0.0.1:")
        metrics = next(line for line in about if line.startswith("metrics at ")).split()[-1]
        scraped = subprocess.run(["curl", "-s", metrics], capture_output=True, check=True).stdout
        assert b'driftline_server_requests_total{code="200",protocol="http"} 1.0' in scraped


def test_control_c_ends_it_at_once(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(onnx_models.cancer_onnx())
    with started(tmp_path) as process:
        shown(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


MISTAKES = {
    "nothing there": ("{0}/none", "there is no directory {0}/none; give the one that holds"),
    "a file": ("{0}/notes", "{0}/notes is a file; give the directory that holds model.onnx"),
    "a pickle": ("{0}/model.pkl", "that holds model.onnx. It is a pickle, which is never loaded"),
    "no model": ("{0}/data", "{0}/data holds no model.onnx (found: rows.csv)"),
    "a pickle alone": ("{0}", "{0} holds no model.onnx, and model.pkl is a pickle, which is never"),
}


@pytest.mark.parametrize(("given", "told"), MISTAKES.values(), ids=MISTAKES)
def test_what_is_wrong_with_the_directory_is_told(tmp_path: Path, given: str, told: str) -> None:
    (tmp_path / "model.pkl").write_bytes(b"pickle")
    (tmp_path / "notes").write_text("about it")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("1,2")
    ended = subprocess.run(
        [*PROGRAM, "--model", given.format(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "COLUMNS": "500"},
    )
    assert ended.returncode == 2
    assert told.format(tmp_path) in ended.stderr
    assert len(ended.stderr.splitlines()) == 2, "usage and mistake"
