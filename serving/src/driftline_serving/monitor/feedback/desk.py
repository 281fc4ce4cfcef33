"""Joins what was true with what was predicted, once for each row."""

import hashlib
import math
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from driftline_api.keys import ReceiptKey
from driftline_api.monitor import Feedback
from driftline_api.signature import ModelSignature
from driftline_serving.monitor.feedback.calibration import Calibration
from driftline_serving.monitor.feedback.cohorts import Cohort, Cohorts
from driftline_serving.monitor.feedback.items import Item, ItemError, Truth
from driftline_serving.monitor.feedback.losses import Losses, bin_of
from driftline_serving.monitor.feedback.memory import Memory, Origin
from driftline_serving.monitor.feedback.observe import Observer
from driftline_serving.monitor.feedback.outputs import Outputs
from driftline_serving.monitor.feedback.seen import Seen
from driftline_serving.receipt import MOST_PREDICTIONS, Receipt, ReceiptError, Verifier
from driftline_serving.tap.frame import Frame
from driftline_stats.risk.coverage import age_class

#: Age of a prediction from which on its label comes too late: keys of receipts are kept as long.
HORIZON_SECONDS: Final = 90 * 86_400.0
#: How far clocks of a cluster may differ.
SKEW_SECONDS: Final = 300.0
#: Revisions without pods whose labels are kept apart.
MOST_GONE: Final = 4
_HOUR: Final = 3600

What = Literal[
    "accepted",
    "duplicate",
    "correction",
    "unknown",
    "expired",
    "invalid",
    "forwarded",
    "unavailable",
]
_NEW: Final[dict[str, What]] = {"new": "accepted", "same": "duplicate", "other": "correction"}


class Outcome(NamedTuple):
    """What became of an item, and why where that is not plain."""

    what: What
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An item that may be joined.

    Attributes:
        item: what was said.
        id: of the prediction.
        receipt: that was verified; None where only the id is given.
    """

    item: Item
    id: UUID
    receipt: Receipt | None

    @property
    def seconds(self) -> float:
        """When it was predicted, Unix seconds."""
        return int.from_bytes(self.id.bytes[:6]) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What is known of a prediction; `rows` is None where only a lower bound is known."""

    cohort: Cohort
    cohorts: Cohorts
    rows: int | None
    predicted: Sequence[Sequence[float]] | None


@dataclass(slots=True)
class _Receipts:
    """Verifies, by the keys that are known now."""

    keys: Callable[[], Sequence[ReceiptKey]]
    _of: tuple[ReceiptKey, ...] = ()
    _verifier: Verifier = field(default_factory=lambda: Verifier(()))

    def verify(self, token: str) -> Receipt:
        now = tuple(self.keys())
        if now != self._of:
            self._of, self._verifier = now, Verifier(now)
        return self._verifier.verify(token)


class FeedbackDesk:
    """Takes labels and rewards for the predictions of one pod, and of pods that are gone.

    Of a prediction that this pod remembers, what it remembers counts. Of others a receipt tells
    the first 16 rows. The first label of a row wins: another that says the same is a duplicate,
    one that says something else a correction, which is counted and changes nothing.

    All that it holds is bounded: predictions by bytes, rows with a label and cohorts by number.

    Args:
        signature: of the model; None: there is nothing that a label could be compared with.
        model: that is served; a receipt of another is refused.
        revision: of this pod.
        keys: returns those that receipts may be signed with.
    """

    def __init__(
        self,
        signature: ModelSignature | None,
        model: str,
        revision: str,
        keys: Callable[[], Sequence[ReceiptKey]] = tuple,
    ) -> None:
        described = signature if signature and signature.prediction else None
        self.losses = Losses(described) if described else None
        outputs = Outputs(described) if described else None
        self.memory = Memory()
        self._model = model
        self._revision = revision
        self._receipts = _Receipts(keys)
        self._seen = Seen()
        self._outcomes: Counter[What] = Counter()
        self._cohorts = Cohorts()
        self._gone: dict[str, Cohorts] = {}
        self._ended = False
        prediction = described.prediction if described else None
        calibrated = outputs if prediction and prediction.calibrated else None
        self._calibration = Calibration(calibrated) if calibrated else None
        self._observer = Observer(outputs, self.memory, self._cohorts, self._calibration)

    def observe(self, frame: Frame) -> None:
        """Remember the predictions of a frame, and count them."""
        self._observer.observe(frame)

    def began(self, deviation: float | None) -> None:
        """Begin with another configuration: calibration from nothing, losses in another unit.

        Args:
            deviation: standard deviation of predictions in the reference: the `scale` of their
                bins in the plan; None for a classification, or without a plan.
        """
        if self._calibration:
            self._calibration.restart()
        if self.losses:
            self.losses.deviation = deviation

    def end(self) -> None:
        """Take nothing any more: what was not told by now never will be."""
        self._ended = True

    def claim(self, item: Item, now: float) -> Claim | Outcome:
        """Return what an item claims, or why it cannot."""
        try:
            receipt = self._receipts.verify(item.receipt) if item.receipt else None
            if receipt:
                self._check_receipt(receipt, item)
        except ReceiptError as error:
            return Outcome("invalid", str(error))
        claim = Claim(
            item=item, id=UUID(receipt.prediction_id if receipt else item.id), receipt=receipt
        )
        if claim.seconds > now + SKEW_SECONDS or (item.time or 0) > now + SKEW_SECONDS:
            return Outcome("invalid", "the prediction, or time, lies in the future")
        if now - claim.seconds > HORIZON_SECONDS:
            days = round(HORIZON_SECONDS / 86_400)
            return Outcome("expired", f"the prediction is older than {days} days")
        return claim

    def settle(self, claim: Claim, now: float) -> Outcome:
        """Join a claim with what is known of its prediction."""
        if self._ended:
            return Outcome("unavailable", "this pod is about to end: send it again")
        known = self._known(claim)
        if known is None:
            return Outcome(
                "unknown",
                "no pod remembers this prediction: send the receipt, which stands for itself",
            )
        try:
            return self._join(claim, known, now)
        except ItemError as error:
            return Outcome("invalid", str(error))

    def count(self, what: What) -> None:
        """Count what became of an item."""
        self._outcomes[what] += 1

    def feedback(self) -> Feedback:
        """Return all counts since the process began."""
        return Feedback(
            outcomes=dict(sorted(self._outcomes.items())),
            cohorts=self._cohorts.report(),
            gone={revision: each.report() for revision, each in sorted(self._gone.items())},
        )

    def calibration(self) -> dict[str, Any] | None:
        """Return counts of probabilities since the configuration; None where they are none."""
        return self._calibration.report() if self._calibration else None

    def _check_receipt(self, receipt: Receipt, item: Item) -> None:
        if receipt.revision and receipt.revision.rpartition("-")[0] != self._model:
            raise ReceiptError(
                f"the receipt is of revision {receipt.revision}, and this is Model {self._model}: "
                "send it to the Model that predicted"
            )
        if item.id and UUID(item.id) != UUID(receipt.prediction_id):
            raise ReceiptError("id and receipt are of different predictions: send one of them")

    def _known(self, claim: Claim) -> _Known | None:
        remembered, receipt = self.memory.find(claim.id.bytes), claim.receipt
        hour = int(claim.seconds) // _HOUR
        if remembered:
            values = remembered.values
            return _Known(
                cohort=Cohort(hour, remembered.origin),
                cohorts=self._cohorts,
                rows=remembered.rows,
                predicted=self._of_receipt(receipt) if values is None else values.tolist(),
            )
        if receipt is None:
            return None
        routed = Origin(arm=receipt.arm, epoch=receipt.epoch) if receipt.arm else Origin()
        told = len(receipt.predictions)
        return _Known(
            cohort=Cohort(hour, routed),
            cohorts=self._cohorts_of(receipt.revision),
            rows=told if 0 < told < MOST_PREDICTIONS else None,
            predicted=self._of_receipt(receipt),
        )

    def _of_receipt(self, receipt: Receipt | None) -> Sequence[Sequence[float]] | None:
        if receipt is None or self.losses is None:
            return None
        return self.losses.of_receipt(receipt.predictions)

    def _cohorts_of(self, revision: str) -> Cohorts:
        if revision in ("", self._revision):
            return self._cohorts
        if revision not in self._gone and len(self._gone) >= MOST_GONE:
            revision = next(reversed(self._gone))
        return self._gone.setdefault(revision, Cohorts())

    def _join(self, claim: Claim, known: _Known, now: float) -> Outcome:
        rows = _rows(claim.item, known.rows)
        if claim.item.reward:
            found = {self._reward(claim, known, row, value) for row, value in rows}
            return _together(found)
        if self.losses is None:
            raise ItemError(
                "the model's signature has no prediction that a label could be compared with: "
                "describe signature.prediction, or send rewards"
            )
        truths = [(row, self.losses.truth(label)) for row, label in rows]
        delay = age_class((claim.item.time or now) - claim.seconds)
        return _together({self._label(claim, known, each, delay) for each in truths})

    def _label(
        self, claim: Claim, known: _Known, labelled: tuple[int, float], delay: int
    ) -> Outcome:
        row, truth = labelled
        key = claim.id.bytes + struct.pack("<I", row)
        assert self.losses
        predicted = known.predicted or ()
        if row >= len(predicted) and known.rows is None:
            return Outcome("unknown", f"row {row} is not in the receipt, and its pod is gone")
        outcome = _NEW[self._seen.first(b"label" + key, struct.pack("<d", truth))]
        if outcome == "accepted":
            loss = self.losses.loss(truth, predicted[row]) if row < len(predicted) else math.nan
            found = None if math.isnan(loss) else bin_of(loss, _dither(key))
            known.cohorts.labelled(known.cohort, found, delay)
        return Outcome(outcome, _SAID.get(outcome, ""))

    def _reward(self, claim: Claim, known: _Known, row: int, value: Truth) -> Outcome:
        assert isinstance(value, int | float)
        key = claim.id.bytes + struct.pack("<I", row)
        outcome = _NEW[self._seen.first(b"reward" + key, struct.pack("<d", value))]
        if outcome == "accepted":
            known.cohorts.rewarded(known.cohort, float(value))
        return Outcome(outcome, _SAID.get(outcome, ""))


_SAID: Final[dict[What, str]] = {
    "correction": "the first label of a row counts; this one says something else",
}
_ORDER: Final[tuple[What, ...]] = ("accepted", "correction", "unknown", "duplicate")


def _together(rows: set[Outcome]) -> Outcome:
    """Return what became of an item, given what became of its rows: the first news of them."""
    return min(rows, key=lambda each: _ORDER.index(each.what))


def _rows(item: Item, known: int | None) -> list[tuple[int, Truth]]:
    """Return which row each value is of.

    Raises:
        ItemError: there are not as many values as rows.
    """
    if item.row is not None:
        if known is not None and item.row >= known:
            raise ItemError(f"the prediction has rows 0 to {known - 1}; this is of row {item.row}")
        return [(item.row, item.values[0])]
    if known is not None and len(item.values) != known:
        what = "a list of" if item.is_list else "one value, without row, or"
        raise ItemError(
            f"the prediction has {known} rows, and this has {what} {len(item.values)}: give a "
            "list with one value for each row, null where it is not known yet"
        )
    return [(row, value) for row, value in enumerate(item.values) if value is not None]


def _dither(key: bytes) -> float:
    """Return a number from 0 to 1 that is as good as random, and the row's own."""
    return int.from_bytes(hashlib.blake2b(key, digest_size=6).digest()) / 2**48
