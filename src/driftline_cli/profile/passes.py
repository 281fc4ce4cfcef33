"""Two passes over rows that stream: where bins are cut, and how many rows are in each."""

from collections.abc import Callable, Iterable

from driftline_cli.errors import UserError
from driftline_stats.drift.build import Counting, plan_of
from driftline_stats.drift.profile import Profile
from driftline_stats.drift.rows import Feature, Rows
from driftline_stats.drift.sample import Sampler

Stream = Callable[[str], Iterable[Rows]]
"""Begins the rows anew; told what for."""


def profile_of(features: tuple[Feature, ...], stream: Stream, *, in_order: bool) -> Profile:
    """Return the profile of rows that stream twice.

    What is in memory are 50,000 rows, however many there are.

    Args:
        features: of the rows.
        stream: the rows; both times the same.
        in_order: whether they stand in the order of time.

    Raises:
        UserError: there are no rows, or not the same ones at the second time.
    """
    sampler = Sampler()
    for rows in stream("looking at values"):
        sampler.add(rows)
    if not sampler.seen:
        raise UserError(
            "there are no rows: a profile needs at least one, and does well from 10,000"
        )
    counting = Counting(plan=plan_of(features, sampler), in_order=in_order)
    for rows in stream("counting rows"):
        counting.add(rows)
    profile = counting.profile()
    if profile.n_ref != sampler.seen:
        raise UserError(
            f"the file had {sampler.seen} rows, and {profile.n_ref} when it was read again: let "
            "nobody write to it meanwhile"
        )
    return profile
