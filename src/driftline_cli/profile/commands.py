"""Arguments of `driftline profile`."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from driftline_cli.consoles import consoles
from driftline_cli.profile import pictured, tables
from driftline_cli.profile.describe import alone, described, differences
from driftline_cli.profile.reading import read_profile

_DATA: Final = ".csv, .csv.gz, .parquet or .npz"


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the commands."""
    parser = commands.add_parser("profile", help="what data looked like when a model was trained")
    inner = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_build(_command(inner, "build", _build, "make signature and profile of a file of rows"))
    showing = _command(inner, "show", _show, "print a profile as tables")
    showing.add_argument("profile", type=Path, metavar="PROFILE")
    pictured.add_options(showing)
    comparing = _command(inner, "diff", _diff, "print how two profiles differ")
    comparing.add_argument("before", type=Path, metavar="BEFORE")
    comparing.add_argument("after", type=Path, metavar="AFTER")
    pictured.add_options(comparing)
    _add_check(_command(inner, "check", _check, "say what a cluster would if these rows came"))


def _command(
    inner: "argparse._SubParsersAction[Any]",
    name: str,
    run: Callable[[argparse.Namespace], int],
    what: str,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = inner.add_parser(
        name, help=what, description=f"{what.capitalize()}."
    )
    parser.set_defaults(command=run)
    return parser


def _add_build(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, metavar="DATA", help=f"rows, as {_DATA}")
    _add_model(parser, "model.onnx: is run for predictions, and bound to")
    parser.add_argument(
        "--signature", type=Path, help="driftline.json (default: the one beside the model)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, help="where the profile goes (default: beside the model)"
    )
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    parser.add_argument(
        "--in-order",
        action="store_true",
        help="rows stand in the order of time: so it is known how they depend on each other",
    )
    columns = parser.add_argument_group("columns, where there is no signature")
    for name, what in (
        ("features", "those that are features, in the order of the input (default: all)"),
        ("ignore", "those that are none, such as the label"),
        ("categorical", "those that are categories, though written as numbers"),
        ("text", "those that are free text"),
    ):
        columns.add_argument(f"--{name}", type=names, default=(), metavar="A,B,…", help=what)
    columns.add_argument("--tensor", help="the one input that they belong to, without --model")
    predicted = parser.add_argument_group("the prediction, where the outputs do not tell")
    predicted.add_argument("--task", choices=("binary", "multiclass", "regression"))
    predicted.add_argument(
        "--classes", type=names, default=(), metavar="A,B,…", help="in the order of the scores"
    )
    predicted.add_argument("--positive", help="the class that is looked for")
    predicted.add_argument("--calibrated", action="store_true", help="scores are probabilities")
    pictured.add_options(parser)


def _add_model(parser: argparse.ArgumentParser, what: str) -> None:
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--model", type=Path, help=what)
    either.add_argument(
        "--outputs",
        type=names,
        default=(),
        metavar="A,B,…",
        help="columns that hold what the model answered, where it is not run",
    )


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, metavar="DATA", help=f"live rows in order, as {_DATA}")
    parser.add_argument("--profile", type=Path, required=True, help="what they are compared with")
    _add_model(parser, "model.onnx: is run for predictions")
    parser.add_argument(
        "--signature", type=Path, help="driftline.json (default: beside the model or the profile)"
    )
    parser.add_argument("--label", metavar="COLUMN", help="the truth; where it is empty, none came")
    spec = parser.add_argument_group("what stands in the Model's spec.monitoring")
    spec.add_argument("--false-alarms-per-year", type=positive, default=1.0, metavar="N")
    spec.add_argument(
        "--tolerance",
        type=float,
        default=0.1,
        help="the effect that does not matter, in standard deviations (default: %(default)s)",
    )
    spec.add_argument(
        "--tolerances", type=tolerances, default={}, metavar="A=X,…", help="of some features"
    )
    spec.add_argument("--exclude", type=names, default=(), metavar="A,B,…", help="not watched")
    spec.add_argument("--accept", action="store_true", help="the first rows are right as they are")
    spec.add_argument(
        "--first", type=int, default=10_000, metavar="ROWS", help="how many are first"
    )
    traffic = parser.add_argument_group("traffic")
    traffic.add_argument(
        "--rows-per-day", type=positive, default=100_000.0, metavar="N", help="default: 100,000"
    )
    traffic.add_argument(
        "--every",
        type=int,
        metavar="ROWS",
        help="rows between looks (default: a minute of traffic)",
    )


def _check(arguments: argparse.Namespace) -> int:
    from driftline_cli.profile.check import check  # noqa: PLC0415 - spares show its libraries

    return check(arguments)


def _build(arguments: argparse.Namespace) -> int:
    from driftline_cli.profile.build import build  # noqa: PLC0415 - spares show the model's library

    return build(arguments)


def _show(arguments: argparse.Namespace) -> int:
    baseline = read_profile(arguments.profile)
    features = described(baseline.profile)
    tables.show(consoles()[0], baseline, features)
    pictured.of_one(arguments, arguments.profile.name, baseline, features)
    return 0


def _diff(arguments: argparse.Namespace) -> int:
    before, after = (read_profile(path).profile for path in (arguments.before, arguments.after))
    found = differences(before, after)
    tables.diff(consoles()[0], found, alone(before, after))
    pictured.of_two(arguments, (str(arguments.before), str(arguments.after)), found)
    return 0


def positive(text: str) -> float:
    """Read a number above 0.

    Raises:
        ValueError: it is none.
    """
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError(text)
    return value


def tolerances(text: str) -> dict[str, float]:
    """Read features with a tolerance each.

    >>> tolerances("age=0.2,debts=0")
    {'age': 0.2, 'debts': 0.0}

    Raises:
        ValueError: one has none.
    """
    pairs = (each.rpartition("=") for each in names(text))
    return {name: float(value) for name, _, value in pairs}


def names(text: str) -> tuple[str, ...]:
    """Read names with commas between them; a name that has one is quoted as in CSV.

    >>> names('age,"debts, total"')
    ('age', 'debts, total')
    """
    import csv  # noqa: PLC0415 - for this alone

    (found,) = csv.reader([text], skipinitialspace=True, strict=True)
    return tuple(found)
