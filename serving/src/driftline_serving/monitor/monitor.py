"""The monitor as a whole: what it is told, and what it tells."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from driftline_api.monitor import Summary
from driftline_serving.monitor.config import Configuring, Credentials
from driftline_serving.monitor.counting import Counting
from driftline_serving.monitor.intake import Intake
from driftline_serving.monitor.model import Model
from driftline_serving.monitor.part import Part
from driftline_stats.drift.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose monitor it is, as its pod is told; empty where it is told nothing."""

    model: str
    revision: str = ""
    digest: str = ""
    pod: str = ""


class Monitor:
    """Joins what comes from servers with what the operator asks.

    Args:
        identity: of the pod.
        model: what there is to watch.
        credentials: for the profile.
        parts: what else is done with what is seen.
        clock: Unix seconds. They are told, and nothing follows from them.

    Attributes:
        intake: takes the frames.
        configuring: takes configurations.
        parts: what else is done with what is seen.
        final: nothing will be counted any more.
        told: set once somebody has had the final summary.
    """

    def __init__(
        self,
        identity: Identity,
        model: Model,
        credentials: Credentials,
        parts: Sequence[Part] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.identity = identity
        self.intake = Intake()
        self.configuring = Configuring(model, credentials, self._use)
        self.final = False
        self.told = asyncio.Event()
        self.parts = parts
        self._clock = clock
        self._process = os.urandom(8).hex()
        self._started = clock()
        self.intake.observers += [part.observe for part in parts]

    @property
    def counting(self) -> Counting | None:
        """What is counted now; None before the first configuration."""
        return self.intake.counting

    def summary(self) -> Summary:
        """Return all that was counted since the process began."""
        intake, counting = self.intake, self.counting
        told = {name: value for part in self.parts for name, value in part.tell().items()}
        if counting is None or not counting.is_ready:
            told.pop("calibration", None)
        if counting is not None:
            told |= {"config": counting.config, "baseline": counting.baseline()}
            told |= {"drift": counting.drift()}
        return Summary.model_validate(
            {
                "model": self.identity.model,
                "revision": self.identity.revision,
                "digest": self.identity.digest,
                "pod": self.identity.pod,
                "process": self._process,
                "started": self._started,
                "now": self._clock(),
                "sampling": intake.rate,
                "final": self.final,
                "totals": intake.totals(),
                "slots": intake.slots.counts(),
                "faults": intake.faults(),
                **told,
            }
        )

    def finish(self) -> None:
        """Count nothing any more; from now on every summary is the last one."""
        for part in self.parts:
            part.end()
        self.final = True

    def _use(self, counting: Counting, plan: Plan | None) -> None:
        self.intake.counting = counting
        if counting.is_ready:
            for part in self.parts:
                part.began(plan)
