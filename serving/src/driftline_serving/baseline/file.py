"""`driftline-profile.json`: text to profile and back."""

import json
from dataclasses import dataclass
from typing import Final

from driftline_api.monitor import ProfileFile, parse
from driftline_serving.errors import BaselineError
from driftline_stats.drift.profile import Profile
from driftline_stats.errors import StateError

#: Bytes of a profile. One of 256 features and 190 pairs takes about a megabyte.
MOST_BYTES: Final = 32 * 1024 * 1024
_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A profile, and what is written beside it.

    Attributes:
        file: as it stands.
        profile: what is in it.
    """

    file: ProfileFile
    profile: Profile

    @property
    def text(self) -> str:
        """What is written."""
        return self.file.model_dump_json(by_alias=True)


def baseline_of(
    profile: Profile, *, artifact: str = "", signature: str = "", trained: bool = True
) -> Baseline:
    """Return a profile with whose it is.

    Args:
        profile: what the rows looked like.
        artifact: digest of the model, see `binding.model_digest`; empty if it is for any.
        signature: hash of the signature, see `driftline_api.signature.signature_hash`.
        trained: the rows are training data; else live ones that were learned.
    """
    file = ProfileFile(
        version=_VERSION,
        artifact=artifact,
        signature=signature,
        trained=trained,
        profile=json.loads(profile.to_json()),
    )
    return Baseline(file=file, profile=profile)


def read(text: bytes) -> Baseline:
    """Read a profile.

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.rows import Feature, rows_of
    >>> features = (Feature(name="age"),)
    >>> written = baseline_of(build(features, rows_of(features, {"age": range(100)})))
    >>> read(written.text.encode()) == written
    True

    Raises:
        BaselineError: it is none, or of a version that is not known here.
    """
    if len(text) > MOST_BYTES:
        raise BaselineError(
            f"the profile is larger than {MOST_BYTES} bytes; `driftline profile build` writes none "
            "like that, so give the file that it wrote"
        )
    try:
        file: ProfileFile = parse(ProfileFile, text)
    except ValueError as error:
        raise BaselineError(f"this is no profile: {error}; {_ANEW}") from error
    if file.version != _VERSION:
        raise BaselineError(
            f"the profile is of version {file.version}, and only {_VERSION} is known here: write "
            "it with the `driftline` of this release, or upgrade this one"
        )
    try:
        return Baseline(file=file, profile=Profile.from_json(json.dumps(file.profile)))
    except StateError as error:
        raise BaselineError(f"the profile is damaged: {error}; {_ANEW}") from error


_ANEW: Final = "write it anew with `driftline profile build`"
