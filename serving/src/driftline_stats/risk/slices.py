"""Is a part of the traffic worse off, although the whole is not?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from driftline_stats.errors import BatchError, StateError
from driftline_stats.evidence import Verdict, judged
from driftline_stats.risk.margin import BoundedMargin, LossDifferences, PairedMargin
from driftline_stats.risk.pairs import Pairs
from driftline_stats.state import State

LEAST_ROWS = 200
UNPLANNED = "(unplanned)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices(State):
    """Evidence, slice by slice, that the canary's risk is above stable's by more than a margin.

    A slice is shown worse when the evidence of its own `PairedMargin` (or `BoundedMargin`) for
    "stable is better by more than the margin" reaches K/alpha, where K slices were planned.

    Null hypothesis of each slice: there, the canary's risk is at most stable's plus the margin.

    Assumes that the slices were named before the rows were looked at. They may overlap.

    Under optional stopping: the probability that any slice which is not worse is ever shown worse
    is at most alpha (Bonferroni over slices, Ville over time). Slices with fewer than 200 rows
    are reported, never rejected; that only makes it rarer. Rows of a slice that was not planned are
    counted together, reported, and never decide.

    >>> slices = Slices.start(["eu", "us"], margin=0.01)
    >>> seen = {"eu": Pairs(better=5, worse=60, ties=935), "us": Pairs(worse=9, ties=91)}
    >>> slices = slices.update(seen)
    >>> slices.worse(0.05)
    ('eu',)
    >>> str(slices.verdicts(0.05)["us"])
    'undecided: evidence 16.1 of 40 needed'

    Attributes:
        tests: by slice; of "stable is better by more than the margin".
        unplanned: rows of slices that were not planned.
    """

    KIND: ClassVar[str] = "slices"

    tests: Mapping[str, PairedMargin | BoundedMargin]
    unplanned: int = 0

    def __post_init__(self) -> None:
        if not self.tests:
            raise StateError(f"{self.KIND}: there must be one slice at least")

    @classmethod
    def start(cls, names: list[str], *, margin: float, bounded: bool = False) -> Self:
        """Return the test before the first row.

        Args:
            names: of all slices that will be judged.
            margin: by how much a slice may be worse.
            bounded: for bounded losses instead of right and wrong.

        Raises:
            ValueError: the margin is negative, or 1 and more.
            StateError: there is no slice.
        """
        plan = PairedMargin.superiority(margin)
        test = BoundedMargin.start(plan.delta) if bounded else plan
        return cls(tests=dict.fromkeys(sorted(set(names)), test))

    def differences(
        self, *, stable: Iterable[object], canary: Iterable[object], bound: float = 1.0
    ) -> LossDifferences:
        """Return rows of bounded losses as this test takes them: stable in the canary's place."""
        margin = next(iter(self.tests.values())).delta
        return LossDifferences.of(margin, stable=canary, canary=stable, bound=bound)

    def update(self, batch: Mapping[str, Pairs] | Mapping[str, LossDifferences]) -> Self:
        """Return the test after more rows.

        Args:
            batch: by slice; `Pairs` as the canary has them, or what `differences` returns.

        Raises:
            BatchError: bounded losses where right and wrong are counted, or the other way round.
        """
        tests, unplanned = dict(self.tests), self.unplanned
        for name, rows in batch.items():
            if name in tests:
                tests[name] = _updated(tests[name], rows)
            else:
                unplanned += rows.rows
        return replace(self, tests=tests, unplanned=unplanned)

    def merge(self, other: Self) -> Self:
        """Return the test after the rows of both, which must be different rows.

        Raises:
            StateError: the other has other slices, or another margin.
        """
        if self.tests.keys() != other.tests.keys():
            raise StateError(
                f"{self.KIND}: slices {sorted(self.tests)} are not {sorted(other.tests)}"
            )
        tests = {name: _merged(test, other.tests[name]) for name, test in self.tests.items()}
        return replace(self, tests=tests, unplanned=self.unplanned + other.unplanned)

    def rows(self) -> dict[str, int]:
        """Return the rows of each slice, those of slices that were not planned in one."""
        seen = {name: _rows(test) for name, test in self.tests.items()}
        return {**seen, UNPLANNED: self.unplanned} if self.unplanned else seen

    def verdicts(self, alpha: float) -> dict[str, Verdict]:
        """Judge each slice at alpha divided by the number of slices."""
        level = alpha / len(self.tests)
        return {
            name: judged(test.log_evidence, level, _too_few(_rows(test)))
            for name, test in self.tests.items()
        }

    def worse(self, alpha: float) -> tuple[str, ...]:
        """Name the slices that are shown worse, any of them wrongly with at most alpha."""
        return tuple(name for name, each in self.verdicts(alpha).items() if each.rejected)


def _too_few(rows: int) -> str:
    return "" if rows >= LEAST_ROWS else f"only {rows} of {LEAST_ROWS} rows"


def _rows(test: PairedMargin | BoundedMargin) -> int:
    return test.pairs.rows if isinstance(test, PairedMargin) else test.seen.rows


def _updated(
    test: PairedMargin | BoundedMargin, rows: Pairs | LossDifferences
) -> PairedMargin | BoundedMargin:
    if isinstance(test, PairedMargin) and isinstance(rows, Pairs):
        return test.update(rows.swapped)
    if isinstance(test, BoundedMargin) and isinstance(rows, LossDifferences):
        return test.update(rows)
    raise BatchError(f"a {test.KIND} test cannot take {rows.KIND}")


def _merged(
    test: PairedMargin | BoundedMargin, other: PairedMargin | BoundedMargin
) -> PairedMargin | BoundedMargin:
    if isinstance(test, PairedMargin) and isinstance(other, PairedMargin):
        return test.merge(other)
    if isinstance(test, BoundedMargin) and isinstance(other, BoundedMargin):
        return test.merge(other)
    raise StateError(f"a {test.KIND} test cannot merge with a {other.KIND} test")
