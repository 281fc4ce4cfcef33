"""Artifacts in S3, or in what speaks its protocol."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

import obstore
from obstore.exceptions import (
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from driftline_api.conditions import Reason
from driftline_serving.artifact.location import Location, safe_relative
from driftline_serving.artifact.source import Entry, Opened
from driftline_serving.errors import ArtifactError, TransientError

CHUNK = 1024 * 1024
#: The client's own limit for a whole request would end long downloads; ours are the stall time-out
#: and the overall one.
_NO_LIMIT = timedelta(days=7)
_CONNECT = timedelta(seconds=10)
_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
#: What the client's message holds when the answer, not the way to it, was wrong.
_REFUSED = ("status: 4", "status code: 4", "redirect without LOCATION")


class S3Source:
    """An object, or all objects below a prefix.

    Credentials, endpoint and region come from the environment under the names that AWS's own tools
    use. A custom endpoint is addressed path-style, may be plain http, and is asked anonymously
    where the environment holds no credentials; without one, the pod's own identity is tried.
    """

    def __init__(self, location: Location, environ: Mapping[str, str]) -> None:
        self._location = location
        self._endpoint = next((environ[name] for name in _ENDPOINTS if environ.get(name)), None)
        self._has_credentials = any(environ.get(name) for name in _CREDENTIALS)
        self._store = S3Store(
            location.authority,
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
            raise self._told(error) from error
        return [Entry(path=self._location.file_name, size=found["size"], version=found["e_tag"])]

    async def open(self, entry: Entry, offset: int, version: str | None) -> Opened:
        """See `Source`."""
        key = self._location.path
        if self._location.is_directory:
            key += entry.path
        try:
            if offset and version:
                try:
                    found = await obstore.get_async(
                        self._store,
                        key,
                        options={"range": {"offset": offset}, "if_match": version},
                    )
                except PreconditionError:  # the object changed
                    found = await obstore.get_async(self._store, key)
            else:
                found = await obstore.get_async(self._store, key)
        except (BaseError, OSError) as error:
            raise self._told(error) from error
        return Opened(
            offset=found.range[0],
            size=found.meta["size"],
            version=found.meta["e_tag"],
            chunks=self._chunks(found),
        )

    async def close(self) -> None:
        """The client has nothing to close."""

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
            raise self._told(error) from error
        if not entries:
            raise ArtifactError(
                Reason.ARTIFACT_NOT_FOUND,
                f"there is no object below {self._location.shown}{self._at}",
            )
        return sorted(entries, key=lambda entry: entry.path)

    async def _chunks(self, found: "obstore.GetResult") -> AsyncIterator[bytes]:
        try:
            async for chunk in found.stream(min_chunk_size=CHUNK):
                yield bytes(chunk)
        except (BaseError, OSError) as error:
            raise self._told(error) from error

    def _told(self, error: Exception) -> ArtifactError:
        """Say what the client's error means, and what to do."""
        shown = f"{self._location.shown}{self._at}"
        if isinstance(error, FileNotFoundError):
            return ArtifactError(
                Reason.ARTIFACT_NOT_FOUND,
                f"there is no {shown}: check the bucket, the key and AWS_ENDPOINT_URL",
            )
        if isinstance(error, PermissionDeniedError | UnauthenticatedError):
            return self._denied(f"access to {shown} was denied")
        summary = _first_line(error)
        if not self._has_credentials and "169.254." in str(error):
            return self._denied(f"there are no credentials for {shown}")
        if any(word in str(error) for word in _REFUSED):
            return ArtifactError(
                Reason.ARTIFACT_UNREACHABLE,
                f"{shown} refused the request; check AWS_REGION and AWS_ENDPOINT_URL: {summary}",
            )
        return TransientError(f"cannot read {shown}: {summary}")

    def _denied(self, what: str) -> ArtifactError:
        remedy = (
            "check the keys in the Secret that spec.artifact.secretRef names, and their rights to "
            "read and list (where listing is not allowed, a missing object looks the same)"
            if self._has_credentials
            else "name a Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in "
            "spec.artifact.secretRef"
        )
        return ArtifactError(Reason.ARTIFACT_ACCESS_DENIED, f"{what}: {remedy}")

    @property
    def _at(self) -> str:
        return f" at {self._endpoint}" if self._endpoint else ""


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
