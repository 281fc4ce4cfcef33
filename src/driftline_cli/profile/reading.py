"""Reads a profile from a file that a person names."""

from pathlib import Path

from driftline_cli.errors import UserError
from driftline_serving.baseline.file import MOST_BYTES, Baseline, read


def read_profile(path: Path) -> Baseline:
    """Read a profile.

    Raises:
        UserError: there is none.
        BaselineError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return read(file.read(MOST_BYTES + 1))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
