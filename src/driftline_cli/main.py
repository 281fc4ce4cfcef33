"""From arguments to a command, and from errors to exit codes.

0: done; 1: it cannot be done, and the last line says why; 2: the arguments are wrong; 3: a check
found something.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version

from driftline_cli.errors import UserError
from driftline_cli.profile import commands as profile
from driftline_serving.errors import ServingError
from driftline_stats.errors import StatsError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.command(arguments))
    except (UserError, ServingError, StatsError) as error:
        print(f"driftline: {error}", file=sys.stderr)  # noqa: T201 - it is told to a person
        return 1
    except BrokenPipeError:  # who read our tables has seen enough
        sys.stderr.close()
        return 0


def run() -> None:
    """Run as a program."""
    sys.exit(main())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="driftline", description="Driftline at a terminal.")
    parser.add_argument("--version", action="version", version=version("driftline"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    profile.add(commands)
    return parser


if __name__ == "__main__":
    run()
