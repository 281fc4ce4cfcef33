"""What the operator knows."""

import tracemalloc

from driftline_api.names import COMPONENT, MODEL
from driftline_operator.core.plan import ObjectRef
from driftline_operator.core.store import Store
from tests.core.builders import NAMESPACE, an_object


def names(found: object) -> list[str]:
    return [each["metadata"]["name"] for each in found]  # type: ignore[attr-defined]  # JSON


def test_what_was_put_is_found() -> None:
    store = Store()
    change = store.put(an_object(data={"key": "värde"}))
    assert change is not None
    assert change.old is None
    found = store.get(ObjectRef.of(an_object()))
    assert found == change.new == store.find("ConfigMap", NAMESPACE, "a")
    assert found is not None
    assert found["data"] == {"key": "värde"}


def test_nobody_can_change_what_another_reads() -> None:
    store = Store()
    store.put(an_object(data={"key": "1"}))
    found = store.find("ConfigMap", NAMESPACE, "a")
    assert found is not None
    found["data"]["key"] = "2"
    again = store.find("ConfigMap", NAMESPACE, "a")
    assert again is not None
    assert again["data"]["key"] == "1"


def test_the_same_again_is_no_change() -> None:
    store = Store()
    store.put(an_object(version=5))
    assert store.put(an_object(version=5)) is None


def test_an_older_state_is_ignored() -> None:
    store = Store()
    store.put(an_object(version=10, data={"key": "new"}))
    assert store.put(an_object(version=9, data={"key": "old"})) is None
    found = store.find("ConfigMap", NAMESPACE, "a")
    assert found is not None
    assert found["data"] == {"key": "new"}


def test_the_deletion_of_an_earlier_object_is_ignored() -> None:
    store = Store()
    store.put(an_object(uid="second", version=10))
    assert store.drop(an_object(uid="first", version=9)) is None
    assert store.find("ConfigMap", NAMESPACE, "a") is not None


def test_a_dropped_object_is_told_with_its_last_state() -> None:
    store = Store()
    store.put(an_object(data={"key": "1"}))
    change = store.drop(an_object(version=2))
    assert change is not None
    assert change.new is None
    assert change.latest["data"] == {"key": "1"}
    assert store.namespaces("ConfigMap") == []


def test_children_are_found_by_their_models_label() -> None:
    store = Store()
    store.put(an_object("b"))
    store.put(an_object("a"))
    store.put(an_object("p", kind="Pod", spec={}))
    store.put(an_object("foreign", metadata={"labels": {MODEL: "other"}}))
    assert names(store.owned(NAMESPACE, "m")) == ["a", "b", "p"]
    assert names(store.owned(NAMESPACE, "m", "Pod")) == ["p"]
    assert store.owned("elsewhere", "m") == ()


def test_a_child_that_changes_its_label_changes_its_model() -> None:
    store = Store()
    store.put(an_object("a"))
    store.put(an_object("a", version=2, metadata={"labels": {MODEL: "other"}}))
    assert store.owned(NAMESPACE, "m") == ()
    assert names(store.owned(NAMESPACE, "other")) == ["a"]
    store.put(an_object("a", version=3, metadata={"labels": {}}))
    assert store.owned(NAMESPACE, "other") == ()


def test_a_kind_is_found_by_labels() -> None:
    store = Store()
    store.put(an_object("router", kind="Pod", metadata={"labels": {COMPONENT: "router"}}))
    store.put(an_object("server", kind="Pod"))
    assert names(store.of_kind("Pod", NAMESPACE, {COMPONENT: "router"})) == ["router"]
    assert names(store.of_kind("Pod")) == ["router", "server"]


def test_stamps_tell_states_apart() -> None:
    store = Store()
    store.put(an_object("a", version=3))
    assert store.stamps("ConfigMap", NAMESPACE)["a"].resource_version == "3"


def test_a_list_repairs_what_a_watch_missed() -> None:
    store = Store()
    store.put(an_object("gone", version=1))
    store.put(an_object("old", version=2))
    store.put(an_object("same", version=3))
    listing = store.begin_replace("ConfigMap", "")
    items = [an_object("old", version=7), an_object("same", version=3), an_object("new", version=6)]
    found = store.take_page(listing, items)
    found += store.end_replace(listing, "8")
    changed = {each.latest["metadata"]["name"]: each for each in found}
    assert set(changed) == {"gone", "old", "new"}
    assert changed["gone"].new is None
    assert names(store.of_kind("ConfigMap")) == ["new", "old", "same"]


def test_a_list_does_not_undo_what_happened_since_it_was_taken() -> None:
    store = Store()
    store.put(an_object("deleted", version=1))
    listing = store.begin_replace("ConfigMap", "")
    store.put(an_object("written", version=20))
    store.put(an_object("changed", version=21))
    store.drop(an_object("deleted", version=22))
    store.take_page(listing, [an_object("changed", version=2), an_object("deleted", version=1)])
    store.end_replace(listing, "10")
    assert names(store.of_kind("ConfigMap")) == ["changed", "written"]
    assert store.stamps("ConfigMap", NAMESPACE)["changed"].resource_version == "21"


def test_what_was_forgotten_during_a_list_stays_forgotten() -> None:
    store = Store()
    store.put(an_object("a", version=1))
    listing = store.begin_replace("ConfigMap", "")
    store.forget(ObjectRef.of(an_object("a")))
    assert store.take_page(listing, [an_object("a", version=1)]) == []


def test_a_list_of_one_namespace_leaves_the_others() -> None:
    store = Store()
    store.put(an_object("a", metadata={"namespace": "other"}))
    listing = store.begin_replace("ConfigMap", NAMESPACE)
    assert store.end_replace(listing, "10") == []
    assert names(store.of_kind("ConfigMap")) == ["a"]


def test_an_abandoned_list_changes_nothing() -> None:
    store = Store()
    store.put(an_object("a"))
    store.abandon_replace(store.begin_replace("ConfigMap", ""))
    assert names(store.of_kind("ConfigMap")) == ["a"]


def test_managed_fields_are_not_kept() -> None:
    store = Store()
    store.put(an_object(metadata={"managedFields": [{"manager": "x"}]}))
    found = store.find("ConfigMap", NAMESPACE, "a")
    assert found is not None
    assert "managedFields" not in found["metadata"]


def test_of_a_pod_is_kept_what_decisions_read() -> None:
    store = Store()
    spec = {
        "nodeName": "n",
        "volumes": [{"name": "v"}],
        "containers": [{"name": "server", "image": "i", "env": [{"name": "A", "value": "1"}]}],
    }
    status = {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]}
    annotations = {"driftline.dev/a": "1", "other": "2"}
    metadata = {"annotations": annotations}
    store.put(an_object(kind="Pod", spec=spec, status=status, metadata=metadata))
    found = store.find("Pod", NAMESPACE, "a")
    assert found is not None
    assert found["spec"]["containers"] == [{"name": "server", "image": "i"}]
    assert "volumes" not in found["spec"]
    assert found["status"] == {"phase": "Running", "podIP": "10.0.0.1"}
    assert found["metadata"]["annotations"] == {"driftline.dev/a": "1"}


def test_a_model_with_its_children_takes_50_kb() -> None:
    """The process takes 70 MB before it knows anything, and may take 200 with 1,000 Models."""
    models, children = 20, 8
    filling = {f"field-{n}": {"name": f"value-{n}", "value": "x" * 20} for n in range(60)}
    store = Store()
    tracemalloc.start()
    try:
        for i in range(models):
            for child in range(children):
                labels = {"labels": {MODEL: f"m{i}"}}
                store.put(an_object(f"m{i}-{child}", data=filling, metadata=labels))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used / models < 50_000
