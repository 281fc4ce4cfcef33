"""What a monitor answers an operator, over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from driftline_api.keys import ReceiptKey, monitor_token
from driftline_api.monitor import MonitorConfig, ProfileFile, Summary, parse
from driftline_api.monitoring import Baseline, Monitoring
from driftline_api.names import PROFILE_FILE
from driftline_api.signature import signature_hash
from driftline_serving.baseline.binding import model_digest
from driftline_serving.baseline.file import baseline_of
from driftline_serving.monitor.app import application
from driftline_serving.monitor.config import Credentials
from driftline_serving.monitor.exposition import Exposition
from driftline_serving.monitor.model import Model, Place
from driftline_serving.monitor.monitor import Identity, Monitor
from driftline_stats.drift.plan import Plan
from driftline_stats.drift.profile import Profile
from tests.serving.keys import a_key
from tests.serving.monitor.frames import a_frame, loans
from tests.serving.monitor.test_intake import a_profile, counts, some_loans


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A monitor and who asks it."""

    monitor: Monitor
    client: "TestClient[Any, Any]"
    directory: Path
    keys: list[ReceiptKey]

    async def put(self, config: MonitorConfig) -> ClientResponse:
        text = config.model_dump_json(by_alias=True, exclude_none=True)
        return await self.client.put("/config", data=text, headers=self.token())

    def token(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {monitor_token(self.keys[-1])}"} if self.keys else {}

    async def get(self, path: str) -> ClientResponse:
        return await self.client.get(path, headers=self.token())

    async def summary(self) -> Summary:
        answer = await self.get("/summary")
        assert answer.status == 200
        found: Summary = parse(Summary, await answer.read())
        return found

    def see(self, number: int) -> None:
        for _ in range(number // 100):
            self.monitor.intake.take(a_frame(some_loans(100)))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    (tmp_path / "model.onnx").write_bytes(b"a model")
    place = Place(
        name="m", directory=tmp_path, signature=loans().model_dump_json(by_alias=True,
        exclude_defaults=True), server="",
    )  # fmt: skip
    monitor = Monitor(
        Identity(model="m", revision="m-1", digest="sha256:ab", pod="uid-1"),
        Model(place),
        Credentials(model_dir=tmp_path, environ={}),
    )
    registry, keys = CollectorRegistry(), [a_key(1), a_key(2)]
    registry.register(Exposition(monitor, lambda: 3))
    app = application(monitor, registry, lambda: keys)
    async with TestClient(TestServer(app)) as client:
        yield Desk(monitor=monitor, client=client, directory=tmp_path, keys=keys)
    await monitor.configuring.stop()


def write(desk: Desk, profile: Profile, **other: str) -> ProfileFile:
    baseline = baseline_of(
        profile,
        artifact=other.get("artifact", model_digest(desk.directory / "model.onnx")),
        signature=other.get("signature", signature_hash(loans())),
    )
    (desk.directory / PROFILE_FILE).write_text(baseline.text)
    return baseline.file


def by_plan(plan: Plan, **more: Any) -> MonitorConfig:
    return MonitorConfig(monitoring=Monitoring(**more), plan=json.loads(plan.to_json()))


async def test_nobody_is_answered_without_a_token(desk: Desk) -> None:
    for method, path in (
        ("GET", "/summary"), ("PUT", "/config"), ("GET", "/profile"), ("POST", "/plan")
    ):  # fmt: skip
        assert (await desk.client.request(method, path)).status == 401
        wrong = {"Authorization": f"Bearer {monitor_token(a_key(9))}"}
        assert (await desk.client.request(method, path, headers=wrong)).status == 401
    assert (await desk.client.get("/healthz")).status == 200
    assert (await desk.client.get("/metrics")).status == 200


async def test_the_token_of_any_known_key_is_taken(desk: Desk) -> None:
    assert (await desk.get("/summary")).status == 200
    desk.keys.pop()
    assert (await desk.get("/summary")).status == 200
    desk.keys.clear()
    assert (await desk.get("/summary")).status == 503


async def test_a_summary_says_whose_it_is(desk: Desk) -> None:
    found = await desk.summary()
    assert (found.model, found.revision, found.digest, found.pod) == (
        "m", "m-1", "sha256:ab", "uid-1"
    )  # fmt: skip
    assert len(found.process) == 16
    assert (found.config, found.drift, found.final) == ("", None, False)


async def test_the_profile_beside_the_model_is_counted_by(desk: Desk) -> None:
    profile = a_profile()
    file = write(desk, profile)
    config = MonitorConfig()
    assert (await desk.put(config)).status == 204
    desk.see(200)
    found = await desk.summary()
    assert (found.config, found.baseline.source) == (config.digest, "profile")
    assert found.drift is not None
    assert (found.drift.plan, found.drift.rows) == (profile.plan.digest, 200)
    answer = await desk.get("/profile")
    assert parse(ProfileFile, await answer.read()) == file


async def test_a_profile_without_what_is_excluded_is_given_and_counted_by(desk: Desk) -> None:
    write(desk, a_profile())
    await desk.put(MonitorConfig(monitoring=Monitoring(exclude=["x"])))
    desk.see(100)
    answer = await desk.get("/profile")
    file: ProfileFile = parse(ProfileFile, await answer.read())
    profile = Profile.from_json(json.dumps(file.profile))
    assert {each.name for each in profile.plan.features} == {
        "city", "note.length", "prediction", "prediction.score"
    }  # fmt: skip
    found = await desk.summary()
    assert found.drift is not None
    assert (found.drift.plan, found.drift.rows) == (profile.plan.digest, 100)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"artifact": "sha256:" + "0" * 64}, "was made with the model sha256:000"),
        ({"signature": "0" * 16}, "another signature"),
    ],
)
async def test_a_profile_of_another_model_is_refused_and_said(
    desk: Desk, other: dict[str, str], says: str
) -> None:
    write(desk, a_profile(), **other)
    await desk.put(MonitorConfig())
    desk.see(100)
    found = await desk.summary()
    assert says in found.baseline.problem
    assert (found.baseline.source, found.baseline.sampled, found.drift) == ("none", 100, None)
    assert (await desk.get("/profile")).status == 404


async def test_a_profile_that_cannot_be_fetched_is_said(desk: Desk) -> None:
    baseline = Baseline(uri="s3://nowhere/", digest=None)
    await desk.put(MonitorConfig(monitoring=Monitoring(baseline=baseline)))
    assert "directory" in (await desk.summary()).baseline.problem


async def test_bins_are_learned_from_what_came_and_then_counted_by(desk: Desk) -> None:
    await desk.put(MonitorConfig())
    desk.see(900)
    refused = await desk.client.post("/plan", headers=desk.token())
    assert (refused.status, await refused.text()) == (
        409, "900 of 1000 rows have come; ask again when there are more\n"
    )  # fmt: skip
    desk.see(100)
    answer = await desk.client.post("/plan", headers=desk.token())
    plan = Plan.from_json(await answer.read())
    assert len(plan.features) == 6
    assert (await desk.put(by_plan(plan))).status == 204
    desk.see(300)
    found = await desk.summary()
    assert found.baseline.source == "learned"
    assert found.drift is not None
    assert (found.drift.plan, found.drift.rows) == (plan.digest, 300)
    assert found.totals.seen == 1300
    assert (await desk.client.post("/plan", headers=desk.token())).status == 409


async def test_counts_begin_anew_with_another_configuration_and_with_no_other(desk: Desk) -> None:
    profile = a_profile()
    first = by_plan(profile.plan)
    await desk.put(first)
    desk.see(200)
    assert (await desk.put(first)).status == 204
    assert desk.monitor.counting is not None
    assert desk.monitor.counting.drift().rows == 200  # type: ignore[union-attr]  # counted by a plan
    await desk.put(by_plan(profile.plan, tolerance=0.2))
    desk.see(100)
    found = await desk.summary()
    assert found.drift is not None
    assert (found.drift.rows, found.totals.rows) == (100, 300)


async def test_what_is_excluded_is_not_counted_though_the_plan_has_it(desk: Desk) -> None:
    profile = a_profile()
    await desk.put(by_plan(profile.plan, exclude=["city", "debt"]))
    desk.see(100)
    assert desk.monitor.counting is not None
    by_bin = counts(desk.monitor.counting)
    for name in ("city", "debt"):
        (channel,) = [each for each in profile.channels if each.name == name]
        found = by_bin[channel.place]
        assert {channel.labels[at] for at in found.nonzero()[0]} == {"missing"}


@pytest.mark.parametrize(
    ("text", "status", "says"),
    [
        ("[]", 400, "this is no configuration"),
        ('{"monitoring": {"tolerance": -1}}', 400, "monitoring.tolerance"),
        ('{"plan": {"kind": "drift-plan", "version": 9}}', 409, "version 9 is not known"),
    ],
)
async def test_what_cannot_be_counted_by_is_refused_and_changes_nothing(
    desk: Desk, text: str, status: int, says: str
) -> None:
    config = MonitorConfig()
    await desk.put(config)
    answer = await desk.client.put("/config", data=text, headers=desk.token())
    assert answer.status == status
    assert says in await answer.text()
    assert (await desk.summary()).config == config.digest


async def test_a_plan_of_another_model_is_refused(desk: Desk) -> None:
    plan = a_profile().plan
    other = Plan(numeric=plan.numeric[:1], categorical=()).to_json().replace("note", "weight")
    answer = await desk.put(MonitorConfig(plan=json.loads(other)))
    assert answer.status == 409
    assert "the model has no 'weight.length'" in await answer.text()


async def test_metrics_name_no_feature(desk: Desk) -> None:
    await desk.put(MonitorConfig())
    desk.see(100)
    text = await (await desk.client.get("/metrics")).text()
    assert "driftline_monitor_seen_total 100.0" in text
    assert "driftline_monitor_connections 3.0" in text
    assert "city" not in text


async def test_a_refused_profile_at_a_uri_is_looked_at_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("driftline_serving.monitor.config._REFUSED_RETRY", 0.05)
    profile = a_profile()
    write(desk, profile, signature="0" * 16)
    elsewhere = desk.directory / "elsewhere.json"
    (desk.directory / PROFILE_FILE).rename(elsewhere)
    baseline = Baseline.model_construct(uri=f"file://{elsewhere}")
    await desk.put(MonitorConfig(monitoring=Monitoring(baseline=baseline)))
    desk.see(100)
    found = await desk.summary()
    assert "another signature" in found.baseline.problem
    assert found.baseline.sampled == 100
    write(desk, profile)
    (desk.directory / PROFILE_FILE).rename(elsewhere)
    async with asyncio.timeout(30):
        while (await desk.summary()).baseline.source != "profile":  # noqa: ASYNC110 - comes by itself
            await asyncio.sleep(0.01)
    assert (await desk.summary()).baseline.problem == ""
