"""The modules that the image holds compiled do what their sources say."""

import ast
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
    "test_tap_server.py",
    "test_tap_writer.py",
)


#: What may be called twice.
HARMLESS = {"len", "max", "min"}
#: Replaces a method, which an object of a compiled class does not let one do.
NOT_HERE = "tests/serving/test_routes.py::test_a_bug_is_answered_500_without_a_word_of_it"
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


def calls_in_bounds(source: Path) -> list[int]:
    """Return the lines of slices whose bounds call something: mypyc evaluates these twice."""
    slices = [
        node for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.Slice)
    ]
    called = [node for each in slices for node in ast.walk(each) if isinstance(node, ast.Call)]
    return [node.lineno for node in called if ast.unparse(node.func) not in HARMLESS]


def test_no_bound_of_a_slice_calls_what_may_not_be_called_twice(environ: dict[str, str]) -> None:
    compiled = Path(environ["PYTHONPATH"].split(os.pathsep)[0])
    modules = [path.with_name(path.name.split(".")[0] + ".py") for path in compiled.rglob("*.so")]
    sources = [path for path in modules if path.exists()]
    found = {path.name: calls_in_bounds(path) for path in sources}
    assert len(found) > 20
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_what_is_loaded_is_compiled(environ: dict[str, str]) -> None:
    assert run(environ, "-c", WHERE).strip().endswith(".so")


@pytest.mark.timeout(600)
def test_the_tests_of_the_protocol_pass_on_compiled_modules(environ: dict[str, str]) -> None:
    wanted = [str(HERE / name) for name in TESTS]
    told = run(
        environ, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--deselect", NOT_HERE, *wanted
    )
    assert " passed" in told
