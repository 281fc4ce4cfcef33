"""Two models on the same labelled rows, and performance without labels."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline_stats.risk.bootstrap import RankMetric, ScoredRows, paired_bootstrap
from driftline_stats.risk.cbpe import Cbpe, Metric
from driftline_stats.risk.margin import BoundedMargin, PairedMargin
from driftline_stats.risk.paired import PairedRisk
from driftline_stats.risk.pairs import Pairs
from driftline_stats.risk.slices import Slices
from e2e.simulate.claims import Claim, Kind, Outcome

ALPHA: Final = 0.05
LOG_BAR: Final = -math.log(ALPHA)

Simulate = Callable[[np.random.Generator], Outcome]
Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def pairs_of(
    rng: np.random.Generator, rows: int, better: Floats | float, worse: Floats | float, looks: int
) -> Counts:
    """Return looks of so many rows each, of which these shares are better and worse."""
    shares = np.broadcast_to(np.stack([better, worse, 1 - better - worse], axis=-1), (looks, 3))
    return rng.multinomial(rows, shares)


def first(reached: npt.NDArray[np.bool_], rows: int) -> Outcome:
    """Return the rows of the looks until something was first reached; None if never."""
    return float(rows * (1 + reached.argmax())) if reached.any() else None


def paired_alarm(rng: np.random.Generator, *, drift: bool = False) -> Outcome:
    """Return whether a canary of equal risk is ever called worse: 5,000 looks of 10 rows."""
    rate = 0.02 * (1 + 0.9 * drift * np.sin(np.arange(5000) / 50))
    return bool((PairedRisk().path(pairs_of(rng, 10, rate, rate, 5000)) >= LOG_BAR).any())


def rows_to_worse(rng: np.random.Generator, *, better: float, worse: float) -> Outcome:
    """Return the rows until the canary is called worse, of at most 50,000."""
    return first(PairedRisk().path(pairs_of(rng, 10, better, worse, 5000)) >= LOG_BAR, 10)


def margin_alarm(rng: np.random.Generator, *, margin: float, discordant: float) -> Outcome:
    """Return whether a canary that differs by just the margin is called better than by it."""
    seen = pairs_of(rng, 10, (discordant + margin) / 2, (discordant - margin) / 2, 5000)
    return bool((PairedMargin(delta=margin).path(seen) >= LOG_BAR).any())


def rows_to_not_inferior(rng: np.random.Generator, *, margin: float, discordant: float) -> Outcome:
    """Return the rows until a canary of equal risk is shown not to be inferior."""
    seen = pairs_of(rng, 10, discordant / 2, discordant / 2, 10_000)
    return first(PairedMargin.non_inferiority(margin).path(seen) >= LOG_BAR, 10)


def bounded_margin_alarm(rng: np.random.Generator, *, margin: float) -> Outcome:
    """The same for losses between 0 and 1 that are skewed, and correlated over the models."""
    test = BoundedMargin.start(margin)
    for _ in range(100):
        hard = rng.beta(1, 6, 50)
        stable = np.clip(hard + margin, 0, 1)
        canary = np.where(rng.random(50) < hard, 1.0, 0.0)  # the same mean, row by row
        test = test.update(test.batch(stable=stable, canary=canary))
        if test.verdict(ALPHA).rejected:
            return True
    return False


def slice_alarm(rng: np.random.Generator, *, slices: int = 8, margin: float = 0.01) -> Outcome:
    """Return whether any of several slices, each worse by just the margin, is shown worse."""
    names = [f"slice {number}" for number in range(slices)]
    test = Slices.start(names, margin=margin)
    for _ in range(100):
        drawn = pairs_of(rng, 50, 0.02, 0.02 + margin, slices).tolist()
        rows = (Pairs(better=better, worse=worse, ties=ties) for better, worse, ties in drawn)
        test = test.update(dict(zip(names, rows, strict=True)))
        if test.worse(ALPHA):
            return True
    return False


def cbpe_error(rng: np.random.Generator, *, shift: float, concept: float = 0.0) -> Outcome:
    """Return how far the estimated accuracy is off, in percentage points, over 20,000 rows.

    Args:
        rng: randomness.
        shift: how far the inputs move.
        concept: how far the law of labels given inputs moves, on the logit scale.
    """
    x = rng.normal(shift, 1.0, 20_000)
    calibrated = 1 / (1 + np.exp(-1.5 * x))
    true = 1 / (1 + np.exp(-1.5 * x + concept))
    predicted, labels = calibrated >= 0.5, rng.random(x.size) < true
    estimated = Cbpe.of(calibrated, predicted=predicted).value(Metric.ACCURACY)
    return 100 * abs(estimated - float((predicted == labels).mean()))


def cbpe_misses(rng: np.random.Generator, *, metric: Metric) -> Outcome:
    """Return whether the metric of the very rows lies outside its 95 % interval."""
    x = rng.normal(0.5, 1.0, 2000)
    p = 1 / (1 + np.exp(-1.5 * x))
    labels, predicted = rng.random(x.size) < p, p >= 0.5
    found = Cbpe.of(p, predicted=predicted).estimate(metric, rng, draws=200)
    realised = {
        Metric.ACCURACY: float((predicted == labels).mean()),
        Metric.F1: float(2 * (predicted & labels).sum() / (predicted.sum() + labels.sum())),
        Metric.AUC: _auc(p, labels),
    }
    return not found.low <= realised[metric] <= found.high


def _auc(scores: Floats, labels: npt.NDArray[np.bool_]) -> float:
    ranks = np.argsort(np.argsort(scores)) + 1
    positives = int(labels.sum())
    above = ranks[labels].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (labels.size - positives)))


def bootstrap_misses(rng: np.random.Generator, *, metric: RankMetric, groups: int) -> Outcome:
    """Return whether two models that are as good are found to differ, by a 95 % interval."""
    rows = groups * 5
    group = np.repeat(np.arange(groups), 5)
    hard = rng.normal(0, 1, groups)[group]
    labels = rng.random(rows) < 0.3
    stable, canary = (
        0.5 + 0.6 * (labels - 0.5) + 0.3 * hard + rng.normal(0, 0.4, rows) for _ in range(2)
    )
    scored = ScoredRows.of(labels, stable=stable, canary=canary, groups=group)
    found = paired_bootstrap(scored, metric, rng, resamples=200)
    return not found.low <= 0 <= found.high


def _claim(
    what: str, simulate: Simulate, stated: float | None, runs: int, kind: Kind = "rate", **more: str
) -> Claim:
    return Claim(
        topic="two models on the same rows",
        what=what,
        stated=stated,
        unit=more.get("unit", "of runs"),
        simulate=simulate,
        runs=runs,
        short_runs=0 if kind.startswith("shown") else 5,
        kind=kind,
        note=more.get("note", ""),
    )


def _of_pairs() -> tuple[Claim, ...]:
    slower = "2 % of rows each way, a look every 10"
    return (
        _claim("false alarms", paired_alarm, ALPHA, 10_000, note=slower),
        _claim("false alarms, drifting rate", partial(paired_alarm, drift=True), ALPHA, 6000),
        _claim(
            "rows until worse, 2 % better and 4 % worse",
            partial(rows_to_worse, better=0.02, worse=0.04),
            None,
            500,
            "shown_delay",
            unit="rows",
        ),
        _claim(
            "rows until worse, 1 % better and 6 % worse",
            partial(rows_to_worse, better=0.01, worse=0.06),
            None,
            500,
            "shown_delay",
            unit="rows",
        ),
    )


def _of_margins() -> tuple[Claim, ...]:
    return (
        *(
            _claim(
                f"false alarms, {name} by a margin of {abs(margin):g}, just there",
                partial(margin_alarm, margin=margin, discordant=discordant),
                ALPHA,
                4000,
                note=f"{100 * discordant:.0f} % of rows discordant",
            )
            for name, margin, discordant in (
                ("superiority", 0.02, 0.06),
                ("superiority", 0.01, 0.3),
                ("non-inferiority", -0.02, 0.06),
                ("non-inferiority", -0.01, 0.3),
            )
        ),
        _claim(
            "false alarms, bounded losses, superiority by .02, just there",
            partial(bounded_margin_alarm, margin=0.02),
            ALPHA,
            500,
        ),
        _claim(
            "rows until not inferior by .02, equal risk, 10 % discordant",
            partial(rows_to_not_inferior, margin=0.02, discordant=0.1),
            None,
            500,
            "shown_delay",
            unit="rows",
        ),
        _claim(
            "any of 8 slices falsely worse, each worse by just its margin",
            slice_alarm,
            ALPHA,
            400,
        ),
    )


def _of_cbpe() -> tuple[Claim, ...]:
    def off(what: str, shift: float, concept: float = 0.0) -> Claim:
        kind: Kind = "shown" if concept else "at_most"
        return replace(
            _claim(
                f"estimated accuracy is off, {what}",
                partial(cbpe_error, shift=shift, concept=concept),
                None if concept else 0.5,
                500,
                kind,
                unit="percentage points",
            ),
            topic="performance without labels",
        )

    return (
        off("no shift", shift=0.0),
        off("inputs shifted by 1 sd", shift=1.0),
        off("inputs shifted by -2 sd", shift=-2.0),
        off("labels moved by 1 on the logit scale", shift=0.0, concept=1.0),
        *(
            replace(
                _claim(
                    f"{metric} of the rows outside its interval of 95 %",
                    partial(cbpe_misses, metric=metric),
                    None,
                    400,
                    "shown",
                    note="0.05 if exact",
                ),
                topic="performance without labels",
            )
            for metric in (Metric.ACCURACY, Metric.F1, Metric.AUC)
        ),
    )


def _of_bootstrap() -> tuple[Claim, ...]:
    return tuple(
        _claim(
            f"approximate: models as good found to differ, {metric}, {groups} groups",
            partial(bootstrap_misses, metric=metric, groups=groups),
            None,
            500,
            "shown",
            note="0.05 if exact",
        )
        for metric, groups in (
            (RankMetric.AUC, 300),
            (RankMetric.AUC, 30),
            (RankMetric.F1, 300),
            (RankMetric.AVERAGE_PRECISION, 300),
        )
    )


CLAIMS: Final = (*_of_pairs(), *_of_margins(), *_of_bootstrap(), *_of_cbpe())
