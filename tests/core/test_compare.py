"""Whether the cluster already holds what a plan wants."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_api.names import MANIFEST_HASH
from driftline_operator.core.compare import (
    is_contained,
    manifest_hash,
    merge_patch,
    quantity,
    stamped,
)

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
json_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abcdef", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=15,
)
manifests = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), json_values, max_size=4)


def spec(**fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a"}, "spec": fields}


@given(manifests)
def test_everything_contains_itself(manifest: dict[str, Any]) -> None:
    assert is_contained(manifest, copy.deepcopy(manifest))


@given(manifests, manifests)
def test_what_others_add_does_not_matter(ours: dict[str, Any], more: dict[str, Any]) -> None:
    assert is_contained(ours, {**more, **ours})


@given(manifests, st.text("abcdef", min_size=1, max_size=3), st.integers(1))
def test_a_changed_value_is_noticed(manifest: dict[str, Any], field: str, value: int) -> None:
    ours = {**manifest, field: value}
    assert not is_contained(ours, {**ours, field: value + 1})
    assert not is_contained(ours, {k: v for k, v in ours.items() if k != field})


@pytest.mark.parametrize("empty", [None, "", [], {}, 0, False, {"inner": []}])
def test_what_is_empty_may_be_absent(empty: Any) -> None:
    assert is_contained(spec(field=empty), spec())


@pytest.mark.parametrize(("ours", "live"), [(True, 1), (1, True), (0, False), ("1", 1)])
def test_values_of_another_type_differ(ours: Any, live: Any) -> None:
    assert not is_contained(spec(field=ours), spec(field=live))


def test_preconditions_and_status_are_not_asked_for() -> None:
    ours = {"metadata": {"name": "a", "uid": "1", "resourceVersion": "2"}, "status": {"x": 1}}
    assert is_contained(ours, {"metadata": {"name": "a", "uid": "9", "resourceVersion": "8"}})


def test_lists_with_keys_are_compared_item_by_item() -> None:
    ours = spec(containers=[{"name": "server", "image": "1"}])
    live = [{"name": "sidecar", "image": "2"}, {"name": "server", "image": "1", "tty": True}]
    assert is_contained(ours, spec(containers=live))
    assert not is_contained(ours, spec(containers=live[:1]))


def test_lists_without_keys_are_one_value() -> None:
    assert is_contained(spec(args=["a", "b"]), spec(args=["a", "b"]))
    assert not is_contained(spec(args=["a", "b"]), spec(args=["b", "a"]))
    assert not is_contained(spec(args=["a"]), spec(args=["a", "b"]))


def test_a_port_without_protocol_is_tcp() -> None:
    ours = spec(ports=[{"port": 80, "name": "http"}])
    live = spec(ports=[{"port": 80, "name": "http", "protocol": "TCP", "targetPort": 80}])
    assert is_contained(ours, live)
    assert not is_contained(ours, spec(ports=[{"port": 80, "name": "http", "protocol": "UDP"}]))


@pytest.mark.parametrize(
    ("ours", "live"), [("1000m", "1"), ("1024Mi", "1Gi"), ("0.5", "500m"), (1, "1"), ("1e3", "1k")]
)
def test_quantities_are_compared_by_value(ours: Any, live: str) -> None:
    assert is_contained(spec(limits={"cpu": ours}), spec(limits={"cpu": live}))
    assert not is_contained(spec(limits={"cpu": ours}), spec(limits={"cpu": "3"}))


def test_elsewhere_quantities_are_text() -> None:
    ours, live = {"name": "A", "value": "1000m"}, {"name": "A", "value": "1"}
    assert not is_contained(spec(env=[ours]), spec(env=[live]))


@given(st.integers(0, 10**6))
def test_a_quantity_is_the_same_in_any_unit(amount: int) -> None:
    assert quantity(f"{amount}") == quantity(f"{amount * 1000}m") == quantity(f"{amount}000e-3")
    assert quantity(f"{amount}Ki") == quantity(str(amount * 1024))


@given(manifests)
def test_the_hash_depends_on_content_alone(manifest: dict[str, Any]) -> None:
    one = {**manifest, "metadata": {"name": "a", "labels": {"x": "1", "y": "2"}}}
    two = {"metadata": {"labels": {"y": "2", "x": "1"}, "name": "a"}, **manifest}
    two["metadata"] = {"labels": {"y": "2", "x": "1"}, "name": "a"}
    assert manifest_hash(one) == manifest_hash(two)
    assert manifest_hash(one) != manifest_hash({**one, "more": 1})


def test_a_stamped_manifest_bears_the_hash_of_what_it_was() -> None:
    manifest = {"metadata": {"name": "a", "annotations": {"x": "1"}}}
    marked = stamped(manifest)
    assert marked["metadata"]["annotations"] == {"x": "1", MANIFEST_HASH: manifest_hash(manifest)}
    assert manifest["metadata"]["annotations"] == {"x": "1"}


def patched(current: Any, patch: Any) -> Any:
    """Apply a JSON merge patch as RFC 7396 defines it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(current) if isinstance(current, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = patched(result.get(key), value)
    return result


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return value


@given(manifests, manifests)
def test_the_patch_leads_from_any_status_to_any_other(
    current: dict[str, Any], desired: dict[str, Any]
) -> None:
    stored = without_nulls(current)
    assert patched(stored, merge_patch(stored, desired)) == without_nulls(desired)


@given(manifests)
def test_no_patch_where_nothing_changes(status: dict[str, Any]) -> None:
    stored = without_nulls(status)
    assert merge_patch(stored, copy.deepcopy(stored)) == {}
