import asyncio
import threading

from driftline_operator.core.plan import Manifest
from driftline_operator.shell.watch import Crossing


class Seen:
    """Takes in what it is given, and fails at what is called `bad`."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str]] = []
        self.threads: set[int] = set()

    def put(self, manifest: Manifest) -> None:
        self._note("put", manifest)

    def drop(self, manifest: Manifest) -> None:
        self._note("drop", manifest)

    def _note(self, verb: str, manifest: Manifest) -> None:
        if manifest["name"] == "bad":
            raise ValueError
        self.threads.add(threading.get_ident())
        self.log.append((verb, manifest["name"]))


async def crossed(events: list[tuple[str, str]]) -> Seen:
    """Send events from a thread of its own, and return what arrived in this one."""
    seen = Seen()
    crossing = Crossing(seen, asyncio.get_running_loop())

    def send() -> None:
        for kind, name in events:
            seen_object = {"name": name}
            crossing.send({"type": kind, "object": seen_object})  # type: ignore[typeddict-item]  # not whole

    await asyncio.to_thread(send)
    await asyncio.sleep(0)
    return seen


async def test_events_arrive_in_their_order_in_the_loop_they_are_meant_for() -> None:
    events = [("MODIFIED" if n % 3 else "DELETED", str(n)) for n in range(1000)]
    seen = await crossed(events)
    assert seen.log == [("put" if n % 3 else "drop", str(n)) for n in range(1000)]
    assert seen.threads == {threading.get_ident()}


async def test_an_event_that_meets_a_bug_keeps_no_other_from_arriving() -> None:
    seen = await crossed([("ADDED", "a"), ("ADDED", "bad"), ("ADDED", "b")])
    assert seen.log == [("put", "a"), ("put", "b")]
