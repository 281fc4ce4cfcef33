"""What becomes of a bug while a request is answered, and what a request leaves behind."""

import asyncio
import gc
from collections.abc import Callable

import pytest

from driftline_serving.server.http.messages import Request, Response
from driftline_serving.server.http.routes import Routes
from driftline_serving.server.http.transport import HttpSettings, HttpTransport
from driftline_serving.server.service import Bounds, Identity, InferenceService
from tests.serving.test_batcher import FAST, Doubler


class Kept:
    """An exchange without a connection."""

    is_head = False
    closes = False
    abandon: Callable[[], None] | None = None

    def __init__(self) -> None:
        self.replies: list[int] = []

    def reply(self, response: Response) -> None:
        self.replies.append(response.status)


def test_a_bug_is_answered_500_without_a_word_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    service = InferenceService(Identity(model="m"), Bounds())
    routes = Routes(service, 1000)
    exchange = Kept()
    monkeypatch.setattr(service, "model_metadata", lambda *_: [].pop())
    routes.answer(Request(method="GET", path="/v2/models/m"), exchange)  # type: ignore[arg-type]  # has all that is used
    assert exchange.replies == [500]


BODY = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,1],"data":[3]}]}'
REQUEST = (
    b"POST /v2/models/m/infer HTTP/1.1\r\nhost: m\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
)
WRONG = REQUEST.replace(b"FP32", b"FP64")


@pytest.mark.parametrize(("request_", "status"), [(REQUEST, b"200"), (WRONG, b"400")])
async def test_an_answered_request_leaves_nothing_to_the_collector_of_garbage(
    request_: bytes, status: bytes
) -> None:
    service = InferenceService(Identity(model="m"), Bounds())
    service.serve(Doubler(), FAST)
    settings = HttpSettings(host="127.0.0.1", port=0)
    transport = HttpTransport(Routes(service, 1000), settings, lambda: False)
    reader, writer = await asyncio.open_connection("127.0.0.1", await transport.start())

    async def ask(times: int) -> None:
        for _ in range(times):
            writer.write(request_)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.split()[1] == status
            length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-len"))
            await reader.readexactly(int(length.split()[1]))

    await ask(2)
    gc.collect()
    gc.disable()
    try:
        await ask(50)
        assert gc.collect() < 50
    finally:
        gc.enable()
    writer.close()
    await transport.stop()
    service.close()
