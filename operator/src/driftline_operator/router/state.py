"""The ConfigMap `driftline-router`: all that the router's controller must remember.

It is the only record of ports and of the configuration's version. Parsing forgives what a person
may have broken: an entry that cannot be read is an entry that is not there, and the controller
writes it anew.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from driftline_operator.core.plan import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """One Model's place in the configuration.

    Attributes:
        uid: of the Model; a Model re-created under the name gets a port of its own.
        port: its listener.
        hash: `traffic_hash` of the traffic that the configuration contains.
        version: the version since which it contains exactly that.
    """

    uid: str
    port: int
    hash: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterState:
    """What the ConfigMap says.

    Attributes:
        version: counter of the configuration; only ever grows.
        hash: of everything that the configuration is made from.
        models: by name.
        freed: when each resting port was given up.
        problems: reason why a Model has no port, by name.
        updated: when the version last grew.
        empty_since: when the last Model went, None while there is one.
    """

    version: int = 0
    hash: str = ""
    models: Mapping[str, ModelEntry] = field(default_factory=dict)
    freed: Mapping[int, datetime] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    updated: datetime | None = None
    empty_since: datetime | None = None


def parse_state(config_map: Manifest | None) -> RouterState:
    """Return what a ConfigMap says; an absent one says nothing."""
    data = (config_map or {}).get("data") or {}
    return RouterState(
        version=_number(data.get("version")),
        hash=data.get("hash", ""),
        models=_models(_mapping(data.get("models"))),
        freed=_freed(_mapping(data.get("freed"))),
        problems={name: str(why) for name, why in _mapping(data.get("problems")).items()},
        updated=_time(data.get("updated")),
        empty_since=_time(data.get("emptySince")),
    )


def render_state(state: RouterState) -> dict[str, str]:
    """Return the ConfigMap's `data`; `parse_state` is its inverse."""
    models = {
        name: {"uid": e.uid, "port": e.port, "hash": e.hash, "version": e.version}
        for name, e in state.models.items()
    }
    data = {
        "version": str(state.version),
        "hash": state.hash,
        "models": _compact(models),
        "freed": _compact({str(port): at.isoformat() for port, at in state.freed.items()}),
        "problems": _compact(dict(state.problems)),
    }
    times = {"updated": state.updated, "emptySince": state.empty_since}
    return data | {name: at.isoformat() for name, at in times.items() if at}


def models_concerned(before: RouterState, after: RouterState) -> list[str]:
    """Return the Models of which the ConfigMap says something else than before."""
    names = {*before.models, *after.models, *before.problems, *after.problems}
    return sorted(name for name in names if _says(before, name) != _says(after, name))


def _says(state: RouterState, name: str) -> tuple[ModelEntry | None, str | None]:
    return state.models.get(name), state.problems.get(name)


def _compact(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _mapping(text: object) -> Mapping[str, Any]:
    try:
        value = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _number(text: object) -> int:
    return int(text) if isinstance(text, str) and text.isdecimal() else 0


def _time(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return at if at and at.tzinfo else None


def _models(value: Mapping[str, Any]) -> dict[str, ModelEntry]:
    entries = {name: _entry(entry) for name, entry in value.items()}
    return {name: entry for name, entry in entries.items() if entry}


def _entry(value: object) -> ModelEntry | None:
    match value:
        case {"uid": str(uid), "port": int(port), "hash": str(hash_), "version": int(version)}:
            return ModelEntry(uid=uid, port=port, hash=hash_, version=version)
        case _:
            return None


def _freed(value: Mapping[str, Any]) -> dict[int, datetime]:
    times = {_number(port): _time(at) for port, at in value.items()}
    return {port: at for port, at in times.items() if port and at}
