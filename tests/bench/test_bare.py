import pytest

from e2e.bench.api import Object
from e2e.bench.bare import Written
from e2e.bench.owned import applied_by

DEPLOYMENT: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "m-1",
        "namespace": "a",
        "uid": "1",
        "labels": {"ours": "x", "theirs": "y"},
        "finalizers": ["ours", "theirs"],
        "managedFields": [
            {
                "manager": "other",
                "operation": "Update",
                "apiVersion": "apps/v1",
                "fieldsV1": {"f:status": {}},
            },
            {
                "manager": "driftline-operator",
                "operation": "Apply",
                "apiVersion": "apps/v1",
                "fieldsV1": {
                    "f:metadata": {
                        "f:labels": {"f:ours": {}},
                        "f:finalizers": {'v:"ours"': {}},
                    },
                    "f:spec": {
                        "f:template": {
                            "f:containers": {
                                'k:{"name":"server"}': {".": {}, "f:name": {}, "f:image": {}}
                            }
                        }
                    },
                },
            },
        ],
    },
    "spec": {
        "replicas": 1,
        "template": {
            "containers": [
                {"name": "server", "image": "i", "imagePullPolicy": "Always"},
                {"name": "injected", "image": "j"},
            ]
        },
    },
    "status": {"replicas": 1},
}


def test_what_a_manager_applied_is_found_without_defaults_status_and_others_fields() -> None:
    assert applied_by("driftline-operator", DEPLOYMENT) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "m-1",
            "namespace": "a",
            "labels": {"ours": "x"},
            "finalizers": ["ours"],
        },
        "spec": {"template": {"containers": [{"name": "server", "image": "i"}]}},
    }


def test_nothing_was_applied_by_one_who_only_updated() -> None:
    with pytest.raises(KeyError):
        applied_by("other", DEPLOYMENT)


def test_a_repeated_model_has_none_of_its_objects_in_common_with_the_first() -> None:
    child: Object = {
        "metadata": {"name": "m-1-abc", "labels": {"model": "m-1"}},
        "args": ["--name=m-1"],
    }
    first = Written(name="m-1", model={}, applied=[child], created=[], statuses=[])
    again = first.renamed("x-1").applied[0]
    assert "m-1" not in str(again)
    assert again["metadata"]["name"] == "x-1-abc"
