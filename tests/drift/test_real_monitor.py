"""A real model server, the real monitor beside it, and the operator's loop."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from driftline_api.conditions import Reason
from driftline_api.keys import KEYS_FILE, render_keys
from tests.drift.test_loop import Scene
from tests.drift.world import RECEIPT_KEY, REVISION_NAME, Cluster, FakeMonitor
from tests.router.harness import free_port
from tests.serving import onnx_models
from tests.serving.monitor.processes import Watching, monitoring
from tests.serving.processes import Server, Setup, serving
from tests.serving.test_protocol import rows


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    setup = Setup(arguments=("--tap", str(tmp_path / "tap")))
    with serving(tmp_path, onnx_models.cancer_onnx(), setup) as server:
        yield server


async def test_real_requests_become_a_baseline_and_then_evidence(
    server: Server, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / KEYS_FILE).write_text(render_keys([RECEIPT_KEY]))
    cluster, port = Cluster({"baseline": {"rows": 1_000}}), free_port()
    pod = FakeMonitor(profile=None)
    cluster.add_pod(pod, "127.0.0.1")
    setup = Watching(
        directory=tmp_path,
        tap=tmp_path / "tap",
        server=server.port,
        arguments=("--port", str(port), "--keys", str(keys)),
        environ=(("POD_UID", pod.pod), ("DRIFTLINE_REVISION", REVISION_NAME)),
    )

    async def ask(times: int) -> None:
        for at in range(times):
            begin = 50 * (at % 10)
            answer = await asyncio.to_thread(server.infer, rows(begin, begin + 50))
            assert answer.status == 200

    async with AsyncExitStack() as stack:
        stack.enter_context(monitoring(setup))
        scene = Scene(stack=stack, port=port, stats_port=free_port(), cluster=cluster)
        operator = await stack.enter_async_context(scene.operator().leading())
        await operator.until(lambda it: it.revision)
        await ask(25)
        await operator.until(lambda it: it.revision.baseline.source == "Learning")
        while operator.revision.baseline.source == "Learning":
            await ask(4)
            await asyncio.sleep(0.05)
        found = operator.revision
        assert found.baseline.source == "Learned"
        assert found.reason in {Reason.INSUFFICIENT_DATA, Reason.NO_DRIFT}
        before = found.rows
        await ask(10)
        await operator.until(lambda it: it.revision.observation.seen > found.observation.seen)
        assert operator.revision.rows >= before
        assert operator.revision.observation.dropped == 0
        polls = operator.metric("driftline_drift_polls_total", whom="monitor", outcome="ok")
        assert polls
        assert not operator.metric(
            "driftline_drift_polls_total", whom="monitor", outcome="unreadable"
        )
