"""Rows of a file as the looks that an operator takes at a monitor's counts."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftline_api.signature import ModelSignature
from driftline_cli.data.table import Array, Progress
from driftline_cli.errors import UserError
from driftline_cli.profile.feed import Feed, Part, Tensors
from driftline_serving.monitor.feedback.calibration import Calibration
from driftline_serving.monitor.feedback.items import ItemError
from driftline_serving.monitor.feedback.losses import Losses, bin_of
from driftline_serving.monitor.feedback.outputs import Outputs
from driftline_serving.server.tensors import Datatype
from driftline_serving.tap.frame import Column, Group
from driftline_serving.watched.extract import Extractor
from driftline_serving.watched.predictions import NAME
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.profile import Counts, Profile
from driftline_stats.risk.cbpe import Cbpe
from driftline_stats.watch.look import LabelBatch, Look

DAY: Final = 86_400.0
#: Multiples of it, less their whole part, are spread evenly.
_EVEN: Final = 0.618034


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How rows of a file are taken to have come.

    Attributes:
        rows: of each look.
        per_day: rows that come in a day.
    """

    rows: int
    per_day: float

    def seconds(self, rows: int) -> float:
        """Return how long so many rows take to come."""
        return rows / self.per_day * DAY


class Labels:
    """Compares predictions with what was true, as the feedback endpoint does.

    Args:
        signature: of the model, with a prediction.
        profile: of the reference, for the unit of a regression's errors.
        column: of the file, that holds the truth; an empty value is no label.
    """

    def __init__(self, signature: ModelSignature, profile: Profile, column: str) -> None:
        scales = {bins.name: bins.scale for bins in profile.plan.numeric}
        self.column = column
        self._losses = Losses(signature, scales.get(NAME))
        self._outputs = Outputs(signature)

    def batch(self, part: Part) -> LabelBatch:
        """Return the labels of some rows.

        Raises:
            UserError: a label is no class or value of the model.
        """
        predicted = self._outputs.read(part.outputs)
        column = part.beside[self.column]
        if predicted is None:
            return LabelBatch(rows=len(column))
        pairs = zip(column.tolist(), predicted.tolist(), strict=True)
        found = [self._loss(label, row) for label, row in pairs if not _is_empty(label)]
        known = [loss for loss in found if not math.isnan(loss)]
        bins = Counter(bin_of(loss, at * _EVEN % 1) for at, loss in enumerate(known))
        return LabelBatch(rows=len(column), labelled=len(known), losses=tuple(sorted(bins.items())))

    def _loss(self, label: float | str, row: list[float]) -> float:
        try:
            return self._losses.loss(self._losses.truth(label), row)
        except ItemError as error:
            raise UserError(
                f"the column {self.column!r} has the label {label!r}: {error}"
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Looker:
    """Makes looks of rows.

    Attributes:
        feed: the rows.
        extractor: what is watched of them.
        kernel: counts them.
        pace: how they are taken to have come.
        labels: where there are some.
        calibration: where scores are calibrated.
    """

    feed: Feed
    extractor: Extractor
    kernel: Kernel
    pace: Pace
    labels: Labels | None = None
    calibration: Calibration | None = None

    def looks(self, progress: Progress) -> Iterator[Look]:
        """Yield the looks; the last one has the rows that are left.

        Raises:
            UserError: as `Feed.parts`, or a label is none.
        """
        gathered: list[Look] = []
        for part in self.feed.parts(progress):
            number, begin = _rows_of(part), 0
            while begin < number:
                room = self.pace.rows - sum(each.counted for each in gathered)
                gathered.append(self._look(_slice(part, begin, begin + room)))
                begin += room
                if sum(each.counted for each in gathered) == self.pace.rows:
                    yield self._joined(gathered)
                    gathered = []
        if gathered:
            yield self._joined(gathered)

    def _look(self, part: Part) -> Look:
        rows = _rows_of(part)
        found = self.extractor.of_group(_group(part, rows))
        faults: dict[str, dict[str, int]] = defaultdict(dict)
        for (name, kind), count in found.faults.items():
            faults[name][kind] = count
        if self.calibration:
            self.calibration.observe(part.outputs)
        return Look(
            counts=self.kernel.count(found.rows),
            seconds=self.pace.seconds(rows),
            inferences=rows,
            seen=rows,
            counted=rows,
            faults=faults,
            labels=(self.labels.batch(part),) if self.labels else (),
        )

    def _joined(self, looks: Sequence[Look]) -> Look:
        """Return several looks as one, with what is told of probabilities since the last one."""
        rows = sum(each.counted for each in looks)
        told = self.calibration.report() if self.calibration else None
        if self.calibration:
            self.calibration.restart()
        return Look(
            counts=sum((each.counts for each in looks), start=Counts.none(self.kernel.plan)),
            seconds=self.pace.seconds(rows),
            inferences=rows,
            seen=rows,
            counted=rows,
            faults=_added_faults([each.faults for each in looks]),
            labels=_added_labels([batch for each in looks for batch in each.labels]),
            calibration=Cbpe.from_json(json.dumps(told)) if told else None,
        )


def _added_faults(
    faults: Sequence[Mapping[str, Mapping[str, int]]],
) -> Mapping[str, Mapping[str, int]]:
    added: dict[str, Counter[str]] = defaultdict(Counter)
    for each in faults:
        for name, kinds in each.items():
            added[name].update(kinds)
    return added


def _added_labels(batches: Sequence[LabelBatch]) -> tuple[LabelBatch, ...]:
    """Return labels as those of one cohort."""
    if not batches:
        return ()
    bins: Counter[int] = Counter()
    for each in batches:
        bins.update(dict(each.losses))
    together = LabelBatch(
        cohort="the file",
        rows=sum(each.rows for each in batches),
        labelled=sum(each.labelled for each in batches),
        losses=tuple(sorted(bins.items())),
    )
    return (together,)


def _is_empty(label: object) -> bool:
    return label == "" or (isinstance(label, float) and math.isnan(label))


def _rows_of(part: Part) -> int:
    return len(next(iter((*part.inputs.values(), *part.outputs.values()))))


def _slice(part: Part, begin: int, end: int) -> Part:
    def cut(tensors: Tensors) -> Tensors:
        return {name: values[begin:end] for name, values in tensors.items()}

    return Part(inputs=cut(part.inputs), outputs=cut(part.outputs), beside=cut(part.beside))


def _group(part: Part, rows: int) -> Group:
    """Return rows as inferences of one row each, so that faults are counted as in a cluster."""
    lengths = np.ones(rows, np.uint64)

    def columns(tensors: Tensors) -> dict[str, Column]:
        return {name: _column(values, lengths) for name, values in tensors.items()}

    return Group(count=rows, inputs=columns(part.inputs), outputs=columns(part.outputs))


def _column(values: Array, lengths: Array) -> Column:
    # Nobody asks for the datatype of what is read here.
    return Column(datatype=Datatype.BYTES, row=values.shape[1:], lengths=lengths, values=values)
