"""`driftline profile build`: rows to signature and profile."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from driftline_api.names import PROFILE_FILE, SIGNATURE_FILE
from driftline_api.signature import ModelSignature, signature_hash
from driftline_cli.consoles import consoles
from driftline_cli.data.opening import open_table
from driftline_cli.data.table import Table
from driftline_cli.errors import UserError
from driftline_cli.profile import pictured, tables
from driftline_cli.profile.describe import Described, described
from driftline_cli.profile.feed import Feed, Further
from driftline_cli.profile.layout import Wishes, features_of
from driftline_cli.profile.model import (
    Loaded,
    beside,
    check_signature,
    loaded,
    note_text,
    read_signature_file,
    signed,
)
from driftline_cli.profile.passes import profile_of
from driftline_cli.profile.signing import Claims, prediction_of
from driftline_cli.profile.watching import streamed
from driftline_serving.baseline.binding import model_digest
from driftline_serving.baseline.file import Baseline, baseline_of
from driftline_serving.watched.extract import Extractor
from driftline_serving.watched.watched import watched_of

#: A reference of fewer rows makes the detector wait for more evidence.
FEW_ROWS = 10_000
#: A number with so few values may be a code.
_FEW_VALUES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What a profile is made of.

    Attributes:
        table: the rows.
        model: None where there is none.
        signature: None where nothing is known that one could say.
        told: how it was found out, for people; empty where somebody wrote it.
    """

    table: Table
    model: Loaded | None
    signature: ModelSignature | None
    told: str


def build(arguments: argparse.Namespace) -> int:
    """Build a profile; returns the exit code.

    Raises:
        UserError: something is wrong with the arguments or the file.
        ServingError: the model cannot be run.
    """
    results, console = consoles()
    target = _target(arguments)
    work = _work(arguments)
    further = Further(outputs=arguments.outputs)
    feed = Feed(work.table, work.signature, work.model.engine if work.model else None, further)
    baseline, features = _counted(work, feed, console, in_order=arguments.in_order)
    _write(work, target, baseline, force=arguments.force)
    shown = described(baseline.profile)
    tables.show(results, baseline, shown)
    for hint in (*_hints(work, shown), *features):
        console.print(f"note: {hint}", highlight=False, markup=False, soft_wrap=True)
    pictured.of_one(arguments, target.name, baseline, shown)
    console.print(_next_step(work, target), highlight=False, markup=False, soft_wrap=True)
    return 0


def _target(arguments: argparse.Namespace) -> Path:
    """Return where the profile goes: as said, else beside the model or the data.

    Raises:
        UserError: it would overwrite another one.
    """
    target: Path | None = arguments.output
    if target is None:
        base = arguments.model or arguments.data
        target = (base if base.is_dir() else base.parent) / PROFILE_FILE
    if target.is_dir():
        target /= PROFILE_FILE
    if target.exists() and not arguments.force:
        raise UserError(f"{target} is there already: give another --output, or --force")
    if not target.parent.is_dir():
        raise UserError(f"there is no directory {target.parent}: make it, or give another --output")
    return target


def _work(arguments: argparse.Namespace) -> _Work:
    table = open_table(arguments.data)
    model = loaded(arguments.model) if arguments.model else None
    tensors = model.engine.signature if model else None
    if arguments.signature:
        written: ModelSignature | None = read_signature_file(arguments.signature)
    else:
        written = beside(model.file if model else None)
    if written is not None:
        check_signature(written, tensors)
        return _Work(table=table, model=model, signature=written, told="")
    signature, told = _proposed(arguments, table, model)
    if signature is not None:
        check_signature(signature, tensors)
    return _Work(table=table, model=model, signature=signature, told=told)


def _proposed(
    arguments: argparse.Namespace, table: Table, model: Loaded | None
) -> tuple[ModelSignature | None, str]:
    """Return the signature that file and model suggest, and how it was found out."""
    wishes = Wishes(
        features=arguments.features,
        ignored=(*arguments.ignore, *arguments.outputs),
        categorical=arguments.categorical,
        text=arguments.text,
        tensor=arguments.tensor,
    )
    features = features_of(table, wishes, model.engine.signature if model else None)
    assumed = "" if model else _assumed(wishes)
    if model is None and not arguments.outputs:
        return signed(features, None), f"{assumed}, and nothing is predicted"
    claims = Claims(
        task=arguments.task,
        classes=arguments.classes,
        positive=arguments.positive,
        calibrated=arguments.calibrated,
    )
    feed = Feed(
        table,
        signed(features, None),
        model.engine if model else None,
        Further(outputs=arguments.outputs),
    )
    found = next(feed.parts(), None)
    if found is None:
        raise UserError(f"{table.path} has no rows")
    told = prediction_of(found.outputs, claims)
    why = "; ".join(each for each in (assumed, told.why) if each)
    if told.prediction is not None:
        return signed(features, told.prediction), why
    if arguments.outputs:
        raise UserError(f"what is predicted is not clear: {told.why}; say it in {SIGNATURE_FILE}")
    why = f"what is predicted is not clear: {why}; say it with --task and --classes"
    return signed(features, None), f"{why}, or in {SIGNATURE_FILE}"


def _assumed(wishes: Wishes) -> str:
    where = (
        f"columns of one input {wishes.tensor!r}" if wishes.tensor else "an input of its own each"
    )
    return f"without --model, features are taken for {where}"


def _counted(
    work: _Work, feed: Feed, console: Console, *, in_order: bool
) -> tuple[Baseline, list[str]]:
    """Return the profile, and what of the model is not in it."""
    engine = work.model.engine if work.model else None
    watched = watched_of(work.signature, engine.signature if engine else None)
    outputs = feed.outputs
    features = tuple(
        feature
        for reading in watched.readings
        if not reading.of_output or reading.tensor in outputs
        for feature in reading.features
    )
    extractor = Extractor(watched, features)
    stream = streamed(feed, extractor, work.table.size, console)
    profile = profile_of(extractor.features, stream, in_order=in_order)
    baseline = baseline_of(
        profile,
        artifact=model_digest(work.model.file) if work.model else "",
        signature=signature_hash(work.signature),
    )
    unwatched = [f"{each.name} is not watched: {each.why}" for each in watched.unwatched]
    if len(features) < len(watched.features):
        unwatched.append("predictions are not in the profile: --model or --outputs gives them")
    return baseline, unwatched


def _write(work: _Work, target: Path, baseline: Baseline, *, force: bool) -> None:
    """Write profile and signature, each as a whole or not at all.

    Raises:
        UserError: they cannot be written, or another signature is there.
    """
    note = target.parent / SIGNATURE_FILE
    texts = {target: baseline.text + "\n"}
    if work.signature is not None:
        text = note_text(work.signature)
        if not note.exists() or force:
            texts[note] = text
        elif read_signature_file(note) != work.signature:
            raise UserError(f"{note} says something else: remove it, or give --force")
    for path, text in texts.items():
        fresh = path.with_name(f".{path.name}.new")
        try:
            fresh.write_text(text)
            fresh.replace(path)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from error


def _hints(work: _Work, features: list[Described]) -> Iterator[str]:
    """Yield what a person should look at."""
    if work.told:
        yield f"the signature was found out: {work.told}"
    rows = max((each.rows for each in features), default=0)
    if rows < FEW_ROWS:
        yield f"{rows:,} rows: drift is found later than with {FEW_ROWS:,} or more"
    for each in features:
        yield from _hint(each)


def _hint(each: Described) -> Iterator[str]:
    if each.missing == 1:
        yield f"{each.name} has no value in any row: a value in live traffic will be drift"
    elif each.kind == "categorical" and each.odd > 0.01:
        yield (
            f"{each.name}: {100 * each.odd:.1f}% of rows have a level that is not among the "
            f"{len(each.heavy)} commonest; as free text, name it with --text"
        )
    elif each.kind == "numeric" and each.role == "feature":
        covered = sum(part for _, part in each.heavy) + each.missing
        if 1 < len(each.heavy) <= _FEW_VALUES and covered > 0.999:
            yield f"{each.name} has {len(each.heavy)} values only: --categorical if it is a code"


def _next_step(work: _Work, target: Path) -> str:
    wrote = f"wrote {target}"
    if work.signature is not None:
        wrote += f" and {target.parent / SIGNATURE_FILE}"
    if work.model is None:
        return f"{wrote}; with --model it would be bound to the model, and know its predictions"
    return f"{wrote}; put both beside model.onnx as {PROFILE_FILE} and {SIGNATURE_FILE}"
