"""The risk of one model: how soon a rise is found, and how far apart false alarms are."""

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np

from driftline_stats.risk.detector import (
    ODDS_OF_LOSSES,
    ErrorWindow,
    RiskDetector,
    upper_risk,
)
from e2e.simulate.claims import Claim, Kind, Outcome

BUDGET: Final = 100_000
BASE: Final = 0.10
LOOK: Final = 50

Simulate = Callable[[np.random.Generator], Outcome]


def _detector(reference: float = BASE) -> RiskDetector:
    return RiskDetector.start({"": reference}, budget=BUDGET)


def rows_to_alarm(
    rng: np.random.Generator, *, risk: float, before: int = 0, look: int = LOOK
) -> Outcome:
    """Return the labels until an alarm; None for a false one in the labels before the change."""
    detector, seen = _detector(), 0
    while not detector.alarmed:
        now = BASE if seen < before else risk
        window = ErrorWindow(rows={"": look}, errors={"": int(rng.binomial(look, now))})
        detector, seen = detector.update(window), seen + look
    return float(seen - before) if seen > before else None


def rows_to_false_alarm(rng: np.random.Generator, *, low: int = 200, high: int = 200) -> Outcome:
    """Return the labels until a false alarm, in looks of any sizes between two."""
    detector, seen = _detector(), 0
    while not detector.alarmed and seen < 10 * BUDGET:
        rows = int(rng.integers(low, high + 1))
        window = ErrorWindow(rows={"": rows}, errors={"": int(rng.binomial(rows, BASE))})
        detector, seen = detector.update(window), seen + rows
    return float(seen)


def rows_to_false_alarm_by_hour(rng: np.random.Generator, *, stratified: bool) -> Outcome:
    """The same where the risk is .05 to .15, by the hour of the day."""
    risks = BASE + 0.05 * np.sin(np.arange(24) * 2 * np.pi / 24)
    reference = {str(hour): float(risk) for hour, risk in enumerate(risks)}
    detector = RiskDetector.start(reference if stratified else {"": BASE}, budget=BUDGET)
    seen = 0
    while not detector.alarmed and seen < 10 * BUDGET:
        hour = seen // 200 % 24
        key = str(hour) if stratified else ""
        errors = int(rng.binomial(200, risks[hour]))
        detector = detector.update(ErrorWindow(rows={key: 200}, errors={key: errors}))
        seen += 200
    return float(seen)


def rows_to_false_alarm_in_bursts(rng: np.random.Generator, *, length: float) -> Outcome:
    """The same where errors come in bursts, of 50 % in a tenth of the looks or so."""
    detector, seen, bursting = _detector(), 0, False
    stays = 1 - 1 / length
    while not detector.alarmed and seen < 10 * BUDGET:
        bursting = rng.random() < (stays if bursting else (1 - stays) / 9)
        errors = int(rng.binomial(LOOK, 0.19 if bursting else 0.09))
        window = ErrorWindow(rows={"": LOOK}, errors={"": errors})
        detector, seen = detector.update(window), seen + LOOK
    return float(seen)


def alarms_as_traffic_doubles(rng: np.random.Generator, *, by_age: bool) -> Outcome:
    """Return whether it alarms in the two days after; errors come after 2 h, the rest 24 h."""
    ages = np.arange(240)
    wrong, right = (np.exp(-ages / hours) * (1 - np.exp(-1 / hours)) for hours in (2.0, 24.0))
    wrong, right = BASE * wrong, (1 - BASE) * right
    risks = wrong / (wrong + right)
    reference = {str(age): float(risks[age]) for age in ages} if by_age else {"": BASE}
    detector = RiskDetector.start(reference, budget=BUDGET)
    for hour in range(48):
        hourly = np.where(ages <= hour, 600, 300)
        errors, others = rng.poisson(hourly * wrong), rng.poisson(hourly * right)
        rows = errors + others
        seen = (rows.tolist(), errors.tolist()) if by_age else ([rows.sum()], [errors.sum()])
        rows_by, errors_by = (dict(zip(reference, map(int, each), strict=True)) for each in seen)
        detector = detector.update(ErrorWindow(rows=rows_by, errors=errors_by))
        if detector.alarmed:
            return True
    return False


def rows_to_false_alarm_of_losses(rng: np.random.Generator) -> Outcome:
    """The same of losses between 0 and 1 with a mean of .1."""
    detector = RiskDetector.start({"": BASE}, budget=BUDGET, odds=ODDS_OF_LOSSES)
    seen = 0
    while not detector.alarmed and seen < 5 * BUDGET:
        detector = detector.update(detector.losses(rng.beta(0.5, 4.5, 200)))
        seen += 200
    return float(seen)


def rows_to_alarm_of_losses(rng: np.random.Generator) -> Outcome:
    """Return the labels until an alarm when a mean loss of .1 rises to .15."""
    detector = RiskDetector.start({"": BASE}, budget=BUDGET, odds=ODDS_OF_LOSSES)
    seen = 0
    while not detector.alarmed:
        detector, seen = detector.update(detector.losses(rng.beta(1.5, 8.5, LOOK))), seen + LOOK
    return float(seen)


def rows_to_false_alarm_by_estimate(rng: np.random.Generator, *, bounded: bool) -> Outcome:
    """Return the labels until a false alarm when the reference risk is that of 1,000 rows."""
    errors = int(rng.binomial(1000, BASE))
    reference = upper_risk(errors=errors, rows=1000) if bounded else errors / 1000
    detector, seen = _detector(reference), 0
    while not detector.alarmed and seen < 10 * BUDGET:
        window = ErrorWindow(rows={"": 200}, errors={"": int(rng.binomial(200, BASE))})
        detector, seen = detector.update(window), seen + 200
    return float(seen)


def _claim(
    what: str,
    simulate: Simulate,
    stated: float | None,
    runs: int,
    kind: Kind = "at_least",
    **more: str,
) -> Claim:
    return Claim(
        topic="a risk that rises",
        what=what,
        stated=stated,
        unit="rows",
        simulate=simulate,
        runs=runs,
        short_runs=20 if kind == "at_most" else 0,
        kind=kind,
        look=LOOK,
        note=more.get("note", ""),
    )


def _delays() -> tuple[Claim, ...]:
    return (
        *(
            _claim(
                f"delay, error .10 to .15, a look every {look} rows",
                partial(rows_to_alarm, risk=0.15, look=look),
                670.0,
                1000,
                "at_most",
                note="changed from the start",
            )
            for look in (10, 50)
        ),
        _claim(
            "delay, error .10 to .15, after 10,000 rows without",
            partial(rows_to_alarm, risk=0.15, before=10_000),
            670.0,
            500,
            "at_most",
        ),
        _claim("delay, error .10 to .12", partial(rows_to_alarm, risk=0.12), None, 300, "shown"),
        _claim("delay, error .10 to .20", partial(rows_to_alarm, risk=0.20), None, 500, "shown"),
        _claim("delay, mean loss .10 to .15", rows_to_alarm_of_losses, None, 300, "shown"),
    )


def _distances() -> tuple[Claim, ...]:
    return (
        _claim("between false alarms, looks of 200", rows_to_false_alarm, BUDGET, 150),
        _claim(
            "between false alarms, looks of 0 to 400",
            partial(rows_to_false_alarm, low=0, high=400),
            BUDGET,
            150,
        ),
        _claim("between false alarms, bounded losses", rows_to_false_alarm_of_losses, BUDGET, 150),
        _claim(
            "between false alarms, risk by hour, stratified",
            partial(rows_to_false_alarm_by_hour, stratified=True),
            BUDGET,
            150,
        ),
        _claim(
            "between false alarms, risk by hour, not stratified",
            partial(rows_to_false_alarm_by_hour, stratified=False),
            None,
            100,
            "shown",
        ),
        _claim(
            "between false alarms, upper bound of a reference of 1,000 rows",
            partial(rows_to_false_alarm_by_estimate, bounded=True),
            BUDGET,
            100,
        ),
        _claim(
            "between false alarms, estimate of a reference of 1,000 rows",
            partial(rows_to_false_alarm_by_estimate, bounded=False),
            None,
            100,
            "shown_delay",
            note="a median: in half of the references the estimate is too low",
        ),
        *(
            _claim(
                f"between false alarms, errors in bursts of {length * LOOK} rows",
                partial(rows_to_false_alarm_in_bursts, length=float(length)),
                None,
                100,
                "shown",
                note="risk .09, in a tenth of the time .19",
            )
            for length in (2, 10)
        ),
    )


def _traffic_grows() -> tuple[Claim, ...]:
    return tuple(
        Claim(
            topic="a risk that rises",
            what=f"alarms as traffic doubles, errors labelled sooner, {how}",
            stated=None,
            unit="of runs",
            simulate=partial(alarms_as_traffic_doubles, by_age=by_age),
            runs=100,
            kind="shown",
            note="within about 25,000 labels, a quarter of the budget",
        )
        for how, by_age in (("one stratum", False), ("a stratum for each age", True))
    )


CLAIMS: Final = (*_delays(), *_distances(), *_traffic_grows())
