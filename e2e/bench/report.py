"""Figures beside their bars, as a table for a person and as a page for the docs."""

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure.

    Attributes:
        what: what was measured.
        value: the figure.
        unit: of value and bar.
        bar: what it must not exceed; None where there is none.
        at_least: the bar is what it must reach instead.
        note: how it came about, in a few words.
    """

    what: str
    value: float
    unit: str
    bar: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def missed(self) -> bool:
        """Whether it is on the wrong side of its bar."""
        if self.bar is None:
            return False
        return self.value < self.bar if self.at_least else self.value > self.bar

    @property
    def ratio(self) -> str:
        """The figure as a multiple of its bar."""
        return f"{self.value / self.bar:.2f}" if self.bar else ""

    @property
    def verdict(self) -> str:
        """One word."""
        if self.bar is None:
            return ""
        return "MISSED" if self.missed else "met"

    @property
    def bar_text(self) -> str:
        """The bar, as a person reads it."""
        if self.bar is None:
            return ""
        return f"{'at least ' if self.at_least else ''}{number(self.bar)} {self.unit}"

    def row(self) -> tuple[str, ...]:
        """Return the cells of its row."""
        value = f"{number(self.value)} {self.unit}"
        return (self.what, value, self.bar_text, self.ratio, self.verdict, self.note)


HEADER = ("measured", "figure", "bar", "of bar", "", "how")


def number(value: float) -> str:
    """Write a number with as many digits as mean something.

    >>> number(0.0), number(3.14159), number(12.345), number(1234.5)
    ('0', '3.14', '12.3', '1,234')
    """
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(figures: Sequence[Figure]) -> str:
    """Return a Markdown table of figures."""
    return aligned([HEADER, *(figure.row() for figure in figures)])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, aligned so that a person can read it in a terminal too.

    >>> print(aligned([("a", "b"), ("long", "x")]))
    | a    | b |
    | ---- | - |
    | long | x |
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (rows[0], rule, *rows[1:])
    )


def summary(figures: Sequence[Figure]) -> str:
    """Return what a person must not overlook."""
    missed = [figure for figure in figures if figure.missed]
    barred = sum(figure.bar is not None for figure in figures)
    if not barred:
        return "There is no bar in this table: it compares."
    if not missed:
        return f"All {barred} bars are met."
    lines = [f"  {f.what}: {number(f.value)} {f.unit}, bar {f.bar_text}" for f in missed]
    return "\n".join([f"!!! {len(missed)} of {barred} bars are MISSED !!!", *lines])


def machine() -> str:
    """Return what the figures depend on."""
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    python = platform.python_version()
    return f"{cores} cores ({processor()}), {memory:.0f} GB of memory, Python {python}"


def processor() -> str:
    """Return the name of the processor, as far as the kernel tells."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def commit(checkout: Path) -> str:
    """Return the commit that was measured, marked if the tree has changed since."""
    git = ["git", "-C", str(checkout)]
    head = subprocess.run(
        [*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False
    )
    if head.returncode != 0:
        return "unknown"
    paths = ["operator", "src", "serving", "crds", "charts"]
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", *paths], capture_output=True, text=True, check=True
    ).stdout
    return head.stdout.strip() + (" with changes" if changed else "")


def page(title: str, words: str, figures: Sequence[Figure], checkout: Path) -> str:
    """Return the page for the docs."""
    today = datetime.now(UTC).date().isoformat()
    return (
        "\n\n".join(
            (
                f"# {title}",
                f"Measured on {today} at commit {commit(checkout)}, on {machine()}.",
                table(figures),
                summary(figures),
                words.strip(),
                "",
            )
        ).rstrip()
        + "\n"
    )
