"""What is no number is missing, wherever numbers come in: it never raises."""

import math

import numpy as np

from driftline_stats.class_bins import ScoreBins
from driftline_stats.experiment.units import sightings
from driftline_stats.risk.bootstrap import ScoredRows
from driftline_stats.risk.coverage import LabelCoverage

ODD = [1.0, "text", None, 10**400, -(10**400), math.nan]


def test_scores_that_are_no_numbers_are_counted_in_the_last_bin() -> None:
    counts = ScoreBins.frozen(np.linspace(0, 1, 100), bins=4).counts(ODD)
    assert sum(counts) == len(ODD)
    assert counts[-1] == 3


def test_values_of_units_may_be_missing() -> None:
    seen = sightings(0, units=[*range(6)], arms=[0] * 6, values=ODD)
    assert np.isnan(seen.values).tolist() == [False, True, True, False, False, True]


def test_a_label_without_a_delay_is_none() -> None:
    coverage = LabelCoverage.of(ages=[10.0] * 3, delays=[1.0, None, "never"])
    assert sum(coverage.labelled) == 1
    assert sum(coverage.predictions) == 3


def test_a_row_without_a_score_ranks_last() -> None:
    rows = ScoredRows.of(positive=[True, False], stable=[None, 0.5], canary=[0.9, "no"])
    assert rows.stable[0] == -math.inf
    assert rows.canary[1] == -math.inf
