from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline_serving.server.tensors import Datatype
from e2e.environment import python_with
from tests.serving import onnx_models
from tests.serving.processes import Server, Setup, serving

REVISION = "m-abc123def4"
DIGEST = "sha256:" + "5" * 64
POD_IP = "10.1.2.3"
IDENTITY = Setup(
    environ=(("DRIFTLINE_REVISION", REVISION), ("DRIFTLINE_DIGEST", DIGEST), ("POD_IP", POD_IP))
)


@pytest.fixture(scope="session")
def cancer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serves the forest, as a pod of a revision would."""
    with serving(tmp_path_factory.mktemp("cancer"), onnx_models.cancer_onnx(), IDENTITY) as server:
        yield server


@pytest.fixture(scope="session")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serves a model of strings."""
    with serving(tmp_path_factory.mktemp("iris"), onnx_models.iris_onnx()) as server:
        yield server


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serves a model that gives back what it gets, of every datatype."""
    with serving(tmp_path_factory.mktemp("mirror"), onnx_models.identities()) as server:
        yield server


@pytest.fixture(scope="session")
def typed_mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Gives back what it gets, of every datatype that has a field."""
    onnx = onnx_models.identities(tuple(d for d in Datatype if d is not Datatype.FP16))
    with serving(tmp_path_factory.mktemp("typed"), onnx) as server:
        yield server


@pytest.fixture(scope="session")
def kserve_python() -> Path:
    """The interpreter that has KServe's client."""
    return python_with("kserve")
