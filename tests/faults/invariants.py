"""What must hold in every state that anybody could ever see."""

import base64
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from driftline_api.keys import KEYS_FILE, KEYS_SECRET, SPREAD, Keys, parse_keys
from driftline_api.names import MODEL, REVISION, ROUTER
from driftline_operator.core.plan import Manifest, ObjectRef
from driftline_operator.router.keys import LOOK_SECONDS, KeyConfig, keys_ref
from driftline_operator.router.state import parse_state
from tests.contract.memory import MemoryApi, WatchEvent
from tests.faults.world import NAMESPACE, Router, Workloads

#: Where somebody points a Service by hand.
ELSEWHERE = {"app": "other"}
#: Short enough that keys come and go within a schedule, long enough for a rest between.
KEY_CONFIG = KeyConfig(rotation=timedelta(seconds=200), horizon=timedelta(seconds=100))


class Invariants:
    """Looks at every change, and before every deletion by the operator."""

    def __init__(self, api: MemoryApi, workloads: Workloads, now: Callable[[], datetime]) -> None:
        self._api = api
        self._now = now
        self._keys = Keys()
        self._workloads = workloads
        self._epochs: dict[str, int] = {}
        self._weights: dict[str, dict[str, int]] = {}
        self._version = 0
        self.by_hand: set[str] = set()
        self.foreign: set[ObjectRef] = set()
        self.violations: list[str] = []
        self._operator_writes = False

    def about_to(self, verb: str, ref: ObjectRef) -> None:
        """Judge a request of the operator before it is carried out; "" says that it was."""
        self._operator_writes = bool(verb)
        if verb == "delete" and ref.kind == "Deployment":
            self._check_unused(ref.name)

    def see(self, event: WatchEvent) -> None:
        """Judge the state after a change."""
        manifest, ref = event.manifest, ObjectRef.of(event.manifest)
        if self._operator_writes and ref in self.foreign:
            self._violated(f"{ref} is foreign and was written")
        if ref.kind == "Secret":
            self._check_keys(event)
        if event.type == "DELETED":
            return
        if ref.kind == "ControllerRevision":
            self._check_numbers()
        elif ref.kind == "Model" and event.type == "MODIFIED":
            self._check_traffic(manifest)
        elif ref.kind == "ConfigMap" and ref.name == ROUTER:
            self._check_routers(manifest)
        elif ref.kind == "Deployment":
            self.by_hand.discard(ref.name)

    def _check_unused(self, deployment: str) -> None:
        for model in self._api.everything("Model"):
            traffic = model.get("status", {}).get("traffic", {})
            if deployment in _weights(traffic) or deployment in traffic.get("clusters", ()):
                self._violated(f"{deployment} is deleted while status publishes it: {traffic}")
        alive = {model["metadata"]["name"] for model in self._api.everything("Model")}
        for router in self._workloads.ready_routers():
            for name, (weights, clusters) in router.models.items():
                if name in alive and deployment in {*weights, *clusters}:
                    self._violated(f"{deployment} is deleted while a router serves it")

    def _check_numbers(self) -> None:
        numbers: Counter[tuple[str, int]] = Counter()
        for revision in self._api.everything("ControllerRevision"):
            owner = revision["metadata"]["ownerReferences"][0]["uid"]
            numbers[owner, revision["revision"]] += 1
        for (owner, number), count in numbers.items():
            if count > 1:
                self._violated(f"{count} revisions of {owner} have number {number}")

    def _check_traffic(self, model: Manifest) -> None:
        uid, traffic = model["metadata"]["uid"], model.get("status", {}).get("traffic") or {}
        weights, epoch = _weights(traffic), traffic.get("epoch", 0)
        before, self._weights[uid] = self._weights.get(uid, {}), weights
        if weights and sum(weights.values()) != 100:
            self._violated(f"weights are {weights}")
        if epoch < self._epochs.get(uid, 0) or (
            weights != before and epoch == self._epochs.get(uid)
        ):
            self._violated(f"epoch went from {self._epochs.get(uid)} to {epoch} with {weights}")
        self._epochs[uid] = epoch
        for revision in weights:
            self._check_backed(revision)
            if before.get(revision, 0) == 0:
                self._check_known(model["metadata"]["name"], revision)

    def _check_backed(self, revision: str) -> None:
        ref = ObjectRef(
            api_version="apps/v1", kind="Deployment", namespace=NAMESPACE, name=revision
        )
        if self._api.find(ref) is None and revision not in self.by_hand:
            self._violated(f"{revision} has weight and no Deployment")

    def _check_known(self, model: str, revision: str) -> None:
        """A weight may name a cluster only when every router has it."""
        for router in self._workloads.ready_routers():
            _, clusters = router.models.get(model, ({}, frozenset()))
            if revision not in clusters:
                self._violated(f"{revision} gets weight, and a router does not know it")

    def _check_routers(self, config_map: Manifest) -> None:
        state = parse_state(config_map)
        ports = Counter(entry.port for entry in state.models.values())
        if any(count > 1 for count in ports.values()):
            self._violated(f"a port belongs to two Models: {ports}")
        if state.version < self._version:
            self._violated(f"version went from {self._version} to {state.version}")
        self._version = state.version

    def _check_keys(self, event: WatchEvent) -> None:
        """The operator takes no key away of which a receipt may still be shown."""
        gone = event.type == "DELETED"
        before, self._keys = self._keys, Keys() if gone else keys_of(event.manifest)
        if not self._operator_writes:
            return
        if gone:
            self._violated("the keys are deleted while there are Models")
        ends = {key.id: later.created + SPREAD for key, later in pairwise(before.keys)}
        for key in set(before.keys) - set(self._keys.keys):
            end = ends.get(key.id)
            if not end or self._now() - end < KEY_CONFIG.horizon:
                self._violated(f"key {key.id} went while its receipts may be shown")

    def _violated(self, what: str) -> None:
        self.violations.append(what)


def keys_of(secret: Manifest | None) -> Keys:
    """Return what a Secret holds."""
    data = (secret or {}).get("data") or {}
    return parse_keys(base64.b64decode(data.get(KEYS_FILE, "")))


def unkeyed(api: MemoryApi, now: datetime) -> list[str]:
    """Return what is missing until receipts can be signed."""
    found = keys_of(api.find(keys_ref(NAMESPACE)))
    if found.damaged or not found.keys:
        return [f"{KEYS_SECRET}: {found}"]
    age = now - found.keys[-1].created
    limit = KEY_CONFIG.rotation + timedelta(seconds=LOOK_SECONDS)
    return [f"{KEYS_SECRET}: the newest is {age} old"] if age > limit else []


def unrealised(api: MemoryApi, routers: Iterable[Router]) -> list[str]:
    """Return what is missing until every Model is served as its spec says."""
    wrong: list[str] = []
    served = list(routers)
    for model in api.everything("Model"):
        name, spec, status = model["metadata"]["name"], model["spec"], model.get("status", {})
        stable = status.get("stableRevision")
        revisions = [
            each
            for each in api.everything("ControllerRevision")
            if each["metadata"]["name"] == stable
        ]
        if not revisions or revisions[0]["data"]["artifact"]["uri"] != spec["artifact"]["uri"]:
            wrong.append(f"{name}: {stable} is not of {spec['artifact']['uri']}")
        deployments = [
            each
            for each in api.everything("Deployment")
            if each["metadata"]["labels"].get(MODEL) == name
        ]
        if [each["metadata"]["labels"][REVISION] for each in deployments] != [stable]:
            wrong.append(f"{name}: Deployments {[d['metadata']['name'] for d in deployments]}")
        elif deployments[0]["spec"]["replicas"] != spec.get("replicas", 1):
            wrong.append(f"{name}: {deployments[0]['spec']['replicas']} replicas")
        wrong += [f"{name}: {what}" for what in (*_unsaid(model, stable), *_astray(api, name))]
        if not served or any(_sends(router, name) != {stable: 100} for router in served):
            wrong.append(f"{name}: routers do not send everything to {stable}")
    return wrong


def conflicts(api: MemoryApi, name: str) -> bool:
    """Tell whether a Model says that a foreign object stands in the way."""
    (model,) = (each for each in api.everything("Model") if each["metadata"]["name"] == name)
    said = model.get("status", {}).get("conditions", ())
    return any(each["type"] == "Stalled" and each["reason"] == "NameConflict" for each in said)


def _astray(api: MemoryApi, name: str) -> Iterator[str]:
    services = {each["metadata"]["name"]: each for each in api.everything("Service")}
    if name not in services:
        yield "no Service"
    for each in services.values():
        if each["metadata"]["labels"].get(MODEL) == name and each["spec"]["selector"] == ELSEWHERE:
            yield f"Service {each['metadata']['name']} is not repaired"


def _sends(router: Router, model: str) -> dict[str, int]:
    weights, _ = router.models.get(model, ({}, frozenset()))
    return weights


def _unsaid(model: Manifest, stable: str) -> Iterable[str]:
    status = model.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions", ())}
    wanted = {"Ready": "True", "Reconciling": "False", "RolloutSucceeded": "True"}
    for kind, expected in wanted.items():
        found: Any = conditions.get(kind, {})
        if found.get("status") != expected:
            yield f"{kind} is {found.get('status')}: {found.get('message')}"
        if found.get("observedGeneration") != model["metadata"]["generation"]:
            yield f"{kind} is of generation {found.get('observedGeneration')}"
    if conditions.get("Stalled", {}).get("status") == "True":
        yield f"Stalled: {conditions['Stalled']['message']}"
    traffic = status.get("traffic", {})
    if _weights(traffic) != {stable: 100} or not traffic.get("acknowledged"):
        yield f"traffic is {traffic}"


def _weights(traffic: Manifest) -> dict[str, int]:
    return {
        each["revision"]: each["weight"] for each in traffic.get("shares", ()) if each["weight"]
    }
