"""Rows as those of training, for as long as many false alarms would take: they stay as few as said.

Time is accelerated: a look says that its rows took so long that one false alarm a day is one in
100,000 rows.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from scipy.stats import poisson

from driftline_api.note import read_note
from driftline_serving.baseline.file import read
from driftline_serving.watched.extract import Extractor
from driftline_serving.watched.watched import watched_of
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.rows import Rows
from driftline_stats.watch.look import Look
from driftline_stats.watch.plan import WatchPlan
from driftline_stats.watch.watch import Watch
from e2e.drift.deploy import write_artifact
from e2e.drift.models import SCORES
from e2e.drift.scenes import LEVELS, Scene, employment, loans

BUDGET = 100_000
DAY = 86_400.0
LOOK = 1_000
#: A number of false alarms that has this chance where the stated rate is the true one.
ALPHA = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Clean:
    """A profile, and rows of the same data."""

    plan: WatchPlan
    kernel: Kernel
    rows: Rows


def clean(scene: Scene, directory: Path) -> Clean:
    onnx, _ = write_artifact(scene, directory)
    profile = read((directory / "driftline-profile.json").read_bytes()).profile
    signature = read_note((directory / "driftline.json").read_bytes())
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    inputs = {
        name: each.astype(object) if name == LEVELS else each
        for name, each in scene.trained.inputs().items()
    }
    names = ["label", SCORES]
    outputs = dict(zip(names, session.run(names, inputs), strict=True))
    extractor = Extractor(watched_of(signature), features=profile.plan.features)
    return Clean(
        plan=WatchPlan(
            profile=WatchPlan.packed(profile), trained=True, false_alarms_per_year=365, first=10_000
        ),
        kernel=Kernel(profile.plan),
        rows=extractor.of_tensors(inputs, outputs).rows,
    )


def false_alarms(data: Clean, budgets: int, seed: int) -> int:
    """Return how often the condition turned, in so many times the rows of one false alarm."""
    rng = np.random.default_rng(seed)
    watch, alarms, was = Watch.start(data.plan), 0, True
    for _ in range(budgets * BUDGET // LOOK):
        rows = data.rows[rng.integers(0, len(data.rows), LOOK)]
        counts = data.kernel.count(rows)
        seconds = DAY * LOOK / BUDGET
        watch = watch.update(
            Look(counts=counts, seconds=seconds, inferences=LOOK, seen=LOOK, counted=LOOK)
        )
        free = watch.findings().status is not False
        alarms += was and not free
        was = free
    return alarms


@pytest.mark.parametrize("scene", [loans, employment])
def test_twice_the_rows_of_a_false_alarm(scene: object, tmp_path: Path) -> None:
    assert callable(scene)
    alarms = false_alarms(clean(scene(), tmp_path), budgets=2, seed=1)
    assert alarms <= poisson.ppf(1 - ALPHA, 2)


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("scene", [loans, employment])
def test_a_hundred_times_the_rows_of_a_false_alarm(scene: object, tmp_path: Path) -> None:
    assert callable(scene)
    alarms = false_alarms(clean(scene(), tmp_path), budgets=100, seed=2)
    assert alarms <= poisson.ppf(1 - ALPHA, 100)
