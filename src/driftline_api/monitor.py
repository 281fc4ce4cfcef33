"""What an operator and a monitor say to each other over HTTP.

    PUT  /config    operator -> monitor: `MonitorConfig`, at the first poll of a pod, and changes
    GET  /summary   monitor -> operator: `Summary`, counters since the process began
    GET  /profile   monitor -> operator: `ProfileFile` that it counts by; 404 where there is none
    POST /plan      operator -> monitor: proposes bins, made of the rows it has kept a sample of

All of them want a bearer token, see `driftline_api.keys.monitor_token`. Both sides ignore members
that they do not know: a monitor is as old as its revision.

Counters are cumulative since the process began, so that a lost poll loses nothing. Whoever reads
them subtracts what it has seen of the same (pod, process, config, plan); another of these begins
from nothing.
"""

import base64
import hashlib
import json
import zlib
from typing import Any, Final

from pydantic import Field, ValidationError

from driftline_api.base import ApiType
from driftline_api.monitoring import Monitoring

SLOT_SECONDS: Final = 5
MOST_SLOTS: Final = 120


class MonitorConfig(ApiType):
    """What must be equal in all replicas of a revision, or their counts would not add.

    Attributes:
        monitoring: of the Model's spec.
        plan: what is counted, as JSON of `driftline_stats.drift.plan.Plan`; None: by the profile
            that belongs to the artifact, and where there is none, a sample is kept.
    """

    monitoring: Monitoring = Monitoring()
    plan: dict[str, Any] | None = None

    @property
    def digest(self) -> str:
        """What tells configurations apart; counts of different ones are never added."""
        text = json.dumps(
            self.model_dump(mode="json", by_alias=True, exclude_none=True),
            sort_keys=True,
            separators=(",", ":"),
        )
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Packed(ApiType):
    """Integer counts, as text: little-endian int64, zlib, base64.

    >>> Packed.of(bytes(24)).raw() == bytes(24)
    True
    """

    data: str

    @classmethod
    def of(cls, raw: bytes) -> "Packed":
        """Pack the bytes of an array of int64."""
        return cls(data=base64.b64encode(zlib.compress(raw, 1)).decode())

    def raw(self, most: int = 8 * 1024 * 1024) -> bytes:
        """Return the bytes.

        Raises:
            ValueError: they are damaged, or more than `most`.
        """
        try:
            unpacker = zlib.decompressobj()
            found = unpacker.decompress(base64.b64decode(self.data, validate=True), most)
        except zlib.error as error:
            raise ValueError(f"packed counts: {error}") from error
        if unpacker.unconsumed_tail or not unpacker.eof:
            raise ValueError(f"packed counts: more than {most} bytes, or cut off")
        return found


class Totals(ApiType):
    """Inferences since the process began: offered = seen + dropped + lost + what is on its way.

    Attributes:
        offered: that the servers' workers had, by their own count.
        seen: that the monitor received.
        dropped: that the tap dropped, because the monitor was slow, stuck or away.
        lost: that a server sent, and that were not read because a connection broke. Those that were
            on their way when the monitor's process before this one ended are in nobody's count.
        counted: of those seen, whose rows were counted; the rest was left out by sampling, or
            could not be read.
        failed: of those seen, with a status of 5xx.
        rejected: of those seen, with a status of 4xx.
        rows: rows counted.
    """

    offered: int = 0
    seen: int = 0
    dropped: int = 0
    lost: int = 0
    counted: int = 0
    failed: int = 0
    rejected: int = 0
    rows: int = 0


class SlotCounts(ApiType):
    """One slot of five seconds of one arm and epoch; the last 120 slots are told.

    Attributes:
        epoch: of the router; None where no router stamped.
        arm: of the router.
        slot: Unix seconds of its beginning, a multiple of five, by the router's stamp.
        seen: inferences.
        failed: with 5xx.
        rejected: with 4xx.
        latency: microseconds of the answer, as `LatencyHistogram` JSON of two digits.
    """

    epoch: int | None = None
    arm: str = ""
    slot: int
    seen: int = 0
    failed: int = 0
    rejected: int = 0
    latency: dict[str, Any] | None = None


class DriftCounts(ApiType):
    """Counts of all channels since the process began to count by this plan.

    Attributes:
        plan: its digest.
        rows: that were counted.
        values: of all bins, shape [bins].
    """

    plan: str
    rows: int
    values: Packed


class Faults(ApiType):
    """What was wrong with inputs, since the process began: inferences by fault.

    Attributes:
        counts: by feature or tensor, then by kind: `missing_tensor`, `wrong_type`, `wrong_shape`,
            `not_a_number`, `omitted`; at most 256 names, the rest under `…`.
    """

    counts: dict[str, dict[str, int]] = {}


class LabelCohort(ApiType):
    """Predictions of one hour, and the labels that came for them, since the process began.

    Attributes:
        hour: Unix hours of the prediction.
        epoch: of the router; None where no router stamped.
        arm: of the router.
        rows: predicted, as far as this process saw.
        labelled: rows with a label.
        losses: labels by loss, in 101 bins from 0 to 1: a loss of zero or one is in the first or
            last; sparse, as [bin, count]. A label whose loss is not known is in none of them.
        delays: labels by age class (`driftline_stats.risk.coverage`).
        rewards: number, sum and sum of squares of rewards.
    """

    hour: int
    epoch: int | None = None
    arm: str = ""
    rows: int = 0
    labelled: int = 0
    losses: list[tuple[int, int]] = []
    delays: list[int] = []
    rewards: tuple[int, float, float] = (0, 0.0, 0.0)


class Feedback(ApiType):
    """Labels and rewards since the process began.

    Attributes:
        outcomes: items by what became of them: `accepted`, `duplicate`, `correction`, `unknown`,
            `expired`, `invalid`, `forwarded`, `unavailable`. An item that was handed on is
            `forwarded` here, and what became of it stands where it was handed to.
        cohorts: at most 400, the oldest added up in one of hour 0: what is gone from the others
            since they were looked at is in it.
        gone: the same for labels of other revisions, which have no pod any more, by revision; at
            most 4 of them.
    """

    outcomes: dict[str, int] = {}
    cohorts: list[LabelCohort] = []
    gone: dict[str, list[LabelCohort]] = {}


class BaselineState(ApiType):
    """What a monitor has to compare with.

    Attributes:
        source: `profile` (of the artifact or a URI), `learned` (a plan of the configuration),
            `none` (a sample is kept).
        problem: why a profile is refused, for people; empty where nothing is wrong.
        sampled: rows of the sample that is kept where there is no plan.
    """

    source: str = "none"
    problem: str = ""
    sampled: int = 0


class Summary(ApiType):
    """What one process of a monitor has seen.

    Attributes:
        model, revision, digest: of the pod.
        pod: uid of the pod.
        process: a random name, one for each process.
        started: Unix seconds.
        now: Unix seconds of this answer.
        config: digest of the configuration that it counts by; empty before the first.
        sampling: share of inferences whose rows are counted now, 1 where all are.
        final: no more will be counted: the process is about to end.
    """

    model: str
    revision: str
    digest: str = ""
    pod: str
    process: str
    started: float
    now: float
    config: str = ""
    sampling: float = 1.0
    final: bool = False
    totals: Totals = Totals()
    slots: list[SlotCounts] = []
    drift: DriftCounts | None = None
    calibration: dict[str, Any] | None = None
    """JSON of `driftline_stats.risk.cbpe.Cbpe` where the signature's scores are calibrated."""
    faults: Faults = Faults()
    feedback: Feedback = Feedback()
    baseline: BaselineState = BaselineState()


class ProfileFile(ApiType):
    """A profile as a file: `driftline-profile.json` beside the model.

    Attributes:
        version: of this format.
        artifact: sha256:... of the model it was made with; empty where it was made without one.
            It is the digest of `model.onnx`, and so of an artifact that is this one file. A
            directory's own would change with the profile in it.
        signature: `driftline_api.signature.signature_hash` of the signature that it was made by.
        trained: the rows are training data; else live rows that were learned.
        profile: JSON of `driftline_stats.drift.profile.Profile`.
    """

    version: int = 1
    artifact: str = ""
    signature: str = ""
    trained: bool = True
    profile: dict[str, Any] = Field(default_factory=dict)


def parse(kind: type[ApiType], text: bytes | str) -> Any:
    """Return what JSON says, as that type.

    Raises:
        ValueError: it does not; the message says where.
    """
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the text"
        raise ValueError(f"{where}: {first['msg']}") from error
