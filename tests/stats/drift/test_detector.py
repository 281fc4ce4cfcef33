"""The detector: what alarms, what does not, and that nothing else matters."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from driftline_stats.drift.budget import condition_rows, row_budget
from driftline_stats.drift.detector import DetectorPlan, DriftDetector, Window
from driftline_stats.drift.margin import margin_for
from driftline_stats.drift.reference import Reference, ReferenceChannel, unknown_inflation
from driftline_stats.drift.tilts import Layout
from driftline_stats.errors import BatchError, StateError

FEW = settings(max_examples=25, deadline=None)

NUMERIC = Layout(ordered=(0, 1, 2, 3, 4, 5), missing=(6,), range=(0, 5, 7))
LEVELS = Layout(levels=(0, 1, 2), range=(3,), missing=(4,))
PAIR = Layout(grid=tuple(range(9)))
CHANNELS = {
    "age": ("feature", NUMERIC, [0, 2500, 2500, 2500, 2500, 0, 0, 0]),
    "city": ("feature", LEVELS, [5000, 3000, 2000, 0, 0]),
    "score": ("prediction", NUMERIC, [0, 4000, 3000, 2000, 1000, 0, 0, 0]),
    "age * score": ("pair", PAIR, [2000, 700, 600, 700, 2000, 700, 600, 700, 2000]),
}
BINS = [len(counts) for _, _, counts in CHANNELS.values()]


def a_reference(names: Sequence[str] = tuple(CHANNELS)) -> Reference:
    return Reference(
        channels=tuple(
            ReferenceChannel(
                name=name,
                role=CHANNELS[name][0],
                layout=CHANNELS[name][1],
                counts=np.array([CHANNELS[name][2]]),
                inflation=unknown_inflation(),
            )
            for name in names
        ),
        ordered=True,
    )


def a_detector(reference: Reference | None = None, **changes: float) -> DriftDetector:
    options = {"budget": 100_000.0, "tolerance": 0.0} | changes
    return DriftDetector.start(DetectorPlan.make(reference or a_reference(), **options))


def rows_like(rng: np.random.Generator, rows: int, **laws: Sequence[float]) -> Window:
    """Draw a window; channels that are not named follow the reference."""
    drawn = []
    for name, (_, _, counts) in CHANNELS.items():
        law = np.array(laws.get(name, counts), float)
        drawn.append(rng.multinomial(rows, law / law.sum()))
    return Window(counts=np.concatenate(drawn))


def parts_of(counts: np.ndarray) -> list[np.ndarray]:
    return np.split(counts, np.cumsum(BINS)[:-1])


windows = arrays(np.int64, sum(BINS), elements=st.integers(0, 1000)).map(
    lambda counts: Window(counts=counts)
)

MODERATELY = (0, 1600, 2200, 2800, 3400, 0, 0, 0)
OLDER = (0, 500, 1000, 3000, 5500, 0, 0, 0)


def test_finds_a_shift_and_names_it() -> None:
    rng = np.random.default_rng(1)
    detector = a_detector()
    while not detector.alarmed:
        detector = detector.update(rows_like(rng, 64, age=OLDER))
    assert detector.rows <= 3 * 64
    evidence = detector.log_evidence_by()
    assert max(evidence, key=lambda name: evidence[name]) == ("age", "location")
    assert np.logaddexp.reduce(list(evidence.values())) == pytest.approx(detector.log_evidence)


@pytest.mark.parametrize(
    ("channel", "law", "direction"),
    [
        ("city", (4000, 3000, 3000, 0, 0), "bin 2"),
        ("city", (4950, 3000, 2000, 50, 0), "bin 3"),
        ("age", (0, 2400, 2400, 2400, 2400, 0, 400, 0), "missing"),
        ("age", (0, 2500, 2500, 2500, 2300, 200, 0, 0), "bin 5"),
        ("age", (0, 2450, 2450, 2450, 2450, 0, 0, 200), "bin 7"),
        ("age * score", (600, 700, 2000, 700, 2000, 700, 2000, 700, 600), "concordance"),
    ],
)
def test_finds_every_kind_of_drift(channel: str, law: Sequence[float], direction: str) -> None:
    rng = np.random.default_rng(2)
    detector = a_detector()
    while not detector.alarmed and detector.rows < 5_000:
        detector = detector.update(rows_like(rng, 64, **{channel: law}))
    evidence = detector.log_evidence_by()
    assert detector.alarmed
    assert max(evidence, key=lambda name: evidence[name]) == (channel, direction)


def test_what_is_tolerated_is_not_reported() -> None:
    rng = np.random.default_rng(3)
    slightly = (0, 1800, 2350, 2650, 3200, 0, 0, 0)  # a chi-square distance of 0.21**2
    strict, lenient = a_detector(), a_detector(tolerance=0.22)
    for _ in range(100):
        window = rows_like(rng, 100, age=slightly)
        strict, lenient = strict.update(window), lenient.update(window)
    assert strict.recursion.alarms > 0
    assert lenient.recursion.alarms == 0


def test_an_idle_model_never_alarms() -> None:
    rng = np.random.default_rng(4)
    before = a_detector().update(rows_like(rng, 64))
    detector = before
    for _ in range(1_000):
        detector = detector.update(Window(counts=np.zeros(sum(BINS), np.int64)))
    assert detector == before


def test_after_an_alarm_it_starts_again_and_the_drift_stays_reported_for_a_while() -> None:
    rng = np.random.default_rng(5)
    detector = a_detector().update(rows_like(rng, 640, age=OLDER))
    assert detector.alarmed
    assert detector.drifting
    quiet = detector.update(rows_like(rng, 100))
    assert not quiet.alarmed
    assert quiet.drifting
    assert quiet.recursion.alarms == 1
    assert quiet.log_evidence < 0
    while quiet.rows - detector.rows < detector.plan.clear_after:
        assert quiet.drifting
        quiet = quiet.update(rows_like(rng, 1000))
    assert not quiet.drifting
    assert quiet.alarmed_at == detector.rows


def test_how_rows_are_cut_into_windows_hardly_matters() -> None:
    rng = np.random.default_rng(6)
    delays = []
    for size in (16, 64, 256):
        detector = a_detector()
        while not detector.alarmed:
            detector = detector.update(rows_like(rng, size, age=MODERATELY))
        delays.append(detector.rows)
    assert max(delays) < 4 * min(delays)


@given(windows, windows, windows)
@FEW
def test_windows_of_replicas_add_in_any_order(first: Window, second: Window, third: Window) -> None:
    assert first + second == second + first
    assert (first + second) + third == first + (second + third)
    assert a_detector().update(first + second) == a_detector().update(second + first)


@given(st.permutations(list(CHANNELS)), st.lists(windows, min_size=1, max_size=3))
@FEW
def test_the_order_of_features_does_not_matter(order: list[str], seen: list[Window]) -> None:
    own, other = a_detector(), a_detector(a_reference(order))
    place = [list(CHANNELS).index(name) for name in order]
    for window in seen:
        parts = parts_of(window.counts)
        own = own.update(window)
        other = other.update(Window(counts=np.concatenate([parts[at] for at in place])))
    assert other.alarmed == own.alarmed
    assert other.log_evidence == pytest.approx(own.log_evidence, rel=1e-9, abs=1e-9)
    by_name = own.log_evidence_by()
    for name, log in other.log_evidence_by().items():
        assert log == pytest.approx(by_name[name], rel=1e-9, abs=1e-9)


@given(st.lists(windows, max_size=4))
@FEW
def test_comes_back_from_json_to_the_bit_and_goes_on_alike(seen: list[Window]) -> None:
    detector = a_detector()
    for window in seen:
        detector = detector.update(window)
    read = DriftDetector.from_json(detector.to_json())
    assert read == detector
    more = rows_like(np.random.default_rng(7), 64)
    assert read.update(more) == detector.update(more)


@given(arrays(np.int64, sum(BINS), elements=st.sampled_from([0, 1, 10**6, 10**9])))
@FEW
def test_extreme_counts_stay_numbers(counts: np.ndarray) -> None:
    detector = a_detector()
    for _ in range(3):
        detector = detector.update(Window(counts=counts))
        assert not math.isnan(detector.log_evidence)
        assert np.isfinite(detector.deff).all()
    assert DriftDetector.from_json(detector.to_json()) == detector


def test_dependent_rows_make_it_slower() -> None:
    rng = np.random.default_rng(8)
    window = rows_like(rng, 640, age=OLDER)
    reference = a_reference()
    ways = [len(each.pooled) for each in reference.channels]
    dependent = reference.with_inflation([np.full(each, 4.0) for each in ways])
    plain, slow = a_detector().update(window), a_detector(dependent).update(window)
    assert slow.log_evidence < plain.log_evidence
    assert [name for *name, _ in a_detector(dependent).dependent] == []
    very = reference.with_inflation([np.full(each, 6.0) for each in ways])
    assert ("age", "location", 6.0) in a_detector(very).dependent


@pytest.mark.parametrize(
    ("window", "said"),
    [
        (Window(counts=np.zeros(3, np.int64)), "expected counts of 30 bins"),
        (Window(counts=np.zeros(30, np.int64), stratum=1), "stratum 1 is none of 1"),
        (Window(counts=np.full(30, -1)), "counts cannot be negative"),
    ],
)
def test_refuses_a_window_that_is_not_of_its_reference(window: Window, said: str) -> None:
    with pytest.raises(BatchError, match=said):
        a_detector().update(window)


def test_windows_of_different_strata_do_not_add() -> None:
    counts = np.zeros(30, np.int64)
    with pytest.raises(BatchError, match="same stratum"):
        Window(counts=counts) + Window(counts=counts, stratum=1)


def test_a_window_is_compared_with_the_law_of_its_stratum() -> None:
    night, day = [9000, 1000], [1000, 9000]
    channel = ReferenceChannel(
        name="x",
        role="feature",
        layout=Layout(levels=(0, 1)),
        counts=np.array([night, day]),
        inflation=unknown_inflation(),
    )
    reference = Reference(channels=(channel,), strata=("night", "day"), ordered=True)
    detector = a_detector(reference)
    like_day = np.array([20, 180])
    for _ in range(5):
        detector = detector.update(Window(counts=like_day, stratum=1))
    assert not detector.alarmed
    assert detector.log_evidence < -2
    assert detector.update(Window(counts=like_day, stratum=0)).alarmed


def test_a_plan_needs_a_budget_of_rows() -> None:
    with pytest.raises(StateError, match="a budget of 1 or more rows"):
        a_detector(budget=0.0)


def test_smaller_references_get_larger_margins() -> None:
    margins = [margin_for(rows) for rows in (1, 100, 1_000, 5_000, 10_000, 10**7)]
    assert all(before >= after for before, after in pairwise(margins))
    assert margins[-1] == margin_for(10_000)
    plan = a_detector().plan
    assert replace(plan, z=3.0).z == 3.0


def test_the_budget_follows_the_traffic() -> None:
    assert row_budget(1, 10) == pytest.approx(3652.5)
    assert row_budget(1, 0) == 1
    assert condition_rows(100) == 10_000
    assert condition_rows(10_000) == 50_000
    with pytest.raises(ValueError, match="false alarms a year"):
        row_budget(0, 10)
    with pytest.raises(ValueError, match="rows a day"):
        row_budget(1, -1)
