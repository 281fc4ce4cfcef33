from e2e.bench.standin.pods import Object, deployment_status, pod, pod_status
from e2e.bench.standin.routers import Router, route_names

DEPLOYMENT: Object = {
    "metadata": {"name": "m-abc", "namespace": "a", "uid": "1", "generation": 3},
    "spec": {
        "replicas": 2,
        "template": {
            "metadata": {"labels": {"driftline.dev/model": "m"}},
            "spec": {
                "initContainers": [{"name": "fetcher", "image": "i"}],
                "containers": [{"name": "server", "image": "i"}],
            },
        },
    },
}


def said(status: Object, kind: str) -> str:
    return next(str(c["status"]) for c in status["conditions"] if c["type"] == kind)


def test_a_pod_bears_its_template_and_a_name_of_its_own() -> None:
    made = pod(DEPLOYMENT, 1)
    assert made["metadata"]["name"] == "m-abc-1"
    assert made["metadata"]["labels"] == {"driftline.dev/model": "m"}
    assert made["spec"]["containers"] == [{"name": "server", "image": "i"}]


def test_a_deployment_is_available_when_all_its_pods_are_ready() -> None:
    partly, whole = deployment_status(DEPLOYMENT, 1), deployment_status(DEPLOYMENT, 2)
    assert (said(partly, "Available"), said(whole, "Available")) == ("False", "True")
    assert (partly["readyReplicas"], whole["readyReplicas"]) == (1, 2)
    assert whole["observedGeneration"] == 3


def test_a_pod_says_whether_it_is_ready() -> None:
    spec: Object = DEPLOYMENT["spec"]["template"]["spec"]
    assert said(pod_status(spec, "127.77.0.1", ready=False), "Ready") == "False"
    assert said(pod_status(spec, "127.77.0.1", ready=True), "Ready") == "True"


def is_configured(router: Router) -> bool:
    return router.configured


def test_a_router_is_configured_when_the_routes_of_its_listeners_have_come_too() -> None:
    router = Router(node="a/r-0", ip="127.77.0.1", on_configured=lambda: None)
    router.versions |= {"listeners": "7", "clusters": "7"}
    assert is_configured(router)
    router.wanted = frozenset({"models"})
    assert not is_configured(router)
    router.versions["routes/models"] = "7"
    assert is_configured(router)
    assert dict(router.stats()) == {
        "cluster_manager.cds.version_text": "7",
        "listener_manager.lds.version_text": "7",
        "http.models.rds.models.version_text": "7",
    }


def test_route_configurations_are_found_wherever_a_listener_names_them() -> None:
    listeners = [{"filters": [{"rds": {"route_config_name": "models"}}]}, {"filters": []}]
    assert list(route_names(listeners)) == ["models"]
