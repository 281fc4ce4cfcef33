"""The client with a real server and a real monitor behind a real router."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from driftline.client import (
    AwayError,
    Client,
    Label,
    Ledger,
    MisuseError,
    NotKeptError,
    Prediction,
    RefusedError,
    Reward,
)
from driftline_api.keys import ReceiptKey
from driftline_api.names import monitors_service
from driftline_operator.router.inputs import Endpoint
from driftline_operator.router.state import parse_state
from tests.router.builders import Cluster, a_model, traffic
from tests.router.harness import Feed, a_free_uid, a_router, eventually, running
from tests.serving import onnx_models
from tests.serving.keys import Volume, a_key
from tests.serving.monitor.processes import RunningMonitor, Watching, monitoring
from tests.serving.processes import Server, Setup, serving

SIGNATURE = {
    "prediction": {
        "task": "binary",
        "tensor": "label",
        "score": "probabilities",
        "classes": ["malignant", "benign"],
    }
}
IDENTITY = (("DRIFTLINE_REVISION", "m-1a2b3c"), ("DRIFTLINE_DIGEST", "sha256:" + "0" * 64))


@dataclass(slots=True)
class World:
    url: str
    server: Server
    monitor: RunningMonitor
    key: ReceiptKey


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A pod of one Model with server and monitor, which share its keys, and a router."""
    (tmp_path / "driftline.json").write_text(json.dumps({"signature": SIGNATURE}))
    volume, key = Volume(tmp_path / "keys"), a_key(now=datetime.now(UTC), hours=1)
    volume.hold(key)
    tap, keys = tmp_path / "tap", ("--keys", str(volume.directory))
    with ExitStack() as stack:
        setup = Setup(arguments=("--tap", str(tap), *keys), environ=IDENTITY)
        server = stack.enter_context(serving(tmp_path, onnx_models.cancer_onnx(), setup))
        watching = Watching(
            directory=tmp_path, tap=tap, server=server.port, arguments=keys, environ=IDENTITY
        )
        monitor = stack.enter_context(monitoring(watching))
        monitor.key = key
        async with a_route_to(tmp_path, server.port, monitor.port) as url:
            yield World(url, server, monitor, key)


class a_route_to:  # noqa: N801 - reads as what it is: a context
    """An Envoy before one server and one monitor."""

    def __init__(self, directory: Path, server: int, monitor: int) -> None:
        wants = traffic("iris-a", stable="iris-a")
        cluster = Cluster(a_model(wants=wants, uid=a_free_uid()))
        cluster.reconcile()
        self._port = parse_state(cluster.find("ConfigMap", "driftline-router")).models["iris"].port
        here = Endpoint(host="127.0.0.1", port=server, monitor_port=monitor)
        self._feed = running(feed := Feed(store=cluster.store, locate=lambda _: here))
        self._router = a_router(directory, feed.port)

    async def __aenter__(self) -> str:
        await self._feed.__aenter__()
        router = await self._router.__aenter__()
        await eventually("ready", router.ready)
        return f"http://127.0.0.1:{self._port}"

    async def __aexit__(self, *error: object) -> None:
        await self._router.__aexit__(None, None, None)
        await self._feed.__aexit__(None, None, None)


def test_names_of_the_service_are_those_of_the_router() -> None:
    assert monitors_service("iris") == "iris-monitors"


async def test_what_was_predicted_is_kept_and_labelled_later(world: World, tmp_path: Path) -> None:
    data, labels = onnx_models.cancer_rows()
    names = np.array(SIGNATURE["prediction"]["classes"])

    def predict() -> None:
        with Ledger(tmp_path / "ledger") as ledger, Client(world.url, "m", ledger=ledger) as client:
            for row in range(20):
                client.infer({"X": data[row : row + 1]}, keep=f"patient {row}")
            answer = client.infer({"X": data[20:23]}, outputs=["label"], keep="three")
            assert list(answer.outputs) == ["label"]
            assert answer.prediction.revision == "m-1a2b3c"

    def say() -> None:
        """Another process, weeks later: all it has is the file."""
        with Ledger(tmp_path / "ledger") as ledger, Client(world.url, "m", ledger=ledger) as client:
            said = [Label(f"patient {row}", str(names[labels[row]])) for row in range(20)]
            said.append(Label("three", names[labels[20:23]]))  # type: ignore[arg-type]  # an array
            assert {each.what for each in client.feedback(said)} == {"accepted"}
            assert client.label("three", "benign", row=1).counts
            wrong = str(names[1 - labels[0]])
            assert client.label("patient 0", wrong).what == "correction"
            assert client.reward("patient 1", 3.5, time=datetime.now(UTC)).what == "accepted"
            with pytest.raises(NotKeptError, match="patient 99"):
                client.label("patient 99", "benign")

    await asyncio.to_thread(predict)
    await asyncio.to_thread(world.monitor.until_seen, 21)
    await asyncio.to_thread(say)
    found = await asyncio.to_thread(world.monitor.summary)
    cohorts = found.feedback.cohorts
    assert found.feedback.outcomes == {"accepted": 22, "correction": 1, "duplicate": 1}
    assert (sum(each.rows for each in cohorts), sum(each.labelled for each in cohorts)) == (23, 23)
    predicted = onnx_models.cancer_forest().predict(data[:23])
    errors = int((predicted != labels[:23]).sum())
    assert sum(count for each in cohorts for at, count in each.losses if at == 100) == errors
    assert sum(each.rewards[0] for each in cohorts) == 1


async def test_a_receipt_is_enough_after_the_monitor_was_started_anew(
    world: World, tmp_path: Path
) -> None:
    data, _ = onnx_models.cancer_rows()

    def predict() -> Prediction:
        with Client(world.url, "m") as client:
            return client.infer({"X": data[:2].tolist()}).prediction

    told = Prediction.from_json((await asyncio.to_thread(predict)).to_json())
    by_id = Prediction(id=told.id)
    watching = Watching(
        directory=tmp_path,
        tap=tmp_path / "another-tap",
        server=world.server.port,
        arguments=("--keys", str(tmp_path / "keys")),
        environ=IDENTITY,
    )
    with monitoring(watching) as anew:
        anew.key = world.key

        def say() -> list[str]:
            with Client(f"http://127.0.0.1:{anew.port}", "m") as client:
                items: list[Label | Reward] = [
                    Label(by_id, [1, 0]),
                    Label(told, ["benign", None]),
                    Reward(told, [1, 2]),
                ]
                return [each.what for each in client.feedback(items)]

        assert await asyncio.to_thread(say) == ["unknown", "accepted", "accepted"]


async def test_what_is_wrong_is_said_before_or_by_the_server(world: World) -> None:
    data, _ = onnx_models.cancer_rows()

    def ask() -> None:
        with Client(world.url, "m") as client:
            with pytest.raises(MisuseError, match="no input 'Y'; it has X"):
                client.infer({"Y": data[:1]})
            with pytest.raises(MisuseError, match="axis 1 has length 2"):
                client.infer({"X": [[1.0, 2.0], [1.0]]})
            with pytest.raises(MisuseError, match="ledger"):
                client.infer({"X": data[:1]}, keep="one")
            with pytest.raises(RefusedError, match="400"):
                client.infer({"X": data[:1, :7]})
            found = client.infer({"X": [[float("nan")] * 30]}).prediction
            with pytest.raises(MisuseError, match="time zone"):
                client.label(found, "benign", time=datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake
            with pytest.raises(MisuseError, match="neither receipt nor id"):
                client.label(Prediction(), "benign")
            late = datetime.now(UTC) + timedelta(days=1)
            outcome = client.label(found, "benign", time=late)
            assert (outcome.what, "future" in outcome.message) == ("invalid", True)
        with Client(world.url, "other") as stranger, pytest.raises(RefusedError, match="404"):
            stranger.infer({"X": data[:1]})
        with Client("http://127.0.0.1:9", "m") as alone, pytest.raises(AwayError):
            alone.infer({"X": data[:1]})

    await asyncio.to_thread(ask)
