"""What tests share: a real API server, without the rest of a cluster."""

import json
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.bench.control_plane import ControlPlane, control_plane
from e2e.chart_check import helm_binary
from e2e.cluster.binaries import KUBE, build
from e2e.cluster.layout import default_layout
from e2e.environment import python_with

ROOT = Path(__file__).parent.parent
JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the API server answered."""

    status: int
    body: dict[str, Any]

    @property
    def message(self) -> str:
        """What a refusal says."""
        return str(self.body.get("message", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServer:
    """A running API server and a plain client of it."""

    plane: ControlPlane

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, kind: str = JSON
    ) -> Answer:
        """Send one request, as an administrator; every answer is returned, also a refusal."""
        return self._send(method, path, _packed(body), {"Content-Type": kind})

    def table(self, path: str) -> dict[str, Any]:
        """Get what `kubectl get` would show."""
        accept = f"{JSON};as=Table;v=v1;g=meta.k8s.io"
        return self._send("GET", path, None, {"Accept": accept}).body

    def _send(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        request = urllib.request.Request(
            f"{self.plane.url}{path}",
            method=method,
            data=data,
            headers={"Authorization": f"Bearer {self.plane.token}", **headers},
        )
        trust = ssl.create_default_context(cafile=str(self.plane.ca))
        try:
            with urllib.request.urlopen(request, context=trust, timeout=30) as answer:
                return Answer(status=answer.status, body=json.load(answer))
        except urllib.error.HTTPError as refused:
            with refused:
                return _refusal(refused)

    def apply(
        self, path: str, manifest: Mapping[str, Any], *, force: bool = False, user: str = ""
    ) -> Answer:
        """Apply server-side, as `kubectl apply --server-side` does, and with `--as`."""
        query = f"fieldManager=test&fieldValidation=Strict&force={str(force).lower()}"
        headers = {"Content-Type": "application/apply-patch+yaml"}
        who = {"Impersonate-User": user} if user else {}
        return self._send("PATCH", f"{path}?{query}", _packed(manifest), headers | who)


def _packed(body: Mapping[str, Any] | None) -> bytes | None:
    return None if body is None else json.dumps(body).encode()


def _refusal(refused: urllib.error.HTTPError) -> Answer:
    """Read a refusal, which is plain text where no resource of that path is served yet."""
    text = refused.read().decode()
    is_status = refused.headers.get_content_type() == JSON
    return Answer(status=refused.code, body=json.loads(text) if is_status else {"message": text})


def kube_binary() -> Path:
    """Return the programs of Kubernetes: `DRIFTLINE_KUBE`, or the cluster's, built if need be."""
    given = os.environ.get("DRIFTLINE_KUBE")
    return Path(given) if given else build(default_layout(), KUBE)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the chosen tests need, where it is not there: no test's time-out allows for it."""
    needed = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if "api_server" in needed:
        kube_binary()
    if any(item.path.parent.name == "chart" for item in session.items):
        helm_binary()
    if "kserve_python" in needed:
        python_with("kserve")


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A real API server that knows our CRDs, without controllers and nodes."""
    with control_plane(kube_binary(), tmp_path_factory.mktemp("api-server")) as plane:
        server = ApiServer(plane=plane)
        _install_crds(server)
        yield server


def _install_crds(server: ApiServer) -> None:
    for file in sorted((ROOT / "crds").glob("*.yaml")):
        crd = yaml.safe_load(file.read_text())
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        answer = server.request("POST", path, crd)
        assert answer.status == 201, answer.message
        _wait_served(server, f"/apis/{crd['spec']['group']}/{crd['spec']['versions'][0]['name']}")


def _wait_served(server: ApiServer, path: str) -> None:
    """Ask until the resource is served; the API server installs it on its own."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if server.request("GET", f"{path}/models").status == 200:
            return
        time.sleep(0.05)
    pytest.fail(f"{path} is not served")
