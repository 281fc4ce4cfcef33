"""The keys of a namespace's receipts: when there is a new one, and how long the old ones stay."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from driftline_api.keys import (
    SPREAD,
    Keys,
    ReceiptKey,
    new_key,
    parse_keys,
    render_keys,
    signing_key,
)
from driftline_operator.core.plan import Plan
from tests.router.builders import NAMESPACE, NOW, Cluster, a_model

SECRET, FILE = "driftline-keys", "keys.json"


def a_key(number: int = 1, **age: float) -> ReceiptKey:
    return new_key(bytes([number]) * 38, NOW - timedelta(**age))


def a_secret(text: str) -> dict[str, Any]:
    """Return the Secret as the API server shows it."""
    labels = {
        "app.kubernetes.io/managed-by": "driftline",
        "app.kubernetes.io/component": "router",
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET, "namespace": NAMESPACE, "labels": labels},
        "data": {FILE: base64.b64encode(text.encode()).decode()},
    }


def kept(cluster: Cluster) -> tuple[ReceiptKey, ...]:
    """Return the keys that are in the Secret."""
    secret = cluster.find("Secret", SECRET)
    assert secret is not None
    return parse_keys(base64.b64decode(secret["data"][FILE])).keys


def writes(plan: Plan) -> list[dict[str, Any]]:
    return [dict(each) for each in plan.apply if each["kind"] == "Secret"]


def test_the_first_model_brings_a_key() -> None:
    cluster = Cluster(a_model())
    cluster.reconcile()
    (key,) = kept(cluster)
    assert (key.created, len(key.id), len(key.secret)) == (NOW, 8, 32)


def test_a_namespace_without_models_gets_no_key() -> None:
    assert Cluster().plan() == Plan()


def test_the_same_keys_are_written_the_same_way() -> None:
    cluster = Cluster(a_model())
    cluster.reconcile()
    cluster.wait(days=29)
    (first,), (second,) = writes(cluster.plan()), writes(cluster.plan())
    assert first == second
    assert kept(cluster) == parse_keys(base64.b64decode(first["data"][FILE])).keys


def test_a_new_key_every_thirty_days_and_the_old_ones_for_ninety_more() -> None:
    cluster = Cluster(a_model())
    ages = []
    for _ in range(300):
        cluster.reconcile()
        ages.append([(cluster.now - key.created).days for key in kept(cluster)])
        cluster.wait(days=1)
    assert ages[29] == [29]
    assert ages[30] == [30, 0]
    assert ages[120] == [120, 90, 60, 30, 0]
    assert ages[121] == [91, 61, 31, 1]
    assert max(map(len, ages)) == 5
    assert max(age[-1] for age in ages) == 29


def test_a_key_is_valid_for_the_horizon_after_the_last_receipt_that_it_signed() -> None:
    older, newer = a_key(1, days=90), a_key(2, days=90, minutes=-10)
    cluster = Cluster(a_model(), a_secret(render_keys([older, newer])))
    cluster.reconcile()
    assert older in kept(cluster)
    cluster.wait(minutes=20, seconds=1)
    cluster.reconcile()
    assert older not in kept(cluster)
    assert newer in kept(cluster)


def test_the_keys_are_written_only_over_what_was_read() -> None:
    cluster = Cluster(a_model())
    (first,) = writes(cluster.reconcile())
    assert "resourceVersion" not in first["metadata"]
    seen = cluster.find("Secret", SECRET)
    assert seen is not None
    (second,) = writes(cluster.plan())
    assert second["metadata"]["resourceVersion"] == seen["metadata"]["resourceVersion"]


def test_a_deleted_secret_is_made_anew() -> None:
    cluster = Cluster(a_model())
    cluster.reconcile()
    (before,) = kept(cluster)
    cluster.remove("Secret", SECRET)
    cluster.wait(hours=1)
    cluster.reconcile()
    (after,) = kept(cluster)
    assert after.id != before.id
    assert after.secret != before.secret


def entries(*keys: ReceiptKey) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(render_keys(keys))["keys"]
    return found


Damage = Callable[[list[dict[str, str]]], object]


@pytest.mark.parametrize(
    "damage",
    [
        lambda them: them[0].update(secret="short"),
        lambda them: them[0].update(secret=them[0]["secret"][:-4]),
        lambda them: them[0].update(secret=7),
        lambda them: them[0].update(created="yesterday"),
        lambda them: them[0].update(created="2026-01-01T00:00:00"),
        lambda them: them[0].update(id="no base64"),
        lambda them: them[0].update(id=""),
        lambda them: them[0].pop("created"),
        lambda them: them.__setitem__(0, {}),
        lambda them: them.append(them[-1]),
    ],
)
def test_a_damaged_key_goes_alone_and_that_is_told(damage: Damage) -> None:
    older, newer = a_key(1, days=20), a_key(2, days=10)
    them = entries(older, newer)
    damage(them)
    cluster = Cluster(a_model(), a_secret(json.dumps({"keys": them})))
    (event,) = cluster.reconcile().events
    assert newer in kept(cluster)
    assert (event.type, event.reason, event.about.name) == ("Warning", "KeysDamaged", SECRET)
    assert "1 of its entries" in event.message
    assert cluster.plan().events == ()


@pytest.mark.parametrize("text", ["", "{}", "[]", "not json", '{"keys": 3}', "null", "\0"])
def test_a_damaged_file_is_made_anew(text: str) -> None:
    cluster = Cluster(a_model(), a_secret(text))
    (event,) = cluster.reconcile().events
    assert event.reason == "KeysDamaged"
    (key,) = kept(cluster)
    assert key.created == NOW


def test_what_is_no_base64_counts_as_damaged() -> None:
    cluster = Cluster(a_model(), {**a_secret(""), "data": {FILE: "%%%"}})
    (event,) = cluster.reconcile().events
    assert event.reason == "KeysDamaged"


def test_no_secret_shows_in_what_is_told_or_represented() -> None:
    key = a_key()
    damaged = [*entries(key), {**entries(a_key(2))[0], "created": "?"}]
    cluster = Cluster(a_model(), a_secret(json.dumps({"keys": damaged})))
    (event,) = cluster.reconcile().events
    for shown in (repr(key), repr(Keys(keys=(key,))), event.message):
        assert damaged[0]["secret"] not in shown
        assert repr(key.secret) not in shown


def test_the_keys_outlive_the_routers_by_the_horizon() -> None:
    cluster = Cluster(a_model())
    cluster.reconcile()
    before = kept(cluster)
    cluster.wait(seconds=1)
    cluster.remove("Model", "iris")
    cluster.reconcile()
    for _ in range(90):
        cluster.wait(days=1)
        cluster.reconcile()
    assert cluster.find("Deployment", "driftline-router") is None
    assert kept(cluster) == before
    cluster.wait(minutes=6)
    gone = [(each.ref.kind, each.ref.name) for each in cluster.reconcile().delete]
    assert gone == [("Secret", SECRET), ("ConfigMap", "driftline-router")]
    assert cluster.plan() == Plan()


def test_a_model_that_comes_back_finds_the_keys_there() -> None:
    cluster = Cluster(a_model())
    cluster.reconcile()
    (before,) = kept(cluster)
    cluster.remove("Model", "iris")
    for _ in range(60):
        cluster.reconcile()
        cluster.wait(days=1)
    cluster.put(a_model("wine"))
    cluster.reconcile()
    old, new = kept(cluster)
    assert (old, new.created) == (before, cluster.now)


def test_what_remembers_the_end_is_written_anew_while_the_keys_are_there() -> None:
    cluster = Cluster(a_model())
    cluster.reconcile()
    cluster.remove("Model", "iris")
    cluster.remove("ConfigMap", "driftline-router")
    cluster.reconcile()
    assert cluster.find("Deployment", "driftline-router") is None
    assert cluster.find("ConfigMap", "driftline-router") is not None
    cluster.reconcile()
    assert cluster.find("Deployment", "driftline-router") is None
    cluster.wait(days=90)
    cluster.reconcile()
    assert cluster.find("Secret", SECRET) is None
    assert cluster.find("ConfigMap", "driftline-router") is None


def test_a_clock_that_was_set_back_takes_no_key_away() -> None:
    cluster = Cluster(a_model())
    cluster.wait(days=400)
    cluster.reconcile()
    before = kept(cluster)
    cluster.wait(days=-400)
    cluster.reconcile()
    assert kept(cluster) == before


def test_a_key_signs_when_everybody_can_have_it() -> None:
    older, newer = a_key(1, days=30), a_key(2)
    assert signing_key((older, newer), NOW) == older
    assert signing_key((older, newer), NOW + SPREAD) == newer
    assert signing_key((newer,), NOW) == newer
    assert signing_key((), NOW) is None


def test_keys_survive_being_written_down() -> None:
    keys = (a_key(1, days=3), a_key(2, days=2), a_key(3))
    assert parse_keys(render_keys(keys)) == Keys(keys=keys)
