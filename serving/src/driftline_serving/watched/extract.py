"""From tensors to rows, many inferences at a time."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline_serving.server.tensors import Array, Datatype
from driftline_serving.tap.columns import DATATYPES
from driftline_serving.tap.frame import Column, Group
from driftline_serving.watched.readings import (
    MISSING_TENSOR,
    NOT_A_NUMBER,
    OMITTED,
    WRONG_SHAPE,
    Columns,
    Reading,
    UnreadableError,
)
from driftline_serving.watched.watched import Watched
from driftline_stats.drift.rows import NUMERIC, Feature, Rows

Integers = npt.NDArray[np.int64]
#: Inferences by what was wrong: of which feature or tensor, and what.
FaultCounts = Counter[tuple[str, str]]

_ALL: Final = slice(None)
_NONE: Final = np.zeros(0, np.int64)
_MOST_NAMED: Final = 5


class WatchedError(Exception):
    """Features are asked for that this model does not have; says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """What came of some inferences.

    Attributes:
        rows: of the features that the extractor was made for, in that order.
        inferences: whose rows these are; those with a tensor that was too large to be told are
            left out.
        faults: what was wrong with inferences.
    """

    rows: Rows
    inferences: int
    faults: FaultCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A reading, which of its features are wanted, and where they go."""

    reading: Reading
    chosen: tuple[int, ...]
    places: tuple[int, ...]
    numeric: bool

    @property
    def is_whole(self) -> bool:
        return len(self.chosen) == len(self.reading.features)


class Extractor:
    """Makes rows of the features of a plan, or of all that is watched.

    A tensor that is missing or cannot be read is missing in its rows, and counted as a fault.

    >>> from driftline_api.signature import Feature, ModelSignature
    >>> from driftline_serving.watched.watched import watched_of
    >>> features = [Feature(name="age", tensor="x"), Feature(name="debt", tensor="x", column=1)]
    >>> extractor = Extractor(watched_of(ModelSignature(features=features)))
    >>> found = extractor.of_tensors({"x": np.array([[31, 0], [54, np.nan]])}, {})
    >>> found.rows.numeric.tolist(), dict(found.faults)
    ([[31.0, 0.0], [54.0, nan]], {('debt', 'not_a_number'): 1})

    Args:
        watched: what there is.
        features: what is wanted, numeric and categorical ones each in the order of the rows; by
            default all that is not excluded.
        exclude: names of features and tensors. Where they are wanted nevertheless, as a plan has
            them, they are missing in every row: nobody reads them.

    Attributes:
        features: of the rows.

    Raises:
        WatchedError: something is wanted that is not watched, or is of another kind.
    """

    def __init__(
        self,
        watched: Watched,
        features: Sequence[Feature] | None = None,
        exclude: Collection[str] = (),
    ) -> None:
        self.features = tuple(watched.without(exclude) if features is None else features)
        _check(watched, self.features)
        numeric = [each.name for each in self.features if each.kind == NUMERIC]
        levels = [each.name for each in self.features if each.kind != NUMERIC]
        places = {name: at for names in (numeric, levels) for at, name in enumerate(names)}
        for name in watched.excluded(exclude):
            places.pop(name, None)
        self._sizes = len(numeric), len(levels)
        self._work = tuple(
            _work(reading, places)
            for reading in watched.readings
            if any(each.name in places for each in reading.features)
        )

    def of_tensors(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> Extracted:
        """Return the rows of one inference, or of a file: arrays of shape [rows, ...]."""
        return self.of_group(
            Group(count=1, inputs=_columns_of(inputs), outputs=_columns_of(outputs))
        )

    def of_group(self, group: Group, chosen: npt.NDArray[np.bool_] | None = None) -> Extracted:
        """Return the rows of inferences that came with the same tensors.

        Args:
            group: as the tap tells it.
            chosen: which of its inferences are wanted, shape [count]; all by default.
        """
        found = [(work, _column(group, work.reading)) for work in self._work]
        wanted = group.count if chosen is None else int(chosen.sum())
        omitted = {work.reading.tensor for work, each in found if each and each.values is None}
        if omitted:
            faults = FaultCounts({(tensor, OMITTED): wanted for tensor in omitted})
            return Extracted(rows=_Rows(self._sizes, _NONE).rows(), inferences=0, faults=faults)
        first = next((each for _, each in found if each), None)
        lengths = _NONE if first is None else _lengths(first, group.count)
        picked: slice | Integers = _ALL
        if chosen is not None and first is not None:
            picked = np.flatnonzero(np.repeat(chosen, lengths))
        made = _Rows(self._sizes, lengths if picked is _ALL else lengths[chosen])
        for work, column in found:
            if column is None:
                made.faults[work.reading.tensor, MISSING_TENSOR] += wanted
            elif column is not first and not _as_long(column, lengths):
                made.faults[work.reading.tensor, WRONG_SHAPE] += wanted
            elif column.values is not None and made.number:
                made.read(work, column.values[picked])
        return Extracted(rows=made.rows(), inferences=wanted, faults=made.faults)


class _Rows:
    """Rows that are being filled in; what nobody fills in is missing."""

    def __init__(self, sizes: tuple[int, int], lengths: Integers) -> None:
        numeric, levels = sizes
        self.number = int(lengths.sum())
        self.faults = FaultCounts()
        self._lengths = lengths
        self._numeric = np.full((self.number, numeric), np.nan, np.float32)
        self._levels: list[Array | None] = [None] * levels

    def read(self, work: _Work, values: Array) -> None:
        """Fill in what one tensor holds."""
        try:
            columns = work.reading.read(values)
        except UnreadableError as error:
            self.faults[work.reading.tensor, error.fault] += len(self._lengths)
            return
        if work.numeric:
            self._fill(work, columns)
            return
        for at, place in zip(work.chosen, work.places, strict=True):
            self._levels[place] = columns[at]

    def _fill(self, work: _Work, columns: Columns) -> None:
        assert isinstance(columns, np.ndarray)
        matrix = columns if work.is_whole else columns[:, list(work.chosen)]
        self._numeric[:, list(work.places)] = matrix
        unknown = np.isnan(matrix)
        if not unknown.any():
            return
        for at, number in enumerate(_inferences_with(unknown, self._lengths).tolist()):
            if number:
                feature = work.reading.features[work.chosen[at]]
                self.faults[feature.name, NOT_A_NUMBER] += number

    def rows(self) -> Rows:
        """Return them."""
        columns = (
            np.full(self.number, None, object) if each is None else each for each in self._levels
        )
        return Rows(numeric=self._numeric, categorical=tuple(columns))


def _inferences_with(marked: npt.NDArray[np.bool_], lengths: Integers) -> Integers:
    """Return in how many inferences at least one row is marked, for each column."""
    if len(marked) > len(lengths) or (lengths == 0).any():
        lengths = lengths[lengths > 0]
        starts = np.cumsum(lengths) - lengths
        marked = np.logical_or.reduceat(marked, starts, axis=0)
    found: Integers = marked.sum(axis=0)
    return found


def _column(group: Group, reading: Reading) -> Column | None:
    return (group.outputs if reading.of_output else group.inputs).get(reading.tensor)


def _lengths(column: Column, count: int) -> Integers:
    """Return the rows of each inference; what has no axes is one."""
    return np.ones(count, np.int64) if column.lengths is None else column.lengths.astype(np.int64)


def _as_long(column: Column, lengths: Integers) -> bool:
    """Whether a tensor has as many rows in each inference; cheaper than to compare arrays."""
    if column.lengths is None:
        return bool((lengths == 1).all())
    return column.lengths.tobytes() == lengths.tobytes()


def _columns_of(tensors: Mapping[str, Array]) -> dict[str, Column]:
    return {
        name: Column(
            datatype=DATATYPES.get(each.dtype, Datatype.BYTES),
            row=each.shape[1:],
            lengths=np.array([len(each)], np.uint64),
            values=each,
        )
        for name, each in tensors.items()
    }


def _work(reading: Reading, places: Mapping[str, int]) -> _Work:
    chosen = tuple(at for at, each in enumerate(reading.features) if each.name in places)
    return _Work(
        reading=reading,
        chosen=chosen,
        places=tuple(places[reading.features[at].name] for at in chosen),
        numeric=reading.features[0].kind == NUMERIC,
    )


def _check(watched: Watched, wanted: Sequence[Feature]) -> None:
    kinds = {each.name: each.kind for each in watched.features}
    if unknown := [each.name for each in wanted if each.name not in kinds]:
        raise WatchedError(
            f"the model has no {_listed(unknown)}; it has {_listed(list(kinds)) or 'nothing'}"
        )
    if other := [each.name for each in wanted if each.kind != kinds[each.name]]:
        raise WatchedError(f"{_listed(other)}: of another kind (numeric, categorical) here")


def _listed(names: Sequence[str]) -> str:
    more = ["…"] if len(names) > _MOST_NAMED else []
    return ", ".join([*map(repr, names[:_MOST_NAMED]), *more])
