"""The keys against an API server: what is not ours, what is forbidden, what others do meanwhile."""

import base64
import json
import logging
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from driftline_operator.core.clock import Clock
from driftline_operator.core.executor import Executor
from driftline_operator.core.plan import Manifest, ObjectRef
from driftline_operator.core.reconciler import RETRY_REFUSED, Reconciler
from driftline_operator.core.store import Store
from driftline_operator.errors import ConflictError, RefusedError
from driftline_operator.router.controller import RouterController
from driftline_operator.router.keys import keys_ref
from tests.contract.memory import MemoryApi
from tests.router.builders import CONFIG, KEY, NAMESPACE, NOW, a_model

KEYS = keys_ref(NAMESPACE)
STATE = ObjectRef(api_version="v1", kind="ConfigMap", namespace=NAMESPACE, name="driftline-router")
DEPLOYMENT = ObjectRef(
    api_version="apps/v1", kind="Deployment", namespace=NAMESPACE, name="driftline-router"
)


class Server(MemoryApi):
    """An API server on which the operator may lack a right, or somebody be faster."""

    def __init__(self) -> None:
        super().__init__()
        self.refused_reads = 0.0
        self.after_read: Callable[[], object] = lambda: None

    async def get(self, ref: ObjectRef) -> Manifest | None:
        if ref == KEYS and self.refused_reads:
            self.refused_reads -= 1
            raise RefusedError("secrets is forbidden", status=403)
        found = await super().get(ref)
        if ref == KEYS:
            self.after_read()
        return found


class Operator:
    """As much of one as reconciles a namespace's routers."""

    def __init__(self) -> None:
        self.api = Server()
        self.store = Store()
        self.now = NOW
        self.model = self.api.create_as("user", {**a_model(), "spec": {}})
        self.store.put(self.model)
        clock = Clock(now=lambda: self.now, monotonic=lambda: 0.0)
        executor = Executor(self.api, self.store, self)
        controllers = (RouterController(CONFIG),)
        self.reconciler = Reconciler(controllers, self.store, executor, clock=clock)

    async def reconcile(self) -> float | None:
        return await self.reconciler.reconcile(KEY)

    async def outlive_the_model(self, **after: float) -> None:
        """Delete the Model, and reconcile then, and once more after a time."""
        self.now += timedelta(seconds=1)
        self.store.drop(self.model)
        await self.reconcile()
        self.now += timedelta(**after)
        await self.reconcile()

    def permit(self) -> None:
        """Let it write."""

    def count(self, kind: str, verb: str) -> None:
        """Not needed."""

    def secret(self, **more: Any) -> dict[str, Any]:
        """Return a Secret of the name that is not ours."""
        metadata = {"name": KEYS.name, "namespace": NAMESPACE, **more}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"a": "YQ=="}}


def keys_in(operator: Operator) -> list[dict[str, str]]:
    """Return the entries of the Secret's file."""
    secret = operator.api.find(KEYS)
    assert secret
    entries: list[dict[str, str]] = json.loads(base64.b64decode(secret["data"]["keys.json"]))[
        "keys"
    ]
    return entries


@pytest.fixture
def operator() -> Operator:
    return Operator()


async def test_a_secret_that_somebody_deletes_is_noticed_without_a_watch(
    operator: Operator,
) -> None:
    await operator.reconcile()
    before = operator.api.find(KEYS)
    operator.api.delete_now(KEYS)
    await operator.reconcile()
    after = operator.api.find(KEYS)
    assert before
    assert after
    assert before["data"] != after["data"]


async def test_a_reconcile_that_finds_all_well_writes_nothing(operator: Operator) -> None:
    await operator.reconcile()
    version = operator.api.version
    await operator.reconcile()
    assert operator.api.version == version


async def test_a_foreign_secret_is_left_alone_and_keeps_no_router_away(
    operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    foreign = operator.api.create_as("somebody", operator.secret())
    assert await operator.reconcile() == RETRY_REFUSED
    assert operator.api.find(KEYS) == foreign
    assert operator.api.find(DEPLOYMENT)
    assert "Secret team/driftline-keys exists and was not made by this operator" in caplog.text


@pytest.mark.parametrize("days", [1, 100])
async def test_a_foreign_secret_outlives_the_routers_for_good(
    operator: Operator, days: float
) -> None:
    foreign = operator.api.create_as("somebody", operator.secret())
    await operator.reconcile()
    await operator.outlive_the_model(days=days)
    assert operator.api.find(DEPLOYMENT) is None
    assert operator.api.find(KEYS) == foreign


@pytest.mark.parametrize(("days", "there"), [(1, True), (100, False)])
async def test_our_own_goes_when_no_receipt_can_be_shown_any_more(
    operator: Operator, days: float, there: bool
) -> None:
    await operator.reconcile()
    await operator.outlive_the_model(days=days)
    assert operator.api.find(DEPLOYMENT) is None
    assert (operator.api.find(KEYS) is not None) is there
    assert (operator.api.find(STATE) is not None) is there


async def test_a_foreign_secret_that_is_handed_over_keeps_its_keys(operator: Operator) -> None:
    """As one that was restored from a copy, without its labels."""
    await operator.reconcile()
    (before,) = keys_in(operator)
    annotations = {"driftline.dev/adopt": "driftline-router"}

    def as_restored(live: dict[str, Any]) -> None:
        live["metadata"].update(labels={}, annotations=annotations)

    operator.api.edit(KEYS, as_restored)
    await operator.reconcile()
    assert keys_in(operator) == [before]
    taken = operator.api.find(KEYS)
    assert taken
    assert taken["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "driftline"


async def test_a_foreign_secret_that_is_handed_over_is_taken(operator: Operator) -> None:
    annotations = {"driftline.dev/adopt": "driftline-router"}
    operator.api.create_as("somebody", operator.secret(annotations=annotations))
    await operator.reconcile()
    taken = operator.api.find(KEYS)
    assert taken
    assert set(taken["data"]) == {"a", "keys.json"}


async def test_an_operator_without_the_right_has_routers_all_the_same(
    operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    operator.api.refused_reads = math.inf
    assert await operator.reconcile() == RETRY_REFUSED
    assert operator.api.find(DEPLOYMENT)
    assert operator.api.find(KEYS) is None
    assert "secrets is forbidden" in caplog.text


async def test_a_right_that_comes_between_two_reads_overwrites_nothing(operator: Operator) -> None:
    await operator.reconcile()
    before = operator.api.find(KEYS)
    operator.api.refused_reads = 1
    assert await operator.reconcile() == RETRY_REFUSED
    assert operator.api.find(KEYS) == before
    await operator.reconcile()
    assert operator.api.find(KEYS) == before


async def test_what_appears_between_reading_and_writing_is_not_overwritten(
    operator: Operator,
) -> None:
    made: list[Manifest] = []

    def somebody_is_faster() -> None:
        if not made:
            made.append({})
            return
        if operator.api.find(KEYS) is None:
            labels = {"app.kubernetes.io/managed-by": "driftline"}
            secret = {**operator.secret(labels=labels), "data": {"keys.json": "YQ=="}}
            made.append(operator.api.create_as("somebody", secret))

    operator.api.after_read = somebody_is_faster
    with pytest.raises(ConflictError):
        await operator.reconcile()
    assert operator.api.find(KEYS) == made[-1]


async def test_no_key_is_logged(operator: Operator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await operator.reconcile()
    (good,) = keys_in(operator)
    text = json.dumps({"keys": [{**good, "created": "?"}]})
    damaged = base64.b64encode(text.encode()).decode()
    operator.api.edit(KEYS, lambda live: live["data"].update({"keys.json": damaged}))
    await operator.reconcile()
    (event,) = operator.api.everything("Event")
    assert event["reason"] == "KeysDamaged"
    for key in (good, *keys_in(operator)):
        assert key["secret"] not in caplog.text
        assert key["secret"] not in json.dumps(event)
