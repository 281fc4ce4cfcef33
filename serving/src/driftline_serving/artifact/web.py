"""Artifacts on a web server."""

import base64
import email.utils
import logging
import re
import ssl
from collections.abc import AsyncIterator, Mapping

import aiohttp
from yarl import URL

from driftline_api.conditions import Reason
from driftline_serving.artifact.location import Location, Scheme
from driftline_serving.artifact.source import Entry, Opened
from driftline_serving.errors import ArtifactError, TransientError

CHUNK = 1024 * 1024
_QUOTED = re.compile(r"[!#-;=?-\[\]_a-z~]+")
_PASSING = (408, 425, 429)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")

log = logging.getLogger(__name__)


class WebSource:
    """A file behind http or https. Follows redirects; credentials go to the URI's own host only.

    No HEAD request is made: signed URLs are good for GET alone.
    """

    def __init__(self, location: Location, environ: Mapping[str, str]) -> None:
        self._location = location
        self._headers = _authorization(environ)
        if self._headers and location.scheme is Scheme.HTTP:
            log.warning("credentials go to %s unencrypted; use https", location.shown)
        self._session: aiohttp.ClientSession | None = None

    async def entries(self) -> list[Entry]:
        """See `Source`."""
        return [Entry(path=self._location.file_name)]

    async def open(self, entry: Entry, offset: int, version: str | None) -> Opened:
        """See `Source`."""
        del entry  # there is but one
        response = await self._get_from(offset, version) if offset and version else None
        if response is None:
            response = await self._get({})
            start, size = 0, response.content_length
        else:
            start, size = self._content_range(response)
        return Opened(
            offset=start, size=size, version=_version(response), chunks=self._chunks(response)
        )

    async def close(self) -> None:
        """See `Source`."""
        if self._session is not None:
            await self._session.close()

    async def _get_from(self, offset: int, version: str) -> aiohttp.ClientResponse | None:
        """The rest of the file, or None where it changed or the server gives no ranges.

        Not every server honours `If-Range`, so the version of the answer is looked at too.
        """
        response = await self._get({"Range": f"bytes={offset}-", "If-Range": version})
        if response.status == 206 and _version(response) in (None, version):
            return response
        response.close()
        return None

    async def _get(self, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        if self._session is None:
            self._session = _session(self._headers)
        try:
            response = await self._session.get(_as_written(self._location.uri), headers=headers)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise self._told(error) from error
        if response.status in (200, 206) or (response.status == 416 and "Range" in headers):
            return response
        response.close()
        raise self._refused(response.status)

    async def _chunks(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        try:
            async with response:
                async for chunk in response.content.iter_chunked(CHUNK):
                    yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._told(error) from error

    def _content_range(self, response: aiohttp.ClientResponse) -> tuple[int, int | None]:
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None:
            raise TransientError(f"{self._location.shown} answered a range without saying which")
        return int(found[1]), None if found[2] == "*" else int(found[2])

    def _refused(self, status: int) -> ArtifactError:
        shown = self._location.shown
        if status in (404, 410):
            return ArtifactError(
                Reason.ARTIFACT_NOT_FOUND, f"there is nothing at {shown} (HTTP {status})"
            )
        if status in (401, 403):
            return ArtifactError(
                Reason.ARTIFACT_ACCESS_DENIED,
                f"access to {shown} was denied (HTTP {status}): check HTTPS_USERNAME and "
                "HTTPS_PASSWORD, or HTTPS_TOKEN, in the Secret that spec.artifact.secretRef names "
                "(a signed URL may have expired)",
            )
        if status >= 500 or status in _PASSING:
            return TransientError(f"{shown} answered HTTP {status}")
        return ArtifactError(
            Reason.ARTIFACT_UNREACHABLE, f"{shown} answered HTTP {status}, which is no file"
        )

    def _told(self, error: Exception) -> ArtifactError:
        shown = self._location.shown
        if isinstance(
            error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError
        ):
            return ArtifactError(
                Reason.ARTIFACT_UNREACHABLE,
                f"the certificate of {shown} is not trusted: mount its authority and set "
                f"SSL_CERT_FILE: {error}",
            )
        if isinstance(error, aiohttp.TooManyRedirects):
            return ArtifactError(Reason.ARTIFACT_UNREACHABLE, f"{shown} redirects in circles")
        if isinstance(error, aiohttp.InvalidURL | ValueError):
            return ArtifactError(Reason.ARTIFACT_INVALID, f"{shown} is not a URL that can be asked")
        if isinstance(error, aiohttp.ClientConnectorError):
            return TransientError(f"cannot connect to {error.host}:{error.port}: {error.strerror}")
        return TransientError(f"reading {shown} broke off: {type(error).__name__}")


def _session(headers: Mapping[str, str]) -> aiohttp.ClientSession:
    """A session whose bytes are the server's, and which trusts whom SSL_CERT_FILE names now."""
    return aiohttp.ClientSession(
        headers={"Accept-Encoding": "identity", **headers},
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
        connector=aiohttp.TCPConnector(ssl=ssl.create_default_context()),
        trust_env=True,
    )


def _as_written(uri: str) -> URL:
    """The URI with its quoting untouched, since a signature may be over it."""
    return URL(uri, encoded=_QUOTED.fullmatch(uri) is not None)


def _authorization(environ: Mapping[str, str]) -> dict[str, str]:
    if token := environ.get("HTTPS_TOKEN", "").strip():
        return {"Authorization": f"Bearer {token}"}
    if username := environ.get("HTTPS_USERNAME", "").strip():
        password = environ.get("HTTPS_PASSWORD", "").strip()
        encoded = base64.b64encode(f"{username}:{password}".encode()).decode()
        return {"Authorization": f"Basic {encoded}"}
    return {}


def _version(response: aiohttp.ClientResponse) -> str | None:
    """What `If-Range` takes: a strong validator, or the date of the last change."""
    etag = response.headers.get("ETag")
    if etag and not etag.startswith("W/"):
        return etag
    modified = response.headers.get("Last-Modified")
    return modified if modified and email.utils.parsedate(modified) else None
