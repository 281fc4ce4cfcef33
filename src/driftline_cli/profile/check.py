"""`driftline profile check`: what a cluster would say if these rows came."""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from driftline_api.signature import ModelSignature, signature_hash
from driftline_cli.consoles import bars, consoles
from driftline_cli.data.opening import open_table
from driftline_cli.data.table import Table
from driftline_cli.errors import UserError
from driftline_cli.profile import verdicts
from driftline_cli.profile.feed import Feed, Further
from driftline_cli.profile.looks import Labels, Looker, Pace
from driftline_cli.profile.model import (
    Loaded,
    beside,
    check_signature,
    loaded,
    read_signature_file,
)
from driftline_cli.profile.reading import read_profile
from driftline_cli.profile.retyped import Retyped, kinds_of
from driftline_cli.profile.verdicts import Edge
from driftline_serving.baseline import binding
from driftline_serving.baseline.file import Baseline
from driftline_serving.monitor.feedback.calibration import Calibration
from driftline_serving.monitor.feedback.outputs import Outputs
from driftline_serving.watched.extract import Extractor
from driftline_serving.watched.watched import Watched, watched_of
from driftline_stats.drift.kernel import Kernel
from driftline_stats.watch.look import Look
from driftline_stats.watch.plan import WatchPlan
from driftline_stats.watch.watch import Watch

#: The exit code where something was found.
FOUND: Final = 3
_LOOKS_PER_DAY: Final = 1_440
_FEWEST_ROWS, _MOST_ROWS = 100, 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What is compared with what.

    Attributes:
        table: the live rows.
        baseline: the profile.
        signature: None where the model has none.
        model: None where it is not run.
        feed: the rows as tensors.
        watched: what there is to watch.
        blind: features of the profile that cannot be told from the file.
    """

    table: Table
    baseline: Baseline
    signature: ModelSignature | None
    model: Loaded | None
    feed: Feed
    watched: Watched
    blind: tuple[str, ...]


def check(arguments: argparse.Namespace) -> int:
    """Compare a file with a profile; returns the exit code.

    Raises:
        UserError: something is wrong with the arguments or the file.
        ServingError: the profile is of another model, or the model cannot be run.
    """
    results, console = consoles()
    work = _work(arguments)
    plan = _plan(arguments, work)
    looker = _looker(arguments, work, plan)
    with bars(console) as progress:
        bar = progress.add_task("watching", total=work.table.size, rows=0)
        looks = looker.looks(lambda done: progress.update(bar, completed=done))
        edges = edges_of(plan, looks, lambda rows: progress.update(bar, rows=rows))
    if not edges:
        raise UserError(f"{work.table.path} has no rows")
    verdicts.told(results, edges, looker.pace)
    for name in work.blind:
        note = f"note: {name} is not watched: it needs --model or --outputs"
        console.print(note, markup=False, highlight=False, soft_wrap=True)
    return FOUND if any(each.findings.status is False for each in edges) else 0


def edges_of(plan: WatchPlan, looks: Iterable[Look], heard: Callable[[int], object]) -> list[Edge]:
    """Return what is found whenever the answer changes, and at the end.

    Args:
        plan: what is watched for.
        looks: in their order.
        heard: hears how many rows there were.
    """
    watch, row, edges = Watch.start(plan), 0, list[Edge]()
    for look in looks:
        watch, row = watch.update(look), row + look.counted
        heard(row)
        edge = Edge(row=row, findings=watch.findings())
        if edges and edges[-1].findings.reason is edge.findings.reason:
            last = edge
        else:
            edges.append(edge)
            last = None
    return edges if not edges or last is None else [*edges, last]


def _work(arguments: argparse.Namespace) -> _Work:
    baseline = read_profile(arguments.profile)
    model = loaded(arguments.model) if arguments.model else None
    tensors = model.engine.signature if model else None
    signature = _signature(arguments, model)
    if signature is not None:
        check_signature(signature, tensors)
    watched = watched_of(signature, tensors)
    binding.check(
        baseline,
        binding.Model(
            digest=binding.model_digest(model.file) if model else baseline.file.artifact,
            signature=signature_hash(signature),
            features=watched.features or None,
        ),
    )
    table = Retyped(open_table(arguments.data), kinds_of(baseline.profile.plan))
    labels = () if arguments.label is None else (arguments.label,)
    further = Further(outputs=arguments.outputs, beside=labels)
    feed = Feed(table, signature, model.engine if model else None, further)
    told = {
        feature.name
        for reading in watched.readings
        if not reading.of_output or reading.tensor in feed.outputs
        for feature in reading.features
    }
    return _Work(
        table=table,
        baseline=baseline,
        signature=signature,
        model=model,
        feed=feed,
        watched=watched,
        blind=tuple(each.name for each in baseline.profile.plan.features if each.name not in told),
    )


def _signature(arguments: argparse.Namespace, model: Loaded | None) -> ModelSignature | None:
    """Return the signature as said, else of the model, else the one beside the profile."""
    if arguments.signature:
        return read_signature_file(arguments.signature)
    found = beside(model.file if model else None)
    return found if found is not None else beside(arguments.profile)


def _plan(arguments: argparse.Namespace, work: _Work) -> WatchPlan:
    """Return what is watched for.

    Raises:
        UserError: a feature is named that is not watched.
    """
    features = {each.name for each in work.baseline.profile.plan.features}
    named = {*arguments.tolerances, *arguments.exclude}
    if unknown := sorted(named - features):
        raise UserError(
            f"{unknown[0]!r} is not watched; these are: {', '.join(sorted(features)[:20])}"
        )
    units = work.signature.features if work.signature else []
    return WatchPlan(
        profile=WatchPlan.packed(work.baseline.profile),
        trained=work.baseline.file.trained,
        tolerance=arguments.tolerance,
        tolerances=arguments.tolerances,
        exclude=tuple(sorted({*arguments.exclude, *work.blind})),
        false_alarms_per_year=arguments.false_alarms_per_year,
        first=arguments.first,
        accepted=arguments.accept,
        units={each.name: each.unit for each in units if each.unit},
    )


def _looker(arguments: argparse.Namespace, work: _Work, plan: WatchPlan) -> Looker:
    """Return what makes looks of the rows.

    Raises:
        UserError: there are labels, and nothing says what is predicted.
    """
    signature, profile = work.signature, work.baseline.profile
    prediction = signature.prediction if signature else None
    has_outputs = bool(work.feed.outputs) and prediction is not None
    if arguments.label is not None and not has_outputs:
        raise UserError(
            "--label needs predictions: give --model or --outputs, and a signature that has some"
        )
    every = min(max(int(arguments.rows_per_day / _LOOKS_PER_DAY), _FEWEST_ROWS), _MOST_ROWS)
    calibrated = has_outputs and prediction is not None and prediction.calibrated
    return Looker(
        feed=work.feed,
        extractor=Extractor(work.watched, profile.plan.features, plan.exclude),
        kernel=Kernel(profile.plan),
        pace=Pace(rows=arguments.every or every, per_day=arguments.rows_per_day),
        labels=Labels(signature, profile, arguments.label)
        if signature is not None and arguments.label is not None
        else None,
        calibration=Calibration(Outputs(signature)) if signature and calibrated else None,
    )
