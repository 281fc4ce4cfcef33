"""What becomes of a bug while a request is answered."""

from collections.abc import Callable

import pytest

from driftline_serving.server.http.messages import Request, Response
from driftline_serving.server.http.routes import Routes
from driftline_serving.server.service import Bounds, Identity, InferenceService


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
