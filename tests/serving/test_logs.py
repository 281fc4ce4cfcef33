"""One line of JSON a record, in a process as a user starts it."""

import contextlib
import json
import logging
import re
import sys
from pathlib import Path

import pytest

from driftline_serving.logs import JsonLines
from tests.serving import onnx_models
from tests.serving.processes import Setup, serving
from tests.serving.test_protocol import rows

SECRET = "4929135711223344"


def failed() -> logging.LogRecord:
    with contextlib.suppress(ValueError):
        try:
            int("two")
        finally:
            record = logging.LogRecord(
                "a.b", logging.ERROR, "", 0, "it %s", ("broke",), sys.exc_info()
            )
    return record


def test_a_traceback_is_folded_into_its_record() -> None:
    text = JsonLines(worker=3).format(failed())
    assert "\n" not in text
    line = json.loads(text)
    traceback = line.pop("traceback")
    assert traceback.startswith("Traceback (most recent call last):\n")
    assert traceback.endswith("ValueError: invalid literal for int() with base 10: 'two'")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {"level": "ERROR", "logger": "a.b", "message": "it broke", "worker": 3}


def test_the_clients_own_names_for_a_call_stand_in_its_record() -> None:
    record = failed()
    record.context = {"x-request-id": "17"}
    assert json.loads(JsonLines().format(record))["x-request-id"] == "17"


def test_all_that_a_server_writes_is_json_and_nothing_of_it_was_sent(tmp_path: Path) -> None:
    with serving(tmp_path, onnx_models.cancer_onnx()) as server:
        for request in (rows(0, 1), {"inputs": SECRET}, SECRET.encode(), {"id": SECRET}):
            server.infer(request)
        server.terminate()
        assert server.process.wait(30) == 0
    lines = [json.loads(line) for line in server.log]
    assert {"time", "level", "logger", "message"} == set.intersection(*map(set, lines))
    assert [line["worker"] for line in lines if line["message"].startswith("loaded: m;")] == [0]
    assert lines[-1]["message"] == "stopped"
    assert not any(SECRET in line for line in server.log)


@pytest.mark.parametrize(("level", "heard"), [("info", True), ("WARNING", False)])
def test_text_for_people_and_only_what_is_serious(
    tmp_path: Path, level: str, *, heard: bool
) -> None:
    setup = Setup(arguments=("--log-format", "text", "--log-level", level), wait_ready=False)
    with serving(tmp_path, b"no model", setup) as server:
        assert server.process.wait(30) == 1
    assert any(" INFO driftline_serving.server" in line for line in server.log) is heard
    assert any(" ERROR driftline_serving" in line for line in server.log)
