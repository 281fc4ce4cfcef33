"""Strata of the week have enough rows, whatever the traffic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline_stats.drift.build import build
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.rows import Feature, Rows
from driftline_stats.drift.seasons import HOURS, hour_of_week, week_strata
from driftline_stats.drift.watched import reference_of
from driftline_stats.errors import StateError

FEW = settings(max_examples=25, deadline=None)


@given(st.lists(st.integers(0, 20_000), min_size=HOURS, max_size=HOURS))
@FEW
def test_every_stratum_has_enough_rows_or_there_is_one(rows: list[int]) -> None:
    strata = week_strata(rows)
    held = np.bincount(strata, rows)
    assert set(strata.tolist()) == set(range(strata.max() + 1))
    assert (held >= 1_000).all() or held.size == 1


def test_a_quiet_night_is_merged_and_the_day_keeps_its_hours() -> None:
    rows = np.full(HOURS, 2_000)
    rows[np.arange(HOURS) % 24 < 4] = 10
    strata = week_strata(rows)
    assert len(set(strata.tolist())) >= 120
    assert strata[1] == strata[2]
    assert strata[10] != strata[11]


def test_weekends_are_told_from_weekdays_where_there_is_not_enough_for_each_day() -> None:
    strata = week_strata([600] * HOURS)
    saturday, sunday, tuesday = 5 * 24 + 9, 6 * 24 + 9, 24 + 9
    assert strata[saturday] == strata[sunday] != strata[tuesday]


def test_hours_of_the_week_begin_on_monday() -> None:
    monday = 1_704_067_200  # 2024-01-01, a Monday
    assert hour_of_week(monday) == 0
    assert hour_of_week(monday - 1) == HOURS - 1
    with pytest.raises(ValueError, match="168 hours"):
        week_strata([1] * 24)


def test_a_profile_s_rows_by_stratum_make_a_reference() -> None:
    rng = np.random.default_rng(1)
    night, day = (Rows(numeric=rng.normal(at, 1, (2_000, 1)).astype(np.float32)) for at in (0, 3))
    profile = build((Feature(name="x"),), Rows.joined([night, day]))
    kernel = Kernel(profile.plan)
    strata = {"night": kernel.count(night), "day": kernel.count(day)}
    reference = reference_of(profile, strata)
    assert reference.strata == ("night", "day")
    assert reference.rows == 2_000
    with pytest.raises(StateError, match="strata of 2000 rows, expected the profile's 4000"):
        reference_of(profile, {"night": strata["night"]})
