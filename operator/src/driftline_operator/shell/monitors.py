"""Asks monitors, and the routers before them, over HTTP. Every failure has a name."""

import asyncio
from typing import Any, Final, Literal, Self

import aiohttp

from driftline_api.base import ApiType
from driftline_api.monitor import MonitorConfig, ProfileFile, Summary, parse
from driftline_api.names import MONITOR_PORT
from driftline_operator.router.bootstrap import STATS_PORT
from driftline_operator.router.observe import RouterPod
from driftline_operator.router.stats import Reported, outcomes_query, parse_outcomes

#: Bytes of an answer. A summary of 256 features takes a fifth of it.
MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
#: A profile holds its rows' order in time, which takes most of it.
MAX_PROFILE_BYTES: Final = 64 * 1024 * 1024
MAX_STATS_BYTES: Final = 4 * 1024 * 1024

Failure = Literal["unreachable", "timeout", "unauthorized", "refused", "unreadable"]


class MonitorError(Exception):
    """A monitor or router gave no usable answer.

    Attributes:
        failure: what kind of failure, for metrics.
    """

    def __init__(self, failure: Failure, message: str) -> None:
        super().__init__(message)
        self.failure: Failure = failure


class MonitorClient:
    """One connection pool for all monitors.

    Args:
        at_once: requests under way at a time; more wait.
        timeout: seconds for one answer.
        port: where monitors listen.
        stats_port: where routers tell their statistics.
    """

    def __init__(
        self,
        *,
        at_once: int = 64,
        timeout: float = 10.0,
        port: int = MONITOR_PORT,
        stats_port: int = STATS_PORT,
    ) -> None:
        self._slots = asyncio.Semaphore(at_once)
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._port = port
        self._stats_port = stats_port
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # Pods come and go: a connection that was kept to one that is gone would be an error.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        self._session = aiohttp.ClientSession(timeout=self._timeout, connector=connector)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session:
            await self._session.close()

    async def summary(self, address: str, token: str) -> Summary:
        """Return what a monitor has seen.

        Raises:
            MonitorError: it does not say.
        """
        body = await self._ask("GET", self._url(address, "summary"), token, None)
        found: Summary = _read(Summary, body)
        return found

    async def profile(self, address: str, token: str) -> ProfileFile:
        """Return the profile that a monitor counts by.

        Raises:
            MonitorError: it does not say, or has none.
        """
        url = self._url(address, "profile")
        body = await self._ask("GET", url, token, None, MAX_PROFILE_BYTES)
        found: ProfileFile = _read(ProfileFile, body)
        return found

    async def configure(self, address: str, token: str, config: MonitorConfig) -> None:
        """Tell a monitor how to count.

        Raises:
            MonitorError: it refuses, or gives no answer.
        """
        text = config.model_dump_json(by_alias=True, exclude_none=True)
        await self._ask("PUT", self._url(address, "config"), token, text)

    async def plan(self, address: str, token: str) -> bytes:
        """Return the bins that a monitor proposes, as JSON of `Plan`.

        Raises:
            MonitorError: it has too few rows, or gives no answer.
        """
        return await self._ask("POST", self._url(address, "plan"), token, "")

    async def outcomes(self, router: RouterPod, model: str) -> Reported:
        """Return how many of a Model's inference calls a router has counted.

        Raises:
            MonitorError: it does not say.
        """
        url = f"http://{_host(router.address)}:{self._stats_port}{outcomes_query(model)}"
        body = await self._ask("GET", url, "", None, MAX_STATS_BYTES)
        try:
            return parse_outcomes(body.decode())
        except (ValueError, KeyError) as error:
            raise MonitorError("unreadable", f"{url}: {error}") from error

    def _url(self, address: str, path: str) -> str:
        return f"http://{_host(address)}:{self._port}/{path}"

    async def _ask(
        self, method: str, url: str, token: str, text: str | None, most: int = MAX_ANSWER_BYTES
    ) -> bytes:
        assert self._session is not None, "the client is a context"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if text is not None:
            headers["Content-Type"] = "application/json"
        data = text.encode() if text is not None else None
        try:
            async with (
                self._slots,
                self._session.request(method, url, data=data, headers=headers) as response,
            ):
                body = await _body(response, most)
        except TimeoutError as error:
            raise MonitorError("timeout", f"{method} {url}: no answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            said = str(error) or type(error).__name__
            raise MonitorError("unreachable", f"{method} {url}: {said}") from error
        if response.status == 401:
            raise MonitorError("unauthorized", f"{method} {url}: the token is not known there")
        if response.status >= 300:
            said = body[:500].decode(errors="replace")
            raise MonitorError("refused", f"{method} {url}: {response.status}: {said}")
        return body


async def _body(response: aiohttp.ClientResponse, most: int) -> bytes:
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > most:
            raise MonitorError("unreadable", f"{response.url}: more than {most} bytes")
    return bytes(body)


def _read(kind: type[ApiType], body: bytes) -> Any:
    try:
        return parse(kind, body)
    except ValueError as error:
        raise MonitorError("unreadable", f"{kind.__name__}: {error}") from error


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
