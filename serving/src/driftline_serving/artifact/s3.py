"""Artifacts in S3, or in what speaks its protocol."""

import logging
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, PreconditionError
from obstore.store import S3Store

from driftline_api.conditions import Reason
from driftline_serving.artifact.location import Location, safe_relative
from driftline_serving.artifact.s3_errors import Asked, explain
from driftline_serving.artifact.source import Entry, Opened
from driftline_serving.errors import ArtifactError

if TYPE_CHECKING:  # it is in the stubs only
    from obstore.store import S3Config

log = logging.getLogger(__name__)

CHUNK = 1024 * 1024
#: The client's own limit for a whole request would end long downloads; ours are the stall time-out
#: and the overall one.
_NO_LIMIT = timedelta(days=7)
_CONNECT = timedelta(seconds=10)
_IDENTITIES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")


class S3Source:
    """An object, or all objects below a prefix.

    Credentials, endpoint and region come from the environment under the names that AWS's own tools
    use. A custom endpoint is addressed path-style, may be plain http, and is asked anonymously
    where the environment holds no credentials; without one, the pod's own identity is tried.
    """

    def __init__(self, location: Location, environ: Mapping[str, str]) -> None:
        self._location = location
        endpoints = (_clean(environ, name) for name in _ENDPOINTS)
        self._endpoint = next((endpoint for endpoint in endpoints if endpoint), None)
        self._has_credentials = any(environ.get(name) for name in _IDENTITIES)
        config = _credentials(environ)
        if self._endpoint:
            config["endpoint"] = self._endpoint
        self._store = S3Store(
            location.authority,
            config=config,
            virtual_hosted_style_request=False,
            skip_signature=self._endpoint is not None and not self._has_credentials,
            client_options={
                "allow_http": (self._endpoint or "").startswith("http://"),
                "timeout": _NO_LIMIT,
                "connect_timeout": _CONNECT,
            },
            retry_config={"max_retries": 0},
        )

    async def entries(self) -> list[Entry]:
        """See `Source`."""
        if self._location.is_directory:
            return await self._list()
        try:
            found = await obstore.head_async(self._store, self._location.path)
        except (BaseError, OSError) as error:
            raise self._explain(error) from error
        return [Entry(path=self._location.file_name, size=found["size"], version=found["e_tag"])]

    async def open(self, entry: Entry, offset: int, version: str | None) -> Opened:
        """See `Source`."""
        key = self._location.path
        if self._location.is_directory:
            key += entry.path
        try:
            found = await self._get(key, offset, version)
        except (BaseError, OSError) as error:
            raise self._explain(error) from error
        return Opened(
            offset=found.range[0],
            size=found.meta["size"],
            version=found.meta["e_tag"],
            chunks=self._chunks(found),
        )

    async def close(self) -> None:
        """The client has nothing to close."""

    async def _get(self, key: str, offset: int, version: str | None) -> "obstore.GetResult":
        if offset and version:
            try:
                return await obstore.get_async(
                    self._store, key, options={"range": {"offset": offset}, "if_match": version}
                )
            except PreconditionError:
                log.info("%s changed", key)
        return await obstore.get_async(self._store, key)

    async def _list(self) -> list[Entry]:
        prefix = self._location.path
        entries = []
        try:
            async for batch in obstore.list(self._store, prefix or None):
                for found in batch:
                    relative = found["path"].removeprefix(prefix)
                    entry = Entry(
                        path=safe_relative(relative), size=found["size"], version=found["e_tag"]
                    )
                    entries.append(entry)
        except (BaseError, OSError) as error:
            raise self._explain(error) from error
        if not entries:
            raise ArtifactError(
                Reason.ARTIFACT_NOT_FOUND,
                f"there is no object below {self._location.shown}: check the prefix",
            )
        return sorted(entries, key=lambda entry: entry.path)

    async def _chunks(self, found: "obstore.GetResult") -> AsyncIterator[bytes]:
        try:
            async for chunk in found.stream(min_chunk_size=CHUNK):
                yield bytes(chunk)
        except (BaseError, OSError) as error:
            raise self._explain(error) from error

    def _explain(self, error: Exception) -> ArtifactError:
        at = f" at {self._endpoint}" if self._endpoint else ""
        shown = f"{self._location.shown}{at}"
        return explain(error, Asked(shown=shown, has_credentials=self._has_credentials))


def _credentials(environ: Mapping[str, str]) -> "S3Config":
    """The keys without the line break that a Secret made from a file ends in.

    The client would not survive one: it panics on what cannot stand in a header.
    """
    config: S3Config = {}
    if key := _clean(environ, "AWS_ACCESS_KEY_ID"):
        config["access_key_id"] = key
    if secret := _clean(environ, "AWS_SECRET_ACCESS_KEY"):
        config["secret_access_key"] = secret
    if token := _clean(environ, "AWS_SESSION_TOKEN"):
        config["session_token"] = token
    if region := _clean(environ, "AWS_REGION") or _clean(environ, "AWS_DEFAULT_REGION"):
        config["region"] = region
    return config


def _clean(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "").strip()
    if not value.isascii() or not value.isprintable():
        raise ArtifactError(
            Reason.ARTIFACT_ACCESS_DENIED,
            f"{name} in the Secret that spec.artifact.secretRef names holds a character that no "
            "key has: store it anew",
        )
    return value
