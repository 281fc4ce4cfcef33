"""The two API servers that one suite is run against."""

import asyncio
import base64
import json
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from driftline_operator.core.kinds import KINDS
from driftline_operator.core.plan import Manifest, ObjectRef
from driftline_operator.kube.api import Api
from tests.conftest import ApiServer
from tests.contract.manifests import a_config_map
from tests.contract.memory import MemoryApi

APPLY = "application/apply-patch+yaml"


class Backend(Protocol):
    """An API server, and what others than the operator do on it."""

    api: Api
    namespace: str

    def edit(self, ref: ObjectRef, change: Callable[[dict[str, Any]], None]) -> None:
        """Change an object as somebody else."""

    def apply_as(self, manager: str, manifest: Manifest) -> None:
        """Apply as somebody else, by force."""

    async def expire_lists(self) -> None:
        """See to it that no LIST that is under way can go on."""

    async def without_garbage(self, ref: ObjectRef) -> bool:
        """Wait for the garbage collector; tell whether the object is gone."""


class Memory:
    """Ours."""

    def __init__(self) -> None:
        self._memory = MemoryApi()
        self.api: Api = self._memory
        self.namespace = "contract"

    def edit(self, ref: ObjectRef, change: Callable[[dict[str, Any]], None]) -> None:
        self._memory.edit(ref, change)

    def apply_as(self, manager: str, manifest: Manifest) -> None:
        self._memory.apply_as(manager, manifest, force=True)

    async def expire_lists(self) -> None:
        self._memory.expire_lists()

    async def without_garbage(self, ref: ObjectRef) -> bool:
        self._memory.collect_garbage()
        return await self.api.get(ref) is None


class Real:
    """Kubernetes' own."""

    def __init__(self, server: ApiServer, api: Api, namespace: str) -> None:
        self._server = server
        self.api = api
        self.namespace = namespace
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        answer = server.request("POST", "/api/v1/namespaces", made)
        assert answer.status == 201, answer.message

    def edit(self, ref: ObjectRef, change: Callable[[dict[str, Any]], None]) -> None:
        manifest = self._server.request("GET", _path(ref)).body
        change(manifest)
        answer = self._server.request("PUT", f"{_path(ref)}?fieldManager=somebody", manifest)
        assert answer.status == 200, answer.message

    def apply_as(self, manager: str, manifest: Manifest) -> None:
        path = f"{_path(ObjectRef.of(manifest))}?fieldManager={manager}&force=true"
        answer = self._server.request("PATCH", path, manifest, APPLY)
        assert answer.status in {200, 201}, answer.message

    async def expire_lists(self) -> None:
        """Compact etcd, as the API server does every five minutes, and wait until it noticed."""
        path = f"/api/v1/namespaces/{self.namespace}/configmaps"
        token = self._server.request("GET", f"{path}?limit=1").body["metadata"]["continue"]
        newest = self._server.request("POST", path, a_config_map(self.namespace, "newest"))
        version = newest.body["metadata"]["resourceVersion"]
        self._etcd("kv/compaction", {"revision": version, "physical": True})
        self._etcd("kv/put", {"key": _b64("compact_rev_key"), "value": _b64(version)})
        for _ in range(120):
            if self._server.request("GET", f"{path}?limit=1&continue={token}").status == 410:
                return
            await asyncio.sleep(0.25)

    async def without_garbage(self, ref: ObjectRef) -> bool:
        for _ in range(300):
            if await self.api.get(ref) is None:
                return True
            await asyncio.sleep(0.1)
        return False

    def _etcd(self, path: str, body: Mapping[str, object]) -> None:
        url = f"{self._server.plane.etcd}/v3/{path}"
        with urllib.request.urlopen(url, data=json.dumps(body).encode(), timeout=30) as answer:
            assert answer.status == 200


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _path(ref: ObjectRef) -> str:
    kind = KINDS[ref.api_version, ref.kind]
    prefix = f"apis/{kind.api_version}" if kind.group else f"api/{kind.api_version}"
    return f"/{prefix}/namespaces/{ref.namespace}/{kind.plural}/{ref.name}"
