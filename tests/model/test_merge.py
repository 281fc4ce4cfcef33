"""What a user adds to a pod is merged over what we render, as Kubernetes would."""

from typing import Any

import pytest

from driftline_api.model import ModelSpec
from driftline_api.names import MODEL, REVISION
from driftline_operator.model.containers import Identity
from driftline_operator.model.merge import merged
from driftline_operator.model.observed import Pinned
from driftline_operator.model.template import render_server_template
from tests.model.builders import DIGEST, IMAGES, a_spec

CASES: dict[str, tuple[Any, Any, Any]] = {
    "a value replaces": ({"a": 1, "b": 2}, {"a": 3}, {"a": 3, "b": 2}),
    "None removes": ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
    "maps merge": ({"m": {"a": 1}}, {"m": {"b": 2}}, {"m": {"a": 1, "b": 2}}),
    "lists merge by name": (
        {"containers": [{"name": "server", "image": "x"}]},
        {"containers": [{"name": "server", "tty": True}, {"name": "logs"}]},
        {"containers": [{"name": "server", "image": "x", "tty": True}, {"name": "logs"}]},
    ),
    "init containers of others come first": (
        {"initContainers": [{"name": "fetcher"}]},
        {"initContainers": [{"name": "warm"}]},
        {"initContainers": [{"name": "warm"}, {"name": "fetcher"}]},
    ),
    "mounts merge by path": (
        {"volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]},
        {"volumeMounts": [{"name": "tmp", "mountPath": "/var"}]},
        {
            "volumeMounts": [
                {"name": "tmp", "mountPath": "/tmp"},
                {"name": "tmp", "mountPath": "/var"},
            ]
        },
    ),
    "ports merge by number": (
        {"ports": [{"containerPort": 8080, "name": "http"}]},
        {"ports": [{"containerPort": 9000}]},
        {"ports": [{"containerPort": 8080, "name": "http"}, {"containerPort": 9000}]},
    ),
    "lists of texts are replaced": ({"args": ["a"]}, {"args": ["b", "c"]}, {"args": ["b", "c"]}),
    "what is of another kind replaces": ({"a": {"b": 1}}, {"a": "x"}, {"a": "x"}),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_merges(case: tuple[Any, Any, Any]) -> None:
    base, over, expected = case
    before = repr(base), repr(over)
    assert merged(base, over) == expected
    assert (repr(base), repr(over)) == before, "neither is changed"


def test_labels_by_which_pods_are_found_cannot_be_overwritten() -> None:
    labels = {MODEL: "other", REVISION: "other", "team": "risk"}
    spec = ModelSpec.model_validate(a_spec(podTemplate={"metadata": {"labels": labels}}))
    pinned = Pinned(uri="s3://models/iris.onnx", digest=DIGEST)
    identity = Identity(model="iris", revision="iris-aaaaaaaaaa")
    template = render_server_template(spec, pinned, identity, IMAGES)
    found = template["metadata"]["labels"]
    assert (found[MODEL], found[REVISION], found["team"]) == ("iris", "iris-aaaaaaaaaa", "risk")
