"""What Driftline relies on an API server to do. Run against ours in memory and the real one."""

import pytest

from driftline_operator.core.plan import ObjectRef
from driftline_operator.errors import ConflictError, ExpiredError, GoneError, RefusedError
from driftline_operator.kube.api import ListQuery
from tests.contract.backends import Backend
from tests.contract.manifests import (
    a_config_map,
    a_deployment,
    a_model,
    a_revision,
    a_service,
    owner,
)

CONFIG_MAPS = "app.kubernetes.io/managed-by=driftline"


async def test_there_is_nothing_where_nothing_was_made(backend: Backend) -> None:
    assert await backend.api.get(ObjectRef.of(a_config_map(backend.namespace))) is None


async def test_create_never_overwrites(backend: Backend) -> None:
    made = await backend.api.create(a_config_map(backend.namespace, value="1"))
    with pytest.raises(ConflictError):
        await backend.api.create(a_config_map(backend.namespace, value="2"))
    assert await backend.api.get(ObjectRef.of(made)) == made


async def test_every_object_gets_its_own_uid_and_versions_grow(backend: Backend) -> None:
    one = await backend.api.create(a_config_map(backend.namespace, "one"))
    two = await backend.api.create(a_config_map(backend.namespace, "two"))
    assert one["metadata"]["uid"] != two["metadata"]["uid"]
    assert int(one["metadata"]["resourceVersion"]) < int(two["metadata"]["resourceVersion"])


async def test_what_is_made_again_under_a_name_is_another_object(backend: Backend) -> None:
    first = await backend.api.create(a_config_map(backend.namespace))
    meta = first["metadata"]
    await backend.api.delete(
        ObjectRef.of(first), uid=meta["uid"], resource_version=meta["resourceVersion"]
    )
    second = await backend.api.create(a_config_map(backend.namespace))
    assert second["metadata"]["uid"] != meta["uid"]


async def test_apply_creates_what_is_not_there(backend: Backend) -> None:
    made = await backend.api.apply(a_service(backend.namespace))
    assert made["spec"]["ports"][0]["port"] == 80
    assert await backend.api.get(ObjectRef.of(made)) == made


async def test_applying_the_same_again_is_no_new_version(backend: Backend) -> None:
    first = await backend.api.apply(a_deployment(backend.namespace))
    again = await backend.api.apply(a_deployment(backend.namespace))
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_applying_less_removes_what_only_we_had_set(backend: Backend) -> None:
    await backend.api.apply(a_config_map(backend.namespace, ours="1", also="2"))
    after = await backend.api.apply(a_config_map(backend.namespace, ours="1"))
    assert after["data"] == {"ours": "1"}


async def test_what_others_added_stays(backend: Backend) -> None:
    made = await backend.api.apply(a_config_map(backend.namespace, ours="1"))
    backend.edit(ObjectRef.of(made), lambda live: live["data"].update(theirs="2"))
    after = await backend.api.apply(a_config_map(backend.namespace, ours="3"))
    assert after["data"] == {"ours": "3", "theirs": "2"}


async def test_lists_with_keys_are_merged_item_by_item(backend: Backend) -> None:
    made = await backend.api.apply(a_deployment(backend.namespace))

    def inject(live: dict[str, object]) -> None:
        containers = live["spec"]["template"]["spec"]["containers"]  # type: ignore[index]  # JSON
        containers.append({"name": "sidecar", "image": "sidecar:1"})

    backend.edit(ObjectRef.of(made), inject)
    after = await backend.api.apply(a_deployment(backend.namespace, image="server:2"))
    containers = after["spec"]["template"]["spec"]["containers"]
    assert {item["name"]: item["image"] for item in containers} == {
        "server": "server:2",
        "sidecar": "sidecar:1",
    }


async def test_an_item_of_a_list_that_is_no_longer_applied_goes(backend: Backend) -> None:
    two = [{"name": "ONE", "value": "1"}, {"name": "TWO", "value": "2"}]
    await backend.api.apply(a_deployment(backend.namespace, env=two))
    after = await backend.api.apply(a_deployment(backend.namespace, env=two[:1]))
    assert after["spec"]["template"]["spec"]["containers"][0]["env"] == two[:1]


async def test_a_list_without_keys_is_one_value(backend: Backend) -> None:
    await backend.api.apply(a_deployment(backend.namespace, args=["a", "b"]))
    after = await backend.api.apply(a_deployment(backend.namespace, args=["b"]))
    assert after["spec"]["template"]["spec"]["containers"][0]["args"] == ["b"]


async def test_force_takes_back_what_somebody_changed_by_hand(backend: Backend) -> None:
    made = await backend.api.apply(a_deployment(backend.namespace))
    backend.edit(ObjectRef.of(made), lambda live: live["spec"].update(replicas=7))
    after = await backend.api.apply(a_deployment(backend.namespace))
    assert after["spec"]["replicas"] == 1


async def test_without_force_a_field_of_another_is_a_conflict(backend: Backend) -> None:
    backend.apply_as("somebody", a_service(backend.namespace, port=81))
    with pytest.raises(ConflictError):
        await backend.api.apply(
            a_service(backend.namespace, port=81)
            | {"spec": {"type": "NodePort", "ports": [{"name": "web", "port": 81}]}},
            force=False,
        )


async def test_without_force_what_nobody_owns_is_taken(backend: Backend) -> None:
    made = await backend.api.apply(a_service(backend.namespace), force=False)
    assert made["metadata"]["uid"]


async def test_apply_with_an_old_version_is_a_conflict(backend: Backend) -> None:
    made = await backend.api.apply(a_config_map(backend.namespace, value="1"))
    version = made["metadata"]["resourceVersion"]
    backend.edit(ObjectRef.of(made), lambda live: live["data"].update(value="2"))
    late = a_config_map(backend.namespace, value="3")
    late["metadata"]["resourceVersion"] = version
    with pytest.raises(ConflictError):
        await backend.api.apply(late)


async def test_apply_with_a_precondition_creates_nothing(backend: Backend) -> None:
    gone = a_config_map(backend.namespace)
    gone["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    with pytest.raises(ConflictError):
        await backend.api.apply(gone)
    assert await backend.api.get(ObjectRef.of(gone)) is None


async def test_invalid_is_refused(backend: Backend) -> None:
    with pytest.raises(RefusedError) as refused:
        await backend.api.apply(a_service(backend.namespace, port=70_000))
    assert refused.value.status == 422
    assert "port" in str(refused.value)


async def test_a_revision_is_immutable(backend: Backend) -> None:
    await backend.api.apply(a_revision(backend.namespace, template="1"))
    with pytest.raises(RefusedError):
        await backend.api.apply(a_revision(backend.namespace, template="2"))


async def test_a_deployment_keeps_its_selector(backend: Backend) -> None:
    await backend.api.apply(a_deployment(backend.namespace))
    other = a_deployment(backend.namespace)
    other["spec"]["selector"]["matchLabels"] = {"app": "other"}
    other["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    with pytest.raises(RefusedError):
        await backend.api.apply(other)


async def test_quantities_are_rewritten(backend: Backend) -> None:
    made = await backend.api.apply(
        a_deployment(backend.namespace, resources={"limits": {"cpu": "1000m", "memory": "1024Mi"}})
    )
    limits = made["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits == {"cpu": "1", "memory": "1Gi"}


async def test_replace_with_an_old_version_is_a_conflict(backend: Backend) -> None:
    made = await backend.api.create(a_config_map(backend.namespace, value="1"))
    backend.edit(ObjectRef.of(made), lambda live: live["data"].update(value="2"))
    with pytest.raises(ConflictError):
        await backend.api.replace({**made, "data": {"value": "3"}})


async def test_replace_removes_what_it_does_not_say(backend: Backend) -> None:
    made = await backend.api.create(a_config_map(backend.namespace, one="1", two="2"))
    after = await backend.api.replace({**made, "data": {"one": "1"}})
    assert after["data"] == {"one": "1"}


async def test_replace_of_what_is_gone_makes_nothing(backend: Backend) -> None:
    made = await backend.api.create(a_config_map(backend.namespace))
    meta = made["metadata"]
    await backend.api.delete(
        ObjectRef.of(made), uid=meta["uid"], resource_version=meta["resourceVersion"]
    )
    with pytest.raises((GoneError, ConflictError)):
        await backend.api.replace(made)


async def test_a_new_spec_is_a_new_generation_and_labels_are_not(backend: Backend) -> None:
    first = await backend.api.apply(a_model(backend.namespace))
    labelled = a_model(backend.namespace)
    labelled["metadata"]["labels"] = {"team": "red"}
    second = await backend.api.apply(labelled)
    third = await backend.api.apply(a_model(backend.namespace, replicas=2))
    generations = [each["metadata"]["generation"] for each in (first, second, third)]
    assert generations == [1, 1, 2]


async def test_status_is_merged_and_null_removes(backend: Backend) -> None:
    made = await backend.api.apply(a_model(backend.namespace))
    first = await backend.api.patch_status(
        ObjectRef.of(made),
        uid=made["metadata"]["uid"],
        resource_version=made["metadata"]["resourceVersion"],
        status={"phase": "Starting", "message": "one"},
    )
    second = await backend.api.patch_status(
        ObjectRef.of(made),
        uid=made["metadata"]["uid"],
        resource_version=first["metadata"]["resourceVersion"],
        status={"message": None, "readyReplicas": 1},
    )
    assert second["status"]["phase"] == "Starting"
    assert second["status"]["readyReplicas"] == 1
    assert "message" not in second["status"]
    assert second["metadata"]["generation"] == 1


async def test_the_same_status_again_is_no_new_version(backend: Backend) -> None:
    made = await backend.api.apply(a_model(backend.namespace))
    ref, uid = ObjectRef.of(made), made["metadata"]["uid"]
    first = await backend.api.patch_status(
        ref,
        uid=uid,
        resource_version=made["metadata"]["resourceVersion"],
        status={"phase": "Starting"},
    )
    version = first["metadata"]["resourceVersion"]
    again = await backend.api.patch_status(
        ref, uid=uid, resource_version=version, status={"phase": "Starting"}
    )
    assert again["metadata"]["resourceVersion"] == version


async def test_status_for_an_older_version_is_a_conflict(backend: Backend) -> None:
    made = await backend.api.apply(a_model(backend.namespace))
    backend.edit(ObjectRef.of(made), lambda live: live["spec"].update(replicas=3))
    with pytest.raises(ConflictError):
        await backend.api.patch_status(
            ObjectRef.of(made),
            uid=made["metadata"]["uid"],
            resource_version=made["metadata"]["resourceVersion"],
            status={"phase": "Starting"},
        )


async def test_status_for_an_earlier_object_of_the_name_is_a_conflict(backend: Backend) -> None:
    earlier = await backend.api.apply(a_model(backend.namespace))
    ref, meta = ObjectRef.of(earlier), earlier["metadata"]
    await backend.api.delete(ref, uid=meta["uid"], resource_version=meta["resourceVersion"])
    await backend.api.apply(a_model(backend.namespace))
    with pytest.raises(ConflictError):
        await backend.api.patch_status(
            ref,
            uid=meta["uid"],
            resource_version=meta["resourceVersion"],
            status={"phase": "Starting"},
        )


async def test_status_of_what_is_gone(backend: Backend) -> None:
    with pytest.raises(GoneError):
        await backend.api.patch_status(
            ObjectRef.of(a_model(backend.namespace)),
            uid="1",
            resource_version="1",
            status={"phase": "Starting"},
        )


async def test_applying_a_spec_leaves_status_alone(backend: Backend) -> None:
    made = await backend.api.apply(a_model(backend.namespace))
    await backend.api.patch_status(
        ObjectRef.of(made),
        uid=made["metadata"]["uid"],
        resource_version=made["metadata"]["resourceVersion"],
        status={"phase": "Starting"},
    )
    after = await backend.api.apply(a_model(backend.namespace, replicas=2))
    assert after["status"]["phase"] == "Starting"


async def test_a_deletion_is_of_exactly_what_was_seen(backend: Backend) -> None:
    made = await backend.api.apply(a_config_map(backend.namespace, value="1"))
    ref, meta = ObjectRef.of(made), made["metadata"]
    backend.edit(ref, lambda live: live["data"].update(value="2"))
    with pytest.raises(ConflictError):
        await backend.api.delete(ref, uid=meta["uid"], resource_version=meta["resourceVersion"])
    live = await backend.api.get(ref)
    assert live is not None
    with pytest.raises(ConflictError):
        await backend.api.delete(
            ref,
            uid="00000000-0000-0000-0000-000000000000",
            resource_version=live["metadata"]["resourceVersion"],
        )
    left = await backend.api.delete(
        ref, uid=meta["uid"], resource_version=live["metadata"]["resourceVersion"]
    )
    assert left is None
    assert await backend.api.get(ref) is None


async def test_deleting_what_is_gone_succeeds(backend: Backend) -> None:
    ref = ObjectRef.of(a_config_map(backend.namespace))
    assert await backend.api.delete(ref, uid="1", resource_version="1") is None


async def test_a_finalizer_keeps_an_object_until_it_is_taken_off(backend: Backend) -> None:
    kept = a_config_map(backend.namespace)
    kept["metadata"]["finalizers"] = ["driftline.dev/test"]
    made = await backend.api.create(kept)
    ref, meta = ObjectRef.of(made), made["metadata"]
    left = await backend.api.delete(ref, uid=meta["uid"], resource_version=meta["resourceVersion"])
    assert left is not None
    assert "deletionTimestamp" in left["metadata"]
    assert await backend.api.get(ref) is not None
    backend.edit(ref, lambda live: live["metadata"].pop("finalizers"))
    assert await backend.api.get(ref) is None


async def test_what_is_owned_goes_with_its_last_owner(backend: Backend) -> None:
    parent = await backend.api.create(a_config_map(backend.namespace, "parent"))
    child = a_service(backend.namespace, "child")
    child["metadata"]["ownerReferences"] = [owner(parent)]
    made = await backend.api.apply(child)
    meta = parent["metadata"]
    await backend.api.delete(
        ObjectRef.of(parent), uid=meta["uid"], resource_version=meta["resourceVersion"]
    )
    assert await backend.without_garbage(ObjectRef.of(made))


async def test_a_list_is_by_namespace_and_labels(backend: Backend) -> None:
    ours = await backend.api.create(a_config_map(backend.namespace, "ours"))
    foreign = a_config_map(backend.namespace, "foreign")
    del foreign["metadata"]["labels"]
    await backend.api.create(foreign)
    query = ListQuery(
        api_version="v1", kind="ConfigMap", namespace=backend.namespace, labels=CONFIG_MAPS
    )
    page = await backend.api.list_page(query)
    assert list(page.items) == [ours]
    assert page.continue_token == ""
    assert int(page.resource_version) >= int(ours["metadata"]["resourceVersion"])
    everywhere = ListQuery(api_version="v1", kind="ConfigMap", labels=CONFIG_MAPS)
    assert ours in (await backend.api.list_page(everywhere)).items


async def test_an_empty_list_has_a_version(backend: Backend) -> None:
    query = ListQuery(api_version="batch/v1", kind="Job", namespace=backend.namespace)
    page = await backend.api.list_page(query)
    assert list(page.items) == []
    assert int(page.resource_version) > 0


async def test_all_pages_show_the_same_instant(backend: Backend) -> None:
    made = [
        await backend.api.create(a_config_map(backend.namespace, f"c{i}", value="1"))
        for i in range(5)
    ]
    query = ListQuery(
        api_version="v1", kind="ConfigMap", namespace=backend.namespace, labels=CONFIG_MAPS
    )
    first = await backend.api.list_page(query, limit=2)
    backend.edit(ObjectRef.of(made[4]), lambda live: live["data"].update(value="2"))
    await backend.api.create(a_config_map(backend.namespace, "c9"))
    second = await backend.api.list_page(query, limit=2, continue_token=first.continue_token)
    third = await backend.api.list_page(query, limit=2, continue_token=second.continue_token)
    assert [*first.items, *second.items, *third.items] == made
    assert third.continue_token == ""
    assert {first.resource_version, second.resource_version, third.resource_version} == {
        first.resource_version
    }


async def test_a_list_that_takes_too_long_expires(backend: Backend) -> None:
    for i in range(3):
        await backend.api.create(a_config_map(backend.namespace, f"c{i}"))
    query = ListQuery(api_version="v1", kind="ConfigMap", namespace=backend.namespace)
    first = await backend.api.list_page(query, limit=1)
    await backend.expire_lists()
    with pytest.raises(ExpiredError):
        await backend.api.list_page(query, limit=1, continue_token=first.continue_token)
