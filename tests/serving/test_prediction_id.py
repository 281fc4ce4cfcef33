import uuid

from hypothesis import given
from hypothesis import strategies as st

from driftline_serving.server.prediction_id import PredictionIds, pod_hash, pod_of

RANDOM = 2**44


def ids(pod: int, random: int) -> PredictionIds:
    """Ids of which all have these random digits."""
    digits = f"{random:011x}"
    return PredictionIds(pod, lambda count: bytes.fromhex(digits * (2 * count // len(digits))))


@given(st.integers(0, 2**48 - 1), st.integers(0, RANDOM - 1), st.integers(0, 2**32 - 1))
def test_is_a_uuid_of_version_7_that_names_time_and_pod(ms: int, random: int, pod: int) -> None:
    identifier = ids(pod, random)(ms)
    parsed = uuid.UUID(identifier)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert str(parsed) == identifier
    assert parsed.int >> 80 == ms
    assert pod_of(identifier) == pod


@given(st.integers(0, RANDOM - 1), st.integers(0, 43))
def test_all_random_bits_count_but_two(random: int, bit: int) -> None:
    same = ids(7, random)(1) == ids(7, random ^ 1 << bit)(1)
    # Of the digit that holds the variant, the higher half is taken.
    assert same is (bit in (30, 31))


def test_no_two_are_the_same() -> None:
    make = PredictionIds(7)
    assert len({make(1) for _ in range(10_000)}) == 10_000


def test_later_predictions_sort_later() -> None:
    assert ids(2**32 - 1, RANDOM - 1)(1) < ids(0, 0)(2)


def test_pods_differ_and_spellings_do_not() -> None:
    assert pod_hash("10.0.0.1") != pod_hash("10.0.0.2")
    assert pod_hash("fd00::1") == pod_hash("fd00:0:0::1")
