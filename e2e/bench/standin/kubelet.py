"""Makes the pods of every Deployment of Driftline's, and says that they run."""

import asyncio
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from driftline_api.names import COMPONENT, COMPONENT_ROUTER, MANAGED_BY, MANAGER
from e2e.bench.api import Client, Object
from e2e.bench.standin.pods import deployment_status, pod, pod_status, replicas
from e2e.bench.standin.routers import Router, Routers

_SELECTOR = f"labelSelector={MANAGED_BY}%3D{MANAGER}"
#: Nobody connects to a model server here, so its address only has to look like one.
_MODEL_SERVER_IP = IPv4Address("10.244.0.1")
#: Deployments that are worked on at a time.
WORKERS = 16


@dataclass(slots=True, kw_only=True)
class Pod:
    """A pod that was made.

    Attributes:
        router: what fetches configuration in its name; None for a model server.
        ready: whether its status says so.
    """

    manifest: Object
    ip: str
    router: Router | None
    ready: bool = False

    @property
    def can_be_ready(self) -> bool:
        """Whether the readiness probe would succeed."""
        return self.router is None or self.router.configured


@dataclass(slots=True, kw_only=True)
class Playing:
    """One Deployment, as last seen, and what has been made of it.

    Attributes:
        changed: set when there may be something to do.
        said: generation and Ready pods that its status was last written for.
    """

    deployment: Object
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    pods: list[Pod] = field(default_factory=list)
    said: tuple[int, int] | None = None

    @property
    def is_router(self) -> bool:
        """Whether its pods fetch a configuration before they are Ready."""
        labels = self.deployment["spec"]["template"]["metadata"]["labels"]
        return bool(labels.get(COMPONENT) == COMPONENT_ROUTER)


class Kubelet:
    """Deployment controller, ReplicaSet controller, scheduler and kubelet in one.

    Pods are only ever made: in no benchmark does a Deployment shrink, change its template or go.
    """

    def __init__(self, client: Client, xds: str) -> None:
        self._client = client
        self._routers = Routers(xds)
        self._playing: dict[tuple[str, str], Playing] = {}
        self._room = asyncio.Semaphore(WORKERS)

    async def run(self) -> None:
        """Work until something fails."""
        async with asyncio.TaskGroup() as tasks:
            version = "0"
            while True:
                query = f"{_SELECTOR}&resourceVersion={version}"
                async for _, deployment in self._client.watch("Deployment", query):
                    version = deployment["metadata"]["resourceVersion"]
                    self._see(deployment, tasks)

    def _see(self, deployment: Object, tasks: asyncio.TaskGroup) -> None:
        meta = deployment["metadata"]
        name = (meta["namespace"], meta["name"])
        if name in self._playing:
            self._playing[name].deployment = deployment
        else:
            self._playing[name] = Playing(deployment=deployment)
            tasks.create_task(self._play_for_ever(self._playing[name]))
        self._playing[name].changed.set()

    async def _play_for_ever(self, playing: Playing) -> None:
        while True:
            await playing.changed.wait()
            playing.changed.clear()
            async with self._room:
                await self._play(playing)

    async def _play(self, playing: Playing) -> None:
        for ordinal in range(len(playing.pods), replicas(playing.deployment)):
            playing.pods.append(await self._make(playing, ordinal))
        for each in playing.pods:
            if each.can_be_ready and not each.ready:
                each.ready = True
                await self._say_pod(each)
        await self._say_deployment(playing)

    async def _make(self, playing: Playing, ordinal: int) -> Pod:
        manifest = pod(playing.deployment, ordinal)
        created = await self._client.create(manifest)
        if not playing.is_router:
            return Pod(manifest=created, ip=str(_MODEL_SERVER_IP), router=None)
        node = f"{manifest['metadata']['namespace']}/{manifest['metadata']['name']}"
        router = await self._routers.add(node, playing.changed.set)
        made = Pod(manifest=created, ip=router.ip, router=router)
        await self._say_pod(made)
        return made

    async def _say_pod(self, made: Pod) -> None:
        meta, spec = made.manifest["metadata"], made.manifest["spec"]
        status = pod_status(spec, made.ip, ready=made.ready)
        await self._client.patch_status("Pod", meta["namespace"], meta["name"], status)

    async def _say_deployment(self, playing: Playing) -> None:
        deployment = playing.deployment
        ready = sum(each.ready for each in playing.pods)
        saying = (deployment["metadata"]["generation"], ready)
        if playing.said != saying:
            playing.said = saying
            meta, status = deployment["metadata"], deployment_status(deployment, ready)
            await self._client.patch_status("Deployment", meta["namespace"], meta["name"], status)
