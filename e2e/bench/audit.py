"""Writes as the API server's audit log counts them: by who asked, of what."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import orjson

#: How user agents begin.
OPERATOR = "driftline-operator/"
STAND_IN = "driftline-bench-stand-in/"
BARE_CLIENT = "driftline-bench-client/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One request that creates, changes or deletes, whatever its outcome.

    Attributes:
        what: as `deployments` or `models/status`.
        code: HTTP status.
        at: when it was answered.
    """

    agent: str
    verb: str
    what: str
    namespace: str
    name: str
    code: int
    at: datetime

    @property
    def is_lease(self) -> bool:
        """Whether it renews an election, which goes on for ever and is not counted."""
        return self.what == "leases"


def parse(line: bytes) -> Write | None:
    """Read a line of the log; None for what stands for no finished request."""
    event = orjson.loads(line)
    if event["stage"] != "ResponseComplete" or "objectRef" not in event:
        return None
    about = event["objectRef"]
    parts = (about["resource"], about.get("subresource", ""))
    return Write(
        agent=event.get("userAgent", ""),
        verb=event["verb"],
        what="/".join(filter(None, parts)),
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
        code=event.get("responseStatus", {}).get("code", 0),
        at=datetime.fromisoformat(event["stageTimestamp"]),
    )


class AuditLog:
    """Reads a log that is being written, each time from where it stopped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[Write]:
        """Return the writes since the last call. A line still being written waits for the next."""
        with self._path.open("rb") as log:
            log.seek(self._offset)
            data = log.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [write for line in whole.splitlines() if (write := parse(line)) is not None]


def by(agent: str, writes: Iterable[Write]) -> list[Write]:
    """Return the writes of one program, its Lease left out."""
    return [write for write in writes if write.agent.startswith(agent) and not write.is_lease]


def tally(
    writes: Iterable[Write],
    key: Callable[[Write], str] = lambda write: f"{write.verb} {write.what}",
) -> dict[str, int]:
    """Count, the most frequent first."""
    return dict(Counter(map(key, writes)).most_common())


def failed(writes: Iterable[Write]) -> list[Write]:
    """Return those that the API server did not carry out."""
    return [write for write in writes if not 200 <= write.code < 300]
