"""Three real data sets: what a model is trained on, what comes later, and what is known of it.

- weather: half a century of days at one station. From row 12,000 of 18,159 on the columns behind
  the temperature have moved one place, the first of them to the end: what a sender does that was
  released with another order of columns.
- loans: requests for a car's loan; the cars become dearer in the middle of what comes later, and
  the predictions worse.
- employment: the census of Massachusetts, 2015 against 2016 to 2018. It drifts, since the highest
  age is another one each year, and predictions are as good as ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from e2e.realdata import NANNYML, NOAA, Table, table

Numbers = npt.NDArray[np.float32]
Levels = npt.NDArray[np.str_]
Classes = npt.NDArray[np.int64]

#: Names of the models' inputs.
NUMBERS: Final = "numbers"
LEVELS: Final = "levels"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Rows with their outcomes.

    Attributes:
        numbers: float32, shape (rows, numeric features).
        levels: text, shape (rows, categorical features).
        truth: int64, shape (rows,): 0 or 1.
    """

    numbers: Numbers
    levels: Levels
    truth: Classes

    def __len__(self) -> int:
        return len(self.truth)

    def __getitem__(self, wanted: slice) -> "Examples":
        return Examples(
            numbers=self.numbers[wanted], levels=self.levels[wanted], truth=self.truth[wanted]
        )

    def inputs(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return the tensors of a request for these rows, without those of no columns."""
        tensors: dict[str, npt.NDArray[np.generic]] = {NUMBERS: self.numbers, LEVELS: self.levels}
        return {name: each for name, each in tensors.items() if each.shape[1]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A data set as a model lives it.

    Attributes:
        name: of the Model.
        numeric, categorical: names of the features.
        positive: what the model looks for, in words.
        trained: what it is trained on, in the order of time.
        live: what comes after.
        change: the row of `live` from which on it is otherwise.
        exclude: features that are not watched.
    """

    name: str
    numeric: tuple[str, ...]
    categorical: tuple[str, ...] = ()
    positive: str
    trained: Examples = field(repr=False)
    live: Examples = field(repr=False)
    change: int
    exclude: tuple[str, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """Return the names of all features, numeric ones first."""
        return (*self.numeric, *self.categorical)


def examples(
    read: Table, numeric: Sequence[str], categorical: Sequence[str], label: Sequence[float]
) -> Examples:
    """Return rows of a table; what is empty is missing."""
    numbers = np.array([read.numbers(name) for name in numeric], np.float32).T
    levels = [[each or "" for each in read.levels(name)] for name in categorical]
    return Examples(
        numbers=np.ascontiguousarray(numbers),
        levels=np.ascontiguousarray(np.array(levels, np.str_).reshape(len(levels), len(read)).T),
        truth=np.array(label).astype(np.int64),
    )


_WEATHER: Final = (
    *("temperature", "dew point", "sea-level pressure", "visibility", "average wind speed"),
    *("max sustained wind-speed", "minimum temperature", "maximum temperature"),
)
_WEATHER_TRAINED: Final = 8_000
_WEATHER_CHANGE: Final = 12_000


def weather() -> Scene:
    """Return the weather. From about row 7,900 on visibility is measured otherwise."""
    read = table(NOAA)
    rows = examples(read, _WEATHER, (), read.numbers("rain"))
    return Scene(
        name="rain",
        numeric=_WEATHER,
        positive="rain",
        trained=rows[:_WEATHER_TRAINED],
        live=rows[_WEATHER_TRAINED:],
        change=_WEATHER_CHANGE - _WEATHER_TRAINED,
        exclude=("visibility",),
    )


_LOAN_NUMERIC: Final = ("car_value", "debt_to_income_ratio", "loan_length", "driver_tenure")
_LOAN_LEVELS: Final = ("salary_range", "repaid_loan_on_prev_car", "size_of_downpayment")


def loans() -> Scene:
    """Return the loans."""
    reference = table(f"{NANNYML}/synthetic_car_loan_reference.csv")
    analysis = table(f"{NANNYML}/synthetic_car_loan_analysis.csv")
    target = table(f"{NANNYML}/synthetic_car_loan_analysis_target.csv")
    return Scene(
        name="loans",
        numeric=_LOAN_NUMERIC,
        categorical=_LOAN_LEVELS,
        positive="repaid",
        trained=examples(reference, _LOAN_NUMERIC, _LOAN_LEVELS, reference.numbers("repaid")),
        live=examples(analysis, _LOAN_NUMERIC, _LOAN_LEVELS, target.numbers("repaid")),
        change=25_000,
    )


_CENSUS_LEVELS: Final = (
    *("SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL"),
    *("ANC", "NATIVITY", "DEAR", "DEYE", "DREM", "SEX", "RAC1P"),
)
_CENSUS_TRAINED: Final = 20_000
_CENSUS_SAME: Final = 8_000
_CENSUS_LATER: Final = 10_000


def employment() -> Scene:
    """Return the census: live rows are other people of 2015 first, then of the years that follow.

    Within a year rows stand by place, which is no time: they are mixed, those for training too.
    """
    reference = table(f"{NANNYML}/employment_MA_reference.pq")
    target = table(f"{NANNYML}/employment_MA_analysis_target.pq")
    analysis = table(f"{NANNYML}/employment_MA_analysis.pq")
    later = Table(columns=analysis.columns | {"employed": target.columns["employed"]})
    first = _of_year(reference, "2015", _CENSUS_TRAINED + _CENSUS_SAME)
    years = [_of_year(later, year, _CENSUS_LATER) for year in ("2016", "2017", "2018")]
    return Scene(
        name="employment",
        numeric=("AGEP",),
        categorical=_CENSUS_LEVELS,
        positive="employed",
        trained=first[:_CENSUS_TRAINED],
        live=_joined([first[_CENSUS_TRAINED:], *years]),
        change=_CENSUS_SAME,
    )


def _of_year(read: Table, year: str, most: int) -> Examples:
    found = np.flatnonzero(np.array(read.columns["year"]) == year)
    rows = read.rows(np.random.default_rng(int(year)).permutation(found)[:most].tolist())
    return examples(rows, ("AGEP",), _CENSUS_LEVELS, rows.numbers("employed"))


def _joined(parts: Sequence[Examples]) -> Examples:
    return Examples(
        numbers=np.concatenate([each.numbers for each in parts]),
        levels=np.concatenate([each.levels for each in parts]),
        truth=np.concatenate([each.truth for each in parts]),
    )
