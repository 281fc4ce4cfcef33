"""The API server, over `kubernetes.aio` and the resources of its dynamic client.

The one module that performs requests, and the boundary at which the client's errors become ours.
Discovery is left out: the kinds are known, and a start-up must not depend on every aggregated
API of the cluster being well. Left out too is `DynamicClient.request`: it formats a traceback for
every answer that is an error, and most first applies are preceded by a GET that answers 404.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import aiohttp
import orjson
from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic import Resource

from driftline_api.names import FIELD_MANAGER
from driftline_operator.core.kinds import KINDS, Kind
from driftline_operator.core.plan import Manifest, ObjectRef
from driftline_operator.errors import (
    ConflictError,
    DriftlineError,
    ExpiredError,
    GoneError,
    RefusedError,
    UnavailableError,
)
from driftline_operator.kube.api import ListedPage, ListQuery

#: Seconds for one request. Below what the Lease leaves between its deadline and its duration, so
#: that no write of a former leader arrives after the next one has begun.
REQUEST_TIMEOUT: Final = 4.0
#: A page of a LIST is no write, and may be large.
LIST_TIMEOUT: Final = 30.0

_JSON: Final = "application/json"
_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"
_MANAGER: Final = {"fieldManager": FIELD_MANAGER}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    body: Manifest | None = None
    content_type: str = _JSON
    query: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class KubeApi:
    """Implements `kube.api.Api`."""

    def __init__(self, client: ApiClient, *, timeout: float = REQUEST_TIMEOUT) -> None:
        self._client = client
        self._timeout = timeout
        self._resources = {key: _resource(kind) for key, kind in KINDS.items()}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def get(self, ref: ObjectRef) -> Manifest | None:
        """Return the live object, or None where there is none."""
        try:
            return await self._perform(_Request(method="GET", path=self._path(ref)))
        except GoneError:
            return None

    async def list_page(
        self, query: ListQuery, *, limit: int = 500, continue_token: str = ""
    ) -> ListedPage:
        """Return one page of what is asked for."""
        resource = self._resources[query.api_version, query.kind]
        page = {"labelSelector": query.labels, "limit": limit, "continue": continue_token}
        path = str(resource.path(namespace=query.namespace or None))
        request = _Request(method="GET", path=path, query=page)
        answer = await self._perform(request, seconds=max(self._timeout, LIST_TIMEOUT))
        typed = {"apiVersion": query.api_version, "kind": query.kind}
        return ListedPage(
            items=[{**typed, **item} for item in answer["items"] or ()],
            resource_version=answer["metadata"]["resourceVersion"],
            continue_token=answer["metadata"].get("continue", ""),
        )

    async def create(self, manifest: Manifest) -> Manifest:
        """Create, never overwrite."""
        ref = ObjectRef.of(manifest)
        path = str(self._resource(ref).path(namespace=ref.namespace or None))
        return await self._perform(
            _Request(method="POST", path=path, body=manifest, query=_MANAGER)
        )

    async def apply(self, manifest: Manifest, *, force: bool = True) -> Manifest:
        """Server-side apply with our field manager; creates what is not there."""
        request = _Request(
            method="PATCH",
            path=self._path(ObjectRef.of(manifest)),
            body=manifest,
            content_type=_APPLY,
            query={**_MANAGER, "force": str(force).lower()},
        )
        return await self._perform(request)

    async def replace(self, manifest: Manifest) -> Manifest:
        """Replace the whole object; `metadata.resourceVersion` is the precondition."""
        path = self._path(ObjectRef.of(manifest))
        return await self._perform(_Request(method="PUT", path=path, body=manifest, query=_MANAGER))

    async def patch_status(
        self, ref: ObjectRef, *, uid: str, resource_version: str, status: Manifest
    ) -> Manifest:
        """Merge `status` into the status subresource (None removes a field)."""
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        request = _Request(
            method="PATCH",
            path=f"{self._path(ref)}/status",
            body={"metadata": preconditions, "status": status},
            content_type=_MERGE,
            query=_MANAGER,
        )
        return await self._perform(request)

    async def delete(self, ref: ObjectRef, *, uid: str, resource_version: str) -> Manifest | None:
        """Delete in the background, with both preconditions; gone already is success."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid, "resourceVersion": resource_version},
        }
        try:
            answer = await self._perform(_Request(method="DELETE", path=self._path(ref), body=body))
        except GoneError:
            return None
        return answer if answer["kind"] == ref.kind else None

    def _resource(self, ref: ObjectRef) -> Resource:
        return self._resources[ref.api_version, ref.kind]

    def _path(self, ref: ObjectRef) -> str:
        return str(self._resource(ref).path(name=ref.name, namespace=ref.namespace))

    async def _perform(self, request: _Request, seconds: float | None = None) -> dict[str, Any]:
        """Perform one request within its time; every failure becomes one of our errors."""
        limit = seconds or self._timeout
        try:
            async with asyncio.timeout(limit):
                status, content = await self._send(request, limit)
        except TimeoutError as error:
            raise UnavailableError(f"{request}: no answer within {limit:g} s") from error
        except (ApiException, aiohttp.ClientError, OSError, ssl.SSLError) as error:
            raise UnavailableError(f"{request}: {error or type(error).__name__}") from error
        if not 200 <= status < 300:
            raise converted(status, content)
        return _decoded(content, request)

    async def _send(self, request: _Request, limit: float) -> tuple[int, bytes]:
        """Return status and body of the answer."""
        method, url, headers, *_ = await self._client.param_serialize(
            request.method,
            request.path,
            query_params=[(key, value) for key, value in request.query.items() if value],
            header_params={"Accept": _JSON, "Content-Type": request.content_type},
            auth_settings=["BearerToken"],
        )
        answer = await self._client.call_api(
            method, url, headers, request.body, _request_timeout=limit
        )
        return answer.status, await answer.read()


def _decoded(content: bytes, request: _Request) -> dict[str, Any]:
    try:
        decoded: dict[str, Any] = orjson.loads(content)
    except ValueError as error:
        raise UnavailableError(f"{request}: the answer is no JSON: {error}") from error
    return decoded


def _resource(kind: Kind) -> Resource:
    return Resource(
        prefix="apis" if kind.group else "api",
        group=kind.group,
        api_version=kind.version,
        kind=kind.kind,
        namespaced=True,
        name=kind.plural,
    )


def converted(status: int, content: bytes) -> DriftlineError:
    """Return our error for an answer of the API server that is one."""
    message = _message(content)
    match status:
        case 404:
            return GoneError(message)
        case 409:
            return ConflictError(message)
        case 410:
            return ExpiredError(message)
        case 400 | 403 | 405 | 413 | 422:
            return RefusedError(message, status=status)
        case _:
            return UnavailableError(f"{status}: {message}")


def _message(content: bytes) -> str:
    """Return what the API server said, for people; a proxy before it may answer anything."""
    text = content.decode(errors="replace")
    try:
        said = orjson.loads(text)
    except ValueError:
        return text
    return str(said.get("message", said)) if isinstance(said, Mapping) else text
