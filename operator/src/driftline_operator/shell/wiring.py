"""Puts the process together and runs it."""

import asyncio
import os
import signal
import uuid
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from random import Random

from driftline_operator.config import OperatorConfig
from driftline_operator.core.clock import SYSTEM_CLOCK
from driftline_operator.core.executor import Executor
from driftline_operator.core.feed import Feed
from driftline_operator.core.kinds import WATCHED
from driftline_operator.core.lease import Lease, lease_ref
from driftline_operator.core.queue import WorkQueue
from driftline_operator.core.reconciler import Reconciler, Worker
from driftline_operator.core.resync import Resync
from driftline_operator.core.store import Store
from driftline_operator.drift.findings import DriftBoard
from driftline_operator.kube.api import Api
from driftline_operator.kube.client import KubeApi
from driftline_operator.kube.connect import connect
from driftline_operator.model.containers import Images
from driftline_operator.model.controller import ModelController
from driftline_operator.router.acks import RouterAcks
from driftline_operator.router.controller import RouterController
from driftline_operator.router.inputs import headless_service
from driftline_operator.router.keys import KeyConfig
from driftline_operator.router.manifests import RouterConfig
from driftline_operator.shell.courier import Courier, Delivery
from driftline_operator.shell.drift import DriftCadence, DriftLoop, Watching
from driftline_operator.shell.drift_metrics import DriftMetrics
from driftline_operator.shell.http import health_application, served
from driftline_operator.shell.keeper import Keeper
from driftline_operator.shell.leading import LeaderWrites, Leading, Synced
from driftline_operator.shell.metrics import Metrics
from driftline_operator.shell.poll import RouterPoll
from driftline_operator.shell.watch import Watch
from driftline_operator.shell.xds import XdsFeed

LEASE_NAME = "driftline-operator"


class Operator:
    """One replica: everything that runs in it, joined."""

    def __init__(self, config: OperatorConfig, api: Api) -> None:
        acks, board = RouterAcks(), DriftBoard()
        controllers = (
            ModelController(images_of(config), acks, board=board),
            RouterController(router_config_of(config), key_config_of(config)),
        )
        self._config = config
        self.metrics = Metrics()
        self.store = Store()
        self.queue = WorkQueue(clock=SYSTEM_CLOCK.monotonic, random=Random().random)  # noqa: S311 - jitter
        self.feed = Feed(self.store, self.queue, controllers)
        identity = f"{config.pod_name}_{uuid.uuid4().hex[:8]}"
        self.lease = Lease(
            api, lease_ref(config.namespace, LEASE_NAME), identity, clock=SYSTEM_CLOCK
        )
        executor = Executor(api, self.feed, LeaderWrites(self.lease, self.metrics))
        reconciler = Reconciler(controllers, self.store, executor, clock=SYSTEM_CLOCK)
        worker = Worker(self.queue, reconciler, SYSTEM_CLOCK, self.metrics)
        resync = Resync(api, self.feed, WATCHED, config.watch_namespaces)
        self.synced = Synced(resync, self.metrics)
        self.watch = Watch(self.feed, WATCHED, config.watch_namespaces)
        poll = RouterPoll(self.store, acks, self.queue.add)
        self.drift = self._drift_loop(config, api, board)
        services = [poll.run, self.drift.run]
        self._leading = Leading(self.synced, self.feed, worker, services=services)
        self._stopping = False
        self.metrics.watch_state(
            leads=lambda: self.lease.leads, queued=self.queue.__len__, objects=self.store.counts
        )

    def _drift_loop(self, config: OperatorConfig, api: Api, board: DriftBoard) -> DriftLoop:
        metrics = DriftMetrics(self.metrics.registry)
        writes = LeaderWrites(self.lease, self.metrics)
        watching = Watching(
            snapshot=self.store,
            board=board,
            enqueue=self.queue.add,
            keeper=Keeper(api, writes, lambda: self.lease.transitions),
            courier=Courier(delivery_of(config), metrics.event),
            metrics=metrics,
            clock=SYSTEM_CLOCK,
        )
        usual = float(config.drift_poll_seconds)
        return DriftLoop(watching, cadence=DriftCadence(usual=usual, leaving=min(3.0, usual)))

    @property
    def is_ready(self) -> bool:
        """Whether everything was listed once, and we are not on our way out."""
        return self.synced.is_whole and not self._stopping

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop`: first the writers end, then the Lease is released, xDS ends last."""
        domain = self._config.cluster_domain
        xds = XdsFeed(self.store, lambda namespace: headless_service(namespace, domain))
        async with AsyncExitStack() as stack:
            health = health_application(self.metrics.registry, lambda: self.is_ready)
            await stack.enter_async_context(served(health, self._config.http_port))
            await stack.enter_async_context(served(xds.application(), self._config.xds_port))
            work = asyncio.create_task(self._work())
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            self._stopping = True
            stopping.cancel()
            work.cancel()
            (ended,) = await asyncio.gather(work, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended

    async def _work(self) -> None:
        """Keep the Store true, and lead when it is our turn.

        The watch begins when everything has been listed once: kopf looks only once for the
        kinds that there are, and would not see CRDs that are installed while we start.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self.synced.run())
            await self.synced.until_whole()
            group.create_task(self.watch.run())
            group.create_task(self.lease.run(self._leading.run))


def images_of(config: OperatorConfig) -> Images:
    """Return what new model pods are made with."""
    return Images(
        serving=config.serving_image,
        pull_policy=config.image_pull_policy,
        pull_secrets=config.image_pull_secrets,
        monitor=config.monitor_resources,
        proxy=config.proxy_resources,
    )


def router_config_of(config: OperatorConfig) -> RouterConfig:
    """Return what routers are made with."""
    return RouterConfig(
        image=config.router_image,
        xds_host=config.xds_host,
        replicas=config.router_replicas,
        pull_policy=config.image_pull_policy,
        pull_secrets=config.image_pull_secrets,
        resources=config.router_resources,
        cluster_domain=config.cluster_domain,
    )


def delivery_of(config: OperatorConfig) -> Delivery:
    """Return where CloudEvents go."""
    secret = config.webhook_authorization
    return Delivery(
        url=config.webhook_url,
        headers=(("Authorization", secret),) if secret else (),
        attempts=config.webhook_attempts,
    )


def key_config_of(config: OperatorConfig) -> KeyConfig:
    """Return how long the keys of receipts are used and kept."""
    return KeyConfig(
        rotation=timedelta(days=config.receipt_rotation_days),
        horizon=timedelta(days=config.receipt_horizon_days),
    )


async def run_operator(environ: Mapping[str, str] = os.environ) -> None:
    """Run one replica until SIGTERM or SIGINT.

    Raises:
        ConfigError: a setting is missing or cannot be read.
    """
    config = OperatorConfig.from_env(environ)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    api = KubeApi(await connect(environ))
    try:
        await Operator(config, api).run(stop)
    finally:
        await api.close()
