"""How many writes this API server takes from a client that does nothing else.

The client repeats, under other names, what was written for some Models: the same requests about
the same objects in the same numbers, many Models at a time. So whatever a reconcile takes beyond
them is the operator's own cost, and not that of a kind of write which happens to be dear.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from driftline_api.names import FIELD_MANAGER, MODEL
from e2e.bench.api import Client, Object
from e2e.bench.owned import applied_by

#: Children that exist for every Model of the benchmark.
APPLIED = ("ControllerRevision", "Deployment", "Service")
STATUSES = ("Model", "Deployment", "Pod")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """All that stands in the API server because of one Model.

    Attributes:
        name: of the Model; part of every other name.
        model: the Model.
        applied: its children, as they were applied.
        created: pods and Events.
        statuses: the objects whose status was written, with it.
    """

    name: str
    model: Object
    applied: Sequence[Object]
    created: Sequence[Object]
    statuses: Sequence[Object]

    def renamed(self, name: str) -> "Written":
        """Return the same for another Model, whose name must be as long."""
        assert len(name) == len(self.name)
        return Written(
            name=name,
            model=_rename(self.model, self.name, name),
            applied=[_rename(each, self.name, name) for each in self.applied],
            created=[_rename(each, self.name, name) for each in self.created],
            statuses=[_rename(each, self.name, name) for each in self.statuses],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BareRate:
    """What was measured.

    Attributes:
        seconds: wall time of all writes together.
        concurrency: Models that were worked on at a time.
    """

    writes: int
    seconds: float
    concurrency: int

    @property
    def per_second(self) -> float:
        """Writes a second."""
        return self.writes / self.seconds


async def record(client: Client, names: Sequence[str]) -> list[Written]:
    """Read what was written for some Models, which must be Ready."""
    objects: dict[str, list[Object]] = defaultdict(list)
    for kind in (*APPLIED, "Pod", "Event", "Model"):
        for item in await client.list(kind):
            objects[_model_of(item, kind)].append(item)
    return [_written(name, objects[name]) for name in names]


def _model_of(item: Object, kind: str) -> str:
    if kind == "Event":
        return str(item["involvedObject"]["name"])
    labels = item["metadata"].get("labels", {})
    return str(item["metadata"]["name"] if kind == "Model" else labels.get(MODEL, ""))


def _written(name: str, objects: Sequence[Object]) -> Written:
    created = [_as_created(each) for each in objects if each["kind"] in {"Pod", "Event"}]
    return Written(
        name=name,
        model=next(_as_created(each) for each in objects if each["kind"] == "Model"),
        applied=[applied_by(FIELD_MANAGER, each) for each in objects if each["kind"] in APPLIED],
        created=created,
        statuses=[each for each in objects if each["kind"] in STATUSES],
    )


def _as_created(live: Object) -> Object:
    meta = {
        key: value
        for key, value in live["metadata"].items()
        if key in {"name", "namespace", "labels", "annotations", "ownerReferences"}
    }
    return {key: value for key, value in live.items() if key != "status"} | {"metadata": meta}


def _rename(manifest: Object, old: str, new: str) -> Object:
    renamed: Object = orjson.loads(orjson.dumps(manifest).replace(old.encode(), new.encode()))
    return renamed


async def measure(
    client: Client, samples: Sequence[Written], status_writes: Mapping[str, float], concurrency: int
) -> BareRate:
    """Write all samples, `concurrency` of them at a time.

    `status_writes` says how often the status of each kind is written, on average.
    """
    for sample in samples:
        await client.create(sample.model)
    room = asyncio.Semaphore(concurrency)

    async def repeat(number: int) -> int:
        async with room:
            return await _repeat(client, samples[number], _whole(status_writes, number))

    began = time.monotonic()
    writes = sum(await asyncio.gather(*map(repeat, range(len(samples)))))
    return BareRate(writes=writes, seconds=time.monotonic() - began, concurrency=concurrency)


def _whole(averages: Mapping[str, float], number: int) -> dict[str, int]:
    """Return whole numbers for the n-th Model, such that many Models have the averages.

    >>> [_whole({"Model": 1.5}, n)["Model"] for n in range(4)]
    [1, 2, 1, 2]
    """
    return {
        kind: int((number + 1) * average) - int(number * average)
        for kind, average in averages.items()
    }


async def _repeat(client: Client, sample: Written, status_writes: Mapping[str, int]) -> int:
    """Write one sample, one request after the other, and return how many there were."""
    for manifest in sample.applied:
        await client.apply(manifest, "driftline-bench")
    for manifest in sample.created:
        await client.create(manifest)
    left = Counter(status_writes)
    for live in sample.statuses:
        for attempt in range(left.pop(live["kind"], 0)):
            meta = live["metadata"]
            status = _varied(live["status"], attempt)
            await client.patch_status(live["kind"], meta["namespace"], meta["name"], status)
    return len(sample.applied) + len(sample.created) + sum(status_writes.values())


def _varied(status: Mapping[str, Any], attempt: int) -> Object:
    """Return a status that differs from the last, so that the API server has to store it."""
    first, *others = status["conditions"]
    return {**status, "conditions": [{**first, "message": f"attempt {attempt}"}, *others]}
