"""Whatever goes wrong in whatever order: the latest spec is realised, and nothing breaks."""

import asyncio

import pytest

from tests.faults.schedule import Schedule

SEEDS = 500
LONG_SEEDS = 3_000
BATCH = 25


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_the_latest_spec_is_realised_whatever_goes_wrong(first: int) -> None:
    run_batch(first)


@pytest.mark.long
@pytest.mark.parametrize("first", range(SEEDS, LONG_SEEDS, BATCH))
def test_the_same_of_many_more_schedules(first: int) -> None:
    run_batch(first)


def test_a_router_that_is_about_to_be_ready_counts() -> None:
    """It had taken an old configuration, and became Ready while the Deployment in it went."""
    asyncio.run(Schedule(1821).run())


def run_batch(first: int) -> None:
    for seed in range(first, first + BATCH):
        try:
            asyncio.run(Schedule(seed).run())
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
