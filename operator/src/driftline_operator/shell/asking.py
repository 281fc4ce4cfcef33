"""One poll of one Model: everything that is asked of its monitors and routers, and every failure.

Routers are asked before monitors: of what a router has counted by then, a monitor knows all that
it will ever know.
"""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from driftline_api.keys import monitor_token, signing_key
from driftline_api.monitor import MonitorConfig, ProfileFile, Summary
from driftline_api.monitoring import Monitoring
from driftline_api.names import COMPONENT, COMPONENT_ROUTER
from driftline_operator.core.clock import Clock
from driftline_operator.core.controller import Snapshot
from driftline_operator.drift.model_drift import Heard, ModelDrift
from driftline_operator.drift.pods import MonitorPod
from driftline_operator.drift.revision import RevisionDrift, asks_of, config_digest, configuration
from driftline_operator.router.keys import gather_keys, keys_ref
from driftline_operator.router.observe import RouterPod, live_routers
from driftline_operator.router.stats import Outcome
from driftline_operator.router.traffic import RouterInstance
from driftline_operator.shell.drift_metrics import DriftMetrics
from driftline_operator.shell.monitors import MonitorClient, MonitorError
from driftline_stats.drift.profile import Profile
from driftline_stats.errors import StatsError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A Model, as far as watching its data goes.

    Attributes:
        namespace, name, uid: of the Model.
        monitoring: its settings.
    """

    namespace: str
    name: str
    uid: str
    monitoring: Monitoring


def subject_of(model: Mapping[str, Any]) -> Subject | None:
    """Return a Model to be watched; None where it is going, or its settings cannot be read."""
    meta = model["metadata"]
    if "deletionTimestamp" in meta:
        return None
    try:
        monitoring = Monitoring.model_validate((model.get("spec") or {}).get("monitoring") or {})
    except ValidationError:
        return None
    return Subject(
        namespace=meta["namespace"], name=meta["name"], uid=meta["uid"], monitoring=monitoring
    )


class Asker:
    """Asks, and counts how it ended."""

    def __init__(
        self, snapshot: Snapshot, client: MonitorClient, clock: Clock, metrics: DriftMetrics
    ) -> None:
        self._snapshot = snapshot
        self._client = client
        self._clock = clock
        self._metrics = metrics
        self._silent: set[str] = set()

    async def heard(self, subject: Subject, pods: Sequence[MonitorPod], drift: ModelDrift) -> Heard:
        """Return what one poll brings; who does not answer is left out."""
        token = self._token(subject.namespace)
        routers = live_routers(self._snapshot, subject.namespace)
        outcomes = await asyncio.gather(*(self._outcomes(each, subject.name) for each in routers))
        answers = await asyncio.gather(*(self._summary(each, token) for each in pods))
        summaries = {pod.uid: answer for pod, answer in zip(pods, answers, strict=True) if answer}
        heard = Heard(
            now=self._clock.now().timestamp(),
            pods=tuple(pods),
            summaries=summaries,
            outcomes=[each for each in outcomes if each],
            routers=self._routers(subject.namespace),
            known=self._known(subject, pods),
        )
        return await self._with_answers(subject, heard, drift, token)

    async def configure(
        self, subject: Subject, heard: Heard, revisions: Mapping[str, RevisionDrift]
    ) -> bool:
        """Tell every monitor that counts otherwise how to count; return whether one was told."""
        token = self._token(subject.namespace)
        tells = []
        for pod in heard.pods:
            summary = heard.summaries.get(pod.uid)
            revision = revisions.get(pod.revision, RevisionDrift())
            if not summary or summary.final:
                continue
            if summary.config != config_digest(revision, subject.monitoring):
                config = configuration(revision, subject.monitoring)
                tells.append(self._configure(pod, token, config))
        return any(await asyncio.gather(*tells))

    async def _with_answers(
        self, subject: Subject, heard: Heard, drift: ModelDrift, token: str
    ) -> Heard:
        """Ask what else is to be known, of the revisions that need it."""
        profiles: dict[str, Profile] = {}
        plans: dict[str, bytes] = {}
        awaited: set[str] = set()
        by_uid = {pod.uid: pod for pod in heard.pods}
        for name in sorted({pod.revision for pod in heard.pods}):
            of = [
                heard.summaries[pod.uid]
                for pod in heard.pods
                if pod.revision == name and pod.uid in heard.summaries
            ]
            revision = drift.revisions.get(name, RevisionDrift())
            asks = asks_of(revision, of, subject.monitoring)
            if asks.profile_of:
                found = await self._profile(by_uid[asks.profile_of], token)
                profiles.update({name: found} if found else {})
                awaited.update(() if found else {name})
            elif asks.plan_of:
                proposed = await self._plan(by_uid[asks.plan_of], token)
                plans.update({name: proposed} if proposed else {})
        return replace(heard, profiles=profiles, plans=plans, awaited=frozenset(awaited))

    def _routers(self, namespace: str) -> frozenset[str]:
        """Return all pods of routers: one that cannot be asked now may be another time."""
        pods = self._snapshot.of_kind("Pod", namespace, {COMPONENT: COMPONENT_ROUTER})
        return frozenset(each["metadata"]["uid"] for each in pods)

    def _known(self, subject: Subject, pods: Sequence[MonitorPod]) -> frozenset[str]:
        """Return the revisions that are still there, by what is kept of them or runs of them."""
        kept = self._snapshot.stamps("ControllerRevision", subject.namespace)
        return frozenset({*kept, *(pod.revision for pod in pods)})

    def _token(self, namespace: str) -> str:
        """Return what monitors want; empty before the keys were read."""
        keys = gather_keys(self._snapshot.get(keys_ref(namespace)), b"").found.keys
        key = signing_key(keys, self._clock.now())
        return monitor_token(key) if key else ""

    async def _summary(self, pod: MonitorPod, token: str) -> Summary | None:
        try:
            found = await self._client.summary(pod.address, token)
        except MonitorError as error:
            self._failed("monitor", pod.uid, error)
            return None
        self._worked("monitor", pod.uid)
        if (found.pod, found.revision) != (pod.uid, pod.revision):
            # A pod that is gone: its address is another's by now.
            self._metrics.polled("monitor", "stranger")
            return None
        return found

    async def _outcomes(
        self, router: RouterPod, model: str
    ) -> tuple[RouterInstance, tuple[Outcome, ...]] | None:
        try:
            found = await self._client.outcomes(router, model)
        except MonitorError as error:
            self._failed("router", router.instance.pod_uid, error)
            return None
        self._worked("router", router.instance.pod_uid)
        return router.instance, tuple(each for each in found.outcomes if each.arm.model == model)

    async def _profile(self, pod: MonitorPod, token: str) -> Profile | None:
        try:
            file = await self._client.profile(pod.address, token)
            return await asyncio.to_thread(_profile_in, file)
        except MonitorError as error:
            self._failed("monitor", pod.uid, error)
        except StatsError as error:
            self._metrics.polled("monitor", "unreadable")
            log.warning("the profile of %s: %s", pod.revision, error)
        return None

    async def _plan(self, pod: MonitorPod, token: str) -> bytes | None:
        try:
            return await self._client.plan(pod.address, token)
        except MonitorError as error:
            self._failed("monitor", pod.uid, error)
            return None

    async def _configure(self, pod: MonitorPod, token: str, config: MonitorConfig) -> bool:
        try:
            await self._client.configure(pod.address, token, config)
        except MonitorError as error:
            self._failed("monitor", pod.uid, error)
            return False
        return True

    def _failed(self, whom: str, uid: str, error: MonitorError) -> None:
        """Count a failure, and tell the first of a row of them."""
        self._metrics.polled(whom, error.failure)
        if uid not in self._silent:
            log.warning("%s", error)
            self._silent.add(uid)

    def _worked(self, whom: str, uid: str) -> None:
        self._metrics.polled(whom, "ok")
        self._silent.discard(uid)


def _profile_in(file: ProfileFile) -> Profile:
    return Profile.from_json(json.dumps(file.profile))
