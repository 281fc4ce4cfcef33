"""A file whose columns are read as those of the profile's file were."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from driftline_cli.data.table import Batch, Column, Kind, Progress, Table, silent
from driftline_stats.drift.bins import CategoricalBins
from driftline_stats.drift.plan import Plan


class Retyped:
    """A table some of whose columns are taken for another kind than they look like.

    What a CSV file holds is told by its first values. A code that is 1 and 2 in one week is a
    number, and text in the week that brings an X: to the profile it is what it was in training.
    """

    def __init__(self, table: Table, kinds: Mapping[str, Kind]) -> None:
        self._table = table
        self._kinds = kinds

    @property
    def path(self) -> Path:
        """See `Table`."""
        return self._table.path

    @property
    def size(self) -> int:
        """See `Table`."""
        return self._table.size

    @property
    def columns(self) -> tuple[Column, ...]:
        """See `Table`."""
        return tuple(
            replace(column, kind=self._kinds.get(column.name, column.kind))
            for column in self._table.columns
        )

    def batches(
        self, wanted: Mapping[str, Kind], rows: int, progress: Progress = silent
    ) -> Iterator[Batch]:
        """See `Table`."""
        return self._table.batches(wanted, rows, progress)


def kinds_of(plan: Plan) -> dict[str, Kind]:
    """Return what categories are written as, where their levels tell.

    >>> bins = [CategoricalBins(name=name, levels=levels) for name, levels in (
    ...     ("plan", (1, 2)), ("city", ("Rome", "7")), ("size", ("0.5", "1.5")))]
    >>> kinds_of(Plan(categorical=tuple(bins)))
    {'plan': <Kind.NUMBERS: 'numbers'>, 'city': <Kind.TEXT: 'text'>}
    """
    found = {bins.name: _kind(bins) for bins in plan.categorical}
    return {name: kind for name, kind in found.items() if kind is not None}


def _kind(bins: CategoricalBins) -> Kind | None:
    if any(isinstance(level, int) for level in bins.levels):
        return Kind.NUMBERS
    is_told = any(not _is_fraction(str(level)) for level in bins.levels)
    return Kind.TEXT if is_told else None


def _is_fraction(level: str) -> bool:
    """Whether it is written as numbers that are not whole are kept."""
    try:
        return not float(level).is_integer()
    except ValueError:
        return False
