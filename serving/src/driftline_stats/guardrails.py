"""Several guardrails, one verdict: the weighted mean of their evidence is evidence too."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from driftline_stats.evidence import Verdict, judged, log_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """What one guardrail has to say at this look.

    Attributes:
        name: of the guardrail, such as error or latency.
        log_evidence: against "the canary is no worse"; 0 where there is no data yet.
        log_certificate: against "the canary is r1 times worse", or None where it has no such test.
        weight: its part of alpha, relative to the others'; chosen before the rollout.
        warn_only: it neither aborts nor keeps from promoting, and takes no part of alpha.
    """

    name: str
    log_evidence: float
    log_certificate: float | None = None
    weight: float = 1.0
    warn_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """The verdict of all active guardrails, and whom it names.

    Attributes:
        verdict: of the weighted mean.
        culprits: the guardrails that are rejected each by itself, in order of evidence; may be
            empty although the mean is rejected, where several have some evidence.
        strongest: the guardrail that contributes most; empty without active guardrails.
        warnings: the warn-only guardrails that reach 1/alpha alone, each falsely with
            probability alpha.
    """

    verdict: Verdict
    culprits: tuple[str, ...]
    strongest: str
    warnings: tuple[str, ...]


def combined(guardrails: Sequence[Guardrail], alpha: float) -> Combined:
    """Return the verdict of several guardrails at alpha.

    `E = sum_k w_k E_k`, with weights that sum to 1 over the active guardrails. Null hypothesis: the
    canary is no worse by any guardrail. Reaches 1/alpha with probability at most alpha at any
    look, whatever the dependence between guardrails. Never later than Bonferroni, which asks for
    one E_k >= 1/(w_k alpha) (K/alpha with equal weights): that alone lifts the mean to 1/alpha.

    The culprits are those of which exactly this holds. By the union bound, that any guardrail by
    which the canary is no worse is ever named has probability at most alpha, even where others
    are rightly rejected.

    Assumes that the set of active guardrails and their weights were fixed before the rollout.
    Source: Vovk & Wang, "E-values: calibration, combination and applications" (Annals of
    Statistics 2021).

    >>> error = Guardrail(name="error", log_evidence=math.log(50))
    >>> latency = Guardrail(name="latency", log_evidence=math.log(0.1))
    >>> result = combined([error, latency], alpha=0.05)
    >>> str(result.verdict), result.culprits
    ('rejected: evidence 25 of 20 needed', ('error',))

    Raises:
        ValueError: alpha is not between 0 and 1, a weight is not positive, or two have one name.
    """
    _check(guardrails)
    active = sorted(
        (each for each in guardrails if not each.warn_only),
        key=lambda each: (-each.log_evidence - math.log(each.weight), each.name),
    )
    total = math.fsum(each.weight for each in active)
    shares = [each.weight / total for each in active]
    logs = [each.log_evidence for each in active]
    return Combined(
        verdict=judged(log_mean(logs, shares) if active else 0.0, alpha),
        culprits=tuple(
            each.name
            for each, share in zip(active, shares, strict=True)
            if judged(each.log_evidence + math.log(share), alpha).rejected
        ),
        strongest=active[0].name if active else "",
        warnings=tuple(
            each.name
            for each in guardrails
            if each.warn_only and judged(each.log_evidence, alpha).rejected
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """Whether a step may be passed early, and which guardrails still have no certificate."""

    early: bool
    missing: tuple[str, ...]


def certified(guardrails: Sequence[Guardrail], beta: float) -> Certified:
    """Say whether all active guardrails are certified at beta, as early promotion needs.

    Null hypothesis: the canary is r1 times worse by at least one of them. As every guardrail must
    be certified, the one that is worse must be too, falsely: probability at most beta, at any
    look, without a correction for their number. A guardrail without such a test is never
    certified, and where no guardrail is active there is nothing to promote early by.

    Source: the intersection-union principle, Berger, "Multiparameter hypothesis testing and
    acceptance sampling" (Technometrics 1982).

    >>> error = Guardrail(name="error", log_evidence=0.0, log_certificate=4.0)
    >>> latency = Guardrail(name="latency", log_evidence=0.0)
    >>> certified([error], beta=0.05)
    Certified(early=True, missing=())
    >>> certified([error, latency], beta=0.05)
    Certified(early=False, missing=('latency',))

    Raises:
        ValueError: beta is not between 0 and 1, a weight is not positive, or two have one name.
    """
    _check(guardrails)
    active = [each for each in guardrails if not each.warn_only]
    missing = tuple(
        each.name
        for each in active
        if each.log_certificate is None or not judged(each.log_certificate, beta).rejected
    )
    return Certified(early=bool(active) and not missing, missing=missing)


def alpha_of_retry(alpha: float, retries: int) -> float:
    """Return the alpha of a rollout of the same revision after so many retries: alpha/2^j.

    Each attempt has its own stated rate; the first has alpha. Over all attempts at one revision
    the false alarms have a probability of less than alpha (1 + 1/2 + 1/4 + ...) = 2 alpha.

    >>> [alpha_of_retry(0.05, retries) for retries in range(3)]
    [0.05, 0.025, 0.0125]

    Raises:
        ValueError: alpha is not between 0 and 1, or retries are negative.
    """
    if not 0 < alpha < 1 or retries < 0:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha}, after {retries} retries")
    return max(math.ldexp(alpha, -retries), 5e-324)


def _check(guardrails: Sequence[Guardrail]) -> None:
    names = [each.name for each in guardrails]
    if len(set(names)) != len(names):
        raise ValueError(f"two guardrails have one name: {', '.join(sorted(names))}")
    for each in guardrails:
        if not 0 < each.weight < math.inf:
            raise ValueError(f"{each.name}: weight must be positive, got {each.weight}")
        if math.isnan(each.log_evidence):
            raise ValueError(f"{each.name}: evidence is not a number")
