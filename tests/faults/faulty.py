"""The faults: what may happen to any request, put around an API that has none."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeVar

from driftline_operator.core.plan import Manifest, ObjectRef
from driftline_operator.errors import ConflictError, NotLeaderError, UnavailableError
from driftline_operator.kube.api import ListedPage, ListQuery
from tests.contract.memory import MemoryApi

T = TypeVar("T")

Fault = Literal["crash before", "crash after", "lost request", "lost answer", "conflict", "deposed"]
FAULTS: tuple[Fault, ...] = (
    "crash before",
    "crash after",
    "lost request",
    "lost answer",
    "conflict",
    "deposed",
)


class CrashError(BaseException):
    """The process is no more. Nothing in it may catch this."""


@dataclass(slots=True)
class Weather:
    """How often what goes wrong. All of it ends when `calm` is called."""

    random: Random
    write: float = 0.0
    read: float = 0.0

    def calm(self) -> None:
        """From now on everything works."""
        self.write = self.read = 0.0

    def next_write(self) -> Fault | None:
        """Return what happens to the next write."""
        return self.random.choice(FAULTS) if self.random.random() < self.write else None

    def loses_read(self) -> bool:
        """Tell whether the next read gets no answer."""
        return self.random.random() < self.read


class FaultyApi:
    """Implements `kube.api.Api` for one replica."""

    def __init__(
        self, api: MemoryApi, weather: Weather, about_to: Callable[[str, ObjectRef], None]
    ) -> None:
        self._api = api
        self._weather = weather
        self._about_to = about_to
        self.writes = 0

    async def get(self, ref: ObjectRef) -> Manifest | None:
        self._read()
        return await self._api.get(ref)

    async def list_page(
        self, query: ListQuery, *, limit: int = 500, continue_token: str = ""
    ) -> ListedPage:
        self._read()
        return await self._api.list_page(query, limit=limit, continue_token=continue_token)

    async def create(self, manifest: Manifest) -> Manifest:
        return await self._write("create", ObjectRef.of(manifest), self._api.create(manifest))

    async def apply(self, manifest: Manifest, *, force: bool = True) -> Manifest:
        request = self._api.apply(manifest, force=force)
        return await self._write("apply", ObjectRef.of(manifest), request)

    async def replace(self, manifest: Manifest) -> Manifest:
        return await self._write("replace", ObjectRef.of(manifest), self._api.replace(manifest))

    async def patch_status(
        self, ref: ObjectRef, *, uid: str, resource_version: str, status: Manifest
    ) -> Manifest:
        request = self._api.patch_status(
            ref, uid=uid, resource_version=resource_version, status=status
        )
        return await self._write("status", ref, request)

    async def delete(self, ref: ObjectRef, *, uid: str, resource_version: str) -> Manifest | None:
        request = self._api.delete(ref, uid=uid, resource_version=resource_version)
        return await self._write("delete", ref, request)

    async def _write(self, verb: str, ref: ObjectRef, request: Awaitable[T]) -> T:
        fault = self._weather.next_write()
        if fault not in {None, "crash after", "lost answer"}:
            request.close()  # type: ignore[attr-defined]  # a coroutine that is never to run
            _refuse(fault)
        self.writes += 1
        self._about_to(verb, ref)
        try:
            answer = await request
        finally:
            self._about_to("", ref)
        if fault == "crash after":
            raise CrashError
        if fault == "lost answer":
            raise UnavailableError("carried out, but the answer was lost")
        return answer

    def _read(self) -> None:
        if self._weather.loses_read():
            raise UnavailableError("no answer")


def _refuse(fault: Fault | None) -> None:
    match fault:
        case "crash before":
            raise CrashError
        case "lost request":
            raise UnavailableError("never arrived")
        case "conflict":
            raise ConflictError("somebody was faster")
        case "deposed":
            raise NotLeaderError("the Lease was lost")
