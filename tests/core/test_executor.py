"""How plans are carried out."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from driftline_api.names import ADOPT, MANIFEST_HASH
from driftline_operator.core.executor import Executor
from driftline_operator.core.kinds import WATCHED
from driftline_operator.core.plan import (
    Deletion,
    EventRecord,
    Manifest,
    ObjectRef,
    Plan,
    StatusWrite,
)
from driftline_operator.core.store import Store
from driftline_operator.errors import ConflictError, NotLeaderError, UnavailableError
from tests.contract.manifests import a_config_map, a_deployment, a_model, a_service, owner
from tests.contract.memory import MemoryApi
from tests.core.builders import NAMESPACE, a_key

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = a_key()


class Bench:
    """An executor with its API server, a Model, and a list of what it wrote."""

    def __init__(self) -> None:
        self.api = MemoryApi()
        self.store = Store()
        self.leads = True
        self.wrote: list[tuple[str, str]] = []
        self.model = self.api.create_as("user", a_model(NAMESPACE, "m"))
        self.store.put(self.model)
        self.executor = Executor(self.api, self.store, self)

    def permit(self) -> None:
        if not self.leads:
            raise NotLeaderError("not the leader")

    def count(self, kind: str, verb: str) -> None:
        self.wrote.append((kind, verb))

    async def run(self, plan: Plan) -> list[str]:
        """Carry a plan out; return the reasons of what was refused."""
        refused = await self.executor.apply_children(KEY, plan)
        await self.executor.finish(KEY, plan, NOW)
        return [each.reason for each in refused]

    def child(self, make: Callable[..., dict[str, Any]], **given: Any) -> dict[str, Any]:
        """Return a child of the Model."""
        manifest = make(NAMESPACE, "m", **given)
        manifest["metadata"]["ownerReferences"] = [owner(self.model)]
        manifest["metadata"]["labels"]["driftline.dev/model"] = "m"
        return manifest

    def status(self, **status: Any) -> StatusWrite:
        meta = self.model["metadata"]
        return StatusWrite(
            ref=ObjectRef.of(self.model),
            uid=meta["uid"],
            resource_version=meta["resourceVersion"],
            status=status,
        )

    def live(self, manifest: Manifest) -> Manifest:
        found = self.api.find(ObjectRef.of(manifest))
        assert found is not None
        return found


def event(message: str = "it happened") -> EventRecord:
    ref = ObjectRef.of(a_model(NAMESPACE, "m"))
    return EventRecord(about=ref, uid="uid", type="Normal", reason="Tested", message=message)


def deletion_of(live: Manifest) -> Deletion:
    meta = live["metadata"]
    return Deletion(
        ref=ObjectRef.of(live), uid=meta["uid"], resource_version=meta["resourceVersion"]
    )


async def test_children_then_deletions_then_status_then_events() -> None:
    bench = Bench()
    old = bench.child(a_config_map)
    await bench.run(Plan(apply=(old,)))
    bench.wrote.clear()
    plan = Plan(
        apply=(bench.child(a_service), bench.child(a_deployment)),
        delete=(deletion_of(bench.live(old)),),
        status=bench.status(phase="Preparing"),
        events=(event(),),
    )
    await bench.run(plan)
    assert bench.wrote == [
        ("Service", "apply"),
        ("Deployment", "apply"),
        ("ConfigMap", "delete"),
        ("Model", "status"),
        ("Event", "create"),
    ]


@pytest.mark.parametrize("make", [a_config_map, a_service, a_deployment])
async def test_what_is_there_already_is_not_written_again(make: Any) -> None:
    bench = Bench()
    plan = Plan(apply=(bench.child(make),))
    await bench.run(plan)
    await bench.run(plan)
    assert len(bench.wrote) == 1


async def test_another_process_does_not_write_it_again_either() -> None:
    bench = Bench()
    limits = {"cpu": "1000m", "memory": "1024Mi"}
    plan = Plan(apply=(bench.child(a_deployment, resources={"limits": limits}),))
    await bench.run(plan)
    bench.executor = Executor(bench.api, bench.store, bench)
    await bench.run(plan)
    assert len(bench.wrote) == 1


async def test_what_the_api_server_rewrites_is_written_once() -> None:
    """A value whose rewritten form is_contained cannot know must not be written for ever."""
    bench = Bench()
    desired = bench.child(a_deployment, lifecycle={"weird": "A"})

    def rewrite(live: dict[str, Any]) -> None:
        live["spec"]["template"]["spec"]["containers"][0]["lifecycle"]["weird"] = "a"

    await bench.run(Plan(apply=(desired,)))
    ref = ObjectRef.of(desired)
    bench.api.edit(ref, rewrite)
    bench.store.put(bench.live(desired))
    await bench.run(Plan(apply=(desired,)))
    assert len(bench.wrote) == 2, "a change by hand is repaired"


async def test_a_changed_manifest_is_applied_and_removed_fields_go() -> None:
    bench = Bench()
    await bench.run(Plan(apply=(bench.child(a_config_map, one="1", two="2"),)))
    desired = bench.child(a_config_map, one="1")
    await bench.run(Plan(apply=(desired,)))
    assert bench.live(desired)["data"] == {"one": "1"}
    assert len(bench.wrote) == 2


async def test_a_child_that_was_edited_by_hand_is_repaired() -> None:
    bench = Bench()
    desired = bench.child(a_deployment)
    await bench.run(Plan(apply=(desired,)))
    bench.api.edit(ObjectRef.of(desired), lambda live: live["spec"].update(replicas=9))
    bench.store.put(bench.live(desired))
    await bench.run(Plan(apply=(desired,)))
    assert bench.live(desired)["spec"]["replicas"] == 1


async def test_a_removed_hash_is_put_back() -> None:
    bench = Bench()
    desired = bench.child(a_config_map)
    await bench.run(Plan(apply=(desired,)))
    bench.api.edit(
        ObjectRef.of(desired), lambda live: live["metadata"]["annotations"].pop(MANIFEST_HASH)
    )
    bench.store.put(bench.live(desired))
    await bench.run(Plan(apply=(desired,)))
    assert MANIFEST_HASH in bench.live(desired)["metadata"]["annotations"]


async def test_a_foreign_object_is_left_alone_and_named() -> None:
    bench = Bench()
    foreign = a_service(NAMESPACE, "m", port=81)
    del foreign["metadata"]["labels"]
    before = bench.api.create_as("somebody", foreign)
    assert await bench.run(Plan(apply=(bench.child(a_service),))) == ["NameConflict"]
    assert bench.live(foreign) == before
    assert bench.wrote == []


async def test_an_object_of_another_owner_is_foreign_though_it_bears_our_label() -> None:
    bench = Bench()
    other = bench.api.create_as("user", a_model(NAMESPACE, "other"))
    theirs = bench.child(a_service)
    theirs["metadata"]["ownerReferences"] = [owner(other)]
    bench.store.put(bench.api.create_as("driftline-operator", theirs))
    assert await bench.run(Plan(apply=(bench.child(a_service),))) == ["NameConflict"]


async def test_an_adopted_object_is_taken_over() -> None:
    bench = Bench()
    foreign = a_service(NAMESPACE, "m", port=80)
    del foreign["metadata"]["labels"]
    foreign["metadata"]["annotations"] = {ADOPT: "m"}
    bench.api.create_as("somebody", foreign)
    assert await bench.run(Plan(apply=(bench.child(a_service),))) == []
    assert bench.live(foreign)["metadata"]["ownerReferences"] == [owner(bench.model)]


async def test_what_is_handed_to_another_model_is_not_taken() -> None:
    bench = Bench()
    foreign = a_service(NAMESPACE, "m", port=80)
    foreign["metadata"]["annotations"] = {ADOPT: "other"}
    bench.api.create_as("somebody", foreign)
    assert await bench.run(Plan(apply=(bench.child(a_service),))) == ["NameConflict"]


async def test_what_has_no_owner_by_design_is_known_by_its_label() -> None:
    bench = Bench()
    shared = a_config_map(NAMESPACE, "driftline-router", version="1")
    await bench.run(Plan(apply=(shared,)))
    await bench.run(Plan(apply=(a_config_map(NAMESPACE, "driftline-router", version="2"),)))
    assert bench.live(shared)["data"] == {"version": "2"}


async def test_what_appears_between_look_and_apply_is_not_taken() -> None:
    bench = Bench()
    foreign = a_service(NAMESPACE, "m")
    foreign["metadata"].pop("labels")
    foreign["spec"]["selector"] = {"app": "theirs"}
    before = bench.api.create_as("somebody", foreign)
    bench.executor = Executor(Blind(bench.api), bench.store, bench)
    with pytest.raises(ConflictError):
        await bench.run(Plan(apply=(bench.child(a_service),)))
    assert bench.live(foreign) == before


class Blind(MemoryApi):
    """Shows nothing to those who look, as if all had just appeared."""

    def __init__(self, api: MemoryApi) -> None:
        self.__dict__ = api.__dict__

    async def get(self, ref: ObjectRef) -> Manifest | None:  # noqa: ARG002 - the protocol's
        return None


async def test_a_refused_child_keeps_no_other_from_being_applied() -> None:
    bench = Bench()
    good = bench.child(a_config_map)
    plan = Plan(apply=(bench.child(a_service, port=0), good))
    assert await bench.run(plan) == ["ChildRefused"]
    assert bench.live(good)


async def test_what_was_refused_is_not_tried_twice_in_a_reconcile() -> None:
    bench = Bench()
    plan = Plan(apply=(bench.child(a_service, port=0),))
    refused = await bench.executor.apply_children(KEY, plan)
    again = await bench.executor.apply_children(KEY, Plan(apply=plan.apply), refused)
    assert again == refused


async def test_an_object_on_its_way_out_is_waited_for() -> None:
    bench = Bench()
    desired = bench.child(a_config_map, value="1")
    kept = bench.child(a_config_map, value="0")
    kept["metadata"]["finalizers"] = ["driftline.dev/test"]
    made = bench.api.create_as("driftline-operator", kept)
    bench.api.delete_now(ObjectRef.of(made))
    bench.store.put(bench.live(kept))
    assert await bench.run(Plan(apply=(desired,))) == []
    assert bench.wrote == []


async def test_a_precondition_that_fails_is_a_conflict_and_is_looked_into() -> None:
    bench = Bench()
    first = a_config_map(NAMESPACE, "driftline-router", version="1")
    await bench.run(Plan(apply=(first,)))
    bench.api.edit(ObjectRef.of(first), lambda live: live["data"].update(version="5"))
    late = a_config_map(NAMESPACE, "driftline-router", version="2")
    known = bench.store.get(ObjectRef.of(first))
    assert known is not None
    late["metadata"]["resourceVersion"] = known["metadata"]["resourceVersion"]
    with pytest.raises(ConflictError):
        await bench.run(Plan(apply=(late,)))
    await bench.executor.settle_doubts(KEY)
    known = bench.store.get(ObjectRef.of(first))
    assert known is not None
    assert known["data"] == {"version": "5"}, "read anew, though no watch told"


async def test_a_lost_answer_is_looked_into_before_the_next_plan() -> None:
    bench = Bench()
    desired = bench.child(a_config_map)
    bench.executor = Executor(Deaf(bench.api), bench.store, bench)
    with pytest.raises(UnavailableError):
        await bench.run(Plan(apply=(desired,)))
    assert bench.store.get(ObjectRef.of(desired)) is None
    await bench.executor.settle_doubts(KEY)
    assert bench.store.get(ObjectRef.of(desired)) == bench.live(desired)


class Deaf(MemoryApi):
    """Carries applies out, and does not answer."""

    def __init__(self, api: MemoryApi) -> None:
        self.__dict__ = api.__dict__

    async def apply(self, manifest: Manifest, *, force: bool = True) -> Manifest:
        await super().apply(manifest, force=force)
        raise UnavailableError("no answer")


async def test_who_does_not_lead_writes_nothing() -> None:
    bench = Bench()
    bench.leads = False
    for plan in (
        Plan(apply=(bench.child(a_config_map),)),
        Plan(delete=(deletion_of(bench.model),)),
        Plan(status=bench.status(phase="Preparing")),
        Plan(events=(event(),)),
    ):
        with pytest.raises(NotLeaderError):
            await bench.run(plan)
    assert [each["kind"] for each in bench.api.everything()] == ["Model"]


async def test_our_own_writes_are_known_at_once() -> None:
    bench = Bench()
    desired = bench.child(a_config_map)
    await bench.run(Plan(apply=(desired,), status=bench.status(phase="Preparing")))
    assert bench.store.get(ObjectRef.of(desired)) == bench.live(desired)
    model = bench.store.get(ObjectRef.of(bench.model))
    assert model is not None
    assert model["status"] == {"phase": "Preparing"}
    await bench.run(Plan(delete=(deletion_of(bench.live(desired)),)))
    assert bench.store.get(ObjectRef.of(desired)) is None


async def test_a_deletion_of_what_has_changed_is_refused() -> None:
    bench = Bench()
    desired = bench.child(a_config_map)
    await bench.run(Plan(apply=(desired,)))
    stale = deletion_of(bench.live(desired))
    bench.api.edit(ObjectRef.of(desired), lambda live: live["metadata"].update(labels={}))
    with pytest.raises(ConflictError):
        await bench.run(Plan(delete=(stale,)))
    assert bench.live(desired)


async def test_status_that_says_the_same_is_not_written() -> None:
    bench = Bench()
    await bench.run(Plan(status=bench.status(phase="Preparing", url=None)))
    await bench.run(Plan(status=bench.status(phase="Preparing", url=None)))
    assert bench.wrote == [("Model", "status")]


async def test_status_of_another_model_of_the_name_is_not_written() -> None:
    bench = Bench()
    late = bench.status(phase="Preparing")
    bench.api.delete_now(late.ref)
    bench.store.put(bench.api.create_as("user", a_model(NAMESPACE, "m")))
    await bench.run(Plan(status=late))
    assert bench.wrote == []


async def test_the_same_event_again_counts_up() -> None:
    bench = Bench()
    await bench.run(Plan(events=(event(),)))
    await bench.run(Plan(events=(event(), event("something else"))))
    counts = {each["message"]: each["count"] for each in bench.api.everything("Event")}
    assert counts == {"it happened": 2, "something else": 1}


async def test_an_event_that_cannot_be_written_does_not_fail_the_reconcile() -> None:
    bench = Bench()
    long = EventRecord(
        about=ObjectRef(api_version="v1", kind="ConfigMap", namespace=NAMESPACE, name="Not A Name"),
        uid="uid",
        type="Warning",
        reason="Tested",
        message="x",
    )
    await bench.run(Plan(events=(long, event())))
    assert [each["message"] for each in bench.api.everything("Event")] == ["it happened"]


def test_every_watched_kind_but_ours_is_narrowed_by_a_label() -> None:
    assert [kind.kind for kind in WATCHED if not kind.labels] == ["Model"]
