"""When an experiment may stop: one arm is better than all others, or nothing can be believed."""

import math
from dataclasses import dataclass
from typing import Protocol

from driftline_stats.evidence import Verdict, judged
from driftline_stats.experiment.mismatch import SampleRatio


class Pairs(Protocol):
    """Evidence on each ordered pair of arms."""

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms."""

    def log_evidence_of(self, better: str, worse: str) -> float:
        """Return the logarithm of the evidence that one arm is better than another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """When to stop; frozen at the start.

    Attributes:
        alpha: of naming a winner that is no better than some other arm.
        mismatch_alpha: of calling an experiment mismatched that is not.
        least_units: units that each arm must have seen before there is a winner.
    """

    alpha: float = 0.05
    mismatch_alpha: float = 0.01
    least_units: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BestArm:
    """What an experiment has shown so far.

    Attributes:
        leader: the arm with the most evidence against the one it is least clearly better than.
        verdict: whether the leader has won; its evidence is that least one.
        mismatch: whether the sample ratio is wrong, which stops the experiment without a winner.
    """

    leader: str
    verdict: Verdict
    mismatch: Verdict

    @property
    def winner(self) -> str | None:
        """The arm that has won, if any."""
        return self.leader if self.verdict.rejected else None


def best_arm(pairs: Pairs, ratio: SampleRatio, rule: StopRule) -> BestArm:
    r"""Say whether one arm is better than each of the others.

    Arm a wins when its evidence against **every** other arm reaches K/alpha, with K arms.

    *What holds*: for each arm that is not strictly better than all others there is one that it is
    not better than, against which its evidence ever reaches K/alpha with probability at most
    alpha/K. So a false winner is ever named with probability at most alpha, whichever arms are
    equal, under optional stopping, and however shares are chosen from the past. The bar
    (K - 1)/alpha bounds by alpha only the chance to name an arm that is not **among** the best: two
    equal arms are then called different with up to 2 * alpha.

    Args:
        pairs: evidence of each ordered pair, at the unit that was assigned.
        ratio: the sample ratio, of first exposures. A mismatch is a hard stop: no winner is named.
        rule: when to stop.

    Raises:
        ValueError: an alpha is not between 0 and 1, or the sample ratio is of other arms.

    >>> import numpy as np
    >>> from driftline_stats.experiment.mismatch import Exposures, sample_ratio
    >>> from driftline_stats.experiment.pairwise import pairwise_rates
    >>> pairs = pairwise_rates(("a", "b"), higher_is_better=True)
    >>> pairs = pairs.update_strata(np.array([[500, 500]]), np.array([[5, 30]]))
    >>> fair = sample_ratio(arms=2).update(Exposures(counts=(500, 500), shares=(0.5, 0.5)))
    >>> best_arm(pairs, fair, StopRule()).winner
    'b'
    >>> unfair = fair.update(Exposures(counts=(500, 700), shares=(0.5, 0.5)))
    >>> print(best_arm(pairs, unfair, StopRule()).verdict)
    undecided: evidence 4.4e+03 of 40 needed, but the sample ratio is wrong
    """
    if len(ratio.counts) != len(pairs.arms):
        raise ValueError(f"sample ratio of {len(ratio.counts)} arms, pairs of {len(pairs.arms)}")
    least = {arm: _least(pairs, arm) for arm in pairs.arms}
    leader = max(pairs.arms, key=lambda arm: least[arm])
    mismatch = ratio.verdict(rule.mismatch_alpha)
    few = int(ratio.counts.min())
    held_back = ""
    if mismatch.rejected:
        held_back = "the sample ratio is wrong"
    elif few < rule.least_units:
        held_back = f"an arm has seen {few} of {rule.least_units} units"
    verdict = judged(least[leader], rule.alpha / len(pairs.arms), held_back)
    return BestArm(leader=leader, verdict=verdict, mismatch=mismatch)


def _least(pairs: Pairs, arm: str) -> float:
    others = (other for other in pairs.arms if other != arm)
    return min((pairs.log_evidence_of(arm, other) for other in others), default=-math.inf)
