"""`make demo-drift`: real rows are replayed against a model on a real cluster, until they change.

Car loans: a model is trained, its profile built, both deployed, and what came later is sent to it
at a constant rate, with the outcomes. In the middle of that the cars become dearer. The demo says
beforehand in how many rows that will be found, and then what the Model's status says.
"""

import sys
import tempfile
import time
from pathlib import Path

from driftline_api.names import PROFILE_FILE
from e2e.cluster.errors import ClusterError
from e2e.cluster.progress import fail, say, step
from e2e.cluster.up import ensure_up
from e2e.drift.deploy import Placed, model, place, replay, write_artifact
from e2e.drift.promise import SLACK, promised_rows
from e2e.drift.replay import replaying
from e2e.drift.scenes import Scene, loans
from e2e.drift.watched import Answer, Watcher, one_look
from e2e.install import ensure_installed
from e2e.kubectl import Kubectl, KubectlError, NeverHappenedError
from e2e.workspace import Workspace

NAMESPACE = "driftline-demo-drift"
FIRST, LAST = 15_000, 50_000
ROWS, RATE = 20, 25
#: Rows in a year of this load: at one false alarm a year, those between two of them.
BUDGET = ROWS * RATE * 365 * 86_400
FEATURE = "car_value"


def promise(scene: Scene) -> float:
    """Return the rows in which the statistics promise to find the change."""
    with tempfile.TemporaryDirectory() as where:
        write_artifact(scene, Path(where))
        return promised_rows(scene, Path(where, PROFILE_FILE), FEATURE, BUDGET)


def show_profile(placed: Placed) -> None:
    """Print what the command line said of the training data."""
    say("    $ driftline profile build loans.csv --model model.onnx --in-order")
    say("".join(f"      {line}\n" for line in placed.said.splitlines()).rstrip())


def show(found: Answer, change: int) -> None:
    """Print an answer of the condition."""
    place_of = f"{found.at - change:+,} rows from the change" if found.at > change else "before it"
    say(f"\n    DriftFree={found.status} {found.reason}, at row {found.at:,} ({place_of})")
    say(f"      {found.message}")
    if found.drift is None:
        return
    for feature in found.drift.features:
        say(f"      {feature.name:<28} {feature.kind:<10} {feature.change}")
    performance = found.drift.performance
    if performance and performance.loss is not None:
        usual = performance.baseline_loss
        before = "" if usual is None else f", usually {usual:.3f}"
        say(f"      mean loss by {performance.labels:,} labels: {performance.loss:.3f}{before}")
    if found.drift.action:
        say(f"      what to do: {found.drift.action}")


def show_drift(space: Workspace) -> None:
    """Run the demo proper.

    Raises:
        ClusterError: the change was found too late, or not for what it is.
    """
    scene = loans()
    with step("train a model of car loans, build the profile of its data, upload both"):
        placed = place(space.system, scene)
    show_profile(placed)
    with step("what the statistics promise"):
        rows = promise(scene)
    say(f"    {FEATURE} will move; {rows:,.0f} rows are needed, at one false alarm a year")
    with step("deploy it on two replicas"):
        baseline = {"baseline": {"rows": 8_000}}
        space.apply(model(space, placed, replicas=2, monitoring=baseline))
        space.wait_promoted(scene.name, within=180)
    how = replay(space, placed, first=FIRST, last=LAST, rows=ROWS, rate=RATE, label_after=2.0)
    image = space.system.images["serving"]
    say(f"\n{ROWS * RATE} rows a second go through the Service from now on; labels follow")
    with replaying(space.kubectl, space.namespace, image, how, "replay") as running:
        watcher = Watcher(space=space, name=scene.name, replaying=running, answers=[])
        show(watcher.until("NoDrift", within=120), scene.change)
        found = watcher.until("CovariateDrift", "DataIntegrity", "ConceptDrift", within=120)
        show(found, scene.change)
        check(found, scene.change, rows)
        show(watcher.until("ConceptDrift", within=120), scene.change)
        account = running.account()
    say(f"\n    {account.sent:,} requests, {account.failed} failed")
    say("    $ kubectl get events")
    for reason in ("DriftDetected",):
        event = space.wait_event(scene.name, reason)
        say(f"      {event['type']} {event['reason']}: {event['message']}")


def check(found: Answer, change: int, rows: float) -> None:
    """Refuse what differs from the promise.

    Raises:
        ClusterError: it does.
    """
    latest = change + SLACK * rows + one_look(ROWS * RATE)
    named = [feature.name for feature in found.drift.features] if found.drift else []
    remedy = "this is a bug of Driftline: please report it with this output"
    if not change < found.at <= latest:
        raise ClusterError(f"found at row {found.at}, not by row {latest:.0f}", remedy=remedy)
    if found.reason != "CovariateDrift" or FEATURE not in named[:1]:
        raise ClusterError(f"it says {found.reason} of {named}", remedy=remedy)


def prepare(kubectl: Kubectl) -> Workspace:
    """Return the demo's namespace, empty."""
    with step("install the chart, an S3 server, and what they need"):
        system = ensure_installed(kubectl)
    space = Workspace(kubectl=kubectl, system=system, namespace=NAMESPACE)
    with step(f"namespace {NAMESPACE}"):
        space.create()
        space.kubectl.delete(NAMESPACE, "pod", "replay")
        space.kubectl.delete(NAMESPACE, "model.driftline.dev", "loans")
    return space


def main() -> int:
    """Run the demo; return the exit code."""
    began = time.monotonic()
    try:
        say("Driftline: when the data change")
        kubectl = Kubectl(kubeconfig=ensure_up())
        show_drift(prepare(kubectl))
    except ClusterError as error:
        fail(error)
        return 1
    except (AssertionError, KubectlError, NeverHappenedError, RuntimeError, OSError) as error:
        remedy = f"`kubectl get models,pods,events -n {NAMESPACE}` tells more"
        fail(ClusterError(str(error), remedy=remedy))
        return 1
    say(f"\nDone in {time.monotonic() - began:.0f} s. The cluster stays up; look around with")
    say(f"  kubectl --kubeconfig {kubectl.kubeconfig} get models -n {NAMESPACE} -o yaml")
    return 0


if __name__ == "__main__":
    sys.exit(main())
