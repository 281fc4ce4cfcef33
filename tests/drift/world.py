"""A Model with pods whose monitors are real servers, and an operator's loop that asks them."""

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry

from driftline_api import API_VERSION
from driftline_api.keys import KEYS_FILE, KEYS_SECRET, monitor_token, new_key, render_keys
from driftline_api.monitor import (
    BaselineState,
    MonitorConfig,
    ProfileFile,
    Summary,
    Totals,
    parse,
)
from driftline_api.names import (
    COMPONENT,
    COMPONENT_ROUTER,
    MANAGED_BY,
    MANAGER,
    MODEL,
    MONITOR,
    REVISION,
)
from driftline_operator.core.clock import SYSTEM_CLOCK
from driftline_operator.core.plan import Key, ObjectRef
from driftline_operator.core.store import Store
from driftline_operator.drift.findings import DriftBoard
from driftline_operator.kube.api import Api
from driftline_operator.shell.courier import Courier, Delivery
from driftline_operator.shell.drift import DriftCadence, DriftLoop, Watching
from driftline_operator.shell.drift_metrics import DriftMetrics
from driftline_operator.shell.keeper import Keeper
from driftline_operator.shell.monitors import MonitorClient
from driftline_stats.drift.profile import Counts, Profile
from tests.contract.memory import MemoryApi
from tests.drift.builders import a_profile, drift_counts

NAMESPACE, MODEL_NAME, REVISION_NAME = "team", "m", "m-1"
RECEIPT_KEY = new_key(bytes(range(38)), datetime(2026, 1, 1, tzinfo=UTC))
QUICK = DriftCadence(usual=0.05, leaving=0.02, kept=300.0, tick=0.01)


@dataclass(slots=True)
class FakeMonitor:
    """A monitor's contract, without what makes rows of requests: they are given.

    Attributes:
        profile: that lies beside the model; None where there is none.
        counts: of the rows that came since it began to count by this configuration.
        inferences: that came in all.
        silent: it does not answer.
        final: it is on its way out.
        asked: what was asked of it.
    """

    profile: Profile | None
    pod: str = field(default_factory=lambda: uuid.uuid4().hex)
    process: str = field(default_factory=lambda: uuid.uuid4().hex)
    config: MonitorConfig | None = None
    counts: Counts | None = None
    plan: Any = None
    inferences: int = 0
    dropped: int = 0
    sampled: int = 0
    problem: str = ""
    silent: bool = False
    final: bool = False
    asked: list[str] = field(default_factory=list)

    def came(self, counts: Counts) -> None:
        """Be told of inferences of one row each."""
        self.inferences += counts.rows
        if self.counts is not None and self.counts.plan == counts.plan:
            self.counts = self.counts + counts

    def restart(self) -> None:
        """Forget everything, as a process that was killed."""
        self.process, self.config, self.counts = uuid.uuid4().hex, None, None
        self.inferences = self.dropped = 0

    def configured(self, config: MonitorConfig) -> None:
        if self.config and self.config.digest == config.digest:
            return
        self.config = config
        self.counts = None
        if self.profile and not self.problem:
            self.counts = Counts.none(self.profile.plan)
        elif config.plan:
            self.counts = Counts.none(a_profile().plan)

    @property
    def source(self) -> str:
        if self.config and self.config.plan:
            return "learned"
        return "profile" if self.profile and not self.problem else "none"

    def summary(self) -> Summary:
        totals = Totals(
            offered=self.inferences + self.dropped,
            seen=self.inferences,
            dropped=self.dropped,
            counted=self.inferences,
            rows=self.inferences,
        )
        now = SYSTEM_CLOCK.now().timestamp()
        return Summary(
            model=MODEL_NAME,
            revision=REVISION_NAME,
            pod=self.pod,
            process=self.process,
            started=now,
            now=now,
            config=self.config.digest if self.config else "",
            final=self.final,
            totals=totals,
            drift=drift_counts(self.counts) if self.counts else None,
            baseline=BaselineState(source=self.source, problem=self.problem, sampled=self.sampled),
        )

    async def answer(self, request: web.Request) -> web.Response:
        if self.silent:
            raise web.HTTPServiceUnavailable
        if request.headers.get("Authorization") != f"Bearer {monitor_token(RECEIPT_KEY)}":
            return web.Response(status=401)
        self.asked.append(f"{request.method} {request.path}")
        match request.method, request.path:
            case "GET", "/summary":
                return _json(self.summary().model_dump_json(by_alias=True))
            case "PUT", "/config":
                self.configured(parse(MonitorConfig, await request.read()))
                return web.Response(status=204)
            case "GET", "/profile" if self.profile:
                file = ProfileFile(profile=json.loads(self.profile.to_json()))
                return _json(file.model_dump_json(by_alias=True))
            case "POST", "/plan" if self.sampled >= 1_000:
                return _json(a_profile().plan.to_json())
        return web.Response(status=404, text="there is none")


def _json(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/json")


@dataclass(slots=True)
class FakeRouter:
    """A router's statistics: inference calls by the revision that answered."""

    units: dict[str, int] = field(default_factory=dict)

    async def answer(self, request: web.Request) -> web.Response:
        assert request.query["filter"] == r"^driftline\.outcomes\.model\.m\."
        stats = [
            {
                "name": f"driftline.outcomes.model.m.arm.stable.epoch.1.served_by.{name}"
                ".code.200.grpc..flags.-",
                "value": units,
            }
            for name, units in self.units.items()
        ]
        return _json(json.dumps({"stats": stats}))


@asynccontextmanager
async def listening(answer: Any, host: str, port: int) -> AsyncIterator[int]:
    """Serve at one of loopback's addresses; yield the port."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


class Cluster:
    """The API server, what the operator knows of it, and what its loop found."""

    def __init__(self, monitoring: dict[str, Any] | None = None) -> None:
        self.api = MemoryApi()
        self.api.watchers.append(self._see)
        self.store = Store()
        self.monitors: dict[str, FakeMonitor] = {}
        self.router = FakeRouter()
        self.enqueued = asyncio.Event()
        self.transition = 0
        self.leads = True
        self.counted: list[tuple[str, str]] = []
        self._make("Model", MODEL_NAME, API_VERSION, spec={"monitoring": monitoring or {}})
        self._make("ControllerRevision", REVISION_NAME, "apps/v1", data={}, revision=1)
        secret = base64.b64encode(render_keys([RECEIPT_KEY]).encode()).decode()
        self._make("Secret", KEYS_SECRET, "v1", data={KEYS_FILE: secret})

    def make_model_again(self) -> None:
        """Delete the Model and make another of the name, before anybody looks."""
        self.api.delete_now(_ref("Model", MODEL_NAME, API_VERSION))
        self._make("Model", MODEL_NAME, API_VERSION, spec={})

    def permit(self) -> None:
        """Let writes pass."""

    def count(self, kind: str, verb: str) -> None:
        self.counted.append((kind, verb))

    @property
    def uid(self) -> str:
        manifest = self.api.find(_ref("Model", MODEL_NAME, API_VERSION))
        assert manifest
        return str(manifest["metadata"]["uid"])

    def watch(self, board: DriftBoard, registry: CollectorRegistry, api: Api) -> Watching:
        metrics = DriftMetrics(registry)
        return Watching(
            snapshot=self.store,
            board=board,
            enqueue=self._enqueue,
            keeper=Keeper(api, self, lambda: self.transition),
            courier=Courier(Delivery(), metrics.event),
            metrics=metrics,
            clock=SYSTEM_CLOCK,
        )

    def add_pod(self, monitor: FakeMonitor, address: str) -> None:
        """Make a pod whose monitor runs."""
        self.monitors[address] = monitor
        labels = {MODEL: MODEL_NAME, REVISION: REVISION_NAME}
        self._make_pod(monitor.pod, labels, MONITOR, address)
        pod = self.api.find(_ref("Pod", monitor.pod))
        assert pod
        monitor.pod = pod["metadata"]["uid"]

    def add_router(self, address: str) -> None:
        self._make_pod("router", {COMPONENT: COMPONENT_ROUTER}, "envoy", address)

    def lose_router(self, *, lost: bool = True) -> None:
        """Let the router's node be away: its containers stay as they were last heard of."""
        ref = _ref("Pod", "router")
        pod = self.api.find(ref)
        assert pod
        ready = {"type": "Ready", "status": "False" if lost else "True"}
        self.api.set_status(ref, {**pod["status"], "conditions": [ready]})

    def leave(self, name: str) -> None:
        """Begin to delete a pod: it stays while its containers end."""
        ref = _ref("Pod", name)
        self.api.edit(ref, lambda live: live["metadata"].update(finalizers=["kubelet"]))
        self.api.delete_now(ref)

    def end(self, name: str) -> None:
        """Let a pod be gone."""
        ref = _ref("Pod", name)
        self.api.edit(ref, lambda live: live["metadata"].update(finalizers=[]))

    def pod_names(self) -> list[str]:
        return [each["metadata"]["name"] for each in self.api.everything("Pod")]

    def _make_pod(self, name: str, labels: dict[str, str], container: str, address: str) -> None:
        self._make("Pod", name, "v1", labels=labels, spec={"containers": [{"name": container}]})
        running = {"name": container, "ready": True, "restartCount": 0, "state": {"running": {}}}
        self.api.set_status(
            _ref("Pod", name),
            {
                "podIP": address,
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [running],
            },
        )

    def _make(
        self, kind: str, name: str, version: str, labels: dict[str, str] | None = None, **rest: Any
    ) -> None:
        meta = {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {MANAGED_BY: MANAGER, **(labels or {})},
        }
        self.api.create_as(
            "somebody", {"apiVersion": version, "kind": kind, "metadata": meta, **rest}
        )

    def _see(self, event: Any) -> None:
        """Know what a watch would tell, of what is watched, and the Secret, which is read."""
        if (event.manifest["metadata"].get("labels") or {}).get(MANAGED_BY) != MANAGER:
            return
        act = self.store.drop if event.type == "DELETED" else self.store.put
        act(event.manifest)

    def _enqueue(self, key: Key) -> None:
        assert key == Key(controller="model", namespace=NAMESPACE, name=MODEL_NAME)
        self.enqueued.set()


def _ref(kind: str, name: str, version: str = "v1") -> ObjectRef:
    return ObjectRef(api_version=version, kind=kind, namespace=NAMESPACE, name=name)


class Operator:
    """One process that leads: its loop, and what it found."""

    def __init__(
        self, cluster: Cluster, port: int, stats_port: int, api: Api | None = None
    ) -> None:
        self.cluster = cluster
        self.board = DriftBoard()
        self.registry = CollectorRegistry()
        self.loop = DriftLoop(
            cluster.watch(self.board, self.registry, api or cluster.api),
            client=lambda: MonitorClient(port=port, stats_port=stats_port, timeout=5.0),
            cadence=QUICK,
        )

    @asynccontextmanager
    async def leading(self) -> AsyncIterator["Operator"]:
        task = asyncio.create_task(self.loop.run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, holds: Callable[["Operator"], object], seconds: float = 20.0) -> None:
        """Wait until something holds, which is looked at after each poll."""
        async with asyncio.timeout(seconds):
            while not holds(self):  # noqa: ASYNC110 - of many things, which have no event
                await asyncio.sleep(0.01)

    @property
    def revision(self) -> Any:
        found = self.board.of(NAMESPACE, MODEL_NAME, self.cluster.uid)
        return found.revisions.get(REVISION_NAME) if found else None

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)
