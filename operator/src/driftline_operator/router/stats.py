"""Reads a router's statistics: what it has acknowledged, and how each arm does.

The text of Envoy's admin interface is no API with types; these are the only lines that depend
on how it looks, and a test runs them against the real program.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from driftline_operator.router.listeners import ROUTES, STAT_PREFIX
from driftline_operator.router.outcomes import LATENCY, OUTCOMES, PREFIX
from driftline_operator.router.traffic import Acknowledged

#: Versions, and the healthy servers of each revision's own clusters.
SERVED_QUERY: Final = "/stats?filter=version_text$|^cluster%5C.[^/]*(|/grpc)%5C.membership_healthy$"
OUTCOMES_QUERY: Final = f"/stats?format=json&histogram_buckets=detailed&filter=^{PREFIX}%5C."


def outcomes_query(model: str) -> str:
    """Return the query for the outcomes of one Model alone, without latencies."""
    return f"/stats?format=json&filter=^{PREFIX}%5C.{OUTCOMES}%5C.model%5C.{model}%5C."


_LISTENERS: Final = "listener_manager.lds.version_text"
_CLUSTERS: Final = "cluster_manager.cds.version_text"
_ROUTES: Final = f"http.{STAT_PREFIX}.rds.{ROUTES}.version_text"

_HEALTHY: Final = re.compile(r"cluster\.(?P<revision>[^./]+)(/grpc)?\.membership_healthy")
_ARM: Final = r"model\.(?P<model>[^.]+)\.arm\.(?P<arm>[^.]+)\.epoch\.(?P<epoch>\d+)"
_OUTCOME: Final = re.compile(
    rf"{PREFIX}\.{OUTCOMES}\.{_ARM}\.served_by\.(?P<served_by>[^.]*)"
    r"\.code\.(?P<code>\d+)\.grpc\.(?P<grpc>\d*)\.flags\.(?P<flags>.*)"
)
_LATENCY: Final = re.compile(rf"{PREFIX}\.{LATENCY}\.{_ARM}")

#: gRPC: unknown, deadline exceeded, resource exhausted, internal, unavailable, data loss.
_GRPC_ERRORS: Final = frozenset({2, 4, 8, 13, 14, 15})
#: What a client may do wrong by itself, whichever revision answers.
_CLIENTS_OWN: Final = frozenset({401, 403, 404, 408, 413, 429})
#: The same over gRPC, and success: cancelled, not found, permission denied, unauthenticated.
_GRPC_CLIENTS_OWN: Final = frozenset({0, 1, 5, 7, 16})
#: The client went away, with its connection or without: nobody's outcome.
_CLIENT_LEFT: Final = frozenset({"DC", "DR"})


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Arm:
    """One arm of one Model in one epoch."""

    model: str
    arm: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How many inference calls of an arm ended in one way, since the router started.

    Attributes:
        arm: whose share they were.
        served_by: revision whose server answered, empty where none did.
        code: HTTP status, 0 where the connection ended without one.
        grpc: gRPC status, None for REST.
        flags: Envoy's response flags.
        count: cumulative.
    """

    arm: Arm
    served_by: str
    code: int
    grpc: int | None
    flags: frozenset[str]
    count: int

    @property
    def is_error(self) -> bool:
        """Tell whether the client got no answer that it could use, and was not to blame."""
        failed = self.code == 0 or self.code >= 500 or self.grpc in _GRPC_ERRORS
        return failed and not self.flags & _CLIENT_LEFT

    @property
    def is_rejected(self) -> bool:
        """Tell whether the server understood, and refused what the client sent."""
        if self.grpc is None:
            refused = 400 <= self.code < 500 and self.code not in _CLIENTS_OWN
        else:
            refused = self.grpc not in _GRPC_ERRORS | _GRPC_CLIENTS_OWN
        return refused and not self.flags & _CLIENT_LEFT


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """How many calls took from `lower` to `lower + width` microseconds."""

    lower: float
    width: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """The latency of an arm's inference calls since the router started.

    The bins are Envoy's own: two significant digits, hence within 10 %, and the same in every
    router, so that they may be added.
    """

    arm: Arm
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What one router has counted."""

    outcomes: tuple[Outcome, ...]
    latencies: tuple[Latency, ...]


def parse_served(text: str) -> Acknowledged:
    """Return what the answer to `SERVED_QUERY` says."""
    pairs = (line.split(": ", 1) for line in text.splitlines() if ": " in line)
    said = {name: value.strip().strip('"') for name, value in pairs}
    return Acknowledged(
        listeners=_version(said, _LISTENERS),
        clusters=_version(said, _CLUSTERS),
        routes=_version(said, _ROUTES),
        reached=_reached(said),
    )


def _reached(said: Mapping[str, str]) -> frozenset[str]:
    """Return the revisions with a healthy server, over every protocol that they serve."""
    matches = ((_HEALTHY.fullmatch(name), value) for name, value in said.items())
    known = [(match["revision"], value != "0") for match, value in matches if match]
    return frozenset(name for name, _ in known) - {name for name, healthy in known if not healthy}


def _version(said: Mapping[str, str], name: str) -> int:
    value = said.get(name, "")
    return int(value) if value.isdecimal() else 0


def parse_outcomes(text: str) -> Reported:
    """Return the counts in the answer to `OUTCOMES_QUERY`.

    Raises:
        ValueError: that is no such answer.
    """
    stats = json.loads(text)["stats"]
    outcomes = (_outcome(each) for each in stats if "value" in each)
    details = (each["histograms"].get("details", ()) for each in stats if "histograms" in each)
    latencies = (latency for group in details for latency in _latencies(group))
    return Reported(
        outcomes=tuple(outcome for outcome in outcomes if outcome), latencies=tuple(latencies)
    )


def _outcome(stat: Mapping[str, Any]) -> Outcome | None:
    match = _OUTCOME.fullmatch(stat["name"])
    if match is None:
        return None
    flags = match["flags"].removeprefix("-")
    return Outcome(
        arm=_arm(match),
        served_by=match["served_by"],
        code=int(match["code"]),
        grpc=int(match["grpc"]) if match["grpc"] else None,
        flags=frozenset(flags.split(",")) if flags else frozenset(),
        count=stat["value"],
    )


def _latencies(details: list[Mapping[str, Any]]) -> Iterator[Latency]:
    for each in details:
        match = _LATENCY.fullmatch(each["name"])
        if match:
            totals = each["totals"]
            bins = tuple(
                Bin(lower=total["lower_bound"], width=total["width"], count=total["count"])
                for total in totals
            )
            yield Latency(arm=_arm(match), bins=bins)


def _arm(match: re.Match[str]) -> Arm:
    return Arm(model=match["model"], arm=match["arm"], epoch=int(match["epoch"]))
