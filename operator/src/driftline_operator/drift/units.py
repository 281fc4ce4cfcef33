"""Reconciles what routers sent to a revision with what its monitors say of it.

    units of the routers = seen + dropped + unobserved

A unit that no monitor tells of was lost: its monitor was killed with it, or never ran.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from driftline_api.monitor import Totals
from driftline_operator.router.stats import Outcome
from driftline_operator.router.traffic import RouterInstance


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Inference calls of one revision, since its first.

    Attributes:
        units: that routers sent to it, and that were answered by its servers.
        seen: that its monitors received.
        dropped: that the tap dropped, because a monitor was slow, stuck or away.
        direct: of those seen, the ones that came past the routers.
        rows: that were counted.
    """

    units: int = 0
    seen: int = 0
    dropped: int = 0
    direct: int = 0
    rows: int = 0

    @property
    def unobserved(self) -> int:
        """Units that nobody tells of; exact while nothing is on its way."""
        return max(0, self.units - (self.seen - self.direct) - self.dropped)

    def sent(self, units: int) -> Self:
        """Return the ledger after units of the routers."""
        return replace(self, units=self.units + units)

    def told(self, totals: Totals, direct: int) -> Self:
        """Return the ledger after an increment of the monitors."""
        return replace(
            self,
            seen=self.seen + totals.seen,
            dropped=self.dropped + totals.dropped,
            direct=self.direct + direct,
            rows=self.rows + totals.rows,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterCounts:
    """What was taken in of each router's cumulative counters.

    Attributes:
        counts: by router (pod and restarts), then by series.
    """

    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def after(
        self, router: RouterInstance, outcomes: Iterable[Outcome]
    ) -> tuple["RouterCounts", dict[str, int]]:
        """Take in what a router says; return also the new units by revision.

        A series that is below what it was has begun anew: routers drop those that nothing was
        added to for a day.
        """
        name = f"{router.pod_uid}/{router.restarts}"
        before = self.counts.get(name, {})
        now: dict[str, int] = {}
        units: dict[str, int] = {}
        for outcome in outcomes:
            series = _series(outcome)
            known = before.get(series, 0)
            now[series] = outcome.count
            new = outcome.count - known if outcome.count >= known else outcome.count
            if outcome.served_by:
                units[outcome.served_by] = units.get(outcome.served_by, 0) + new
        return RouterCounts(counts={**self.counts, name: now}), units

    def only(self, pods: Iterable[str]) -> "RouterCounts":
        """Forget routers of which the pod is gone, and earlier starts of those that are there."""
        known = set(pods)
        newest: dict[str, int] = {}
        for name in self.counts:
            pod, _, restarts = name.rpartition("/")
            newest[pod] = max(newest.get(pod, 0), int(restarts))
        kept = {f"{pod}/{restarts}" for pod, restarts in newest.items() if pod in known}
        return RouterCounts(counts={k: v for k, v in self.counts.items() if k in kept})


def _series(outcome: Outcome) -> str:
    arm = outcome.arm
    parts = (arm.arm, arm.epoch, outcome.served_by, outcome.code, outcome.grpc)
    return "/".join(map(str, (*parts, *sorted(outcome.flags))))
