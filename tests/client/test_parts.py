"""Parts of the client that need no server, and what it does when none can take feedback."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from driftline.client import AwayError, Client, Label, Ledger, MisuseError, NotKeptError, Prediction
from driftline.client.client import ATTEMPTS, BATCH
from driftline.client.values import inputs_of, outputs_of

DAY = 86_400.0


@pytest.mark.parametrize(
    ("values", "shape", "data"),
    [
        ([[1, 2, 3], [4, 5, 6]], [2, 3], [1, 2, 3, 4, 5, 6]),
        ([["a"], ["b"]], [2, 1], ["a", "b"]),
        (["ab", "cd"], [2], ["ab", "cd"]),
        ([], [0], []),
        ([[], []], [2, 0], []),
        (7, [], [7]),
        ([[[1], [2]], [[3], [4]]], [2, 2, 1], [1, 2, 3, 4]),
    ],
)
def test_nested_lists_become_tensors_and_again_lists(
    values: Any, shape: list[int], data: list[Any]
) -> None:
    (tensor,) = inputs_of({"X": values}, {"X": "FP32"})
    assert tensor == {"name": "X", "datatype": "FP32", "shape": shape, "data": data}
    if len(shape) > 1 and data:
        assert outputs_of([tensor]) == {"X": values}


@pytest.mark.parametrize("values", [[[1, 2], [3]], [[1], 2], [1, [2]], [[[1]], [2]]])
def test_rows_that_differ_are_refused(values: Any) -> None:
    with pytest.raises(MisuseError, match="X: "):
        inputs_of({"X": values}, {"X": "FP32"})


def test_a_ledger_outlives_its_process_and_keeps_the_newest(tmp_path: Path) -> None:
    now = [0.0]
    with Ledger(tmp_path / "kept", most=100, now=lambda: now[0]) as ledger:
        ledger.keep("old", Prediction(id="old"))
        now[0] += 91 * DAY
        for number in range(2_002):
            ledger.keep(f"order {number}", Prediction(id=str(number), receipt="r"))
            now[0] += 1
        assert len(ledger) < 1_200
    with Ledger(tmp_path / "kept") as ledger:
        assert ledger.find("order 2001") == Prediction(id="2001", receipt="r")
        ledger.forget("order 2001")
        for gone in ("old", "order 0", "order 2001"):
            with pytest.raises(NotKeptError):
                ledger.find(gone)


def test_many_threads_keep_at_a_time(tmp_path: Path) -> None:
    with Ledger(tmp_path / "kept") as ledger:

        def keep(thread: int) -> None:
            for number in range(50):
                ledger.keep(f"{thread} {number}", Prediction(id="x"))

        threads = [threading.Thread(target=keep, args=(each,)) for each in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len(ledger) == 400


def test_a_ledger_where_none_can_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="cannot keep"):
        Ledger(tmp_path / "nowhere" / "kept")


def test_stored_predictions_of_another_version_are_read_and_others_refused() -> None:
    assert Prediction.from_json('{"id": "a", "later": 1}') == Prediction(id="a")
    for text in ("", "[]", "7"):
        with pytest.raises(MisuseError):
            Prediction.from_json(text)


@contextmanager
def answering(*answers: tuple[int, Any]) -> Iterator[tuple[str, list[Any]]]:
    """A server that gives these answers, the last one for ever; yields its URL and what it got."""
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            status, body = answers[min(len(got), len(answers)) - 1]
            text = json.dumps(body(got[-1]) if callable(body) else body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def all_of(what: str) -> Any:
    return lambda items: {"items": [{"outcome": what} for _ in items]}


def test_only_what_nobody_could_take_is_sent_again() -> None:
    half = {"items": [{"outcome": "accepted"}, {"outcome": "unavailable", "message": "away"}]}
    waited: list[float] = []
    said = [Label(Prediction(id=each), 1) for each in "ab"]
    with (
        answering((503, half), (503, {}), (200, all_of("accepted"))) as (url, got),
        Client(url, "m", pause=waited.append) as client,
    ):
        assert [each.what for each in client.feedback(said)] == ["accepted", "accepted"]
    assert [[each["id"] for each in items] for items in got] == [["a", "b"], ["b"], ["b"]]
    assert len(waited) == 2
    assert 0 < waited[0] <= 0.25 < waited[1] * 2 <= 1


def test_it_gives_up_in_the_end_and_says_what_is_left() -> None:
    with (
        answering((503, all_of("unavailable"))) as (url, got),
        Client(url, "m", pause=lambda _: None) as client,
    ):
        assert client.label(Prediction(id="a"), 1).what == "unavailable"
    assert len(got) == ATTEMPTS


def test_many_items_go_in_batches() -> None:
    with answering((200, all_of("accepted"))) as (url, got), Client(url, "m") as client:
        said = [Label(Prediction(receipt="r"), 1)] * (2 * BATCH + 1)
        assert len(client.feedback(said)) == len(said)
        assert client.feedback([]) == []
    assert [len(each) for each in got] == [BATCH, BATCH, 1]


def test_an_answer_that_is_none_is_an_error() -> None:
    with (
        answering((500, "oh")) as (url, _),
        Client(url, "m") as client,
        pytest.raises(AwayError, match="500"),
    ):
        client.label(Prediction(id="a"), 1)
