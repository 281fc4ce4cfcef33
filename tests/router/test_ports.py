"""Which Model listens on which port."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from driftline_api.model import Traffic
from driftline_operator.router.inputs import Wanted, wanted
from driftline_operator.router.ports import ALL_PORTS, Allocation, allocate

NOW = datetime(2026, 1, 2, tzinfo=UTC)
NOBODY = Allocation(held={}, freed={})
FEW = range(10_000, 10_004)


def models(**uids: str) -> list[Wanted]:
    return [wanted(name, uid, Traffic()) for name, uid in uids.items()]


def ports(allocation: Allocation) -> dict[str, int]:
    return {name: held.port for name, held in allocation.held.items()}


def test_each_model_gets_a_port_of_its_own() -> None:
    many = models(**{f"m{number}": f"uid-{number}" for number in range(500)})
    given_out = ports(allocate(many, NOBODY, NOW))
    assert len(set(given_out.values())) == 500
    assert all(port in ALL_PORTS for port in given_out.values())


def test_a_model_keeps_its_port() -> None:
    first = allocate(models(a="1", b="2"), NOBODY, NOW)
    second = allocate(models(a="1", b="2", c="3"), first, NOW)
    assert ports(first).items() <= ports(second).items()


def test_a_port_is_found_again_after_the_record_was_lost() -> None:
    first = allocate(models(a="1", b="2"), NOBODY, NOW)
    assert ports(allocate(models(b="2"), NOBODY, NOW))["b"] == ports(first)["b"]


def test_a_freed_port_rests_for_an_hour() -> None:
    before = allocate(models(a="1", b="2", c="3", d="4"), NOBODY, NOW, FEW)
    after = allocate(models(a="1", b="2", c="3"), before, NOW, FEW)
    assert after.freed == {ports(before)["d"]: NOW}
    early = allocate(models(a="1", b="2", c="3", e="5"), after, NOW + timedelta(minutes=59), FEW)
    assert early.without == ("e",)
    late = allocate(models(a="1", b="2", c="3", e="5"), early, NOW + timedelta(minutes=60), FEW)
    assert ports(late)["e"] == ports(before)["d"]
    assert late.freed == {}


def test_a_recreated_model_is_another_model() -> None:
    before = allocate(models(a="1"), NOBODY, NOW)
    after = allocate(models(a="other"), before, NOW)
    assert ports(after)["a"] != ports(before)["a"]
    assert after.freed == {ports(before)["a"]: NOW}


def test_who_finds_no_port_is_named_and_disturbs_nobody() -> None:
    before = allocate(models(a="1", b="2", c="3", d="4"), NOBODY, NOW, FEW)
    after = allocate(models(a="1", b="2", c="3", d="4", e="5"), before, NOW, FEW)
    assert (ports(after), after.without) == (ports(before), ("e",))


def test_a_record_that_two_models_share_a_port_is_not_repeated() -> None:
    """A person may edit the ConfigMap; the next allocation must still be sound."""
    before = allocate(models(a="1"), NOBODY, NOW)
    doubled = Allocation(held={**before.held, "b": before.held["a"]}, freed={})
    after = allocate(models(a="1", b="2"), doubled, NOW)
    assert len(set(ports(after).values())) == 2


STEPS = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("12"), max_size=6),
        st.integers(min_value=0, max_value=40),
    ),
    max_size=12,
)


@given(STEPS)
def test_however_models_come_and_go_no_port_is_shared_nor_given_out_early(
    steps: list[tuple[dict[str, str], int]],
) -> None:
    state, now, given_up = NOBODY, NOW, dict[int, datetime]()
    for uids, minutes in steps:
        now += timedelta(minutes=minutes)
        before = {(held.uid, held.port) for held in state.held.values()}
        named = {name: f"{name}{uid}" for name, uid in uids.items()}
        state = allocate(models(**named), state, now, FEW)
        after = {(held.uid, held.port) for held in state.held.values()}
        assert len({port for _, port in after}) == len(after)
        assert state.held.keys() | set(state.without) == uids.keys()
        given_up |= {port: now for _, port in before - after}
        for _, port in after - before:
            rested = now - given_up.get(port, NOW - timedelta(days=1))
            assert rested >= timedelta(hours=1)
