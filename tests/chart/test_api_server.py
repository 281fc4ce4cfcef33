"""The real API server takes what the chart renders, and grants what the roles are meant to."""

import time
from collections.abc import Sequence
from typing import Any

import pytest

from driftline_operator.core.kinds import UNWATCHED, WATCHED
from e2e.chart_check import value_sets
from tests.chart.rendering import Object, of_kind, rendered, the
from tests.conftest import ApiServer

PLURALS = {"NetworkPolicy": "networkpolicies"}
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace"}
MONITORING = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
RBAC = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


def collection(manifest: Object) -> str:
    group = manifest["apiVersion"]
    plural = PLURALS.get(manifest["kind"], f"{manifest['kind'].lower()}s")
    scope = (
        ""
        if manifest["kind"] in CLUSTER_WIDE
        else f"/namespaces/{manifest['metadata']['namespace']}"
    )
    return f"/{'apis' if '/' in group else 'api'}/{group}{scope}/{plural}"


def ensure_namespace(server: ApiServer, name: str, **labels: str) -> None:
    metadata = {"name": name, "labels": labels}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    assert server.request("POST", "/api/v1/namespaces", body).status in {201, 409}


@pytest.fixture(scope="module")
def server(api_server: ApiServer) -> ApiServer:
    for name in ("driftline-system", "team-a", "team-b", "scoped"):
        ensure_namespace(api_server, name)
    return api_server


@pytest.mark.parametrize("values", [path.stem for path in value_sets()])
def test_every_object_is_taken_strictly(server: ApiServer, values: str) -> None:
    known = [
        found
        for found in rendered(values)
        if found["kind"] not in {*MONITORING, "CustomResourceDefinition"}
    ]
    for manifest in known:
        path = f"{collection(manifest)}?dryRun=All&fieldValidation=Strict"
        answer = server.request("POST", path, manifest)
        assert answer.status == 201, answer.message


def test_crd_takes_the_place_of_an_older_one(server: ApiServer) -> None:
    crd = the(rendered("default"), "CustomResourceDefinition")
    answer = server.apply(f"{collection(crd)}/{crd['metadata']['name']}", crd, force=True)

    assert answer.status == 200, answer.message


@pytest.mark.parametrize("values", ["default", "airgapped"])
def test_operator_pods_are_restricted(server: ApiServer, values: str) -> None:
    ensure_namespace(server, "strict", **{"pod-security.kubernetes.io/enforce": "restricted"})
    template = the(rendered(values), "Deployment")["spec"]["template"]
    metadata = {"name": "operator", "namespace": "strict", "labels": template["metadata"]["labels"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}

    answer = server.request("POST", "/api/v1/namespaces/strict/pods?dryRun=All", pod)

    assert answer.status == 201, answer.message


def rules(objects: Sequence[Object]) -> list[dict[str, Any]]:
    return [rule for role in of_kind(objects, "Role", "ClusterRole") for rule in role["rules"]]


@pytest.mark.parametrize("values", [path.stem for path in value_sets()])
def test_no_wildcard_and_one_secret(values: str) -> None:
    for rule in rules(rendered(values)):
        assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]
        if any(resource.startswith("secrets") for resource in rule["resources"]):
            assert rule["resources"] == ["secrets"]
            assert rule["resourceNames"] == ["driftline-keys"]
            assert set(rule["verbs"]) == {"get", "create", "patch", "delete"}


def test_operator_has_rights_on_the_kinds_it_knows_and_no_others() -> None:
    operator = [
        role
        for role in of_kind(rendered("default"), "Role", "ClusterRole")
        if role["metadata"]["name"].startswith("driftline-operator")
    ]
    granted = {
        (group, resource.partition("/")[0])
        for rule in rules(operator)
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }

    assert granted == {(kind.group, kind.plural) for kind in (*WATCHED, *UNWATCHED)}


class Authorizer:
    """Asks the API server what somebody may do."""

    def __init__(self, server: ApiServer, user: str) -> None:
        self.server = server
        self.user = user

    def may(self, verb: str, resource: str, namespace: str = "", name: str = "") -> bool:
        group, _, plural = resource.rpartition("/")
        plural, _, subresource = plural.partition(":")
        asked = {
            "verb": verb,
            "group": group,
            "resource": plural,
            "subresource": subresource,
            "namespace": namespace,
            "name": name,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": self.user, "resourceAttributes": asked},
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return bool(self.server.request("POST", path, review).body["status"]["allowed"])

    def wait_until_may(self, verb: str, resource: str, namespace: str) -> None:
        """The authorizer learns of new roles by watching, a moment after they are written."""
        deadline = time.monotonic() + 30
        while not self.may(verb, resource, namespace):
            assert time.monotonic() < deadline, f"{self.user} may never {verb} {resource}"
            time.sleep(0.05)


def grant(server: ApiServer, objects: Sequence[Object]) -> None:
    for manifest in of_kind(objects, *RBAC):
        assert server.request("POST", collection(manifest), manifest).status in {201, 409}


@pytest.fixture(scope="module")
def everywhere(server: ApiServer) -> Authorizer:
    grant(server, rendered("default"))
    operator = Authorizer(server, "system:serviceaccount:driftline-system:driftline-operator")
    operator.wait_until_may("list", "driftline.dev/models", "")
    operator.wait_until_may("create", "coordination.k8s.io/leases", "driftline-system")
    return operator


@pytest.fixture(scope="module")
def scoped(server: ApiServer) -> Authorizer:
    grant(server, rendered("namespaced", "scoped"))
    operator = Authorizer(server, "system:serviceaccount:scoped:driftline-operator")
    operator.wait_until_may("list", "driftline.dev/models", "team-a")
    operator.wait_until_may("list", "driftline.dev/models", "team-b")
    return operator


@pytest.mark.parametrize("verb", ["list", "watch"])
@pytest.mark.parametrize("kind", WATCHED, ids=lambda kind: kind.kind)
def test_may_watch_what_it_watches(everywhere: Authorizer, kind: Any, verb: str) -> None:
    assert everywhere.may(verb, f"{kind.group}/{kind.plural}")


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("get", "/secrets"),
        ("list", "/secrets"),
        ("create", "/secrets"),
        ("create", "/pods"),
        ("delete", "/pods"),
        ("create", "/pods:exec"),
        ("get", "/pods:log"),
        ("create", "/serviceaccounts:token"),
        ("list", "/namespaces"),
        ("list", "/nodes"),
        ("create", "driftline.dev/models"),
        ("update", "driftline.dev/models"),
        ("patch", "driftline.dev/models"),
        ("delete", "driftline.dev/models"),
        ("update", "driftline.dev/models:status"),
        ("deletecollection", "apps/deployments"),
        ("create", "apps/daemonsets"),
        ("update", "coordination.k8s.io/leases"),
        ("create", "rbac.authorization.k8s.io/rolebindings"),
        ("patch", "apiextensions.k8s.io/customresourcedefinitions"),
    ],
)
def test_may_not(everywhere: Authorizer, verb: str, resource: str) -> None:
    assert not everywhere.may(verb, resource, "team-a", "some")


@pytest.mark.parametrize("verb", ["get", "create", "patch", "delete"])
def test_may_touch_one_secret_only(everywhere: Authorizer, verb: str) -> None:
    assert everywhere.may(verb, "/secrets", "team-a", "driftline-keys")
    assert not everywhere.may(verb, "/secrets", "team-a", "models-s3")
    assert not everywhere.may(verb, "/secrets", "team-a")


@pytest.mark.parametrize("verb", ["list", "watch", "update", "deletecollection"])
def test_may_not_even_so(everywhere: Authorizer, verb: str) -> None:
    assert not everywhere.may(verb, "/secrets", "team-a", "driftline-keys")


def test_a_right_to_create_that_names_an_object_is_enough_for_an_apply(
    server: ApiServer, everywhere: Authorizer
) -> None:
    """A POST has no name to hold the right to: only what is applied can be made so."""

    def applied(name: str) -> int:
        manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
        path = f"/api/v1/namespaces/team-b/secrets/{name}"
        return server.apply(path, manifest, user=everywhere.user).status

    assert applied("driftline-keys") == 201
    assert applied("driftline-keys") == 200
    assert applied("models-s3") == 403


def test_may_hold_its_own_lease_only(everywhere: Authorizer) -> None:
    leases = "coordination.k8s.io/leases"

    assert everywhere.may("update", leases, "driftline-system", "driftline-operator")
    assert not everywhere.may("update", leases, "driftline-system", "kube-scheduler")


def test_has_no_right_outside_its_namespaces(scoped: Authorizer) -> None:
    assert scoped.may("patch", "driftline.dev/models:status", "team-b")
    assert scoped.may("create", "coordination.k8s.io/leases", "scoped")
    assert not scoped.may("list", "driftline.dev/models", "default")
    assert not scoped.may("list", "driftline.dev/models")
    assert not scoped.may("list", "/pods", "scoped")


@pytest.mark.parametrize(
    ("role", "verb", "resource", "allowed"),
    [
        ("view", "list", "driftline.dev/models", True),
        ("view", "get", "driftline.dev/models:status", True),
        ("view", "create", "driftline.dev/models", False),
        ("view", "patch", "driftline.dev/models:scale", False),
        ("edit", "create", "driftline.dev/models", True),
        ("edit", "patch", "driftline.dev/models:scale", True),
        ("edit", "patch", "driftline.dev/models:status", False),
        ("admin", "delete", "driftline.dev/models", True),
        ("admin", "update", "driftline.dev/models:status", False),
    ],
)
def test_people_may(server: ApiServer, role: str, verb: str, resource: str, allowed: bool) -> None:
    grant(server, rendered("default"))
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"people-{role}", "namespace": "team-a"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": f"driftline-{role}",
        },
        "subjects": [{"kind": "User", "name": role, "apiGroup": "rbac.authorization.k8s.io"}],
    }
    grant(server, [binding])
    person = Authorizer(server, role)
    person.wait_until_may("get", "driftline.dev/models", "team-a")

    assert person.may(verb, resource, "team-a") is allowed
