"""What the cases of `operator` measured, as figures beside their bars."""

import statistics
from collections.abc import Sequence

from e2e.bench.audit import failed, tally
from e2e.bench.cases import Cold, Measured, Restart, Steady
from e2e.bench.report import Figure, number

#: A bare client's time for the same writes, times this.
BARE_BAR = 2.0
#: What Argo Rollouts 1.9.1 took on such a machine for as many Rollouts.
COLD_1000_BAR_SECONDS = 106.0
MEMORY_BAR_MB = 200.0
#: The number of Models that the bars of memory and time are for.
BAR_MODELS = 1000


def figures_of(runs: Sequence[Measured]) -> list[Figure]:
    """Return the figures of one number of Models, each the median of its runs."""
    colds = [run.cold for run in runs]
    figures = _cold(colds)
    figures += _restarts([run.restart for run in runs if run.restart])
    figures += [figure for run in runs if run.steady for figure in _steady(run.steady)]
    models = colds[0].models
    return [
        *(_named(figure, models) for figure in figures),
        _named(_memory([run.peak_memory_mb for run in runs], models), models),
    ]


def _named(figure: Figure, models: int) -> Figure:
    return Figure(
        what=f"{models:,} Models: {figure.what}",
        value=figure.value,
        unit=figure.unit,
        bar=figure.bar,
        note=figure.note,
    )


def _median(what: str, unit: str, values: Sequence[float], bar: float | None = None) -> Figure:
    note = f"runs: {', '.join(map(number, values))}" if len(values) > 1 else "one run"
    return Figure(what=what, value=statistics.median(values), unit=unit, bar=bar, note=note)


def _cold(colds: Sequence[Cold]) -> list[Figure]:
    barred = colds[0].models == BAR_MODELS
    bar = COLD_1000_BAR_SECONDS if barred else None
    ratios = [cold.seconds / cold.bare_seconds for cold in colds]
    return [
        _median("cold start until all are Ready", "s", [cold.seconds for cold in colds], bar),
        _median("the same / a bare client's time for all writes", "x", ratios, BARE_BAR),
        _median("bare client", "writes/s", [cold.bare.per_second for cold in colds]),
        _median(
            "operator writes per Model",
            "",
            [len(cold.operator_writes) / cold.models for cold in colds],
        ),
        _median(
            "stand-in writes per Model",
            "",
            [len(cold.stand_in_writes) / cold.models for cold in colds],
        ),
        _median(
            "refused or failed operator writes",
            "",
            [len(failed(cold.operator_writes)) for cold in colds],
        ),
        _median("operator CPU per Model", "ms", [1000 * c.cpu_seconds / c.models for c in colds]),
    ]


def _restarts(restarts: Sequence[Restart]) -> list[Figure]:
    """Return the worst of the restarts: one needless write in one of them is one too many."""
    if not restarts:
        return []
    worst = max(restarts, key=lambda each: len(each.writes))
    what = "; ".join(f"{count} {name}" for name, count in tally(worst.writes).items())
    of = f"most of {len(restarts)}"
    return [
        Figure(
            what="writes after a restart of the operator",
            value=len(worst.writes),
            unit="",
            bar=0,
            note=f"{of}; {what or 'Leases left out'}",
        ),
        Figure(
            what="Deployments that a restart changed",
            value=max(each.deployments_changed for each in restarts),
            unit="",
            bar=0,
            note=f"{of}; uid and generation compared",
        ),
    ]


def _steady(steady: Steady) -> list[Figure]:
    what = "; ".join(f"{count} {name}" for name, count in tally(steady.writes).items())
    minutes = number(steady.seconds / 60)
    return [
        Figure(
            what=f"writes in {minutes} minutes of nothing",
            value=len(steady.writes),
            unit="",
            bar=0,
            note=what or "Leases left out",
        ),
        Figure(
            what="operator CPU at rest",
            value=1000 * steady.cpu_share,
            unit="ms/s",
            note="40 routers polled and polling",
        ),
    ]


def _memory(peaks: Sequence[float], models: int) -> Figure:
    bar = MEMORY_BAR_MB if models == BAR_MODELS else None
    figure = _median("most memory of the operator", "MB", [max(peaks)], bar)
    return Figure(what=figure.what, value=figure.value, unit="MB", bar=bar, note="VmHWM, all cases")
