"""Users who come back: their activity is heavy-tailed, their rates differ, their arm is sticky."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from driftline_stats.experiment.units import Sightings

SLOTS = 80
REQUESTS = 900
"""In each slot."""
USERS = 10_000
BUCKETS = 10_000
TINY = 1e-9
PARETO = 1.5
"""Index of the tail of activity: its variance is infinite."""
RATE, CONCENTRATION = 0.05, 5.0
"""Users' rates are of a Beta law: mean 5 %, standard deviation 9 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Who they are, ordered by when they first may come.

    Attributes:
        hashes: (users,) 64-bit.
        places: (users,) where in [0, 1) routing puts them: one of 10,000 buckets, by the hash.
        activity: (users,) cumulative sum of how often they come, relative to each other.
        rates: (users,) probability of an event at each request.
        here: (slots,) how many may come.
    """

    hashes: npt.NDArray[np.uint64]
    places: npt.NDArray[np.float64]
    activity: npt.NDArray[np.float64]
    rates: npt.NDArray[np.float64]
    here: npt.NDArray[np.int64]

    def arms(self, shares: Sequence[float]) -> npt.NDArray[np.int64]:
        """Return each user's arm."""
        return arms_at(self.places, shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One slot: who came, and what happened; arms are those of the shares then in force."""

    number: int
    epoch: int
    who: npt.NDArray[np.int64]
    arms: npt.NDArray[np.int64]
    events: npt.NDArray[np.float64]
    users: Users

    def seen(self, values: npt.NDArray[np.float64] | None = None) -> Sightings:
        """Return it as sightings of units, of events unless other values are given."""
        return Sightings(
            slot=self.number,
            epoch=self.epoch,
            units=self.users.hashes[self.who],
            arms=self.arms,
            values=self.events if values is None else values,
        )

    def by_arm(self, values: npt.NDArray[np.float64] | None, arms: int) -> npt.NDArray[np.int64]:
        """Return (1, arms) how many requests, or of those with such values the sum."""
        counted = np.bincount(self.arms, values, minlength=arms)
        return counted.astype(np.int64)[None]


def places(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """Return where in [0, 1) routing puts units."""
    return (hashes % np.uint64(BUCKETS)).astype(float) / BUCKETS


def arms_at(where: npt.NDArray[np.float64], shares: Sequence[float]) -> npt.NDArray[np.int64]:
    """Return the arms at places; of two arms, the second grows by what the first one gives."""
    bounds = 1 - np.cumsum(shares[:0:-1])[::-1]
    return np.searchsorted(bounds - TINY, where, side="right").astype(np.int64)


def users(rng: np.random.Generator, count: int = USERS) -> Users:
    """Draw users; half are there from the start, the others come over the first half."""
    starts = np.sort(np.maximum(rng.integers(-SLOTS // 2, SLOTS // 2, count), 0))
    hashes = rng.integers(0, 2**64, count, np.uint64)
    a, b = RATE * CONCENTRATION, (1 - RATE) * CONCENTRATION
    return Users(
        hashes=hashes,
        places=places(hashes),
        activity=np.cumsum(rng.pareto(PARETO, count) + 1),
        rates=rng.beta(a, b, count),
        here=np.searchsorted(starts, np.arange(SLOTS), side="right"),
    )


def robots_and_people(rng: np.random.Generator) -> Users:
    """Draw 20 robots that never fail and make half of all requests, and people who often do."""
    robots, people = 20, 5000
    hashes = rng.integers(0, 2**64, robots + people, np.uint64)
    activity = np.repeat([people / robots, 1.0], [robots, people])
    return Users(
        hashes=hashes,
        places=places(hashes),
        activity=np.cumsum(activity),
        rates=np.repeat([0.0, 0.3], [robots, people]),
        here=np.full(SLOTS, robots + people),
    )


def visits(
    rng: np.random.Generator,
    shares: Sequence[Sequence[float]],
    who: Users,
    requests: int = REQUESTS,
) -> Iterator[Slot]:
    """Yield what happens where no arm changes anything.

    Args:
        rng: randomness.
        shares: of the arms in each epoch; all epochs are equally long.
        who: the users.
        requests: in each slot.
    """
    for slot in range(SLOTS):
        epoch = slot * len(shares) // SLOTS
        upto = who.activity[who.here[slot] - 1]
        came = np.searchsorted(who.activity, rng.random(requests) * upto, side="right")
        events = (rng.random(requests) < who.rates[came]).astype(float)
        arms = who.arms(shares[epoch])[came]
        yield Slot(number=slot, epoch=epoch, who=came, arms=arms, events=events, users=who)
