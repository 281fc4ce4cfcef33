"""The first Model of the guide, step by step: what it trains serves, and answers what it asks."""

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import DOCS, ROOT, blocks

BODY = re.compile(r"-d '(.*?)'", re.DOTALL)


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the guide's Python, as a reader would."""
    directory = tmp_path_factory.mktemp("first-model")
    guide = DOCS / "guide" / "first-model.md"
    code = next(block.text for block in blocks("python") if block.page == guide)
    subprocess.run([sys.executable, "-c", code], cwd=directory, check=True)
    return directory


@pytest.fixture(scope="module")
def server(model_dir: Path) -> Iterator[str]:
    """Serve it with the command of the model server's container."""
    command = [sys.executable, "-m", "driftline_serving", "serve", "--model-name=iris"]
    command += [
        f"--model-dir={model_dir}",
        "--host=127.0.0.1",
        "--port=0",
        "--grpc-port=0",
        "--admin-port=0",
        "--workers=1",
        "--drain-seconds=0",
    ]
    command += [f"--termination-log={model_dir / 'log'}"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{_port_once_ready(process)}"
        finally:
            process.terminate()


def _port_once_ready(process: "subprocess.Popen[str]") -> int:
    """Read the log up to the line that says ready; an end of the log fails."""
    assert process.stderr
    log = []
    for line in process.stderr:
        log.append(line)
        if "ready: 1 of 1 workers" in line:
            return int(re.findall(r"listening on port (\d+)", "".join(log))[0])
    pytest.fail("".join(log))


def shown_bodies(page: str) -> list[str]:
    bodies = BODY.findall((DOCS / page).read_text())
    assert bodies
    return bodies


def ask(url: str, body: str) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{url}/v2/models/iris/infer", body.encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found


def test_the_guides_request_is_answered(server: str) -> None:
    (body,) = shown_bodies("guide/first-model.md")
    outputs = {each["name"]: each for each in ask(server, body)["outputs"]}
    assert outputs["label"]["data"] == [0]  # the row is an Iris setosa
    assert outputs["probabilities"]["shape"] == [1, 3]


def test_the_references_request_is_answered(server: str) -> None:
    body, _ = shown_bodies("reference/protocol.md")
    answer = ask(server, body)
    assert answer["id"] == "17"
    assert [(each["name"], each["data"]) for each in answer["outputs"]] == [("label", [0, 2])]


def test_the_references_request_for_parameters_is_answered_with_them(server: str) -> None:
    _, body = shown_bodies("reference/protocol.md")
    assert "driftline-prediction-id" in ask(server, body)["parameters"]


def test_the_models_inputs_are_told(server: str) -> None:
    with urllib.request.urlopen(f"{server}/v2/models/iris", timeout=10) as answer:
        (found,) = json.loads(answer.read())["inputs"]
    assert found == {"name": "X", "datatype": "FP32", "shape": [-1, 4]}
