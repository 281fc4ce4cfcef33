"""The seam between Driftline and the API server.

`Api` is what the executor, the resync and the Lease need, and no more. `client.py` implements
it over `kubernetes.aio`; `memory.py` in the tests implements it without a server, and one
contract suite is run against both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from driftline_operator.core.plan import Manifest, ObjectRef


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """What to list: all namespaces unless one is named, all objects unless labels are asked for."""

    api_version: str
    kind: str
    namespace: str = ""
    labels: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPage:
    """One page of a LIST."""

    items: Sequence[Manifest]
    resource_version: str
    #: Asks for the next page; empty after the last.
    continue_token: str


class Api(Protocol):
    """The requests Driftline makes. Every method raises the errors of `errors.py` only."""

    async def get(self, ref: ObjectRef) -> Manifest | None:
        """Return the live object, or None where there is none."""

    async def list_page(
        self, query: ListQuery, *, limit: int = 500, continue_token: str = ""
    ) -> ListedPage:
        """Return one page of what is asked for.

        All pages of one LIST show the same instant: that of the first page's resourceVersion.

        Raises:
            ExpiredError: the continue token is too old.
        """

    async def create(self, manifest: Manifest) -> Manifest:
        """Create, never overwrite.

        Raises:
            ConflictError: it exists already.
            RefusedError: invalid or forbidden.
        """

    async def apply(self, manifest: Manifest, *, force: bool = True) -> Manifest:
        """Server-side apply with our field manager; creates what is not there.

        A `metadata.resourceVersion` in the manifest is a precondition; nothing is created then.

        Args:
            manifest: all that we want to be said of the object, and nothing else.
            force: take over fields that others own with other values.

        Raises:
            ConflictError: a precondition failed or, without force, others own a field.
            RefusedError: invalid or forbidden.
        """

    async def replace(self, manifest: Manifest) -> Manifest:
        """Replace the whole object; `metadata.resourceVersion` is the precondition."""

    async def patch_status(
        self, ref: ObjectRef, *, uid: str, resource_version: str, status: Manifest
    ) -> Manifest:
        """Merge `status` into the status subresource (None removes a field).

        Raises:
            ConflictError: a precondition failed.
            GoneError: there is no such object.
        """

    async def delete(self, ref: ObjectRef, *, uid: str, resource_version: str) -> Manifest | None:
        """Delete in the background, with both preconditions; gone already is success.

        Returns:
            The object, when finalizers keep it for now.

        Raises:
            ConflictError: a precondition failed.
        """
