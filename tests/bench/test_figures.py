import doctest
from datetime import UTC, datetime
from types import ModuleType

import pytest

from e2e.bench import api, bare, process, report
from e2e.bench.audit import Write
from e2e.bench.bare import BareRate
from e2e.bench.cases import Cold, Measured, Restart
from e2e.bench.figures import figures_of
from e2e.bench.report import Figure


def a_cold(*, seconds: float, models: int = 1000) -> Cold:
    """1,000 Models with 10 writes each, which a bare client makes in 20 s."""
    writes = [
        Write(
            agent="driftline-operator/1",
            verb="patch",
            what="models",
            namespace="a",
            name="m",
            code=200,
            at=datetime(2026, 1, 1, tzinfo=UTC),
        )
    ] * (models * 10)
    return Cold(
        models=models,
        seconds=seconds,
        operator_writes=writes,
        stand_in_writes=[],
        cpu_seconds=10.0,
        bare=BareRate(writes=500, seconds=1.0, concurrency=8),
    )


def verdicts(figures: list[Figure]) -> dict[str, str]:
    return {figure.what.partition(": ")[2]: figure.verdict for figure in figures}


@pytest.mark.parametrize(
    ("seconds", "absolute", "relative"),
    [(39, "met", "met"), (41, "met", "MISSED"), (107, "MISSED", "MISSED")],
)
def test_a_cold_start_has_an_absolute_bar_and_one_relative_to_a_bare_client(
    seconds: float, absolute: str, relative: str
) -> None:
    figures = figures_of([Measured(cold=a_cold(seconds=seconds), peak_memory_mb=201)])
    said = verdicts(figures)
    assert said["cold start until all are Ready"] == absolute
    assert said["the same / a bare client's time for all writes"] == relative
    assert said["most memory of the operator"] == "MISSED"


def test_with_2000_models_only_the_relative_bar_stands() -> None:
    cold = a_cold(seconds=70, models=2000)
    figures = figures_of([Measured(cold=cold, peak_memory_mb=300)])
    barred = [figure.what for figure in figures if figure.bar is not None]
    assert barred == ["2,000 Models: the same / a bare client's time for all writes"]


def test_the_median_of_the_runs_is_reported_and_each_run_is_shown() -> None:
    runs = [Measured(cold=a_cold(seconds=seconds), peak_memory_mb=100) for seconds in (30, 50, 35)]
    figure = figures_of(runs)[0]
    assert figure.value == 35
    assert figure.note == "runs: 30, 50, 35"


def test_of_several_restarts_the_worst_counts() -> None:
    runs = [
        Measured(cold=a_cold(seconds=30), restart=Restart(writes=(), deployments_changed=changed))
        for changed in (0, 1, 0)
    ]
    said = verdicts(figures_of(runs))
    assert said["writes after a restart of the operator"] == "met"
    assert said["Deployments that a restart changed"] == "MISSED"


def test_a_bar_of_zero_is_missed_by_one() -> None:
    assert Figure(what="writes", value=1, unit="", bar=0).verdict == "MISSED"
    assert Figure(what="writes", value=0, unit="", bar=0).verdict == "met"


def test_a_missed_bar_is_said_loudly() -> None:
    met = Figure(what="a", value=1, unit="s", bar=2)
    missed = Figure(what="b", value=3, unit="s", bar=2)
    assert report.summary([met]) == "All 1 bars are met."
    assert "no bar" in report.summary([Figure(what="c", value=1, unit="s")])
    assert report.summary([met, missed]).splitlines() == [
        "!!! 1 of 2 bars are MISSED !!!",
        "  b: 3 s, bar 2 s",
    ]


@pytest.mark.parametrize("module", [api, bare, process, report])
def test_examples_in_docstrings_hold(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0
