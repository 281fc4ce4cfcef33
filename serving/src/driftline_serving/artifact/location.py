"""Artifact URIs."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from driftline_api.conditions import Reason
from driftline_serving.errors import ArtifactError

#: Where we keep our own notes in the target; no artifact may hold a file under this name.
NOTES = ".driftline"


class Scheme(StrEnum):
    """Where artifacts can lie."""

    S3 = "s3"
    HTTP = "http"
    HTTPS = "https"
    PVC = "pvc"
    FILE = "file"


_WITH_DIRECTORIES = (Scheme.S3, Scheme.PVC, Scheme.FILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A parsed URI.

    `authority` is the bucket, the host or the claim; `path` is without leading slash. For http and
    https `uri` alone is used to fetch, since their paths and queries are the server's to read.
    """

    uri: str
    scheme: Scheme
    authority: str
    path: str

    @property
    def is_directory(self) -> bool:
        """Whether the artifact is all that lies below, by the slash at the end."""
        return self.path == "" or self.path.endswith("/")

    @property
    def shown(self) -> str:
        """The URI as messages may show it: without what may be a password or a signature."""
        slash = "" if self.scheme in (Scheme.S3, Scheme.PVC) and not self.path else "/"
        return f"{self.scheme}://{self.authority}{slash}{self.path}"

    @property
    def file_name(self) -> str:
        """Under which name a single file is kept: `model.onnx` for any ONNX file, else its own."""
        name = PurePosixPath(self.path).name
        return "model.onnx" if name.lower().endswith(".onnx") else name


def parse(uri: str) -> Location:
    """Read a URI.

    >>> parse("s3://models/iris/v1.onnx").file_name
    'model.onnx'
    >>> parse("https://user:secret@host/m.onnx?signature=abc").shown
    'https://host/m.onnx'

    Raises:
        ArtifactError: it is not one that we can fetch.
    """
    try:
        parts = urlsplit(uri)
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise _invalid("the artifact's URI cannot be read", f"{error}") from error
    if parts.scheme not in tuple(Scheme):
        raise _invalid(
            f"URIs of scheme {parts.scheme or '(none)'!r} cannot be fetched",
            "use s3://bucket/key, https://host/path or pvc://claim/path",
        )
    scheme = Scheme(parts.scheme)
    is_web = scheme in (Scheme.HTTP, Scheme.HTTPS)
    # A bucket's name and a key are taken as they stand; only the web knows ports, `?` and `%`.
    authority = f"{parts.hostname or ''}{port}" if is_web else parts.netloc
    path = unquote(parts.path) if is_web else uri.split("://", 1)[1].removeprefix(parts.netloc)
    location = Location(uri=uri, scheme=scheme, authority=authority, path=path.removeprefix("/"))
    _check(location)
    return location


def safe_relative(path: str) -> str:
    """Check that a file's path inside a directory artifact stays inside the target.

    Raises:
        ArtifactError: it would be written somewhere else, or over our notes.
    """
    segments = path.split("/")
    leaves = any(segment in ("", ".", "..") for segment in segments)
    if leaves or segments[0] == NOTES or "\0" in path or "\\" in path:
        raise _invalid(f"the artifact holds a file named {path!r}", "rename it; it is not fetched")
    return path


def _check(location: Location) -> None:
    if not location.authority and location.scheme is not Scheme.FILE:
        raise _invalid(f"{location.shown} names no bucket, host or claim", "give one after ://")
    if location.is_directory and location.scheme not in _WITH_DIRECTORIES:
        raise _invalid(
            f"{location.shown} is a directory, and {location.scheme} has none",
            "give the URI of one file",
        )
    if location.scheme in _WITH_DIRECTORIES and location.path.strip("/"):
        safe_relative(location.path.removesuffix("/"))


def _invalid(what: str, remedy: str) -> ArtifactError:
    return ArtifactError(Reason.ARTIFACT_INVALID, f"{what}: {remedy}")
