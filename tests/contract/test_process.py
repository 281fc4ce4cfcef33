"""The operator as a process, against the real API server: watching, leading, stopping."""

import contextlib
import itertools
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from e2e.bench.control_plane import free_port
from e2e.bench.process import Running, running
from tests.conftest import ApiServer
from tests.contract.manifests import a_model

_namespaces = itertools.count(1)
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/driftline-operator"
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A running replica."""

    name: str
    process: Running
    port: int

    def status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return 0

    def is_ready(self) -> bool:
        self.process.check()
        return self.status("/readyz") == 200

    def metric(self, name: str) -> float:
        """Return the sum of all samples of a metric."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(each.rpartition(" ")[2]) for each in lines if each.startswith(name))


class Installation:
    """A namespace, and replicas that watch it alone."""

    def __init__(self, server: ApiServer, logs: Path) -> None:
        self.server = server
        self.namespace = f"process-{next(_namespaces)}"
        self._logs = logs
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        assert server.request("POST", "/api/v1/namespaces", made).status == 201

    @contextlib.contextmanager
    def replica(self, name: str) -> Iterator[Process]:
        port = free_port()
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.server.plane.kubeconfig),
            "POD_NAME": name,
            "POD_NAMESPACE": self.namespace,
            "DRIFTLINE_SERVING_IMAGE": "serving:1",
            "DRIFTLINE_ROUTER_IMAGE": "envoy:1",
            "DRIFTLINE_WATCH_NAMESPACES": self.namespace,
            "DRIFTLINE_HTTP_PORT": str(port),
            "DRIFTLINE_XDS_PORT": str(free_port()),
        }
        command = [sys.executable, "-m", "driftline_operator"]
        log = self._logs / f"{self.namespace}-{name}.log"
        with running(name, command, log, environment) as process:
            started = Process(name=name, process=process, port=port)
            eventually(started.is_ready, f"{name} is ready")
            yield started

    @property
    def leader(self) -> str:
        """The name of the replica that holds the Lease; empty when none does."""
        lease = self.server.request("GET", LEASES.format(self.namespace)).body
        return str(lease.get("spec", {}).get("holderIdentity", "")).rpartition("_")[0]

    def create_model(self, namespace: str = "") -> None:
        model = a_model(namespace or self.namespace, "m")
        path = f"/apis/driftline.dev/v1alpha1/namespaces/{namespace or self.namespace}/models"
        answer = self.server.request("POST", path, model)
        assert answer.status == 201, answer.message

    def deployment(self) -> dict[str, Any] | None:
        """Return the Model's only Deployment."""
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments"
        query = "?labelSelector=driftline.dev/model=m"
        items = self.server.request("GET", path + query).body["items"]
        return items[0] if items else None

    def delete_deployment(self) -> None:
        live = self.deployment()
        assert live
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments"
        self.server.request("DELETE", f"{path}/{live['metadata']['name']}")


def eventually(holds: Callable[[], T], what: str, within: float = 40) -> T:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.1)
    pytest.fail(f"not within {within:g} s: {what}")


@pytest.fixture
def installation(api_server: ApiServer, tmp_path: Path) -> Installation:
    return Installation(api_server, tmp_path)


def test_a_model_gets_its_children_and_what_is_deleted_by_hand_comes_back(
    installation: Installation,
) -> None:
    with installation.replica("one"):
        installation.create_model()
        first = eventually(installation.deployment, "a Deployment")
        assert first
        installation.delete_deployment()

        def is_back() -> bool:
            live = installation.deployment()
            return live is not None and live["metadata"]["uid"] != first["metadata"]["uid"]

        eventually(is_back, "another Deployment")


def test_what_is_edited_by_hand_is_repaired(installation: Installation) -> None:
    with installation.replica("one"):
        installation.create_model()
        live = eventually(installation.deployment, "a Deployment")
        assert live
        path = f"/apis/apps/v1/namespaces/{installation.namespace}/deployments"
        patch = {"spec": {"progressDeadlineSeconds": 7}}
        merge = "application/merge-patch+json"
        wanted = live["spec"]["progressDeadlineSeconds"]
        name = live["metadata"]["name"]
        assert installation.server.request("PATCH", f"{path}/{name}", patch, merge).status == 200

        def is_repaired() -> bool:
            now = installation.deployment()
            return now is not None and now["spec"]["progressDeadlineSeconds"] == wanted

        eventually(is_repaired, "the Deployment as it was")


def test_a_restart_writes_nothing(installation: Installation) -> None:
    with installation.replica("one") as first:
        installation.create_model()
        eventually(installation.deployment, "a Deployment")
        eventually(lambda: is_at_rest(first), "rest")
    with installation.replica("two") as second:
        eventually(lambda: installation.leader == "two", "the second to lead")
        eventually(lambda: second.metric("driftline_reconciles_total") > 1, "reconciles")
        eventually(lambda: is_at_rest(second), "rest")
        assert second.metric("driftline_writes_total") == 0


def is_at_rest(process: Process) -> bool:
    before = process.metric("driftline_reconciles_total")
    time.sleep(1.5)
    return process.metric("driftline_reconciles_total") == before


def test_one_leads_and_hands_over_when_it_is_told_to_stop(installation: Installation) -> None:
    with installation.replica("one") as first, installation.replica("two") as second:
        assert installation.leader == "one"
        assert (first.metric("driftline_leader"), second.metric("driftline_leader")) == (1, 0)
        first.process.process.send_signal(signal.SIGTERM)
        eventually(lambda: installation.leader == "two", "the second to lead", within=10)
        assert first.process.process.wait(10) == 0
        installation.create_model()
        eventually(installation.deployment, "a Deployment")


def test_a_leader_that_is_killed_is_followed(installation: Installation) -> None:
    with installation.replica("one") as first, installation.replica("two"):
        first.process.process.kill()
        installation.create_model()
        assert installation.deployment() is None
        eventually(installation.deployment, "a Deployment of the second replica")
        assert installation.leader == "two"


def test_other_namespaces_are_left_alone(installation: Installation, tmp_path: Path) -> None:
    other = Installation(installation.server, tmp_path)
    with installation.replica("one"):
        other.create_model()
        installation.create_model()
        eventually(installation.deployment, "a Deployment")
        assert other.deployment() is None


def test_a_missing_setting_is_named_and_ends_the_process(tmp_path: Path) -> None:
    with running("operator", [sys.executable, "-m", "driftline_operator"], tmp_path / "log") as it:
        assert it.process.wait(20) == 2
    assert "POD_NAMESPACE" in (tmp_path / "log").read_text()


def test_the_endpoints_tell(installation: Installation) -> None:
    with installation.replica("one") as replica:
        assert replica.status("/healthz") == 200
        assert replica.metric("process_resident_memory_bytes") < 200_000_000
        assert json.dumps(replica.status("/nothing")) == "404"
