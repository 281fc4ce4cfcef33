"""`make demo`: from nothing to a model that serves, and to its successor, on a real cluster.

Every step says what it does and how long it took; one that fails says what failed, where to look
and what to do. What it leaves behind is for playing with: the last lines say how.
"""

import sys
import time

from e2e import load
from e2e.cluster.current import given, wish_from
from e2e.cluster.errors import ClusterError
from e2e.cluster.layout import default_layout
from e2e.cluster.progress import fail, say, step
from e2e.cluster.up import ensure_up
from e2e.install import ROOT, System, ensure_installed
from e2e.kubectl import Kubectl, KubectlError, NeverHappenedError, condition
from e2e.models import Data, breast_cancer, train
from e2e.workspace import Workspace

NAMESPACE = "driftline-demo"
MODEL = "breast-cancer"
SHOWN = 8


def manifest(version: int, uri: str, digest: str) -> str:
    """Return the YAML that a user would write, which the demo writes, shows and applies."""
    return f"""\
# Version {version}, as `make demo` made it.
apiVersion: driftline.dev/v1alpha1
kind: Model
metadata:
  name: {MODEL}
  namespace: {NAMESPACE}
spec:
  artifact:
    uri: {uri}
    digest: {digest}
    secretRef:
      name: s3-credentials
  replicas: 2
  resources:
    requests: {{cpu: 50m, memory: 96Mi}}
    limits: {{memory: 512Mi}}
"""


def apply_version(space: Workspace, data: Data, version: int) -> None:
    """Train, convert, upload and apply one version of the model."""
    with step(f"train version {version} on {len(data.train_y)} rows, convert it to ONNX"):
        trained = train(version, data)
    say(f"    accuracy on {len(data.test_y)} rows it has not seen: {trained.accuracy:.1%}")
    with step("upload it to the S3 server in the cluster"):
        uri = space.system.upload(f"demo/v{version}/model.onnx", trained.onnx)
    text = manifest(version, uri, trained.digest)
    path = ROOT / "build" / f"model-v{version}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    say(f"    $ kubectl apply -f {path.relative_to(ROOT)}")
    say("".join(f"      {line}\n" for line in text.splitlines()[1:]).rstrip())
    with step(f"version {version} takes over"):
        space.kubectl.run("apply", "-f", str(path))
        space.wait_promoted(MODEL, within=180)


def show_predictions(space: Workspace, data: Data) -> None:
    """Print what the Service answers for rows it has never seen, beside the truth."""
    predicted = space.predict(MODEL, data.test_x)
    say(f"\n    row  predicted   truth       ({space.url(MODEL)})")
    for row in range(SHOWN):
        told, true = data.names[predicted[row]], data.names[data.test_y[row]]
        say(f"    {row:>3}  {told:<10}  {true:<10}  {'' if told == true else '<- wrong'}")
    right = float((predicted == data.test_y).mean())
    say(f"    … {len(predicted)} rows in one request: {right:.1%} right\n")


def show_model(space: Workspace) -> None:
    """Print the table a user would ask for."""
    say("    $ kubectl get models")
    for line in space.kubectl.run("get", "dlm", "-n", space.namespace).splitlines():
        say(f"      {line}")


def switch_under_load(space: Workspace, data: Data) -> None:
    """Apply the second version while clients send, and show that none of them noticed."""
    with space.load(MODEL, data.test_x[:1]) as running:
        say("    50 requests a second go through the Service from now on")
        apply_version(space, data, 2)
        account = running.settled()
    report_switch(account)


def report_switch(account: load.Account) -> None:
    """Print the account of the load.

    Raises:
        ClusterError: a request failed, which must not happen.
    """
    say(f"\n    {account.sent} requests during the switch, {account.failed} failed")
    for revision, answers in account.revisions.items():
        say(f"      {answers:>6} answered by {revision}")
    if account.failed:
        raise ClusterError(
            f"{account.failed} of {account.sent} requests failed: {account.errors[0]}",
            remedy="this is a bug of Driftline: `make demo` again, and report it with this output",
        )


def prepare(kubectl: Kubectl, system: System) -> Workspace:
    """Return the demo's namespace, empty: a second run shows the same as the first."""
    space = Workspace(kubectl=kubectl, system=system, namespace=NAMESPACE)
    with step(f"namespace {NAMESPACE}"):
        space.create()
        space.kubectl.delete(NAMESPACE, "pod", "load")
        space.kubectl.delete(NAMESPACE, "model.driftline.dev", MODEL)
    return space


def explain_failure(space: Workspace) -> None:
    """Print what the Model itself says, where there is one."""
    model = space.kubectl.get(NAMESPACE, "model.driftline.dev", MODEL)
    for kind in ("Ready", "Stalled"):
        if found := condition(model, kind):
            say(f"    {kind}={found['status']} {found['reason']}: {found['message']}")


def show_demo(space: Workspace) -> None:
    """Run the demo proper."""
    data = breast_cancer()
    apply_version(space, data, 1)
    show_predictions(space, data)
    show_model(space)
    say("\nA new version, under load")
    switch_under_load(space, data)
    show_predictions(space, data)
    show_model(space)


def what_next(kubectl: Kubectl, seconds: float) -> str:
    """Return the last words: how to look around, and how to stop."""
    if given(default_layout(), wish_from()):
        end = f"kubectl delete namespace {NAMESPACE}                     remove what it made"
    else:
        end = "make cluster-down                                          stop and remove it all"
    return f"""
Done in {seconds:.0f} s. The cluster stays up. What to try next:

  export KUBECONFIG={kubectl.kubeconfig} PATH={ROOT}/.venv/bin:$PATH
  kubectl get models -n {NAMESPACE} -o wide            what serves
  kubectl describe model {MODEL} -n {NAMESPACE}   why, and what happened
  kubectl apply -f build/model-v1.yaml                       back to version 1
  kubectl scale model/{MODEL} --replicas=3 -n {NAMESPACE}
  kubectl delete service {MODEL} -n {NAMESPACE}   and see it come back

  {end}
"""


def main() -> int:
    """Run the demo; return the exit code."""
    began = time.monotonic()
    try:
        say("Driftline: a model, served on a real cluster")
        kubectl = Kubectl(kubeconfig=ensure_up())
        with step("install the chart, an S3 server, and what they need"):
            system = ensure_installed(kubectl)
        space = prepare(kubectl, system)
        try:
            show_demo(space)
        except (KubectlError, NeverHappenedError):
            explain_failure(space)
            raise
    except ClusterError as error:
        fail(error)
        return 1
    except (KubectlError, NeverHappenedError, RuntimeError, OSError) as error:
        remedy = "`kubectl get events -A` tells more; `make cluster-down`, then `make demo` again"
        fail(ClusterError(str(error), remedy=remedy))
        return 1
    say(what_next(kubectl, time.monotonic() - began))
    return 0


if __name__ == "__main__":
    sys.exit(main())
