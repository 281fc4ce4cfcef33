"""What is decided about the routers of a namespace."""

import json
from typing import Any

import pytest

from driftline_api.model import Traffic
from driftline_operator.core.controller import Change
from driftline_operator.core.plan import Plan
from driftline_operator.router.state import (
    ModelEntry,
    RouterState,
    models_concerned,
    parse_state,
    render_state,
)
from driftline_operator.router.traffic import Agreed, RouterView, router_view, traffic_hash
from tests.router.builders import KEY, NOW, Cluster, a_model, a_router_pod, traffic

ROUTER = "driftline-router"
ALL = {
    ("ConfigMap", ROUTER),
    ("ConfigMap", "driftline-router-bootstrap"),
    ("Deployment", ROUTER),
    ("PodDisruptionBudget", ROUTER),
    ("Secret", "driftline-keys"),
}
#: What outlives the routers until no receipt can be shown any more.
OUTLIVES = {("ConfigMap", ROUTER), ("Secret", "driftline-keys")}


def applied(plan: Plan) -> set[tuple[str, str]]:
    return {(each["kind"], each["metadata"]["name"]) for each in plan.apply}


def deleted(plan: Plan) -> set[tuple[str, str]]:
    return {(each.ref.kind, each.ref.name) for each in plan.delete}


def state(cluster: Cluster) -> RouterState:
    return parse_state(cluster.find("ConfigMap", ROUTER))


def test_the_first_model_brings_the_routers() -> None:
    cluster = Cluster(a_model())
    assert applied(cluster.reconcile()) == ALL
    entry = state(cluster).models["iris"]
    assert (entry.uid, entry.version) == ("uid-of-iris", state(cluster).version)
    assert entry.hash == traffic_hash(Traffic(), entry.port)


def test_a_namespace_without_models_gets_no_routers() -> None:
    assert Cluster().plan() == Plan()


def test_once_more_writes_no_state() -> None:
    cluster = Cluster(a_model())
    cluster.reconcile()
    cluster.wait(hours=5)
    again = cluster.plan()
    assert ("ConfigMap", ROUTER) not in applied(again)
    assert again.requeue_after == 600


def test_a_change_of_traffic_raises_the_version_of_that_model_alone() -> None:
    cluster = Cluster(a_model("a"), a_model("b"))
    cluster.reconcile()
    before = state(cluster)
    cluster.wait(seconds=1)
    cluster.put(a_model("b", traffic("b-1", stable="b-1")))
    cluster.reconcile()
    after = state(cluster)
    assert after.version == before.version + 1
    assert after.models["a"] == before.models["a"]
    assert (after.models["b"].version, after.models["b"].port) == (
        after.version,
        before.models["b"].port,
    )


def test_an_acknowledgement_is_no_change_of_traffic() -> None:
    cluster = Cluster(a_model())
    cluster.reconcile()
    cluster.wait(seconds=1)
    cluster.put(a_model(wants=Traffic(acknowledged=True), readyReplicas=3))
    assert ("ConfigMap", ROUTER) not in applied(cluster.plan())


def test_another_port_of_a_revision_is_a_change() -> None:
    cluster = Cluster(a_model(wants=traffic("x")))
    cluster.reconcile()
    cluster.wait(seconds=1)
    cluster.put(a_model(wants=traffic("x"), revisions=[{"name": "x", "port": 9000}]))
    assert ("ConfigMap", ROUTER) in applied(cluster.plan())


def test_changes_in_quick_succession_become_one_version() -> None:
    cluster = Cluster(a_model("a"))
    cluster.reconcile()
    cluster.wait(milliseconds=100)
    cluster.put(a_model("b"))
    early = cluster.plan()
    assert ("ConfigMap", ROUTER) not in applied(early)
    assert early.requeue_after == pytest.approx(0.4)
    cluster.put(a_model("c"))
    cluster.wait(milliseconds=400)
    before = state(cluster).version
    cluster.reconcile()
    assert state(cluster).version == before + 1
    assert set(state(cluster).models) == {"a", "b", "c"}


def test_a_clock_that_was_set_back_holds_up_nothing() -> None:
    cluster = Cluster(a_model("a"))
    cluster.reconcile()
    cluster.wait(hours=-1)
    cluster.put(a_model("b"))
    assert ("ConfigMap", ROUTER) in applied(cluster.plan())


def test_the_state_is_written_only_over_what_was_read() -> None:
    cluster = Cluster(a_model())
    (first, *_) = cluster.reconcile().apply
    assert "resourceVersion" not in first["metadata"]
    seen = cluster.find("ConfigMap", ROUTER)
    assert seen is not None
    cluster.wait(seconds=1)
    cluster.put(a_model("b"))
    (second, *_) = cluster.plan().apply
    assert second["metadata"]["resourceVersion"] == seen["metadata"]["resourceVersion"]


def test_routers_go_five_minutes_after_the_last_model() -> None:
    cluster = Cluster(a_model())
    cluster.reconcile()
    cluster.wait(minutes=1)
    cluster.remove("Model", "iris")
    last = cluster.reconcile()
    assert (state(cluster).models, state(cluster).empty_since) == ({}, cluster.now)
    assert last.requeue_after == pytest.approx(300, abs=1)
    cluster.wait(minutes=4, seconds=59)
    assert deleted(cluster.plan()) == set()
    cluster.wait(seconds=1)
    assert deleted(cluster.reconcile()) == ALL - OUTLIVES
    assert deleted(cluster.plan()) == set()


def test_a_model_that_comes_in_time_finds_the_routers_there() -> None:
    cluster = Cluster(a_model())
    cluster.reconcile()
    cluster.remove("Model", "iris")
    cluster.wait(minutes=1)
    cluster.reconcile()
    before = state(cluster)
    cluster.wait(minutes=4, seconds=30)
    cluster.put(a_model("wine"))
    cluster.reconcile()
    cluster.wait(minutes=1)
    assert deleted(cluster.plan()) == set()
    after = state(cluster)
    assert (after.version, after.empty_since) == (before.version + 1, None)


def test_what_a_crash_left_of_a_removal_is_removed() -> None:
    cluster = Cluster(a_model())
    cluster.reconcile()
    cluster.remove("Model", "iris")
    cluster.remove("ConfigMap", ROUTER)
    cluster.remove("Secret", "driftline-keys")
    assert deleted(cluster.reconcile()) == ALL - OUTLIVES
    assert cluster.plan() == Plan()


def test_a_lost_state_comes_back_with_the_same_ports_and_a_higher_version() -> None:
    cluster = Cluster(a_model("a"), a_model("b"))
    cluster.reconcile()
    for _ in range(50):
        cluster.wait(seconds=2)
        cluster.put(a_model("a", traffic(epoch=cluster.now.second)))
        cluster.reconcile()
    before = state(cluster)
    cluster.remove("ConfigMap", ROUTER)
    cluster.reconcile()
    after = state(cluster)
    assert {name: each.port for name, each in after.models.items()} == {
        name: each.port for name, each in before.models.items()
    }
    assert after.version > before.version


@pytest.mark.parametrize(
    "edit",
    [
        {"models": "{}"},
        {"models": "not json"},
        {"version": "one"},
        {"version": "3"},
        {"hash": ""},
        {"models": '{"iris": {"uid": "uid-of-iris", "port": "10000"}}'},
    ],
)
def test_what_a_person_breaks_in_the_state_is_mended(edit: dict[str, str]) -> None:
    cluster = Cluster(a_model())
    cluster.reconcile()
    before = state(cluster)
    manifest = dict(cluster.find("ConfigMap", ROUTER) or {})
    cluster.put({**manifest, "data": {**manifest["data"], **edit}})
    cluster.wait(seconds=1)
    cluster.reconcile()
    after = state(cluster)
    assert after.models["iris"].port == before.models["iris"].port
    assert after.hash == before.hash
    assert after.version >= before.version
    assert ("ConfigMap", ROUTER) not in applied(cluster.plan())


def test_the_state_survives_being_written_down() -> None:
    written = RouterState(
        version=7,
        hash="abc",
        models={"a": ModelEntry(uid="u", port=10_001, hash="h", version=5)},
        freed={10_002: NOW},
        problems={"b": "PortsExhausted"},
        updated=NOW,
        empty_since=NOW,
    )
    assert parse_state({"data": render_state(written)}) == written


def change(old: Any = None, new: Any = None) -> Change:
    return Change(old=old, new=new)


MANAGED = {"labels": {"app.kubernetes.io/component": "router"}, "namespace": "team"}
DEPLOYMENT = {"kind": "Deployment", "metadata": {"name": ROUTER, **MANAGED}}
FOREIGN = {"kind": "Deployment", "metadata": {"name": ROUTER, "namespace": "team"}}


@pytest.mark.parametrize(
    ("seen", "concerned"),
    [
        (change(new=a_model()), True),
        (change(old=a_model()), True),
        (change(a_model(), a_model()), False),
        (change(a_model(), a_model(readyReplicas=2)), False),
        (change(a_model(), a_model(wants=Traffic(acknowledged=True))), False),
        (change(a_model(), a_model(wants=traffic("x"))), True),
        (change(a_model(), a_model(uid="other")), True),
        (change(a_model(), a_model(revisions=[{"name": "x", "port": 9000}])), True),
        (change(new=DEPLOYMENT), True),
        (change(new=FOREIGN), False),
        (change(new=a_router_pod()), False),
    ],
)
def test_which_changes_concern_the_routers(seen: Change, concerned: bool) -> None:
    cluster = Cluster()
    assert tuple(cluster.controller.keys_for(seen, cluster.store)) == ((KEY,) if concerned else ())


def test_no_object_of_the_routers_depends_on_one_model() -> None:
    for manifest in Cluster(a_model()).plan().apply:
        assert "ownerReferences" not in manifest["metadata"]
        assert manifest["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "driftline"


def test_the_pod_is_restricted() -> None:
    manifests = {each["kind"]: each for each in Cluster(a_model()).plan().apply}
    deployment = manifests["Deployment"]["spec"]
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert deployment["selector"]["matchLabels"] == deployment["template"]["metadata"]["labels"]


ENTRY = ModelEntry(uid="u", port=10_001, hash="h", version=5)
HEALTHY = frozenset({"a-1"})
STATE = RouterState(version=6, models={"a": ENTRY}, problems={"b": "PortsExhausted"})


@pytest.mark.parametrize(
    ("model", "uid", "served", "view"),
    [
        ("a", "u", 6, RouterView(port=10_001, acknowledged="h", reached=HEALTHY, ready_replicas=2)),
        ("a", "u", 5, RouterView(port=10_001, acknowledged="h", reached=HEALTHY, ready_replicas=2)),
        ("a", "u", 4, RouterView(port=10_001, reached=HEALTHY, ready_replicas=2)),
        ("a", "another", 6, RouterView(ready_replicas=2)),
        ("b", "u", 6, RouterView(problem="PortsExhausted", ready_replicas=2)),
        ("c", "u", 6, RouterView(ready_replicas=2)),
    ],
)
def test_what_a_model_may_know(model: str, uid: str, served: int, view: RouterView) -> None:
    said = Agreed(version=served, reached=HEALTHY)
    assert router_view(model, uid, STATE, said, 2) == view


def test_which_models_a_new_state_concerns() -> None:
    other = RouterState(version=7, models={"a": ENTRY, "d": ENTRY})
    assert models_concerned(STATE, other) == ["b", "d"]
    assert models_concerned(STATE, STATE) == []


@pytest.mark.parametrize(
    "changed",
    [
        Traffic(epoch=2, clusters=["x"]),
        Traffic(epoch=1, clusters=["x", "y"]),
        traffic("x", stable="x"),
    ],
)
def test_another_traffic_has_another_hash(changed: Traffic) -> None:
    base = Traffic(epoch=1, clusters=["x"])
    assert traffic_hash(base, 1) != traffic_hash(changed, 1)
    assert traffic_hash(base, 1) != traffic_hash(base, 2)
    assert traffic_hash(base, 1) == traffic_hash(base.model_copy(update={"acknowledged": True}), 1)


def test_state_is_readable_by_people() -> None:
    cluster = Cluster(a_model())
    cluster.reconcile()
    data = (cluster.find("ConfigMap", ROUTER) or {})["data"]
    (entry,) = json.loads(data["models"]).values()
    assert set(entry) == {"uid", "port", "hash", "version"}
