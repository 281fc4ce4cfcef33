"""How one revision takes over from another: a state machine whose whole state is in status.

    Preparing ──ready, its cluster acknowledged──> Step(i) ──last step acknowledged──> Promoted
        ^                                            │
        └────────── withdrawn: not ready, or not wanted any more ──────────┘

Nothing is remembered between two plans but what status says, so an operator that dies anywhere
is continued by the next. A revision that stops being wanted is retired in this order: its weight
goes, all routers say so, requests in flight end, its cluster goes, all routers say so, and only
then its Deployment.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from driftline_api.model import Share, Traffic

#: Percent of the requests that a new revision gets, one after the other.
STEPS: Final = (100,)
ALL: Final = 100
#: From when no router sends a revision requests until its cluster goes: for those in flight.
DRAIN: Final = timedelta(seconds=15)
#: With so many revisions running, a further one waits: routers that acknowledge nothing must
#: not make Deployments pile up.
MOST_RUNNING: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a step is decided upon.

    Attributes:
        stable: the revision that serves, None before the first one does.
        target: the revision that is wanted, None while that is not known.
        traffic: what the routers were last told.
        acknowledged: every router serves exactly that.
        running: revisions that have a Deployment.
        alive: those of them with at least one ready pod.
        ready: those of them with all the pods they should have, some of which every router
            has found to answer.
        idle: since when no router sends a revision requests; absent where one may.
        barred: a Deployment of the target cannot be made, so it must not be published.
    """

    stable: str | None
    target: str | None
    traffic: Traffic = field(default_factory=Traffic)
    acknowledged: bool = False
    running: Collection[str] = ()
    alive: Collection[str] = ()
    ready: Collection[str] = ()
    idle: Mapping[str, datetime]
    barred: bool = False

    def share(self, arm: Literal["stable", "canary"]) -> Share | None:
        """Return one arm's share."""
        return next((each for each in self.traffic.shares if each.arm == arm), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """What shall be.

    Attributes:
        traffic: what the routers are told, and whether they have said that they know.
        running: revisions that shall have a Deployment, sorted.
        idle: as in `Scene`, brought up to date.
        settled: no request goes, or may still go, anywhere but to stable.
        waits: the target has no Deployment because too many others still run.
        due: when to look again if nothing happens.
    """

    stable: str | None
    target: str | None
    traffic: Traffic
    running: tuple[str, ...]
    idle: Mapping[str, datetime]
    settled: bool
    waits: bool
    due: datetime | None


Move = tuple[str | None, tuple[Share, ...]]


def _whole(revision: str) -> tuple[Share, ...]:
    return (Share(arm="stable", revision=revision, weight=ALL),)


def _split(stable: str, canary: str, weight: int) -> tuple[Share, ...]:
    return (
        Share(arm="stable", revision=stable, weight=ALL - weight),
        Share(arm="canary", revision=canary, weight=weight),
    )


def first_serves(scene: Scene) -> Move | None:
    """The first revision becomes stable once it answers and the routers know it.

    One that is not wanted any more still does, if it answers: something is better than nothing,
    and from then on the next one has to prove itself first.
    """
    share = scene.share("stable")
    if scene.stable or not share or not scene.acknowledged:
        return None
    superseded = share.revision != scene.target and share.revision in scene.alive
    if superseded or share.revision in scene.ready:
        return share.revision, _whole(share.revision)
    return None


def first_is_routed(scene: Scene) -> Move | None:
    """While nothing serves, nothing can be lost: the target is routed to before it is ready."""
    if scene.stable or not scene.acknowledged or scene.target not in scene.traffic.clusters:
        return None
    return None, _whole(scene.target)


def unwanted_is_withdrawn(scene: Scene) -> Move | None:
    """What is not the target, or has no ready pod left, gets no requests, acknowledged or not."""
    canary = scene.share("canary")
    if scene.stable is None or canary is None:
        return None
    wanted = canary.revision == scene.target and canary.revision != scene.stable
    if wanted and canary.revision in scene.alive:
        return None
    return scene.stable, _whole(scene.stable)


def last_step_is_promoted(scene: Scene) -> Move | None:
    """After the last step the target becomes stable, once every router has taken that step."""
    canary = scene.share("canary")
    if canary is None or canary.weight < STEPS[-1] or not scene.acknowledged:
        return None
    if canary.revision not in scene.ready:
        return None
    return canary.revision, _whole(canary.revision)


def next_step_is_taken(scene: Scene) -> Move | None:
    """A target that is ready, and known to every router, gets the weight of the next step."""
    if scene.stable is None or scene.target in {None, scene.stable} or not scene.acknowledged:
        return None
    if scene.target not in scene.ready or scene.target not in scene.traffic.clusters:
        return None
    canary = scene.share("canary")
    weight = canary.weight if canary else 0
    following = next((step for step in STEPS if step > weight), None)
    if following is None or scene.target is None:
        return None
    return scene.stable, _split(scene.stable, scene.target, following)


#: The first that applies decides; where none does, everything stays as it is.
MOVES: Final[tuple[Callable[[Scene], Move | None], ...]] = (
    first_serves,
    first_is_routed,
    unwanted_is_withdrawn,
    last_step_is_promoted,
    next_step_is_taken,
)


def plan_rollout(scene: Scene, now: datetime) -> Rollout:
    """Return the next state."""
    moves = (move(scene) for move in MOVES)
    stable, shares = next((m for m in moves if m), (scene.stable, tuple(scene.traffic.shares)))
    scene = replace(scene, stable=stable)
    changed = shares != tuple(scene.traffic.shares)
    started, waits = _started(scene)
    idle = _idle(scene, shares, started, now, acknowledged=scene.acknowledged and not changed)
    needed = _needed(scene, shares)
    clusters = _clusters(scene, needed, started, idle, now)
    traffic = _traffic(scene, shares, clusters)
    running = _kept(scene, needed | started, clusters)
    return Rollout(
        stable=stable,
        target=scene.target,
        traffic=traffic,
        running=running,
        idle={name: at for name, at in idle.items() if name in running},
        settled=_is_settled(stable, shares, running, idle),
        waits=waits,
        due=_due(needed | started, clusters, idle, now),
    )


def _started(scene: Scene) -> tuple[frozenset[str], bool]:
    """Return the target if it shall run, and whether it must wait for room."""
    if scene.target is None:
        return frozenset(), False
    if scene.target in scene.running or len(scene.running) < MOST_RUNNING:
        return frozenset({scene.target}), False
    return frozenset(), True


def _needed(scene: Scene, shares: Sequence[Share]) -> frozenset[str]:
    """Return the revisions that serve, or may be about to."""
    named = {share.revision for share in shares}
    return frozenset(named | ({scene.stable} if scene.stable else set()))


def _idle(
    scene: Scene,
    shares: Sequence[Share],
    started: Collection[str],
    now: datetime,
    *,
    acknowledged: bool,
) -> dict[str, datetime]:
    """Return since when each revision gets no requests for sure.

    One that no router was told of is idle from the start. One that a share named, be it without
    weight as what a canary falls back to, is idle from the moment when all routers serve shares
    that leave it out.
    """
    named = {share.revision for share in (*shares, *scene.traffic.shares)}
    idle = {name: at for name, at in scene.idle.items() if name not in named}
    for name in {*scene.running, *started} - named - idle.keys():
        if acknowledged or name not in scene.traffic.clusters:
            idle[name] = now
    return idle


def _clusters(
    scene: Scene,
    needed: Collection[str],
    started: Collection[str],
    idle: Mapping[str, datetime],
    now: datetime,
) -> list[str]:
    """Return the revisions that routers shall know: those needed, and those not yet drained."""
    published = {name for name in started if not (scene.barred and name == scene.target)}
    known = set(scene.traffic.clusters) - set(started)
    draining = {name for name in known if name in scene.running and not _drained(name, idle, now)}
    return sorted({*needed, *published, *draining})


def _drained(name: str, idle: Mapping[str, datetime], now: datetime) -> bool:
    return name in idle and now >= idle[name] + DRAIN


def _traffic(scene: Scene, shares: Sequence[Share], clusters: list[str]) -> Traffic:
    before = scene.traffic
    reweighted = tuple(shares) != tuple(before.shares)
    same = not reweighted and clusters == sorted(before.clusters)
    return Traffic(
        epoch=before.epoch + reweighted,
        shares=list(shares),
        clusters=clusters,
        acknowledged=scene.acknowledged and same,
    )


def _kept(scene: Scene, wanted: Collection[str], clusters: Sequence[str]) -> tuple[str, ...]:
    """Return the revisions that keep a Deployment: all that any router may still know."""
    known = set(clusters) if scene.acknowledged else {*clusters, *scene.running}
    published = set(scene.traffic.clusters)
    return tuple(sorted({*wanted, *(set(scene.running) & (known | published))}))


def _is_settled(
    stable: str | None,
    shares: Sequence[Share],
    running: Collection[str],
    idle: Mapping[str, datetime],
) -> bool:
    if stable is None or tuple(shares) != _whole(stable):
        return False
    return all(name in idle for name in running if name != stable)


def _due(
    wanted: Collection[str],
    clusters: Collection[str],
    idle: Mapping[str, datetime],
    now: datetime,
) -> datetime | None:
    """Return when the next revision has drained."""
    waiting = (idle[n] + DRAIN for n in clusters if n in idle and n not in wanted)
    return min((at for at in waiting if at > now), default=None)
