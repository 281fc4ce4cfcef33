"""One suite, two API servers."""

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from driftline_operator.kube.client import KubeApi
from driftline_operator.kube.connect import connect
from e2e.bench.process import running
from tests.conftest import ApiServer, kube_binary
from tests.contract.backends import Backend, Memory, Real

_namespaces = itertools.count(1)


@pytest.fixture(scope="session")
def garbage_collector(
    api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Of the controller manager, only what the contract speaks of."""
    kubeconfig: Path = api_server.plane.kubeconfig
    command = [
        *(str(kube_binary()), "kube-controller-manager", f"--kubeconfig={kubeconfig}"),
        *("--controllers=garbage-collector-controller", "--leader-elect=false"),
        *("--secure-port=0", "--concurrent-gc-syncs=2"),
    ]
    log = tmp_path_factory.mktemp("controllers") / "log"
    with running("controller-manager", command, log):
        yield


@pytest.fixture(params=["memory", "real"])
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    """An empty namespace on each of the two."""
    if request.param == "memory":
        yield Memory()
        return
    server: ApiServer = request.getfixturevalue("api_server")
    request.getfixturevalue("garbage_collector")
    client = await connect({"KUBECONFIG": str(server.plane.kubeconfig)})
    api = KubeApi(client)
    yield Real(server, api, f"contract-{next(_namespaces)}")
    await api.close()
