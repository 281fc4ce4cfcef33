"""A schedule: what happens in which order, all of it drawn from one seed."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from driftline_api import API_VERSION
from driftline_api.keys import KEYS_FILE
from driftline_api.names import MODEL, REVISION, ROUTER
from driftline_operator.core.clock import Clock
from driftline_operator.core.controller import Controller
from driftline_operator.core.plan import Key, ObjectRef
from driftline_operator.drift.findings import DriftBoard, DriftFindings
from driftline_operator.model.containers import Images
from driftline_operator.model.controller import ModelController
from driftline_operator.router.acks import RouterAcks
from driftline_operator.router.controller import RouterController
from driftline_operator.router.keys import keys_ref
from driftline_operator.router.manifests import RouterConfig
from driftline_operator.router.observe import Configuration, Observer, live_routers
from driftline_operator.router.traffic import agreed
from driftline_operator.shell.poll import concerned
from tests.contract.memory import MemoryApi
from tests.faults.data import findings, untold
from tests.faults.faulty import CrashError, FaultyApi, Weather
from tests.faults.invariants import (
    ELSEWHERE,
    KEY_CONFIG,
    Invariants,
    conflicts,
    unkeyed,
    unrealised,
)
from tests.faults.replica import Replica
from tests.faults.world import BROKEN, MISSING, NAMESPACE, Workloads, digest_of

STEPS = 60
#: Rounds of calm after which what is not done never will be. Each is a second at least.
PATIENCE = 400
#: So many rounds without a change are rest.
STILL = 3


@dataclass(slots=True)
class Time:
    """A clock that stands still unless a schedule moves it."""

    elapsed: float = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    def text(self) -> str:
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def clock(self) -> Clock:
        return Clock(now=self.now, monotonic=lambda: self.elapsed)


def controllers(acks: RouterAcks, board: DriftBoard, random: Random) -> Sequence[Controller]:
    """Return the operator's controllers, as the process has them."""
    routers = RouterConfig(image="envoy:1", xds_host="operator")
    return (
        ModelController(Images(serving="serving:1"), acks, board=board),
        RouterController(routers, KEY_CONFIG, random.randbytes),
    )


class Schedule:
    """Two replicas, of which one leads, and everything that may happen to them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.time = Time()
        self.api = MemoryApi(self.time.text)
        self.weather = Weather(self.random, write=self.random.choice((0.02, 0.1, 0.3)), read=0.05)
        self.workloads = Workloads(self.api, self.time.text)
        self.invariants = Invariants(self.api, self.workloads, self.time.now)
        self.api.watchers.append(self.invariants.see)
        self.replicas = [self._new_replica(), self._new_replica()]
        self.log: list[str] = []

    @property
    def leader(self) -> Replica:
        return self.replicas[0]

    async def run(self) -> None:
        """Storm, then calm; then everything must be well, and stay so without a write."""
        self.create_model("m")
        if self.random.random() < 0.3:
            self.create_model("n")
        if self.random.random() < 0.2:
            self.create_foreign("m")
        await self._guarded(self.leader.lead)
        for _ in range(STEPS):
            self.time.elapsed += self.random.choice((0.0, 0.1, 1.0, 5.0))
            await self.step()
            self.check()
        await self.calm_down()
        await self.check_rest()

    async def step(self) -> None:
        """Let one thing happen."""
        happenings = {
            self._reconcile: 30,
            self._deliver: 20,
            self.workloads.tick: 10,
            self.workloads.kubelet: 10,
            self._fetch: 8,
            self._poll: 8,
            self._edit_spec: 3,
            self._lose_event: 3,
            self._resync: 2,
            self._change_leader: 2,
            self._delete_child: 2,
            self._edit_child: 2,
            self._harm_keys: 1,
            self._look_at_data: 5,
            self._lose_monitor: 2,
            self._delete_model: 1,
        }
        chosen = self.random.choices(list(happenings), list(happenings.values()))[0]
        self.log.append(f"{self.time.elapsed:7.1f} {chosen.__name__}")
        result: Any = chosen()
        if result is not None:
            await result

    async def calm_down(self) -> None:
        """Nothing fails any more, the last spec is a good one, and everybody gets their turn."""
        self.weather.calm()
        for name in ("m", "n"):
            if self._model(name) or name == "m":
                self._delete_if_going(name)
                self._set_uri(name, f"s3://bucket/good-{self.random.randrange(3)}")
        await self.leader.resync()
        if self.invariants.foreign:
            await self._until(lambda: conflicts(self.api, "m"), "the conflict is told")
            self._remove_foreign()
        await self._until(lambda: not self._unrealised(), "the latest spec is realised")
        self._look_at_data()
        await self._until(lambda: not self._untold(), "what was found is told")
        assert not self._unrealised(), "what was found changes nothing else"

    async def _until(self, holds: Callable[[], object], what: str) -> None:
        """Let everybody get their turn until it holds and nothing changes any more."""
        still, version = 0, 0
        for _ in range(PATIENCE):
            await self._round()
            still = still + 1 if version == self.api.version else 0
            version = self.api.version
            if still >= STILL and holds():
                return
        raise AssertionError(f"never {what}: {self._unrealised()}\n{self.story()}")

    def _untold(self) -> list[str]:
        """Return what the leader has found and status does not say."""
        models = self.api.everything("Model")
        return [what for each in models for what in untold(each, self._found(each))]

    def _found(self, model: Any) -> DriftFindings | None:
        meta = model["metadata"]
        return self.leader.board.of(NAMESPACE, meta["name"], meta["uid"])

    def _unrealised(self) -> list[str]:
        served = unrealised(self.api, self.workloads.ready_routers())
        return [*served, *unkeyed(self.api, self.time.now())]

    def _remove_foreign(self) -> None:
        """Take away what stands in the way of a name. No watch tells of it."""
        for ref in self.invariants.foreign:
            self.api.delete_now(ref)
        self.invariants.foreign.clear()

    async def check_rest(self) -> None:
        """One more reconcile of everything writes nothing, be it by another process."""
        for replica in (self.leader, self._new_replica()):
            self.replicas[0] = replica
            before = replica.api.writes
            await replica.lead()
            for _ in range(3):
                self._poll()
                while await replica.reconcile():
                    pass
            assert replica.api.writes == before, f"{replica.api.writes - before} needless writes"
            self.check()

    def check(self) -> None:
        assert not self.invariants.violations, f"{self.invariants.violations}\n{self.story()}"

    def story(self) -> str:
        return "\n".join(self.log[-80:])

    def create_model(self, name: str) -> None:
        self.api.create_as(
            "user",
            {
                "apiVersion": API_VERSION,
                "kind": "Model",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": self._spec(f"s3://bucket/good-{self.random.randrange(3)}"),
            },
        )

    def create_foreign(self, name: str) -> None:
        """Somebody has a Service of the Model's name."""
        ref = ObjectRef(api_version="v1", kind="Service", namespace=NAMESPACE, name=name)
        self.invariants.foreign.add(ref)
        self.api.create_as(
            "user",
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {"ports": [{"port": 1}]},
            },
        )

    async def _round(self) -> None:
        """Everybody does all there is to do, and time goes on to the next thing that is due."""
        for replica in self.replicas:
            replica.deliver_all()
        self.workloads.tick()
        self.workloads.kubelet()
        self._fetch()
        self._poll()
        while await self.leader.reconcile():
            self.check()
        idle = self.leader.queue.idle_for()
        self.time.elapsed += min(max(idle or 0.0, 1.0), 30.0)

    async def _reconcile(self) -> None:
        await self._guarded(self.leader.reconcile)

    async def _guarded(self, act: Any) -> None:
        """Let the leader act; if it crashes, a new process takes its place."""
        try:
            await act()
        except CrashError:
            self.log.append("        the leader crashes")
            self.invariants.about_to("", _NOBODY)
            self._replace_leader(self._new_replica())
            await self.leader.lead()

    async def _change_leader(self) -> None:
        """The other replica takes over; the first keeps watching."""
        self.replicas.reverse()
        await self.leader.lead()

    def _replace_leader(self, replica: Replica) -> None:
        self.api.watchers.remove(self.leader.see)
        self.replicas[0] = replica

    def _new_replica(self) -> Replica:
        api = FaultyApi(self.api, self.weather, self.invariants.about_to)
        replica = Replica(
            api,
            lambda acks, board: controllers(acks, board, self.random),
            self.time.clock(),
            self.random,
        )
        self.api.watchers.append(replica.see)
        return replica

    def _deliver(self) -> None:
        self.random.choice(self.replicas).deliver(self.random.randint(1, 8))

    def _lose_event(self) -> None:
        self.random.choice(self.replicas).lose()

    async def _resync(self) -> None:
        await self.random.choice(self.replicas).resync()

    def _fetch(self) -> None:
        def offered() -> Configuration:
            replica = self.random.choice(self.replicas)
            return Observer().configuration(replica.store, NAMESPACE)

        self.workloads.fetch(offered)

    def _poll(self) -> None:
        """The leader asks the routers it knows."""
        leader = self.leader
        before = leader.acks.said(NAMESPACE)
        known = live_routers(leader.store, NAMESPACE)
        served = {each: self.workloads.served(each.instance.pod_uid) for each in known}
        ready = [said for router, said in served.items() if router.ready]
        said = agreed(ready, [said for router, said in served.items() if not router.ready])
        leader.acks.note(NAMESPACE, said)
        state = Observer().state(leader.store, NAMESPACE)
        for name in concerned(state, before, said):
            leader.queue.add(Key(controller="model", namespace=NAMESPACE, name=name))

    def _look_at_data(self) -> None:
        """The leader finds something of the data of whatever serves, as its drift loop does."""
        for model in self.api.everything("Model"):
            meta, before = model["metadata"], self._found(model)
            stable = (model.get("status") or {}).get("stableRevision")
            if stable is None:
                continue
            found = findings(stable, meta["uid"], self.time.now(), self.random)
            self.leader.board.note(NAMESPACE, meta["name"], found)
            self.log.append(f"        {meta['name']}: {found.revisions[stable].reason}")
            if before is None or before.edge != found.edge:
                key = Key(controller="model", namespace=NAMESPACE, name=meta["name"])
                self.leader.queue.add(key)

    def _lose_monitor(self) -> None:
        """A monitor crashes, or comes back. It may stay away for good."""
        pods = [
            each for each in self.api.everything("Pod") if REVISION in each["metadata"]["labels"]
        ]
        if pods:
            self.workloads.unwatched ^= {self.random.choice(pods)["metadata"]["name"]}

    def _edit_spec(self) -> None:
        name = self.random.choice(("m", "n"))
        kind = self.random.choice(("good-0", "good-1", "good-2", BROKEN, MISSING))
        if self._model(name):
            self._set_uri(name, f"s3://bucket/{kind}")

    def _delete_model(self) -> None:
        """Delete, collect garbage or not, and make it again."""
        ref = _model_ref("m")
        self.api.delete_now(ref)
        if self.random.random() < 0.5:
            self.api.collect_garbage()
        self.create_model("m")

    def _delete_child(self) -> None:
        kinds = ("Deployment", "Service", "ControllerRevision", "PodDisruptionBudget", "Pod")
        children = [
            each
            for kind in kinds
            for each in self.api.everything(kind)
            if _is_child(each) and ObjectRef.of(each) not in self.invariants.foreign
        ]
        if children:
            child = self.random.choice(children)
            self.invariants.by_hand.add(child["metadata"]["name"])
            self.log.append(f"        {ObjectRef.of(child)} is deleted by hand")
            self.api.delete_now(ObjectRef.of(child))

    def _edit_child(self) -> None:
        """Somebody scales a Deployment by hand, or points a Service elsewhere."""
        deployments = [each for each in self.api.everything("Deployment") if _is_child(each)]
        services = [each for each in self.api.everything("Service") if _is_child(each)]
        if deployments and self.random.random() < 0.5:
            ref = ObjectRef.of(self.random.choice(deployments))
            self.api.edit(ref, lambda live: live["spec"].update(replicas=9))
        elif services:
            ref = ObjectRef.of(self.random.choice(services))
            if ref not in self.invariants.foreign:
                self.api.edit(ref, lambda live: live["spec"].update(selector=dict(ELSEWHERE)))

    def _harm_keys(self) -> None:
        """Somebody deletes the Secret of the keys, or edits one of them."""
        ref = keys_ref(NAMESPACE)
        if self.random.random() < 0.5:
            self.api.delete_now(ref)
        elif secret := self.api.find(ref):
            file = json.loads(base64.b64decode(secret["data"][KEYS_FILE]))
            for key in file["keys"][: self.random.choice((1, None))]:
                key["secret"] = "oops"
            text = base64.b64encode(json.dumps(file).encode()).decode()
            self.api.edit(ref, lambda live: live["data"].update({KEYS_FILE: text}))

    def _set_uri(self, name: str, uri: str) -> None:
        self.log.append(f"        {name} wants {uri}")
        self.api.edit(_model_ref(name), lambda live: live.update(spec=self._spec(uri)), "user")

    def _delete_if_going(self, name: str) -> None:
        if not self._model(name):
            self.create_model(name)

    def _model(self, name: str) -> Any:
        return self.api.find(_model_ref(name))

    def _spec(self, uri: str) -> dict[str, Any]:
        artifact = {"uri": uri}
        if self.random.random() < 0.6 and MISSING not in uri:
            artifact["digest"] = digest_of(uri)
        return {"artifact": artifact, "replicas": self.random.randint(1, 3)}


_NOBODY = ObjectRef(api_version="", kind="", namespace="", name="")


def _model_ref(name: str) -> ObjectRef:
    return ObjectRef(api_version=API_VERSION, kind="Model", namespace=NAMESPACE, name=name)


def _is_child(manifest: Any) -> bool:
    labels = manifest["metadata"].get("labels") or {}
    return MODEL in labels or manifest["metadata"]["name"] == ROUTER
