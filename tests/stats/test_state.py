"""Stored states come back as they were, or are refused with the place that is wrong."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_stats.errors import StateError
from driftline_stats.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner(State):
    KIND: ClassVar[str] = "inner"
    label: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outer(State):
    KIND: ClassVar[str] = "outer"
    count: int | None
    values: tuple[float, ...]
    by_name: dict[str, Inner]
    counts: npt.NDArray[np.int64]
    sums: npt.NDArray[np.float64]


floats = st.floats()
integers = st.integers(-(2**63), 2**63 - 1)


@st.composite
def outers(draw: st.DrawFn) -> Outer:
    names = draw(st.lists(st.text(), unique=True, max_size=3))
    return Outer(
        count=draw(st.none() | st.integers()),
        values=tuple(draw(st.lists(floats, max_size=4))),
        by_name={name: Inner(label=name, value=draw(floats)) for name in names},
        counts=np.array(draw(st.lists(integers, max_size=5)), np.int64),
        sums=np.array(draw(st.lists(floats, max_size=5)), np.float64),
    )


@given(outers())
def test_what_is_stored_comes_back_to_the_bit(state: Outer) -> None:
    read = Outer.from_json(state.to_json())
    assert read.to_json() == state.to_json()
    assert read == state
    assert read.counts.dtype == np.int64
    assert np.array_equal(read.counts, state.counts)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON"),
        ("[]", "inner: expected an object, found list"),
        ('{"kind":"outer","version":1}', "expected kind 'inner', found 'outer'"),
        ('{"kind":"inner","version":2}', "version 2 is not known, only 1"),
        ('{"kind":"inner","version":1,"label":"a"}', "inner: value missing"),
        ('{"kind":"inner","version":1,"label":"a","value":"1"}', "inner.value: expected float"),
        ('{"kind":"inner","version":1,"label":2,"value":1}', "inner.label: expected str"),
        ('{"kind":"inner","version":1,"label":"","value":1,"x":1}', "x not known"),
    ],
)
def test_refuses_what_it_did_not_write(text: str, said: str) -> None:
    with pytest.raises(StateError, match=said):
        Inner.from_json(text)


def test_an_infinite_float_is_no_number_of_json() -> None:
    state = Inner(label="", value=-math.inf)
    assert '"value":"-inf"' in state.to_json()
    assert Inner.from_json(state.to_json()).value == -math.inf
