"""The cases of `operator`: what is done, and what is seen of it."""

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.bench import bare
from e2e.bench.api import Client
from e2e.bench.audit import BARE_CLIENT, OPERATOR, STAND_IN, Write, by, tally
from e2e.bench.bare import BareRate, Written
from e2e.bench.control_plane import control_plane
from e2e.bench.population import model, namespaces, populate
from e2e.bench.scene import CHECKOUT, Scene, scene, until_led, until_quiet, until_settled

Tell = Callable[[str], None]

#: Seconds without a write after which nothing more is expected.
QUIET_SECONDS = 15
#: The same after a restart: above the longest time after which a reconcile comes back by itself.
RESTART_SECONDS = 45
#: At which the bare client repeats what was written for all Models. The best rate counts.
CONCURRENCIES = (8, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cold:
    """A cold reconcile.

    Attributes:
        seconds: from the operator's start until the last Model was Ready.
        operator_writes: of the operator, until all was quiet; Leases left out.
        stand_in_writes: the same of the stand-in.
        cpu_seconds: of the operator.
        bare: the best rate of the bare client on the same machine, right afterwards.
    """

    models: int
    seconds: float
    operator_writes: Sequence[Write]
    stand_in_writes: Sequence[Write]
    cpu_seconds: float
    bare: BareRate

    @property
    def writes(self) -> int:
        """All of them."""
        return len(self.operator_writes) + len(self.stand_in_writes)

    @property
    def bare_seconds(self) -> float:
        """What the bare client would have needed for as many writes."""
        return self.writes / self.bare.per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """A restart of the operator with all Models Ready."""

    writes: Sequence[Write]
    deployments_changed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """A time in which nothing happened."""

    seconds: float
    writes: Sequence[Write]
    cpu_share: float


@dataclass(slots=True, kw_only=True)
class Measured:
    """All that was measured with one number of Models."""

    cold: Cold
    restart: Restart | None = None
    steady: Steady | None = None
    peak_memory_mb: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be done after the cold reconcile; 0 seconds stands for no steady state."""

    restart: bool
    steady_seconds: float


async def measure(kube: Path, models: int, wanted: Wanted, tell: Tell) -> Measured:
    """Reconcile `models` Models from nothing, and do with them what else is wanted."""
    tell(f"{models} Models: starting an API server and creating them")
    async with scene(kube, models) as made:
        measured = Measured(cold=await _cold(made, kube, tell))
        if wanted.restart or wanted.steady_seconds:
            tell("restart: the operator starts anew, with all Models Ready")
            measured.restart = await _restart(made, tell)
        if wanted.steady_seconds:
            tell(f"steady state: nothing happens for {wanted.steady_seconds:.0f} s")
            measured.steady = await _steady(made, wanted.steady_seconds)
        made.end()
        measured.peak_memory_mb = max(made.peaks)
        return measured


async def _cold(made: Scene, kube: Path, tell: Tell) -> Cold:
    """Let a new operator bring all Models up; it is stopped afterwards."""
    made.audit.read()
    made.start_operator()
    seconds = await until_settled(made, tell)
    cpu = made.operator.cpu_seconds()
    writes = await until_quiet(made, QUIET_SECONDS)
    made.stop_operator()
    for name, agent in (("operator", OPERATOR), ("stand-in", STAND_IN)):
        counts = tally(by(agent, writes)).items()
        tell(f"the {name} wrote: {', '.join(f'{count} {what}' for what, count in counts)}")
    tell(f"all Ready after {seconds:.1f} s; now the bare client")
    return Cold(
        models=made.models,
        seconds=seconds,
        operator_writes=by(OPERATOR, writes),
        stand_in_writes=by(STAND_IN, writes),
        cpu_seconds=cpu,
        bare=await _bare(made, kube, writes),
    )


async def _bare(made: Scene, kube: Path, writes: Sequence[Write]) -> BareRate:
    """Measure the bare client against an API server of its own, with everything else at rest."""
    averages = _status_writes(writes, made.models)
    spaces = namespaces()
    names = [model(n, spaces)["metadata"]["name"] for n in range(made.models)]
    async with Client(made.plane, "driftline-bench/1") as client:
        samples = await bare.record(client, names)
    with (
        made.paused_stand_in(),
        tempfile.TemporaryDirectory(prefix="driftline-bare-") as name,
        control_plane(kube, Path(name)) as plane,
    ):
        async with Client(plane, f"{BARE_CLIENT}1", connections=64) as client:
            await populate(client, CHECKOUT / "crds", 0)
            return await _best_rate(client, samples, averages)


async def _best_rate(
    client: Client, samples: Sequence[Written], averages: Mapping[str, float]
) -> BareRate:
    """Return the best of the concurrencies, after a few writes that warm the API server up."""
    await bare.measure(client, [_again(each, "w") for each in samples[:20]], averages, 4)
    rates = []
    for letter, concurrency in zip("xyz", CONCURRENCIES, strict=False):
        again = [_again(each, letter) for each in samples]
        rates.append(await bare.measure(client, again, averages, concurrency))
    return max(rates, key=lambda rate: rate.per_second)


def _again(sample: Written, letter: str) -> Written:
    return sample.renamed(letter + sample.name[1:])


def _status_writes(writes: Sequence[Write], models: int) -> dict[str, float]:
    """Return how often each kind's status was written per Model."""
    counts = tally(writes, lambda write: write.what)
    return {kind: counts.get(f"{kind.lower()}s/status", 0) / models for kind in bare.STATUSES}


async def _restart(made: Scene, tell: Tell) -> Restart:
    """Start an operator while all Models are Ready, and see what it does about them."""
    before = await _deployments(made)
    made.audit.read()
    made.start_operator()
    tell("waiting for the new operator to lead and to have looked at everything")
    writes = await until_led(made)
    writes += await until_quiet(made, RESTART_SECONDS)
    after = await _deployments(made)
    return Restart(
        writes=by(OPERATOR, writes),
        deployments_changed=sum(after.get(name) != seen for name, seen in before.items()),
    )


async def _deployments(made: Scene) -> dict[str, tuple[str, int]]:
    """Return uid and generation of every Deployment: a restart of pods shows in the latter."""
    async with Client(made.plane, "driftline-bench/1") as client:
        metas = [each["metadata"] for each in await client.list("Deployment")]
    return {f"{m['namespace']}/{m['name']}": (m["uid"], m["generation"]) for m in metas}


async def _steady(made: Scene, seconds: float) -> Steady:
    """Count what an operator writes that has nothing to do."""
    made.audit.read()
    cpu = made.operator.cpu_seconds()
    for _ in range(int(seconds)):
        await asyncio.sleep(1)
        made.check()
    return Steady(
        seconds=seconds,
        writes=by(OPERATOR, made.audit.read()),
        cpu_share=(made.operator.cpu_seconds() - cpu) / seconds,
    )
