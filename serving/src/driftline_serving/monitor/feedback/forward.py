"""Hands items to the pods that they belong to."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any, Final

import aiohttp
import orjson

from driftline_api.keys import ReceiptKey, monitor_token

#: Marks items that another monitor has handed on: whoever gets them keeps them.
FORWARDED_HEADER: Final = "driftline-forwarded"
#: For the answer of a pod to one request; a pod that is stuck holds up nobody for longer.
SECONDS: Final = 5.0
CONNECT_SECONDS: Final = 1.0


class Forwarder:
    """Posts items to other monitors; each pod has its own time to answer.

    Args:
        path: of the endpoint.
        port: at which all monitors answer.
        key: returns the key of the bearer token; None where there is none.
    """

    def __init__(self, path: str, port: int, key: Callable[[], ReceiptKey | None]) -> None:
        self._path = path
        self._port = port
        self._key = key
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._session:
            await self._session.close()

    async def send(self, address: str, items: Sequence[Any]) -> list[dict[str, str]] | None:
        """Return what became of the items there; None where nobody says that."""
        try:
            async with self._open().post(
                self._url(address),
                data=BytesIO(orjson.dumps(items)),  # bytes it would send in one piece
                headers=self._headers(),
                allow_redirects=False,
            ) as answer:
                said = orjson.loads(await answer.read())
        except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError):
            return None
        match said:
            case {"items": list(found)} if len(found) == len(items):
                return found
        return None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=SECONDS, connect=CONNECT_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout)
        return self._session

    def _headers(self) -> dict[str, str]:
        key = self._key()
        token = {"Authorization": f"Bearer {monitor_token(key)}"} if key else {}
        return {FORWARDED_HEADER: "1", "Content-Type": "application/json", **token}

    def _url(self, address: str) -> str:
        host = f"[{address}]" if ":" in address else address
        return f"http://{host}:{self._port}{self._path}"
