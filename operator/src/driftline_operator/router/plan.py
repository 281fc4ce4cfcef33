"""Decides the routers of a namespace: their ports, the version of their configuration, their end.

With them it decides the keys of the namespace's receipts, which outlive them. Until those are
gone the ConfigMap stays: it alone says since when there has been no Model.

The version grows with each change of what the configuration is made from, but at most twice a
second: many Models that change at once become one version.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from driftline_api.conditions import Reason
from driftline_api.names import ROUTER
from driftline_operator.core.plan import Deletion, Manifest, Plan
from driftline_operator.router.inputs import Routed, Wanted
from driftline_operator.router.keys import KeyConfig, KeysObserved, plan_keys, plan_old_keys
from driftline_operator.router.manifests import RouterConfig, render_manifests, state_manifest
from driftline_operator.router.ports import Allocation, Held, allocate
from driftline_operator.router.state import ModelEntry, RouterState, render_state
from driftline_operator.router.xds import configuration_hash

BETWEEN_VERSIONS: Final = timedelta(seconds=0.5)
#: After the last Model, until its routers go: who re-creates a Model finds them there.
LINGER: Final = timedelta(minutes=5)
#: Until ports may have been freed or rested enough.
PORTS_RETRY_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the plan for a namespace's routers is made from.

    Attributes:
        namespace: the routers'.
        models: what each Model of the namespace wants, by name.
        state: what the ConfigMap says.
        state_version: the ConfigMap's resourceVersion, None where there is none.
        children: every object of the routers that is there, the ConfigMap included.
        keys: the Secret of the receipts' keys.
        config: what the installation says.
        key_config: what it says about receipts.
    """

    namespace: str
    models: Mapping[str, Wanted]
    state: RouterState
    state_version: str | None
    children: tuple[Deletion, ...]
    keys: KeysObserved
    config: RouterConfig
    key_config: KeyConfig


def plan_routers(observed: Observed, now: datetime) -> Plan:
    """Return what is to be done about the routers of a namespace, and about its keys."""
    if is_over(observed, now):
        return _plan_end(observed, now)
    plan_for = plan_keys if observed.models else plan_old_keys
    keys = plan_for(observed.namespace, observed.keys, now, observed.key_config)
    return _joined(_plan_upkeep(observed, now), keys)


def _plan_end(observed: Observed, now: datetime) -> Plan:
    """Return what remains to be done when the routers shall go."""
    secret, state = observed.keys.secret, observed.state
    if secret is None:
        return Plan(delete=observed.children)
    memory = tuple(each for each in observed.children if each.ref.name == ROUTER and _is_map(each))
    routers = tuple(each for each in observed.children if each not in memory)
    if state.empty_since and now - state.empty_since >= LINGER + observed.key_config.horizon:
        return Plan(delete=(*routers, secret, *memory))
    keys = plan_old_keys(observed.namespace, observed.keys, now, observed.key_config)
    if observed.state_version:
        return replace(keys, delete=routers)
    return replace(keys, apply=(_lost_state(observed, now), *keys.apply), delete=routers)


def _is_map(child: Deletion) -> bool:
    return child.ref.kind == "ConfigMap"


def _lost_state(observed: Observed, now: datetime) -> Manifest:
    """Return a ConfigMap that says no more than that the routers are over by now."""
    after = replace(next_state(observed, now), empty_since=now - LINGER)
    return state_manifest(observed.namespace, render_state(after), None)


def _joined(routers: Plan, keys: Plan) -> Plan:
    looks = [each for each in (routers.requeue_after, keys.requeue_after) if each is not None]
    return Plan(
        apply=(*routers.apply, *keys.apply),
        events=keys.events,
        requeue_after=min(looks, default=None),
    )


def _plan_upkeep(observed: Observed, now: datetime) -> Plan:
    after = next_state(observed, now)
    state = observed.state
    manifests = render_manifests(observed.namespace, observed.config)
    if after == state and observed.state_version:
        return Plan(apply=manifests, requeue_after=_next_look(state, now))
    wait = _too_soon(state, now)
    if wait:
        return Plan(apply=manifests, requeue_after=wait)
    data = render_state(after)
    config_map = state_manifest(observed.namespace, data, observed.state_version)
    return Plan(apply=(config_map, *manifests), requeue_after=_next_look(after, now))


def is_over(observed: Observed, now: datetime) -> bool:
    """Tell whether the routers shall go: no Model, for so long that none is expected."""
    if observed.models:
        return False
    since = observed.state.empty_since
    return observed.state_version is None or (since is not None and now - since >= LINGER)


def next_state(observed: Observed, now: datetime) -> RouterState:
    """Return what the ConfigMap shall say; what it says already if nothing has changed.

    That ports have rested enough is no change: it is noted with the next one.
    """
    state = observed.state
    allocation = allocate(tuple(observed.models.values()), _allocated(state), now)
    routed = [
        Routed(wanted=observed.models[name], port=held.port)
        for name, held in sorted(allocation.held.items())
    ]
    changed = configuration_hash(routed) != state.hash or state.version < _highest(state)
    version = _next_version(state, now) if changed else state.version
    after = RouterState(
        version=version,
        hash=configuration_hash(routed),
        models={each.model: _entry(each, state, version) for each in routed},
        freed=allocation.freed,
        problems=dict.fromkeys(allocation.without, str(Reason.PORTS_EXHAUSTED)),
        updated=now if changed else state.updated,
        empty_since=None if observed.models else state.empty_since or now,
    )
    return state if replace(after, freed=state.freed) == state else after


def _allocated(state: RouterState) -> Allocation:
    held = {name: Held(uid=each.uid, port=each.port) for name, each in state.models.items()}
    return Allocation(held=held, freed=state.freed)


def _highest(state: RouterState) -> int:
    """Return the least that the version can be; more than it is if a person wrote it smaller."""
    return max((entry.version for entry in state.models.values()), default=1)


def _next_version(state: RouterState, now: datetime) -> int:
    """Return the next number.

    The first is the time, in seconds: should the ConfigMap be lost, the count goes on above
    what routers have already seen, since it grows more slowly than time on the whole.
    """
    if not state.version:
        return max(int(now.timestamp()), _highest(state) + 1)
    return max(state.version, _highest(state)) + 1


def _entry(routed: Routed, state: RouterState, version: int) -> ModelEntry:
    """Return a Model's entry: the one of before as long as the configuration says the same."""
    before = state.models.get(routed.model)
    entry = ModelEntry(uid=routed.wanted.uid, port=routed.port, hash=routed.hash, version=version)
    same = before is not None and replace(before, version=version) == entry
    return before if before and same else entry


def _too_soon(state: RouterState, now: datetime) -> float | None:
    """Return the seconds to wait until another version may follow, None where it may now."""
    wait = state.updated + BETWEEN_VERSIONS - now if state.updated else timedelta()
    return wait.total_seconds() if timedelta() < wait <= BETWEEN_VERSIONS else None


def _next_look(state: RouterState, now: datetime) -> float | None:
    if state.empty_since:
        return max((state.empty_since + LINGER - now).total_seconds(), 0.0) + 0.1
    return PORTS_RETRY_SECONDS if state.problems else None
