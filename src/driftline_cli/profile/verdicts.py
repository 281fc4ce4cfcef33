"""What a check found, at a terminal: as a Model's status tells it."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from driftline_cli.profile.looks import Pace
from driftline_stats.watch.findings import Findings
from driftline_stats.watch.moves import Move


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What was found, and when.

    Attributes:
        row: how many rows of the file there had been.
        findings: as a Model's status would show them.
    """

    row: int
    findings: Findings


def told(console: Console, edges: Sequence[Edge], pace: Pace) -> None:
    """Print every change of the answer, and what holds at the end."""
    last = edges[-1].findings
    console.print(
        f"{edges[-1].row:,} rows, as if {pace.per_day:,.0f} came in a day and every {pace.rows:,} "
        f"were looked at; one false alarm in {last.budget:,.0f} rows",
        highlight=False,
        soft_wrap=True,
    )
    console.print(_history(edges))
    console.print()
    _say(console, f"[bold]DriftFree={_status(last)}[/bold]  {last.reason.value}")
    for text in (last.message, last.advice, *(f"Note: {each}" for each in last.warnings)):
        _say(console, escape(text))
    if last.features:
        console.print(_moves(last.features))


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)


def _status(findings: Findings) -> str:
    return {True: "True", False: "False", None: "Unknown"}[findings.status]


def _history(edges: Sequence[Edge]) -> Table:
    table = Table(header_style="bold", box=None, pad_edge=False)
    for name, side in (("at row", "right"), ("DriftFree", "left"), ("reason", "left")):
        table.add_column(name, justify="right" if side == "right" else "left", no_wrap=True)
    table.add_column("what was found")
    for before, each in zip((None, *edges), edges, strict=False):
        if before is None or before.findings.reason is not each.findings.reason:
            found = each.findings
            table.add_row(
                f"{each.row:,}", _status(found), found.reason.value, escape(found.message)
            )
    return table


def _moves(moves: Sequence[Move]) -> Table:
    table = Table(header_style="bold", box=None, pad_edge=False)
    table.add_column("what moved", no_wrap=True)
    for name in ("evidence", "by, in sd", "before", "after", "PSI"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in moves:
        table.add_row(
            escape(each.name),
            f"1e{each.evidence:.0f}",
            f"{each.effect:.2f}",
            _figure(each.before, each.unit),
            _figure(each.after, each.unit),
            f"{each.psi:.2f}",
        )
    return table


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    space = "" if unit in ("", "%") else " "
    return f"{value:.4g}{space}{escape(unit)}"
