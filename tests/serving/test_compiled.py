"""The modules that the image holds compiled do what their sources say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.compiled import compiled_for

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
#: What runs through all of the compiled modules, from bytes to bytes.
TESTS = (
    "test_batcher.py",
    "test_codec.py",
    "test_http.py",
    "test_limits.py",
    "test_measures.py",
    "test_ordinary.py",
    "test_prediction_id.py",
    "test_predictions.py",
    "test_protocol.py",
    "test_provenance.py",
    "test_receipt.py",
    "test_routes.py",
    "test_tap_frame.py",
    "test_tap_queue.py",
    "test_tap_writer.py",
)


#: Prints from where the server's connection is loaded.
WHERE = "import driftline_serving.server.http.connection as module; print(module.__file__)"


@pytest.fixture(scope="module")
def environ() -> dict[str, str]:
    compiled = compiled_for(sys.executable)
    return {**os.environ, "PYTHONPATH": f"{compiled}{os.pathsep}{CHECKOUT}"}


def run(environ: dict[str, str], *arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, *arguments],
        check=False,
        env=environ,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_what_is_loaded_is_compiled(environ: dict[str, str]) -> None:
    assert run(environ, "-c", WHERE).strip().endswith(".so")


@pytest.mark.timeout(600)
def test_the_tests_of_the_protocol_pass_on_compiled_modules(environ: dict[str, str]) -> None:
    wanted = [str(HERE / name) for name in TESTS]
    told = run(environ, "-m", "pytest", "-q", "-p", "no:cacheprovider", *wanted)
    assert " passed" in told
