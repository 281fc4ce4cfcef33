"""The API server, over the dynamic client of `kubernetes.aio`.

The one module that performs requests, and the boundary at which the client's errors become ours.
Discovery is left out: the kinds are known, and a start-up must not depend on every aggregated
API of the cluster being well.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic import DynamicClient, Resource

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

_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"


class KubeApi:
    """Implements `kube.api.Api`."""

    def __init__(self, client: ApiClient, *, timeout: float = REQUEST_TIMEOUT) -> None:
        self._client = client
        self._dynamic = DynamicClient(client)
        self._timeout = timeout
        self._resources = {key: _resource(kind) for key, kind in KINDS.items()}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def get(self, ref: ObjectRef) -> Manifest | None:
        """Return the live object, or None where there is none."""
        try:
            return await self._request("get", self._path(ref))
        except GoneError:
            return None

    async def list_page(
        self, query: ListQuery, *, limit: int = 500, continue_token: str = ""
    ) -> ListedPage:
        """Return one page of what is asked for."""
        resource = self._resources[query.api_version, query.kind]
        answer = await self._request(
            "get",
            resource.path(namespace=query.namespace or None),
            seconds=max(self._timeout, LIST_TIMEOUT),
            label_selector=query.labels or None,
            limit=limit,
            _continue=continue_token or None,
        )
        typed = {"apiVersion": query.api_version, "kind": query.kind}
        return ListedPage(
            items=[{**typed, **item} for item in answer["items"] or ()],
            resource_version=answer["metadata"]["resourceVersion"],
            continue_token=answer["metadata"].get("continue", ""),
        )

    async def create(self, manifest: Manifest) -> Manifest:
        """Create, never overwrite."""
        ref = ObjectRef.of(manifest)
        path = self._resource(ref).path(namespace=ref.namespace or None)
        return await self._request("post", path, body=manifest, field_manager=FIELD_MANAGER)

    async def apply(self, manifest: Manifest, *, force: bool = True) -> Manifest:
        """Server-side apply with our field manager; creates what is not there."""
        return await self._request(
            "patch",
            self._path(ObjectRef.of(manifest)),
            body=manifest,
            content_type=_APPLY,
            field_manager=FIELD_MANAGER,
            force_conflicts=force,
        )

    async def replace(self, manifest: Manifest) -> Manifest:
        """Replace the whole object; `metadata.resourceVersion` is the precondition."""
        path = self._path(ObjectRef.of(manifest))
        return await self._request("put", path, body=manifest, field_manager=FIELD_MANAGER)

    async def patch_status(
        self, ref: ObjectRef, *, uid: str, resource_version: str, status: Manifest
    ) -> Manifest:
        """Merge `status` into the status subresource (None removes a field)."""
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        return await self._request(
            "patch",
            f"{self._path(ref)}/status",
            body={"metadata": preconditions, "status": status},
            content_type=_MERGE,
            field_manager=FIELD_MANAGER,
        )

    async def delete(self, ref: ObjectRef, *, uid: str, resource_version: str) -> Manifest | None:
        """Delete in the background, with both preconditions; gone already is success."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid, "resourceVersion": resource_version},
        }
        try:
            answer = await self._request("delete", self._path(ref), body=body)
        except GoneError:
            return None
        return answer if answer["kind"] == ref.kind else None

    def _resource(self, ref: ObjectRef) -> Resource:
        return self._resources[ref.api_version, ref.kind]

    def _path(self, ref: ObjectRef) -> str:
        return str(self._resource(ref).path(name=ref.name, namespace=ref.namespace))

    async def _request(
        self, method: str, path: str, *, seconds: float | None = None, **params: Any
    ) -> dict[str, Any]:
        """Perform one request within its time; every failure becomes one of our errors."""
        limit = seconds or self._timeout
        try:
            async with asyncio.timeout(limit):
                # Given, because the client otherwise shares one header dict between requests.
                params |= {"header_params": {"Accept": "application/json"}, "query_params": []}
                answer = await self._dynamic.request(
                    method, path, serialize=False, _request_timeout=limit, **params
                )
                decoded: dict[str, Any] = await answer.json()
                return decoded
        except ApiException as error:
            raise converted(error) from error
        except TimeoutError as error:
            raise UnavailableError(f"{method} {path}: no answer within {limit:g} s") from error
        except (aiohttp.ClientError, OSError, ssl.SSLError, ValueError) as error:
            raise UnavailableError(f"{method} {path}: {error or type(error).__name__}") from error


def _resource(kind: Kind) -> Resource:
    return Resource(
        prefix="apis" if kind.group else "api",
        group=kind.group,
        api_version=kind.version,
        kind=kind.kind,
        namespaced=True,
        name=kind.plural,
    )


def converted(error: ApiException) -> DriftlineError:
    """Return ours for an error of the API server."""
    status = int(error.status or 0)
    message = _message(error)
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


def _message(error: ApiException) -> str:
    """Return what the API server said, for people."""
    body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else error.body
    try:
        status = json.loads(body or "")
    except ValueError:
        return str(body or error.reason)
    return str(status.get("message", error.reason)) if isinstance(status, Mapping) else str(status)
