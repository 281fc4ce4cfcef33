"""From frames to counts, whatever is in them."""

import numpy as np
import pytest

from driftline_serving.monitor.counting import ENOUGH, Counting, Sample, proposed, sample_size
from driftline_serving.monitor.intake import MOST_NAMES, OTHERS, Intake
from driftline_serving.server.tensors import Array
from driftline_serving.tap.frame import Frame
from driftline_serving.tap.records import Inference
from driftline_serving.watched.extract import Extractor
from driftline_serving.watched.watched import watched_of
from driftline_stats.drift.build import build
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.profile import Counts, Profile
from driftline_stats.drift.rows import Feature, Rows
from tests.serving.monitor.frames import a_frame, a_loan, loans

WATCHED = watched_of(loans())
RANDOM = np.random.default_rng(7)


def some_loans(count: int) -> list[Inference]:
    return [
        a_loan(float(RANDOM.normal(40, 9)), float(RANDOM.exponential(100)),
               str(RANDOM.choice(["Rome", "Oslo"])), float(RANDOM.random()))
        for _ in range(count)
    ]  # fmt: skip


def rows_of(told: list[Inference]) -> Rows:
    return Rows.joined([Extractor(WATCHED).of_group(g).rows for g in a_frame(told).groups])


def a_profile(count: int = 250) -> Profile:
    return build(WATCHED.features, rows_of(some_loans(count)))


def counting_by(profile: Profile) -> Counting:
    counting = Counting(config="c", extractor=Extractor(WATCHED, profile.plan.features))
    counting.count_by(Kernel(profile.plan))
    return counting


def an_intake(counting: Counting) -> Intake:
    intake = Intake()
    intake.counting = counting
    return intake


def counts(counting: Counting) -> Array:
    found = counting.drift()
    assert found is not None
    return np.frombuffer(found.values.raw(), "<i8")


def test_rows_are_counted_as_the_profile_was() -> None:
    told = some_loans(200)
    profile = build(WATCHED.features, rows_of(told))
    intake = an_intake(counting := counting_by(profile))
    for at in range(0, 200, 9):
        intake.take(a_frame(told[at : at + 9]))
    assert counts(counting).tolist() == profile.reference.values.tolist()
    found = counting.drift()
    assert found is not None
    assert (found.plan, found.rows) == (profile.plan.digest, 200)
    totals = intake.totals()
    assert (totals.seen, totals.counted, totals.rows) == (200, 200, 200)


def test_only_what_was_answered_is_counted() -> None:
    intake = an_intake(counting_by(a_profile()))
    told = [each._replace(status=status) for each, status in zip(
        some_loans(4), (200, 400, 503, 499), strict=True)]  # fmt: skip
    intake.take(a_frame(told))
    totals = intake.totals()
    assert (totals.seen, totals.counted, totals.rejected, totals.failed) == (4, 1, 2, 1)


def test_no_row_is_counted_before_it_is_known_what_is_excluded() -> None:
    intake = Intake()
    intake.take(a_frame(some_loans(3)))
    intake.counting = Counting(config="c")
    intake.take(a_frame(some_loans(3)))
    totals = intake.totals()
    assert (totals.seen, totals.counted, totals.rows) == (6, 0, 0)


def test_at_a_lower_rate_all_are_seen_and_some_counted() -> None:
    intake = an_intake(counting_by(a_profile()))
    intake.rate = 0.25
    for _ in range(20):
        intake.take(a_frame(some_loans(50)))
    totals = intake.totals()
    assert totals.seen == 1000
    assert totals.counted == totals.rows
    assert 180 < totals.counted < 320
    assert sum(each.seen for each in intake.slots.counts()) == 1000


def test_a_bug_in_one_part_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: Frame) -> None:
        raise ValueError("4711, a secret of a client")

    intake = an_intake(counting_by(a_profile()))
    seen: list[Frame] = []
    intake.observers += [broken, seen.append]
    for _ in range(3):
        intake.take(a_frame(some_loans(2)))
    assert (len(seen), intake.totals().counted) == (3, 6)
    assert len([each for each in caplog.records if "a bug" in each.message]) == 1
    assert "ValueError at test_intake.py" in caplog.text
    assert "4711" not in caplog.text


def test_ten_thousand_categories_cost_no_memory() -> None:
    counting = Counting(config="c", extractor=Extractor(WATCHED))
    counting.keep_sample()
    intake = an_intake(counting)
    told = [a_loan(city=f"{number} {'x' * 500}") for number in range(10_000)]
    for at in range(0, len(told), 250):
        intake.take(a_frame(told[at : at + 250]))
    assert counting.sample is not None
    kept = counting.sample.frozen().rows()
    assert len(kept) == sample_size(counting.sample.features) == 10_000
    assert max(map(len, kept.categorical[0])) == 128
    plan = proposed(counting.sample.features, counting.sample.frozen())
    assert len(plan.categorical[0].levels) == 64
    assert sum(plan.sizes) < 500


def test_a_feature_that_is_always_nan_is_counted_and_said() -> None:
    told = [a_loan(age=np.nan) for _ in range(ENOUGH)]
    sample = Sample(WATCHED.features)
    for at in range(0, ENOUGH, 250):
        sample.add(rows_of(told[at : at + 250]))
    plan = proposed(WATCHED.features, sample.frozen())
    counting = Counting(config="c", extractor=Extractor(WATCHED, plan.features))
    counting.count_by(Kernel(plan))
    intake = an_intake(counting)
    intake.take(a_frame(told[:100]))
    profile = Profile(plan=plan, reference=Counts.none(plan))
    (age,) = [each for each in profile.channels if each.name == "age"]
    of_age = counts(counting)[age.place]
    assert {age.labels[at] for at in of_age.nonzero()[0]} == {"missing"}
    assert intake.faults().counts == {"age": {"not_a_number": 100}}


def test_samples_are_bounded_by_bytes() -> None:
    wide = (Feature(name="x"),) * 1024 + (Feature(name="c", kind="categorical"),) * 50
    sample = Sample(wide)
    for _ in range(60):
        sample.add(
            Rows(
                numeric=np.zeros((256, 1024), np.float32),
                categorical=(np.zeros(256, np.int64),) * 50,
            )
        )
    assert ENOUGH <= sample.kept < 2000
    assert len(sample.frozen().rows()) == sample.kept


def test_faults_are_told_by_a_bounded_number_of_names() -> None:
    intake = Intake()
    for number in range(3 * MOST_NAMES):
        intake._faults[intake._told(f"x[{number}]"), "wrong_type"] += 1
    found = intake.faults().counts
    assert len(found) == MOST_NAMES
    assert found[OTHERS]["wrong_type"] == 2 * MOST_NAMES + 1
