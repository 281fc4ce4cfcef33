"""What the server's workers say of themselves, so that nothing is lost unnoticed."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from driftline_serving.tap.frame import Frame
from driftline_serving.tap.layout import Counters

#: Workers that are told apart; those not heard of for longest are added up.
MOST_WORKERS: Final = 64


@dataclass(slots=True)
class _Worker:
    """One process.

    Attributes:
        before: what it had told others before it told us: that is not ours to count.
        latest: what it said last.
        seen: inferences that it has told us.
    """

    before: Counters
    latest: Counters
    seen: int = 0

    def tally(self) -> "Tally":
        return Tally(
            offered=self.latest.offered - self.before.offered,
            dropped=self.latest.dropped - self.before.dropped,
            lost=max(0, self.latest.sent - self.before.sent - self.seen),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Inferences of one worker or more, since this process first heard of it.

    Attributes:
        offered: that it had.
        dropped: that it gave up.
        lost: that it sent, and that never came.
    """

    offered: int = 0
    dropped: int = 0
    lost: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        """Return the tally of both."""
        return Tally(
            offered=self.offered + other.offered,
            dropped=self.dropped + other.dropped,
            lost=self.lost + other.lost,
        )


class Workers:
    """All workers that ever told us something."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Worker] = OrderedDict()
        self._gone = Tally()

    def take(self, frame: Frame) -> None:
        """Note what a frame says of its worker."""
        name, said = frame.source.worker, frame.counters
        worker = self._known.setdefault(name, _Worker(before=_before(said), latest=said))
        self._known.move_to_end(name)
        worker.latest = Counters(
            offered=said.offered, dropped=said.dropped, sent=said.sent + frame.count
        )
        worker.seen += frame.count
        if len(self._known) > MOST_WORKERS:
            _, oldest = self._known.popitem(last=False)
            self._gone += oldest.tally()

    def tally(self) -> Tally:
        """Return what all of them had."""
        return sum((each.tally() for each in self._known.values()), self._gone)


def _before(first: Counters) -> Counters:
    """Return what a worker had told others, by the counters of the first frame that we get.

    One that has sent nothing before has dropped what it dropped for want of us. What another
    monitor saw, and what was on its way to it, was before our time.
    """
    if not first.sent:
        return Counters()
    return Counters(offered=first.sent + first.dropped, dropped=first.dropped, sent=first.sent)
