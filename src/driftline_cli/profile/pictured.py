"""Writes pictures where they are asked for: `--html` and `--png`."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from driftline_cli.errors import UserError
from driftline_cli.profile.describe import Described, Difference
from driftline_cli.profile.tables import whose
from driftline_serving.baseline.file import Baseline

if TYPE_CHECKING:  # who wants none is spared the library
    from driftline_cli.profile.pictures import Panel


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what asks for pictures."""
    parser.add_argument("--html", type=Path, metavar="FILE", help="write pictures as a page")
    parser.add_argument("--png", type=Path, metavar="FILE", help="write pictures as one PNG")


def of_one(
    arguments: argparse.Namespace, title: str, baseline: Baseline, features: Sequence[Described]
) -> None:
    """Write the pictures of one profile.

    Raises:
        UserError: they cannot be written.
    """
    if arguments.html or arguments.png:
        from driftline_cli.profile.pictures import Panel  # noqa: PLC0415 - slow to import

        panels = [Panel(title=each.name, sides=(each,), names=("rows",)) for each in features]
        _write(arguments, title, whose(baseline), panels)


def of_two(
    arguments: argparse.Namespace, names: tuple[str, str], found: Sequence[Difference]
) -> None:
    """Write the pictures of two profiles, one over the other.

    Raises:
        UserError: they cannot be written.
    """
    if arguments.html or arguments.png:
        from driftline_cli.profile.pictures import Panel  # noqa: PLC0415 - slow to import

        panels = [
            Panel(title=each.before.name, sides=(each.before, each.after), names=names)
            for each in found
        ]
        _write(arguments, " and ".join(names), ["those that differ most first"], panels)


def _write(
    arguments: argparse.Namespace, title: str, lines: Sequence[str], panels: "Sequence[Panel]"
) -> None:
    from driftline_cli.profile.page import page  # noqa: PLC0415 - slow to import
    from driftline_cli.profile.pictures import png  # noqa: PLC0415 - the same

    try:
        if arguments.html:
            arguments.html.write_text(page(title, lines, panels))
        if arguments.png:
            png(panels, arguments.png)
    except OSError as error:
        raise UserError(f"cannot write {error.filename}: {error.strerror}") from error
