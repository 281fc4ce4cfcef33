"""In how many rows the statistics promise to find a scene's change, before anything is deployed."""

from pathlib import Path

import numpy as np

from driftline_serving.baseline.file import read
from driftline_stats.drift.delay import expected_delay
from driftline_stats.drift.detector import DetectorPlan
from driftline_stats.drift.watched import reference_of
from driftline_stats.watch.narrow import narrowed
from e2e.drift.scenes import Scene

#: As the specification of the statistics has it: a delay is met up to this.
SLACK = 1.25


def moved(scene: Scene, feature: str) -> float:
    """Return by how many standard deviations of training a feature's mean moves at the change."""
    at = scene.numeric.index(feature)
    before, after = scene.trained.numbers[:, at], scene.live.numbers[scene.change :, at]
    return float((np.nanmean(after) - np.nanmean(before)) / np.nanstd(before))


def promised_rows(scene: Scene, profile: Path, feature: str, budget: float) -> float:
    """Return the rows in which the shift of a feature's mean is found, by the profile alone.

    Args:
        scene: whose change it is.
        profile: the file that was built of what it is trained on.
        feature: a numeric one that moves.
        budget: rows between two false alarms.
    """
    found = read(profile.read_bytes()).profile
    watched = narrowed(found, scene.exclude) if scene.exclude else found
    plan = DetectorPlan.make(reference_of(watched), budget=budget, tolerance=0.1)
    return expected_delay(plan, feature, moved(scene, feature), budget)
