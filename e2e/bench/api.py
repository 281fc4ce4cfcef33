"""As little of a Kubernetes client as one can do with, over aiohttp.

It is what the operator is measured against, so it does nothing that a request does not need.
"""

import ssl
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from e2e.bench.control_plane import ControlPlane

Object = dict[str, Any]

_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"

#: Where each kind is found. All are namespaced, but for namespaces and CRDs.
PATHS = {
    "Namespace": "api/v1",
    "Pod": "api/v1",
    "Service": "api/v1",
    "ConfigMap": "api/v1",
    "Event": "api/v1",
    "Deployment": "apis/apps/v1",
    "ControllerRevision": "apis/apps/v1",
    "Model": "apis/driftline.dev/v1alpha1",
    "CustomResourceDefinition": "apis/apiextensions.k8s.io/v1",
}


class RefusedError(Exception):
    """The API server did not do what was asked.

    Attributes:
        status: HTTP status code.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def path_of(kind: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """Return the path of an object, or of all of a kind.

    >>> path_of("Deployment", "a", "x", "status")
    '/apis/apps/v1/namespaces/a/deployments/x/status'
    """
    scope = ("namespaces", namespace) if namespace else ()
    parts = (PATHS[kind], *scope, f"{kind.lower()}s", name, subresource)
    return "/" + "/".join(part for part in parts if part)


class Client:
    """One program's connections to the API server, under a user agent of its own."""

    def __init__(self, plane: ControlPlane, agent: str, connections: int = 32) -> None:
        trust = ssl.create_default_context(cafile=str(plane.ca))
        self._session = aiohttp.ClientSession(
            base_url=plane.url,
            connector=aiohttp.TCPConnector(ssl=trust, limit=connections),
            headers={"Authorization": f"Bearer {plane.token}", "User-Agent": agent},
            # A watch may be silent for ever; a request that hangs is seen by who waits for it.
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def create(self, manifest: Object) -> Object:
        """Create."""
        meta = manifest["metadata"]
        path = path_of(manifest["kind"], meta.get("namespace", ""))
        return await self._send("POST", path, manifest, "application/json")

    async def apply(self, manifest: Object, field_manager: str) -> Object:
        """Server-side apply."""
        meta = manifest["metadata"]
        path = path_of(manifest["kind"], meta.get("namespace", ""), meta["name"])
        query = f"?fieldManager={field_manager}&force=true"
        return await self._send("PATCH", path + query, manifest, _APPLY)

    async def patch_status(self, kind: str, namespace: str, name: str, status: Object) -> Object:
        """Merge into the status."""
        path = path_of(kind, namespace, name, "status")
        return await self._send("PATCH", path, {"status": status}, _MERGE)

    async def list(self, kind: str) -> list[Object]:
        """List all of a kind, of all namespaces, as whole objects."""
        async with self._session.get(path_of(kind)) as answer:
            listed = await _read(answer)
        api_version = listed["apiVersion"]
        return [{**item, "kind": kind, "apiVersion": api_version} for item in listed["items"]]

    async def watch(self, kind: str, query: str) -> AsyncIterator[tuple[str, Object]]:
        """Yield what happens to a kind, as (`ADDED`, object), until the server ends the watch."""
        async with self._session.get(
            f"{path_of(kind)}?watch=true&{query}", read_bufsize=2**22
        ) as got:
            async for line in got.content:
                event = orjson.loads(line)
                yield event["type"], event["object"]

    async def _send(self, method: str, path: str, body: Object, kind: str) -> Object:
        headers = {"Content-Type": kind}
        data = orjson.dumps(body)
        async with self._session.request(method, path, data=data, headers=headers) as answer:
            return await _read(answer)


async def _read(answer: aiohttp.ClientResponse) -> Object:
    body = await answer.read()
    if answer.status >= 300:
        raise RefusedError(f"{answer.method} {answer.url}: {body[:500]!r}", answer.status)
    got: Object = orjson.loads(body)
    return got
