"""Rows of a scene, replayed at a constant rate: from a pod, or from a process on this machine."""

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from e2e.drift.scenes import Examples
from e2e.kubectl import Kubectl, Object, eventually
from e2e.load import client_pod
from e2e.s3 import CREDENTIALS

SCRIPT: Final = Path(__file__).with_name("replay_client.py")
#: Of the client's latency histogram.
GROWTH: Final = math.log(1.02)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What is replayed.

    Attributes:
        url: of the inference call.
        source: of the rows: a file, or s3://bucket/key.
        first, last: rows, the last not included.
        rows: in each request.
        rate: requests a second.
        label_after: seconds from an answer until its outcome is told; None for never.
        loop: whether the first row comes after the last one.
        seconds: after which it ends by itself.
    """

    url: str
    source: str
    first: int = 0
    last: int
    rows: int = 20
    rate: float = 50
    label_after: float | None = None
    loop: bool = False
    seconds: float = 600

    def command(self) -> list[str]:
        """Return the client's arguments, for whichever Python runs it."""
        return ["-u", "-c", SCRIPT.read_text(), json.dumps(asdict(self))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What became of the requests until a moment.

    Attributes:
        time: of it, Unix seconds.
        sent, failed: requests that have ended, and those that did not end in 200.
        rows: in the requests that have ended.
        at: the row that comes next.
        errors: a sample of what went wrong.
        revisions: answers by the revision that gave them.
        labels: outcomes by what became of them.
        latency: requests by bucket of time.
    """

    time: float
    sent: int
    failed: int
    rows: int
    at: int
    errors: Sequence[str] = ()
    revisions: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    latency: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """What happened between two accounts.

    Attributes:
        latency: requests by bucket.
    """

    sent: int
    failed: int
    latency: Mapping[int, int]

    def quantile_ms(self, share: float) -> float:
        """Return the time in milliseconds below which that share of requests ended, within 2 %.

        >>> Between(sent=3, failed=0, latency={0: 2, 349: 1}).quantile_ms(0.99) > 1
        True
        """
        reached = 0
        for bucket in sorted(self.latency):
            reached += self.latency[bucket]
            if reached >= share * self.sent:
                return math.exp((bucket + 1) * GROWTH) / 1e3
        return math.nan


def between(accounts: Sequence[Account], start: float, end: float) -> Between:
    """Return what happened from the last account before `start` to the first one after `end`."""
    nothing = Account(time=start, sent=0, failed=0, rows=0, at=0)
    earlier = (each for each in accounts if each.time <= start)
    before = max(earlier, key=lambda each: each.time, default=nothing)
    after = min((each for each in accounts if each.time >= end), key=lambda each: each.time)
    old, new = before.latency, after.latency
    grown = {int(bucket): count - old.get(bucket, 0) for bucket, count in new.items()}
    return Between(
        sent=after.sent - before.sent,
        failed=after.failed - before.failed,
        latency={bucket: count for bucket, count in grown.items() if count},
    )


class Told(Protocol):
    """Who prints accounts."""

    def lines(self) -> list[str]:
        """Return what was printed so far."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaying:
    """A replay that runs."""

    told: Told

    def accounts(self) -> list[Account]:
        """Return all accounts so far, one a second."""
        return [_account(line) for line in self.told.lines() if line.startswith("{")]

    def account(self) -> Account:
        """Return the newest one: at most a second old."""
        return self.accounts()[-1]

    def wait_row(self, row: int, within: float) -> Account:
        """Wait until the replay has come to a row."""

        def come() -> Account | None:
            found = self.accounts()
            return found[-1] if found and found[-1].at >= row else None

        found = eventually(f"row {row} is sent", come, within=within, every=0.5)
        assert found is not None
        return found


def _account(line: str) -> Account:
    return Account(**json.loads(line))


@dataclass(frozen=True, slots=True, kw_only=True)
class PodLog:
    """The log of the client's pod."""

    kubectl: Kubectl
    namespace: str
    pod: str

    def lines(self) -> list[str]:
        """Return what the client printed."""
        return self.kubectl.run("logs", self.pod, "-n", self.namespace).splitlines()


@contextmanager
def replaying(
    kubectl: Kubectl, namespace: str, image: str, replay: Replay, name: str
) -> Iterator[Replaying]:
    """Replay from a pod until the block ends; it has begun when the block is entered."""
    pod = client_pod(namespace, image, ["python3", *replay.command()], name)
    _give_credentials(pod)
    kubectl.apply(pod)
    running = Replaying(told=PodLog(kubectl=kubectl, namespace=namespace, pod=name))
    try:
        eventually("the replay has begun", running.accounts, within=60)
        yield running
    finally:
        kubectl.delete(namespace, "pod", name, wait=False)


def _give_credentials(pod: Object) -> None:
    container: dict[str, Any] = pod["spec"]["containers"][0]
    container["envFrom"] = [{"secretRef": {"name": CREDENTIALS}}]


def packed(rows: Examples) -> bytes:
    """Return rows as the client reads them."""
    target = io.BytesIO()
    np.savez_compressed(target, truth=rows.truth, numbers=rows.numbers, levels=rows.levels)
    return target.getvalue()
