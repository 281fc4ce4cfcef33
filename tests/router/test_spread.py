"""A real model server of four workers behind the real Envoy: each worker gets its share."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import pytest

from driftline_operator.router.inputs import Endpoint
from driftline_operator.router.state import parse_state
from driftline_serving.server.board import Board
from driftline_serving.server.measures import PLACES, REQUESTS
from tests.router.builders import Cluster, a_model, traffic
from tests.router.grpc_harness import INFER
from tests.router.harness import Feed, a_free_uid, a_router, eventually, running
from tests.serving import onnx_models
from tests.serving.grpc_calls import APART, rows
from tests.serving.processes import Server, Setup, serving

WORKERS = 4
CALLERS = 32
CALLS = 6_000
REVISION = "iris-aaaaaaaaaa"

Ask = Callable[[], Awaitable[None]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    setup = Setup(arguments=("--workers", str(WORKERS), "--cpus", str(WORKERS)))
    with serving(tmp_path, onnx_models.cancer_onnx(), setup) as server:
        yield server


@pytest.fixture
async def port(tmp_path: Path, server: Server) -> AsyncIterator[int]:
    """The port of a Model that the server serves."""
    revisions = [{"name": REVISION, "port": server.port, "grpcPort": server.grpc_port}]
    wants = traffic(REVISION, stable=REVISION)
    cluster = Cluster(a_model(wants=wants, uid=a_free_uid(), revisions=revisions))
    cluster.reconcile()
    feed = Feed(cluster.store, lambda _: Endpoint(host="127.0.0.1"))
    async with running(feed), a_router(tmp_path, feed.port) as router:
        await eventually("ready", router.ready)

        async def reached() -> bool:
            return REVISION in (await router.acknowledged()).reached

        await eventually("reached", reached)
        yield parse_state(cluster.find("ConfigMap", "driftline-router")).models["iris"].port


@contextlib.contextmanager
def answered(server: Server, label: tuple[str, str]) -> Iterator[Callable[[], list[float]]]:
    """Yield what tells how many calls each worker has answered so: what they count together."""
    open_files = Path(f"/proc/{server.process.pid}/fd").iterdir()
    shared = next(each for each in open_files if "driftline-board" in str(each.readlink()))
    fd = os.open(shared, os.O_RDWR)
    desks = Board(fd, PLACES).desks
    yield lambda: [desk.counters[REQUESTS[label]] for desk in desks]
    os.close(fd)


async def spread(ask: Ask, count: Callable[[], list[float]]) -> None:
    """Have many callers ask, each one call at a time, and look who was asked how often."""

    async def caller() -> None:
        for _ in range(CALLS // CALLERS):
            await ask()

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    seen = count()
    assert len(seen) == WORKERS
    assert sum(seen) == CALLS // CALLERS * CALLERS
    assert max(seen) <= 2 * sum(seen) / WORKERS, seen


async def test_over_http_the_busiest_worker_gets_at_most_twice_the_mean(
    server: Server, port: int
) -> None:
    row = onnx_models.cancer_rows()[0][:1]
    tensor = {"name": "X", "datatype": "FP32", "shape": row.shape, "data": row.tolist()}
    body = json.dumps({"inputs": [tensor]})
    connector = aiohttp.TCPConnector(limit=CALLERS)
    async with aiohttp.ClientSession(connector=connector) as http:

        async def ask() -> None:
            url = f"http://127.0.0.1:{port}/v2/models/m/infer"
            async with http.post(url, data=body) as response:
                assert response.status == 200, await response.text()

        with answered(server, ("http", "200")) as count:
            await spread(ask, count)


async def test_over_grpc_the_busiest_worker_gets_at_most_twice_the_mean(
    server: Server, port: int
) -> None:
    message = rows(0, 1).SerializeToString()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=APART) as channel:
        infer: Any = channel.unary_unary(INFER)

        async def ask() -> None:
            await infer(message)

        with answered(server, ("grpc", "OK")) as count:
            await spread(ask, count)
