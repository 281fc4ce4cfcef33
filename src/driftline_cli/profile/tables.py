"""Profiles as tables at a terminal."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from driftline_cli.profile.describe import Described, Difference
from driftline_serving.baseline.file import Baseline

_MOST_HEAVY = 3


def show(console: Console, baseline: Baseline, features: Sequence[Described]) -> None:
    """Print whose profile it is, and a line for each feature."""
    for line in whose(baseline):
        console.print(escape(line), highlight=False, soft_wrap=True)
    numeric = [each for each in features if each.kind == "numeric"]
    others = [each for each in features if each.kind != "numeric"]
    if numeric:
        console.print(_numeric(numeric))
    if others:
        console.print(_categorical(others))


def whose(baseline: Baseline) -> list[str]:
    """Return what a profile is of, in lines."""
    file, profile = baseline.file, baseline.profile
    order = "in the order of time" if profile.order is not None else "in no known order"
    what = "training data" if file.trained else "live rows that were learned"
    watched, pairs = len(profile.plan.features), len(profile.plan.pairs)
    distance = " and the distance from the centre" if profile.plan.distance is not None else ""
    return [
        f"{profile.n_ref:,} rows of {what}, {order}",
        f"model      {file.artifact or 'any (made without --model)'}",
        f"signature  {file.signature or 'none'}",
        f"watched    {watched} features and predictions, {pairs} pairs{distance}",
    ]


def _numeric(features: Iterable[Described]) -> Table:
    table = _table("Numbers", ("missing", "from", "5 %", "median", "95 %", "to"), "heavy values")
    for each in features:
        low, high = each.ends or (None, None)
        quantiles = each.quantiles or (None,) * 5
        table.add_row(
            _name(each),
            share(each.missing),
            *map(number, (low, quantiles[0], quantiles[2], quantiles[4], high)),
            _heavy(each),
        )
    return table


def _categorical(features: Iterable[Described]) -> Table:
    table = _table("Levels", ("levels", "missing", "other"), "commonest")
    for each in features:
        table.add_row(
            _name(each), str(len(each.heavy)), share(each.missing), share(each.odd), _heavy(each)
        )
    return table


def diff(
    console: Console, found: Sequence[Difference], lacking: tuple[list[str], list[str]]
) -> None:
    """Print a line for each feature, those that differ most first."""
    table = _table(
        None, ("moved by", "in sd", "median", "", "missing", ""), "levels that changed most"
    )
    for each in found:
        table.add_row(*_diff_row(each))
    if found:
        console.print(table)
    for names, which in zip(lacking, ("first", "second"), strict=True):
        if names:
            console.print(
                f"only in the {which}: {escape(', '.join(names))}", highlight=False, soft_wrap=True
            )


def _table(title: str | None, figures: Iterable[str], last: str) -> Table:
    """Return a table of features; names give way last where it is narrow."""
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    table.add_column("feature", no_wrap=True, min_width=12)
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(last, no_wrap=True)
    return table


def _diff_row(each: Difference) -> list[str]:
    before, after = each.before, each.after
    is_number = before.kind == "numeric"
    medians = [number(side.quantiles[2] if side.quantiles else None) for side in (before, after)]
    return [
        _name(before),
        number(each.moved) if is_number else share(each.moved),
        f"{each.size:.2f}" if is_number else "",
        *(medians if is_number else ("", "")),
        share(before.missing),
        share(after.missing),
        "" if is_number else escape(", ".join(changed_levels(each))),
    ]


def changed_levels(difference: Difference, most: int = _MOST_HEAVY) -> list[str]:
    """Return the levels whose share changed most, with both shares."""
    before, after = dict(difference.before.heavy), dict(difference.after.heavy)
    names = sorted(
        {*before, *after}, key=lambda name: (-abs(after.get(name, 0) - before.get(name, 0)), name)
    )
    return [
        f"{name} {share(before.get(name, 0))} to {share(after.get(name, 0))}"
        for name in names[:most]
        if before.get(name, 0) != after.get(name, 0)
    ]


def _name(each: Described) -> str:
    return escape(each.name) + (" [dim](prediction)[/dim]" if each.role == "prediction" else "")


def _heavy(each: Described) -> str:
    shown = [f"{name} {share(part)}" for name, part in each.heavy[:_MOST_HEAVY]]
    return escape(", ".join(shown) + (", …" if len(each.heavy) > _MOST_HEAVY else ""))


def number(value: float | None) -> str:
    """Write a number for people.

    >>> number(123456.7), number(12.34), number(0.000123456), number(None)
    ('123457', '12.34', '0.0001235', '-')
    """
    if value is None:
        return "-"
    return f"{value:.0f}" if 1_000 <= abs(value) < 10_000_000 else f"{value:.4g}"


def share(value: float) -> str:
    """Write a share for people.

    >>> share(0), share(0.5), share(0.00004), share(0.0123)
    ('0', '50%', '0.004%', '1.23%')
    """
    return f"{100 * value:.3g}%" if value else "0"
