"""Several guardrails under one alpha, retries, and reports over a fleet."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_stats.errors import StateError
from driftline_stats.fleet import FleetReport
from driftline_stats.guardrails import Guardrail, alpha_of_retry, certified, combined

evidences = st.lists(st.floats(-800, 800), min_size=1, max_size=6)


def guardrails(*evidence: float) -> list[Guardrail]:
    return [Guardrail(name=f"g{at}", log_evidence=math.log(e)) for at, e in enumerate(evidence)]


@pytest.mark.parametrize(
    ("evidence", "aborts", "culprits"),
    [
        ((59, 1, 1), True, ()),  # the mean is 20.3, but one alone needs 60
        ((61, 0.1, 0.1), True, ("g0",)),
        ((30, 31, 1), True, ()),
        ((70, 80, 1), True, ("g1", "g0")),
        ((55, 1, 1), False, ()),
        ((1, 1, 1), False, ()),
    ],
)
def test_the_mean_decides_and_the_bar_of_one_alone_names(
    evidence: tuple[float, ...], aborts: bool, culprits: tuple[str, ...]
) -> None:
    result = combined(guardrails(*evidence), 0.05)
    assert (result.verdict.rejected, result.culprits) == (aborts, culprits)


@given(evidences, st.data())
def test_whom_bonferroni_would_reject_aborts(logs: list[float], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.floats(0.1, 10), min_size=len(logs), max_size=len(logs)))
    several = [
        Guardrail(name=str(at), log_evidence=log, weight=weight)
        for at, (log, weight) in enumerate(zip(logs, weights, strict=True))
    ]
    result = combined(several, 0.05)
    if result.culprits:
        assert result.verdict.rejected
    assert result == combined(several[::-1], 0.05)


def test_warn_only_guardrails_warn_and_leave_the_mean_alone() -> None:
    drift = Guardrail(name="classes", log_evidence=100.0, warn_only=True)
    result = combined([*guardrails(1, 1), drift], 0.05)
    assert not result.verdict.rejected
    assert result.verdict.log_evidence == pytest.approx(0)
    assert result.warnings == ("classes",)
    assert result.culprits == ()


def test_weights_part_alpha() -> None:
    heavy = Guardrail(name="error", log_evidence=math.log(30), weight=3)
    light = Guardrail(name="latency", log_evidence=-math.inf)
    result = combined([light, heavy], 0.05)
    assert result.verdict.rejected
    assert result.culprits == ("error",)
    assert result.strongest == "error"


def test_without_active_guardrails_nothing_is_rejected_or_promoted() -> None:
    warn = Guardrail(name="classes", log_evidence=9.0, log_certificate=9.0, warn_only=True)
    assert not combined([warn], 0.05).verdict.rejected
    assert combined([], 0.05).strongest == ""
    assert not certified([warn], 0.05).early


def test_early_promotion_needs_the_certificates_of_all_active_guardrails() -> None:
    error = Guardrail(name="error", log_evidence=0.0, log_certificate=3.1)
    thin = Guardrail(name="rejected", log_evidence=0.0, log_certificate=2.9)
    none = Guardrail(name="latency", log_evidence=0.0)
    warn = Guardrail(name="classes", log_evidence=0.0, warn_only=True)
    assert certified([error, warn], 0.05).early
    found = certified([error, thin, none], 0.05)
    assert (found.early, found.missing) == (False, ("rejected", "latency"))


def test_retries_never_spend_twice_alpha() -> None:
    assert math.fsum(alpha_of_retry(0.05, retries) for retries in range(2000)) <= 0.1
    assert alpha_of_retry(0.05, 10**6) > 0
    for alpha, retries in ((0.0, 0), (1.0, 0), (0.05, -1)):
        with pytest.raises(ValueError, match="alpha must be"):
            alpha_of_retry(alpha, retries)


def test_refuses_guardrails_that_cannot_be_told_apart_or_weighed() -> None:
    with pytest.raises(ValueError, match="two guardrails have one name"):
        combined([*guardrails(1), *guardrails(1)], 0.05)
    for weight in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="weight must be positive"):
            combined([Guardrail(name="a", log_evidence=0, weight=weight)], 0.05)
    with pytest.raises(ValueError, match="not a number"):
        certified([Guardrail(name="a", log_evidence=math.nan)], 0.05)


def test_the_levels_of_a_fleet_without_discoveries_sum_to_at_most_alpha() -> None:
    report = FleetReport.start(0.05)
    total = 0.0
    for _ in range(10_000):
        total += report.level
        report = report.update(-1.0)
    assert 0.7 * 0.05 < total < 0.05
    assert (report.tests, report.discoveries) == (10_000, 0)


def test_a_discovery_raises_the_levels_that_follow() -> None:
    without = FleetReport.start(0.05).update(0.0)
    one = FleetReport.start(0.05).update(20.0)
    assert one.level == pytest.approx(2 * without.level)


def test_a_report_is_stored_exactly_and_refuses_what_is_none() -> None:
    report = FleetReport.start(0.05).update(20.0).update(-math.inf)
    assert FleetReport.from_json(report.to_json()) == report
    with pytest.raises(StateError):
        FleetReport.start(1.5)
    with pytest.raises(StateError):
        FleetReport.from_json(report.to_json().replace('"tests":2', '"tests":0'))
    with pytest.raises(ValueError, match="not a number"):
        report.update(math.nan)
