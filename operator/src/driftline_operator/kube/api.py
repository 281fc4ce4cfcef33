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
class ListedPage:
    """One page of a LIST."""

    items: Sequence[Manifest]
    resource_version: str
    continue_token: str | None


class Api(Protocol):
    """The requests Driftline makes. Every method raises the errors of `errors.py` only."""

    async def get(self, ref: ObjectRef) -> Manifest | None:
        """Return the live object, or None where there is none."""

    async def list_page(
        self,
        api_version: str,
        kind: str,
        *,
        labels: str = "",
        limit: int = 500,
        continue_token: str | None = None,
    ) -> ListedPage:
        """Return one page of all objects of a kind that the operator may see.

        Raises:
            ExpiredError: the continue token is too old.
        """

    async def create(self, manifest: Manifest) -> Manifest:
        """Create, never overwrite.

        Raises:
            ConflictError: it exists already.
            RefusedError: invalid or forbidden.
        """

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply with our field manager, forced.

        A `metadata.resourceVersion` or `metadata.uid` in the manifest is a precondition.
        """

    async def replace(self, manifest: Manifest) -> Manifest:
        """Replace the whole object; `metadata.resourceVersion` is the precondition."""

    async def patch_status(
        self, ref: ObjectRef, *, uid: str, resource_version: str, status: Manifest
    ) -> Manifest:
        """Merge `status` into the status subresource (None removes a field)."""

    async def delete(self, ref: ObjectRef, *, uid: str, resource_version: str) -> None:
        """Delete in the background, with both preconditions; gone already is success."""
