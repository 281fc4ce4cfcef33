"""What came since the last look: differences of cumulative counters, added up over replicas."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from driftline_stats.drift.profile import Counts
from driftline_stats.errors import BatchError
from driftline_stats.histogram import LatencyHistogram
from driftline_stats.risk.cbpe import Cbpe

#: Bins of losses: bin b is a loss of b/100.
LOSS_BINS = 101


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelBatch:
    """What came for the predictions of one hour (and epoch and arm) since the last look.

    Attributes:
        cohort: its name, for people.
        rows: predictions made.
        labelled: labels that came.
        losses: their losses, as (bin, count) of 101 bins: bin b is a loss of b/100.
        delays: labels by class of their delay (`risk.coverage`).
        rewards: number, sum and sum of squares.
    """

    cohort: str = ""
    rows: int = 0
    labelled: int = 0
    losses: tuple[tuple[int, int], ...] = ()
    delays: tuple[int, ...] = ()
    rewards: tuple[int, float, float] = (0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if any(not 0 <= at < LOSS_BINS or count < 0 for at, count in self.losses):
            raise BatchError(f"labels of {self.cohort}: losses of bins that are none")
        if self.rows < 0 or self.labelled < 0 or any(each < 0 for each in self.delays):
            raise BatchError(f"labels of {self.cohort}: fewer than none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at one revision. What a look has none of is left out, and changes nothing.

    A look must not come because of what its rows say; that it is late or long does not matter.

    Attributes:
        counts: of rows, by the plan of the profile that is watched against, or by that plan without
            the excluded features (`narrow`).
        seconds: since the last look.
        inferences: that the revision answered, by the best count there is (the router's).
        seen: of these, that monitors were told of, and so could find a fault in.
        counted: of these, whose rows are in `counts`.
        latency: of answers, in microseconds.
        faults: inferences by feature or tensor, then by kind of fault.
        labels: by cohort.
        calibration: of the rows, where scores are calibrated.
    """

    counts: Counts
    seconds: float
    inferences: int = 0
    seen: int = 0
    counted: int = 0
    latency: LatencyHistogram | None = None
    faults: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    labels: tuple[LabelBatch, ...] = ()
    calibration: Cbpe | None = None

    def __post_init__(self) -> None:
        if not self.seconds >= 0 or min(self.inferences, self.seen, self.counted) < 0:
            raise BatchError(
                f"a look of {self.seconds} seconds, {self.inferences} inferences, {self.seen} "
                f"seen, {self.counted} counted"
            )
