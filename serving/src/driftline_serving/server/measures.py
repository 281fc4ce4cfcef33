"""What a worker counts, and where on its desk each figure stands.

Counting is a few additions to doubles in shared memory. The supervisor adds up what all workers
have counted, and gives the figures their names (`exposition`).
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

#: What a request was told, as HTTP has it, and as what it is counted, by the protocol it came by.
#: 499: the client had gone, or its deadline was over.
CODES: Final[Mapping[str, Mapping[int, str]]] = {
    "http": {
        status: str(status)
        for status in (200, 400, 404, 405, 408, 413, 415, 431, 499, 500, 501, 503)
    },
    "grpc": {
        200: "OK",
        400: "INVALID_ARGUMENT",
        404: "NOT_FOUND",
        413: "INVALID_ARGUMENT",
        499: "CANCELLED",
        500: "INTERNAL",
        503: "UNAVAILABLE",
    },
}
#: As what any other is counted.
OTHER: Final = "other"
#: Seconds.
DURATIONS: Final[tuple[float, ...]] = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
#: Requests or rows in one run.
SIZES: Final[tuple[float, ...]] = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A histogram: the place of its sum, then one for each bucket, then one for what is beyond."""

    sum: int
    bounds: tuple[float, ...]

    @property
    def buckets(self) -> range:
        """The places of the buckets, the one without a bound included."""
        return range(self.sum + 1, self.sum + 2 + len(self.bounds))


#: Places. Counters come first and outlive their worker; gauges end with it.
REQUESTS: Final = {
    label: place
    for place, label in enumerate(
        (protocol, code)
        for protocol, codes in CODES.items()
        for code in dict.fromkeys((*codes.values(), OTHER))
    )
}
HTTP_SECONDS: Final = Distribution(sum=len(REQUESTS), bounds=DURATIONS)
GRPC_SECONDS: Final = Distribution(sum=HTTP_SECONDS.buckets.stop, bounds=DURATIONS)
RUN_REQUESTS: Final = Distribution(sum=GRPC_SECONDS.buckets.stop, bounds=SIZES)
RUN_ROWS: Final = Distribution(sum=RUN_REQUESTS.buckets.stop, bounds=SIZES)
TAP_DROPPED: Final = RUN_ROWS.buckets.stop
COUNTERS: Final = TAP_DROPPED + 1
IN_FLIGHT, WAITING, LOAD_SECONDS, PLACES = range(COUNTERS, COUNTERS + 4)

SECONDS: Final[Mapping[str, Distribution]] = {"http": HTTP_SECONDS, "grpc": GRPC_SECONDS}


_REQUEST: Final = {
    protocol: {status: REQUESTS[protocol, code] for status, code in codes.items()}
    for protocol, codes in CODES.items()
}


class Answered(Protocol):
    """What is counted of an `observation.Finished`."""

    protocol: str
    status: int
    seconds: float


class Measures:
    """Counts, in one worker; see `observation.Observer`.

    Args:
        places: That many doubles (`PLACES`), all zero at first.
    """

    def __init__(self, places: "memoryview[float]") -> None:
        self._places = places

    def finished(self, call: Answered) -> None:
        """Take note of an inference call that is over."""
        protocol, seconds, places = call.protocol, call.seconds, self._places
        place = _REQUEST[protocol].get(call.status)
        places[REQUESTS[protocol, OTHER] if place is None else place] += 1
        _observe(places, SECONDS[protocol], seconds)

    def refused(self, protocol: str, status: int) -> None:
        """Take note of a request that never became an inference call."""
        place = _REQUEST[protocol].get(status)
        self._places[REQUESTS[protocol, OTHER] if place is None else place] += 1

    def computed(self, requests: int, rows: int) -> None:
        """Take note of a run of the model."""
        _observe(self._places, RUN_REQUESTS, requests)
        _observe(self._places, RUN_ROWS, rows)

    def tap_dropped(self, records: int) -> None:
        """Say how many inferences the monitor was not told of, so far."""
        self._places[TAP_DROPPED] = records

    def loaded(self, seconds: float) -> None:
        """Take note of how long the model took until it could answer."""
        self._places[LOAD_SECONDS] = seconds

    def holds(self, in_flight: int, waiting: int) -> None:
        """Say how many requests are inside, and how many of these wait for a run."""
        self._places[IN_FLIGHT] = in_flight
        self._places[WAITING] = waiting


def _observe(places: "memoryview[float]", into: Distribution, value: float) -> None:
    total = into.sum
    places[total] += value
    places[total + 1 + bisect_left(into.bounds, value)] += 1
