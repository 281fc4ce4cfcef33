"""What makes a revision another one, and what does not."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_api.model import ModelSpec
from driftline_operator.model.canonical import canonical, short_hash
from driftline_operator.model.children import render_controller_revision
from driftline_operator.model.containers import Images
from driftline_operator.model.gather import parse_record
from driftline_operator.model.observed import Pinned
from driftline_operator.model.revision import (
    MOST_REMEMBERED,
    artifact_hash,
    kept_records,
    plan_target,
    revision_name,
)
from tests.model.builders import DIGEST, IMAGES, OTHER_DIGEST, a_record, a_spec, a_subject, observed

PINNED = Pinned(uri="s3://models/iris.onnx", digest=DIGEST, secret="models-s3")


def named(pinned: Pinned = PINNED, **spec: Any) -> str:
    return revision_name("iris", ModelSpec.model_validate(a_spec(**spec)), pinned)


REGRESSION = {"prediction": {"task": "regression", "tensor": "y"}}


def test_the_name_of_a_content_never_changes_from_one_version_of_driftline_to_the_next() -> None:
    assert named() == "iris-ga5dqoxays"
    assert named(resources={"limits": {"cpu": "1"}}) == "iris-he3blttr7a"
    assert named(signature=REGRESSION) == "iris-vqxs3qcyla"


SAME: dict[str, dict[str, Any]] = {
    "replicas": {"replicas": 7},
    "autoscaling": {"autoscaling": {"maxReplicas": 9}},
    "rollout": {"rollout": {"progressDeadlineSeconds": 60}},
    "history": {"revisionHistoryLimit": 1},
    "the default runtime": {"runtime": {"onnx": {}}},
    "an empty runtime": {"runtime": {}},
    "empty values": {"podTemplate": {}, "resources": {}, "tolerations": [], "nodeSelector": {}},
    "no signature": {"signature": None},
    "the artifact's refresh token": {"artifact": {"refreshToken": "again"}},
}


@pytest.mark.parametrize("spec", SAME.values(), ids=SAME.keys())
def test_it_is_the_same_revision_with_another(spec: dict[str, Any]) -> None:
    assert named(**spec) == named()


OTHER: dict[str, dict[str, Any]] = {
    "runtime": {"runtime": {"onnx": {"threads": 2}}},
    "container": {"runtime": {"container": {"image": "team/server:1"}}},
    "port": {"runtime": {"container": {"image": "team/server:1", "ports": {"http": 9000}}}},
    "gRPC port": {"runtime": {"container": {"image": "team/server:1", "ports": {"grpc": 9001}}}},
    "refresh token": {"runtime": {"refreshToken": "again"}},
    "resources": {"resources": {"limits": {"cpu": "1"}}},
    "service account": {"serviceAccountName": "iris"},
    "pull secrets": {"imagePullSecrets": [{"name": "team"}]},
    "node selector": {"nodeSelector": {"disk": "ssd"}},
    "tolerations": {"tolerations": [{"operator": "Exists"}]},
    "affinity": {"affinity": {"nodeAffinity": {"x": 1}}},
    "spread": {"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1}]},
    "priority": {"priorityClassName": "high"},
    "signature": {"signature": REGRESSION},
    "pod template": {"podTemplate": {"metadata": {"labels": {"a": "b"}}}},
}


def test_it_is_another_revision_with_any_other_of_what_is_in_the_pod() -> None:
    names = {name: named(**spec) for name, spec in OTHER.items()}
    names["digest"] = named(Pinned(uri=PINNED.uri, digest=OTHER_DIGEST, secret="models-s3"))
    names["uri"] = named(Pinned(uri="s3://models/other.onnx", digest=DIGEST, secret="models-s3"))
    names["secret"] = named(Pinned(uri=PINNED.uri, digest=DIGEST, secret="corrected"))
    names["nothing"] = named()
    assert len(set(names.values())) == len(names)


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.dictionaries(st.text(max_size=5), inner, max_size=4) | st.lists(inner),
    max_leaves=20,
)


@given(trees, st.integers())
def test_the_order_of_keys_changes_no_hash(tree: object, seed: int) -> None:
    shuffled = _shuffled(tree, random.Random(seed))
    assert canonical(shuffled) == canonical(tree)
    assert short_hash(shuffled) == short_hash(tree)


def _shuffled(value: object, chance: random.Random) -> object:
    if isinstance(value, dict):
        items = [(key, _shuffled(each, chance)) for key, each in value.items()]
        chance.shuffle(items)
        return dict(items)
    return [_shuffled(each, chance) for each in value] if isinstance(value, list) else value


@given(
    st.integers(1, 1000),
    st.integers(0, 20),
    st.text("abc.:/", min_size=1),
    st.sampled_from(["Always", "Never"]),
)
def test_neither_replicas_nor_history_nor_the_operators_images_make_a_revision(
    replicas: int, history: int, image: str, pull: str
) -> None:
    spec = ModelSpec.model_validate(a_spec(replicas=replicas, revisionHistoryLimit=history))
    images = Images(serving=image, pull_policy=pull)
    assert plan_target(observed(a_subject()), spec, PINNED, images).name == named()


def test_a_name_is_fit_for_all_objects_that_bear_it() -> None:
    hashed = short_hash({"any": "thing"})
    assert len(hashed) == 10
    assert hashed == hashed.lower()
    assert hashed.isalnum()
    assert len(f"{'m' * 40}-{hashed}") <= 63


@pytest.mark.parametrize(
    ("runtime", "ports"),
    [
        ({}, (8080, 9000)),
        ({"container": {"image": "team/server:1"}}, (8080, None)),
        ({"container": {"image": "team/server:1", "ports": {"http": 1, "grpc": 2}}}, (1, 2)),
    ],
)
def test_a_new_revision_says_where_it_serves(
    runtime: dict[str, Any], ports: tuple[int, int | None]
) -> None:
    spec = ModelSpec.model_validate(a_spec(runtime=runtime))
    made = plan_target(observed(a_subject()), spec, PINNED, IMAGES)
    assert (made.port, made.grpc_port) == ports
    server, *_ = made.template["spec"]["containers"]
    named_ports = {each["name"]: each["containerPort"] for each in server["ports"]}
    assert (named_ports["http"], named_ports.get("grpc")) == ports
    stored = render_controller_revision(a_subject(), made)
    assert parse_record(stored) == made


def test_a_stored_revision_keeps_its_template_and_is_numbered_anew_when_gone_back_to() -> None:
    spec = ModelSpec.model_validate(a_spec())
    stored = a_record(named(), 1, template={"spec": {"containers": []}})
    newer = a_record("iris-newer", 5)
    target = plan_target(observed(a_subject(), stored, newer), spec, PINNED, IMAGES)
    assert target.template == stored.template
    assert target.number == 6
    assert target.grpc_port is None, "it was made before there was gRPC"
    alone = plan_target(observed(a_subject(), stored), spec, PINNED, IMAGES)
    assert alone.number == 1, "the highest number already"


def test_a_revision_remembers_each_artifact_that_was_resolved_to_it() -> None:
    spec = ModelSpec.model_validate(a_spec(digest=None))
    mine = artifact_hash(spec.artifact)
    stored = a_record(named(digest=None), 1, resolved_from=("first",))
    target = plan_target(observed(a_subject(), stored), spec, PINNED, IMAGES)
    assert target.resolved_from == ("first", mine)
    full = a_record(named(), 1, resolved_from=tuple(map(str, range(MOST_REMEMBERED))))
    target = plan_target(observed(a_subject(), full), spec, PINNED, IMAGES)
    assert len(target.resolved_from) == MOST_REMEMBERED
    assert target.resolved_from[-1] == mine


@pytest.mark.parametrize(
    ("limit", "kept"), [(0, {"b", "d"}), (1, {"b", "d", "e"}), (2, {"b", "c", "d", "e"})]
)
def test_history_keeps_what_is_needed_and_the_newest_others(limit: int, kept: set[str]) -> None:
    records = [a_record(name, number) for number, name in enumerate("abcde")]
    found = kept_records(records, {"b", "d"}, limit)
    assert {each.name for each in found} == kept
