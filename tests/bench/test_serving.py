"""How model servers are compared: who answers wrongly is noticed, and bars are judged."""

import doctest
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from urllib.request import Request, urlopen

import numpy as np
import onnxruntime as ort
import pytest

from driftline_api.names import RECEIPT_HEADER
from e2e.bench import report
from e2e.bench.report import Figure
from e2e.bench.serving import answers, compare, load, memory
from e2e.bench.serving.case import NETWORK, TREES, Case, Post, Row
from e2e.bench.serving.compare import Seen, figures_of
from e2e.bench.serving.extras import Beside
from e2e.bench.serving.load import Load, LoadError
from e2e.bench.serving.running import Cpus, serving
from e2e.bench.serving.servers import BARE, JSON, ONE_BY_ONE, OURS, PLAIN, SERVERS, Server
from e2e.lock import LOCKS, PEERS
from tests.serving.onnx_models import cancer_onnx, cancer_rows

ANYWHERE = Cpus(server=(), client=())


@pytest.mark.parametrize("module", [answers, load, memory, report])
def test_examples_in_docstrings_hold(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


# What wrk says


def test_an_answer_that_is_an_error_makes_no_figure() -> None:
    text = "  50% 1.00ms\n  99% 2.00ms\nRequests/sec: 9.00\n"
    assert load.parsed(text).p99 == 2
    for wrong in ("Non-2xx or 3xx responses: 1\n", "Socket errors: connect 1\n"):
        with pytest.raises(LoadError):
            load.parsed(text + wrong)


def test_no_answer_at_all_makes_no_figure() -> None:
    with pytest.raises(LoadError):
        load.parsed("  50% 0.00us\n  99% 0.00us\nRequests/sec:      0.00\n")


def test_seconds_are_read_as_wrk_pads_them() -> None:
    assert load.parsed("  50%    1.50s \n  99%    2.00m \nRequests/sec: 9").p99 == 120_000


# Who answers, and how

ROW = Row(json=b'{"ask": 1}', raw=b"\0" * 4, answers={"score": [0.25]})
POST = Post(headers=JSON, body=ROW.json)


@contextmanager
def a_server(*, wrong_after: float = 1e9, log: list[bytes] | None = None) -> Iterator[str]:
    """Answers ROW as it should; wrongly after so many seconds."""
    began = time.monotonic()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if log is not None:
                log.append(body)
            score = 0.25 if time.monotonic() < began + wrong_after else 0.5
            answer = json.dumps({"outputs": [{"name": "score", "data": [score]}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/infer"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_right_answer_passes_and_a_wrong_one_does_not() -> None:
    with a_server() as url:
        answers.check(url, [(POST, ROW)])
    with a_server(wrong_after=0) as url, pytest.raises(LoadError, match="ONNX Runtime"):
        answers.check(url, [(POST, ROW)])


def test_who_begins_to_answer_wrongly_during_a_load_is_noticed() -> None:
    with (
        a_server(wrong_after=2 * answers.EVERY) as url,
        pytest.raises(LoadError),
        answers.checking(url, [(POST, ROW)]),
    ):
        time.sleep(4 * answers.EVERY)


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_wrk_sends_all_requests_in_turn() -> None:
    seen: list[bytes] = []
    posts = [Post(headers={"X-A": "1"}, body=bytes([number, 0, 255])) for number in range(3)]
    with a_server(log=seen) as url:
        found = load.run(url, posts, connections=1, seconds=1)
    assert found.per_second > 1
    assert set(seen[:3]) == {post.body for post in posts}
    assert seen[3:6] == seen[:3]


def cancer_case(count: int = 8) -> Case:
    """A forest that both servers of our own environment can serve."""
    rows, _ = cancer_rows()
    session = ort.InferenceSession(cancer_onnx())
    (takes,) = session.get_inputs()
    assert takes.name == "X"
    made = []
    for row in rows[:count]:
        found = session.run(None, {"X": row[np.newaxis]})
        names = [output.name for output in session.get_outputs()]
        tensor = {"name": "X", "shape": [1, len(row)], "datatype": "FP32", "data": row.tolist()}
        body = json.dumps({"inputs": [tensor]}).encode()
        flat = {n: np.asarray(a).ravel().tolist() for n, a in zip(names, found, strict=True)}
        made.append(Row(json=body, raw=row.tobytes(), answers=flat))
    return Case(name="cancer", onnx=cancer_onnx(), shape=(1, rows.shape[1]), rows=tuple(made))


def server_named(name: str) -> Server:
    (found,) = (server for server in SERVERS if server.name == name)
    return found


@pytest.mark.parametrize("name", [OURS, BARE, PLAIN])
@pytest.mark.parametrize("binary", [False, True], ids=["json", "binary"])
def test_servers_of_our_own_environment_answer_as_onnx_runtime_does(
    name: str, *, binary: bool
) -> None:
    case = replace(cancer_case(), binary=binary)
    with serving(server_named(name), case, ANYWHERE) as started:
        assert len(started.asked) == 8
        assert 10 < sum(memory.memory_mb(started.program.process.pid)) < 500


@pytest.mark.parametrize(("name", "signed"), [(OURS, True), (BARE, False)])
def test_bare_figures_leave_out_receipts_and_others_do_not(name: str, *, signed: bool) -> None:
    with serving(server_named(name), cancer_case(1), ANYWHERE) as started:
        (post, _), *_ = started.asked
        request = Request(started.url, post.body, dict(post.headers))
        with urlopen(request, timeout=10) as answer:
            assert bool(answer.headers[RECEIPT_HEADER]) == signed


def test_a_reader_that_has_not_read_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("e2e.bench.serving.running.PROOF_SECONDS", 1)
    asleep = Beside(command=["sleep", "60"], proof="seen")
    server = replace(server_named(PLAIN), beside=lambda _: [asleep])
    with pytest.raises(LoadError, match="sleep 60"), serving(server, cancer_case(1), ANYWHERE):
        pass


def test_a_server_that_answers_otherwise_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("e2e.bench.serving.running.START_SECONDS", 3)
    case = cancer_case(1)
    wrong = {name: [0.5 for _ in values] for name, values in case.rows[0].answers.items()}
    case = replace(case, rows=(replace(case.rows[0], answers=wrong),))
    with pytest.raises(LoadError, match=PLAIN), serving(server_named(PLAIN), case, ANYWHERE):
        pass


def test_memory_counts_what_a_process_starts() -> None:
    hold = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE) as process:
        until = time.monotonic() + 20
        while len(found := memory.memory_mb(process.pid)) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        process.communicate(b"\n")
    assert len(found) == 2
    assert found == sorted(found, reverse=True)


# Environments


def pinned(lock: Path, package: str) -> str:
    lines = lock.read_text().splitlines()
    return next(line.split()[0] for line in lines if line.startswith(f"{package}=="))


@pytest.mark.parametrize("lock", PEERS)
def test_peers_run_the_same_onnx_runtime_as_our_image(lock: str) -> None:
    theirs, ours = LOCKS / f"bench-{lock}.txt", LOCKS / "serving.txt"
    for package in ("onnxruntime", "numpy", "orjson"):
        assert pinned(theirs, package) == pinned(ours, package)


def test_every_peer_has_a_lock_that_is_renewed_with_the_others() -> None:
    assert {server.lock for server in SERVERS if server.lock} == {f"bench-{peer}" for peer in PEERS}


# Bars


def a_load(per_second: float, p99: float = 1.0) -> Load:
    return Load(per_second=per_second, p50=p99 / 2, p99=p99)


def a_run(rates: dict[str, Sequence[float]], case: str = TREES, p99: float = 1.0) -> Seen:
    """What several runs saw; we answer 1,000 a second, each time within 1 ms."""
    seen = Seen()
    runs = len(next(iter(rates.values())))
    for name, values in {OURS: [1000.0] * runs, **rates}.items():
        for count in compare.CONCURRENCIES:
            found = [a_load(rate, 1.0 if name == OURS else p99) for rate in values]
            seen.loads[case, name, count] = found
    return seen


def verdicts(seen: Seen) -> dict[str, str]:
    return {figure.what: figure.verdict for figure in figures_of(seen)}


def test_with_trees_the_median_of_the_ratios_counts() -> None:
    said = verdicts(a_run({PLAIN: [390, 390, 5000], "MLServer": [210, 190, 210]}, p99=2.1))
    assert said == {
        f"{TREES}, 64 at a time: requests/s / {PLAIN}": "met",
        f"{TREES}, 64 at a time: requests/s / MLServer": "MISSED",
        f"{TREES}, 64 at a time: p99 / {PLAIN}": "met",
        f"{TREES}, 64 at a time: p99 / MLServer": "met",
        f"{TREES}, 1 at a time: requests/s / {PLAIN}": "met",
    }


def test_a_p99_above_half_of_theirs_misses_its_bar() -> None:
    said = verdicts(a_run({PLAIN: [390]}, p99=1.9))
    assert said[f"{TREES}, 64 at a time: p99 / {PLAIN}"] == "MISSED"


def test_the_network_is_compared_with_one_by_one_in_two_ways() -> None:
    said = verdicts(a_run({PLAIN: [199], ONE_BY_ONE: [201]}, case=NETWORK))
    assert list(said.values()) == ["met", "MISSED"]


def test_the_bar_of_memory_is_for_the_worker_alone() -> None:
    seen = Seen(memory={OURS: [[129.0, 30.0], [131.0, 30.0], [129.0, 30.0]]})
    first, second = figures_of(seen)
    assert (first.value, first.verdict) == (129.0, "met")
    assert (second.value, second.verdict) == (159.0, "")


def test_what_must_be_reached_is_missed_from_below() -> None:
    assert Figure(what="a", value=2.4, unit="x", bar=2.5, at_least=True).verdict == "MISSED"
    assert Figure(what="a", value=2.5, unit="x", bar=2.5, at_least=True).verdict == "met"
    assert (
        Figure(what="a", value=2.5, unit="x", bar=2.5, at_least=True).bar_text == "at least 2.5 x"
    )


def test_what_others_do_better_is_listed_and_nothing_else() -> None:
    text = compare.sections(a_run({PLAIN: [1100], "mosec": [900], BARE: [2000]}), ["wrk 4"])
    section = text.partition("## What we are slower at")[2].partition("##")[0]
    assert section.count(f"| {PLAIN} |") == len(compare.CONCURRENCIES)
    assert "0.909x" in section
    assert "mosec" not in section
    assert BARE not in section


def test_who_failed_has_no_figures_and_is_named() -> None:
    seen = a_run({PLAIN: [900], "mosec": [900]})
    seen.fail(TREES, "mosec", "HTTP 500")
    assert [figure.what for figure in figures_of(seen) if "mosec" in figure.what] == []
    assert f"- {TREES}, mosec: HTTP 500" in compare.sections(seen, [])


def test_where_nobody_does_better_that_is_said() -> None:
    assert "Nothing that was measured here." in compare.sections(a_run({PLAIN: [900]}), [])
