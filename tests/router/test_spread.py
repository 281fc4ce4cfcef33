"""Four real model servers that share their ports, behind the real Envoy: each gets its share."""

import asyncio
import contextlib
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import pytest

from driftline_operator.router.inputs import Endpoint
from driftline_operator.router.state import parse_state
from tests.router.builders import Cluster, a_model, traffic
from tests.router.grpc_harness import INFER
from tests.router.harness import Feed, a_free_uid, a_router, eventually, free_port, running
from tests.serving import onnx_models
from tests.serving.grpc_calls import APART, rows

WORKERS = [f"worker-{number}" for number in range(4)]
CALLERS = 32
CALLS = 6_000
REVISION = "iris-aaaaaaaaaa"

Ask = Callable[[], Awaitable[str]]


@contextlib.asynccontextmanager
async def a_worker(name: str, directory: Path, *ports: int) -> AsyncIterator[None]:
    """Run a server until the block ends."""
    arguments = ["-m", "tests.router.sharing", name, str(directory), *map(str, ports)]
    with (directory / f"{name}.err").open("wb") as log:
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stderr=log)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    """The port of a Model whose one pod has four workers, all of them ready."""
    (tmp_path / "model.onnx").write_bytes(onnx_models.cancer_onnx())
    http_port, grpc_port = free_port(), free_port()
    revisions = [{"name": REVISION, "port": http_port, "grpcPort": grpc_port}]
    wants = traffic(REVISION, stable=REVISION)
    cluster = Cluster(a_model(wants=wants, uid=a_free_uid(), revisions=revisions))
    cluster.reconcile()
    feed = Feed(cluster.store, lambda _: Endpoint(host="127.0.0.1"))
    async with contextlib.AsyncExitStack() as stack:
        for name in WORKERS:
            await stack.enter_async_context(a_worker(name, tmp_path, http_port, grpc_port))
        await stack.enter_async_context(running(feed))
        router = await stack.enter_async_context(a_router(tmp_path, feed.port))

        def are_ready() -> bool:
            logs = [(tmp_path / f"{name}.err").read_text() for name in WORKERS]
            return all("loaded: m;" in log for log in logs)

        await eventually("four workers", are_ready, within=60)
        await eventually("ready", router.ready)

        async def reached() -> bool:
            return REVISION in (await router.acknowledged()).reached

        await eventually("reached", reached)
        yield parse_state(cluster.find("ConfigMap", "driftline-router")).models["iris"].port


async def spread(ask: Ask) -> Counter[str]:
    """Have many callers ask, each one call at a time; return who answered how often."""
    seen: Counter[str] = Counter()

    async def caller() -> None:
        for _ in range(CALLS // CALLERS):
            seen[await ask()] += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return seen


def assert_fair(seen: Counter[str]) -> None:
    assert set(seen) <= set(WORKERS)
    mean = seen.total() / len(WORKERS)
    assert max(seen.values()) <= 2 * mean, seen


async def test_over_http_the_busiest_worker_gets_at_most_twice_the_mean(port: int) -> None:
    row = onnx_models.cancer_rows()[0][:1]
    tensor = {"name": "X", "datatype": "FP32", "shape": row.shape, "data": row.tolist()}
    body = json.dumps({"inputs": [tensor]})
    connector = aiohttp.TCPConnector(limit=CALLERS)
    async with aiohttp.ClientSession(connector=connector) as http:

        async def ask() -> str:
            url = f"http://127.0.0.1:{port}/v2/models/m/infer"
            async with http.post(url, data=body) as response:
                assert response.status == 200, await response.text()
                return response.headers["driftline-revision"]

        assert_fair(await spread(ask))


async def test_over_grpc_the_busiest_worker_gets_at_most_twice_the_mean(port: int) -> None:
    message = rows(0, 1).SerializeToString()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=APART) as channel:

        async def ask() -> str:
            call: Any = channel.unary_unary(INFER)(message)
            await call
            return str(dict(await call.trailing_metadata())["driftline-revision"])

        assert_fair(await spread(ask))
