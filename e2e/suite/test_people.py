"""What people may do who hold the cluster's own roles: the API server's word, not the chart's."""

import json
from collections.abc import Iterator

import pytest

from e2e.kubectl import eventually
from e2e.workspace import Workspace

ROLES = ("view", "edit", "admin")


@pytest.fixture(scope="module")
def bound(workspace: Workspace) -> Iterator[None]:
    """One user a role, in the namespace alone."""
    for role in ROLES:
        workspace.apply(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": f"person-{role}", "namespace": workspace.namespace},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": role,
                },
                "subjects": [
                    {
                        "kind": "User",
                        "apiGroup": "rbac.authorization.k8s.io",
                        "name": f"person-{role}",
                    }
                ],
            }
        )
    eventually("the bindings count", lambda: may(workspace, "view", "list", "pods"))
    yield
    for role in ROLES:
        workspace.kubectl.delete(workspace.namespace, "rolebinding", f"person-{role}")


def may(workspace: Workspace, role: str, verb: str, resource: str, namespace: str = "") -> bool:
    """Ask the API server whether the person with a role may do something."""
    name, _, subresource = resource.partition("/")
    asked = {
        "namespace": namespace or workspace.namespace,
        "verb": verb,
        "group": "driftline.dev" if name == "models" else "",
        "resource": name,
        "subresource": subresource,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": f"person-{role}", "resourceAttributes": asked},
    }
    answer = workspace.kubectl.run("create", "-f", "-", "-o", "json", stdin=json.dumps(review))
    return bool(json.loads(answer)["status"]["allowed"])


@pytest.mark.usefixtures("bound")
@pytest.mark.parametrize(
    ("role", "allowed", "denied"),
    [
        ("view", {"get", "list", "watch"}, {"create", "patch", "delete"}),
        ("edit", {"get", "list", "watch", "create", "patch", "update", "delete"}, set()),
        ("admin", {"get", "list", "watch", "create", "patch", "update", "delete"}, set()),
    ],
)
def test_who_may_edit_in_a_namespace_may_edit_models_there(
    workspace: Workspace, role: str, allowed: set[str], denied: set[str]
) -> None:
    assert {verb for verb in allowed | denied if may(workspace, role, verb, "models")} == allowed
    assert not may(workspace, role, "get", "models", namespace="default")


@pytest.mark.usefixtures("bound")
def test_people_may_scale_and_nobody_may_write_status(workspace: Workspace) -> None:
    scalers = {r for r in ROLES if may(workspace, r, "patch", "models/scale")}
    writers = {r for r in ROLES if may(workspace, r, "patch", "models/status")}
    readers = {r for r in ROLES if may(workspace, r, "get", "models/status")}
    assert (scalers, writers, readers) == ({"edit", "admin"}, set(), set(ROLES))
