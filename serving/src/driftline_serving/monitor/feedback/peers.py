"""Which pod an item belongs to: the one that predicted, or else one that all agree on."""

import asyncio
import hashlib
import ipaddress
import socket
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final, TypeAlias
from uuid import UUID

from driftline_serving.errors import ServingError
from driftline_serving.server.prediction_id import pod_hash, pod_of

#: How long an answer of DNS is taken for true, and its silence for lasting.
FRESH_SECONDS: Final = 5.0
#: For an answer of DNS.
DNS_SECONDS: Final = 3.0
#: Names whose addresses are kept.
_MOST_NAMES: Final = 64

Addresses: TypeAlias = frozenset[str]
Resolve: TypeAlias = Callable[[str], Awaitable[Addresses]]


class NamesError(ServingError):
    """DNS does not answer just now."""

    status = 503


async def addresses_of(name: str) -> Addresses:
    """Return the addresses of a name; none of one that does not exist.

    Raises:
        NamesError: DNS does not answer.
    """
    try:
        async with asyncio.timeout(DNS_SECONDS):
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise NamesError(f"{name}: no answer within {DNS_SECONDS:g} s") from error
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            return frozenset()
        raise NamesError(f"{name}: {error.strerror}") from error
    return frozenset(str(address[0]) for *_, address in found)


class Names:
    """Addresses by name, asked for again when they are old; bounded.

    Args:
        resolve: asks DNS.
        clock: monotonic seconds.
    """

    def __init__(
        self, resolve: Resolve = addresses_of, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._resolve = resolve
        self._clock = clock
        self._known: dict[str, tuple[float, Addresses | NamesError]] = {}

    async def addresses(self, name: str) -> Addresses:
        """Return the addresses of a name.

        Raises:
            NamesError: DNS does not answer.
        """
        known = self._known.get(name)
        if known is None or self._clock() - known[0] > FRESH_SECONDS:
            known = await self._asked(name)
            self._known.pop(name, None)
            self._known[name] = known
            if len(self._known) > _MOST_NAMES:
                self._known.pop(next(iter(self._known)))
        if isinstance(known[1], NamesError):
            raise NamesError(str(known[1]))
        return known[1]

    async def _asked(self, name: str) -> tuple[float, Addresses | NamesError]:
        """Ask now: a silence is remembered too, or each item of a request would wait for it."""
        try:
            found: Addresses | NamesError = await self._resolve(name)
        except NamesError as error:
            found = error
        return self._clock(), found


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a monitor stands.

    Attributes:
        model: name of its Model.
        revision: of its pod; empty outside of a cluster.
        address: of its pod.
        peers: the name whose addresses are all pods of the Model; empty where there are no others.
        port: at which all of them answer.
    """

    model: str
    revision: str = ""
    address: str = "127.0.0.1"
    peers: str = ""
    port: int = 0


class Peers:
    """Finds the pod that an item belongs to."""

    def __init__(self, place: Place, names: Names | None = None) -> None:
        self._place = place
        self._names = names or Names()
        self._hash = pod_hash(place.address)

    async def owner(self, prediction: UUID, receipt_of: str | None) -> str | None:
        """Return the address of the pod to ask; empty for this one, None where there is none.

        It is the pod that predicted, as long as the Model has it. After that it is one of the
        revision's pods, or of the Model's if that has none, which all monitors choose alike.

        Args:
            prediction: its id.
            receipt_of: the revision that a receipt names, maybe empty; None where there is only
                an id, which no other pod can know.

        Raises:
            NamesError: DNS does not answer.
        """
        wanted = pod_of(str(prediction))
        if wanted == self._hash:
            return ""
        if not self._place.peers:
            return None if receipt_of is None else ""
        live = await self._names.addresses(self._place.peers)
        for address in live:
            if pod_hash(address) == wanted:
                return self._seen_from_here(address)
        if receipt_of is None:
            return None
        able = await self._names.addresses(receipt_of) if receipt_of else frozenset()
        chosen = chosen_of(able & live or live, prediction)
        return self._seen_from_here(chosen) if chosen else ""

    def _seen_from_here(self, address: str) -> str:
        return "" if pod_hash(address) == self._hash else address


def chosen_of(addresses: Collection[str], prediction: UUID) -> str | None:
    """Return one address, by rendezvous hashing: if one goes, only what was its own moves.

    >>> one = UUID("01900000-0001-7000-8000-00000000abcd")
    >>> chosen_of(["10.0.0.1", "10.0.0.2"], one) == chosen_of(["10.0.0.2", "10.0.0.1"], one)
    True
    """
    return max(addresses, key=lambda each: _weight(each, prediction), default=None)


def _weight(address: str, prediction: UUID) -> bytes:
    packed = ipaddress.ip_address(address).packed
    return hashlib.blake2b(packed + prediction.bytes, digest_size=8).digest()
