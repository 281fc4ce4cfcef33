import json
from pathlib import Path

from e2e.bench.audit import OPERATOR, AuditLog, by, failed, parse, tally


def a_line(
    *,
    agent: str = "driftline-operator/0.1.0",
    resource: str = "models",
    subresource: str = "",
    code: int = 200,
    stage: str = "ResponseComplete",
) -> bytes:
    about = {"resource": resource, "namespace": "a", "name": "m"}
    event = {
        "stage": stage,
        "verb": "patch",
        "userAgent": agent,
        "objectRef": about | ({"subresource": subresource} if subresource else {}),
        "responseStatus": {"code": code},
        "stageTimestamp": "2026-11-21T12:57:55.607831Z",
    }
    return json.dumps(event).encode() + b"\n"


def test_a_subresource_is_another_kind_of_write() -> None:
    write = parse(a_line(subresource="status"))
    assert write is not None
    assert write.what == "models/status"
    assert tally([write]) == {"patch models/status": 1}


def test_a_request_that_panicked_or_goes_on_is_no_write() -> None:
    assert parse(a_line(stage="ResponseStarted")) is None


def test_leases_and_other_programs_are_not_the_operators_writes() -> None:
    lines = [a_line(), a_line(resource="leases"), a_line(agent="kubectl/v1")]
    writes = [write for line in lines if (write := parse(line))]
    assert [write.what for write in by(OPERATOR, writes)] == ["models"]


def test_a_conflict_is_counted_and_is_a_failure() -> None:
    writes = [write for code in (200, 201, 409) if (write := parse(a_line(code=code)))]
    assert len(by(OPERATOR, writes)) == 3
    assert [write.code for write in failed(writes)] == [409]


def test_each_line_is_read_once_and_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(a_line() + a_line(resource="services")[:40])
    log = AuditLog(path)
    assert [write.what for write in log.read()] == ["models"]
    assert log.read() == []
    path.write_bytes(a_line() + a_line(resource="services"))
    assert [write.what for write in log.read()] == ["services"]
