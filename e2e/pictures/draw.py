"""What each picture of a rollout shows. Numbers in a description are the simulation's own."""

from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from driftline_stats.certificates import Certificate
from driftline_stats.rates import RateRatio
from e2e.pictures.drifts import drift
from e2e.pictures.rollouts import BASE, LOOKS, MINUTES, SECONDS, ever, p_values, rollouts
from e2e.pictures.style import (
    AMBER,
    INDIGO,
    QUIET,
    RED,
    TEAL,
    note,
    panels,
    powers,
    svg,
    ticks,
)

ALPHA: Final = 0.05

Floats = npt.NDArray[np.float64]


def looking_again() -> str:
    """Two tests of canaries that are as good as stable, looked at every five seconds."""
    slots = rollouts(np.random.default_rng(20), 2000)
    found = p_values(slots)
    evidence = RateRatio.above(1.0).path(slots)
    wrong = ever(found < ALPHA), ever(evidence >= -np.log(ALPHA))
    some = np.flatnonzero((found < ALPHA)[:, 100:150].any(axis=1) & (found[:, -1] > 0.2))[0]

    figure, (left, right) = panels(2)
    left.plot(MINUTES, found[some], color=AMBER)
    left.axhline(ALPHA, color=RED, linestyle="--", linewidth=1)
    left.set(title="p-value of one harmless canary", yscale="log")
    ticks(left, [1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01])
    right.plot(MINUTES, wrong[0] * 100, color=AMBER)
    right.plot(MINUTES, wrong[1] * 100, color=TEAL)
    right.axhline(ALPHA * 100, color=RED, linestyle="--", linewidth=1)
    right.set(title="% of harmless canaries called worse so far", ylim=(0, 40))
    note(right, 12, wrong[0][140] * 100 - 4, "p < 5 %", AMBER)
    note(right, 12, 6, "evidence of 20", TEAL)
    _minutes(left, right)
    shares = [round(float(each[-1]) * 100) for each in wrong]
    return svg(
        figure,
        "Looking again and again",
        "Left: the p-value of one harmless canary falls below five percent and rises again. "
        f"Right: after twenty minutes a p-value has called {shares[0]} percent of 2,000 harmless "
        f"canaries worse, evidence of 20 has called {shares[1]} percent so.",
    )


def what_evidence_does() -> str:
    """Evidence that a canary is worse: of harmless ones, and of some that are."""
    random = np.random.default_rng(4)
    test = RateRatio.above(1.0)
    harmless = test.path(rollouts(random, 30))
    worse = {ratio: _typical(test.path(rollouts(random, 101, ratio))) for ratio in (1.5, 2, 4)}
    labels = (12, 4), (6.4, 200), (2.2, 3000)

    figure, (left, right) = panels(2)
    for path in harmless:
        left.plot(MINUTES[::2], np.exp(path[::2]), color=QUIET, linewidth=0.6, alpha=0.6)
    left.set_title(f"{len(harmless)} harmless canaries")
    for (ratio, path), color, at in zip(worse.items(), (TEAL, INDIGO, AMBER), labels, strict=True):
        right.plot(MINUTES, np.exp(path), color=color)
        note(right, *at, f"{ratio:g} times", color)
    right.set_title("typical ones that fail more often")
    for axes in (left, right):
        axes.axhline(1 / ALPHA, color=RED, linestyle="--", linewidth=1)
        powers(axes, [1e-4, 1e-2, 1, 20, 1e3, 1e5])
    _minutes(left, right)
    return svg(
        figure,
        "Evidence over twenty minutes",
        f"Left: the evidence of {len(harmless)} harmless canaries stays low and falls. Right: "
        "that of canaries that fail 1.5, 2 and 4 times as often grows, the faster the worse.",
    )


def shared_incident() -> str:
    """An incident that both arms share, with a harmless canary and one that fails more often."""
    random = np.random.default_rng(9)
    base = np.full(LOOKS, BASE)
    base[96:144] = 0.08
    slots = [rollouts(random, 1, ratio, base)[0] for ratio in (1.0, 2.0)]
    figure, (left, right) = panels(2)
    for arm, color, name in ((0, QUIET, "stable"), (2, TEAL, "canary")):
        per_minute = slots[0].reshape(-1, 60 // SECONDS, 4).sum(axis=1)
        rate = 100 * per_minute[:, arm + 1] / per_minute[:, arm]
        left.step(np.arange(rate.size), rate, color=color, where="post")
        note(left, 12.6, 6.6 - 1.1 * (arm // 2), name, color)
    left.set(title="% of requests that fail", ylim=(0, None))
    for each, color, name, at in zip(
        slots, (TEAL, AMBER), ("harmless", "2 times"), ((14, 1e-3), (1.2, 1e4)), strict=True
    ):
        right.plot(MINUTES, np.exp(RateRatio.above(1.0).path(each)), color=color)
        note(right, *at, name, color)
    right.set_title("evidence that the canary is worse")
    right.axhline(1 / ALPHA, color=RED, linestyle="--", linewidth=1)
    powers(right, [1e-4, 1e-2, 1, 20, 1e3, 1e5])
    _minutes(left, right)
    return svg(
        figure,
        "An incident that both arms share",
        "Left: both arms fail in eight percent of requests for some minutes. Right: evidence "
        "against a harmless canary does not grow by it; evidence against one that fails twice as "
        "often does.",
    )


def harmless_or_worse() -> str:
    """Both questions that are asked of each canary: is it worse, and is it certainly not?"""
    random = np.random.default_rng(31)
    questions = (
        ("worse", RateRatio.above(1.0), AMBER),
        ("not 1.5 times worse,\nor below 1 %", Certificate.start(ratio=1.5), TEAL),
    )
    figure, panes = panels(2)
    for axes, ratio, title in zip(
        panes, (1.0, 2.0), ("a harmless canary", "one that fails twice as often"), strict=True
    ):
        slots = rollouts(random, 1, ratio)[0]
        for name, test, color in questions:
            axes.plot(MINUTES, np.exp(test.path(slots)), color=color)
            if ratio == 1:
                note(axes, 9, 2e3 if color == TEAL else 2e-3, name, color)
        axes.axhline(1 / ALPHA, color=RED, linestyle="--", linewidth=1)
        axes.set_title(title)
        powers(axes, [1e-4, 1e-2, 1, 20, 1e3, 1e5])
    _minutes(*panes)
    return svg(
        figure,
        "Two questions",
        "Left: for a harmless canary evidence that it is worse stays low, and evidence that it is "
        "not 1.5 times worse reaches 20. Right: for one that fails twice as often it is the other "
        "way round.",
    )


def _typical(paths: Floats) -> Floats:
    """Return the path that takes the median time to the bar, of an odd number of them."""
    reached = np.where(
        (paths >= -np.log(ALPHA)).any(axis=1), (paths < -np.log(ALPHA)).argmin(1), LOOKS
    )
    return np.asarray(paths[np.argsort(reached, kind="stable")[len(paths) // 2]])


def _minutes(*all_axes: Axes) -> None:
    for axes in all_axes:
        axes.set(xlim=(0, MINUTES[-1]), xlabel="minutes since the rollout began")
        axes.set_xticks([0, 5, 10, 15, 20])


PICTURES: Final = {
    "statistics-looking": looking_again,
    "statistics-evidence": what_evidence_does,
    "statistics-certificate": harmless_or_worse,
    "statistics-incident": shared_incident,
    "statistics-drift": drift,
}
