"""What every test of the suite stands on: the installed system, a namespace, real artifacts."""

import secrets
from collections.abc import Iterator

import pytest

from e2e import kubectl as kubectl_module
from e2e.install import System, ensure_installed
from e2e.kubectl import Kubectl
from e2e.models import Data, breast_cancer
from e2e.workspace import Workspace


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the time that a cluster may take."""
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(400))


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    return kubectl_module.from_environment()


@pytest.fixture(scope="session")
def system(kubectl: Kubectl) -> System:
    """The chart, the S3 server and the artifacts, installed once for all workers."""
    return ensure_installed(kubectl)


@pytest.fixture(scope="session")
def data() -> Data:
    return breast_cancer()


@pytest.fixture(scope="module")
def workspace(
    kubectl: Kubectl, system: System, request: pytest.FixtureRequest
) -> Iterator[Workspace]:
    """A namespace of the test module's own, deleted at its end."""
    stem = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    space = Workspace(
        kubectl=kubectl, system=system, namespace=f"e2e-{stem}-{secrets.token_hex(2)}"
    )
    space.create()
    yield space
    space.delete(wait=False)
