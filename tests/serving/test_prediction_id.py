import uuid

from hypothesis import given
from hypothesis import strategies as st

from driftline_serving.server.prediction_id import RANDOM_BITS, pod_hash, pod_of, prediction_id


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**RANDOM_BITS - 1), st.integers(0, 2**32 - 1))
def test_is_a_uuid_of_version_7_that_names_time_and_pod(ms: int, random: int, pod: int) -> None:
    identifier = prediction_id(ms, random, pod)
    parsed = uuid.UUID(identifier)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == ms
    assert pod_of(identifier) == pod


@given(st.integers(0, 2**RANDOM_BITS - 2))
def test_every_random_bit_counts(random: int) -> None:
    assert prediction_id(1, random, 7) != prediction_id(1, random + 1, 7)


def test_later_predictions_sort_later() -> None:
    assert prediction_id(1, 2**RANDOM_BITS - 1, 2**32 - 1) < prediction_id(2, 0, 0)


def test_pods_differ_and_spellings_do_not() -> None:
    assert pod_hash("10.0.0.1") != pod_hash("10.0.0.2")
    assert pod_hash("fd00::1") == pod_hash("fd00:0:0::1")
