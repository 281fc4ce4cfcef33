"""The keys that receipts are signed with: one JSON file in one Secret of each namespace.

The operator writes the file, model servers and monitors read it, and both must agree on which
key signs. A person may have edited it: what cannot be read is counted and left out.

    {"keys": [{"created": "2026-01-02T03:04:05+00:00", "id": "Zm9vYmFy", "secret": "..."}]}
"""

import binascii
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

#: Name of the Secret, and of the one file in it.
KEYS_SECRET: Final = "driftline-keys"  # noqa: S105 - a name, not a password
KEYS_FILE: Final = "keys.json"
#: Bytes of an id, of which base64url makes eight characters, and of a secret.
ID_BYTES: Final = 6
SECRET_BYTES: Final = 32
#: A new key is not used before everybody has it: kubelets bring a changed Secret to their pods
#: within two minutes, and a receipt may be shown to another pod than the one that signed it.
SPREAD: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptKey:
    """One key. Its secret shows in no representation, and so in no log.

    Attributes:
        id: eight url-safe characters.
        created: when it was made, to the second, with its time zone.
        secret: what signs.
    """

    id: str
    created: datetime
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What a file holds: its keys, oldest first, and how many entries could not be read."""

    keys: tuple[ReceiptKey, ...] = ()
    damaged: int = 0


def new_key(random: bytes, created: datetime) -> ReceiptKey:
    """Return a key made of `ID_BYTES + SECRET_BYTES` random bytes."""
    chosen = urlsafe_b64encode(random[:ID_BYTES]).decode()
    return ReceiptKey(id=chosen, created=created.replace(microsecond=0), secret=random[ID_BYTES:])


def key_bytes(key: ReceiptKey) -> bytes:
    """Return the bytes that a key's id stands for."""
    return urlsafe_b64decode(key.id)


def parse_keys(text: bytes | str) -> Keys:
    """Return what a file holds. One that is no such file counts as one damaged entry."""
    try:
        match json.loads(text):
            case {"keys": list(entries)}:
                return _sorted([_key(entry) for entry in entries])
    except ValueError:
        pass
    return Keys(damaged=1)


def render_keys(keys: Iterable[ReceiptKey]) -> str:
    """Return the file's text; `parse_keys` is its inverse."""
    entries = [
        {
            "created": key.created.isoformat(),
            "id": key.id,
            "secret": urlsafe_b64encode(key.secret).decode(),
        }
        for key in keys
    ]
    return json.dumps({"keys": entries}, sort_keys=True, separators=(",", ":"))


def signing_key(keys: Sequence[ReceiptKey], now: datetime) -> ReceiptKey | None:
    """Return the key that signs: the newest that everybody has had time to get.

    Where none is that old, the oldest: it is the one that is most widely known.
    """
    spread = [key for key in keys if now - key.created >= SPREAD]
    return spread[-1] if spread else next(iter(keys), None)


def monitor_token(key: ReceiptKey) -> str:
    """Return what a monitor's endpoints want as bearer token, made of one key.

    Whoever asks uses `signing_key`; a monitor accepts that of any key it knows.
    """
    mac = hmac.digest(key.secret, b"driftline-monitor", "sha256")
    return urlsafe_b64encode(mac).decode().rstrip("=")


def _sorted(entries: Sequence[ReceiptKey | None]) -> Keys:
    """Leave out what cannot be read, and all but the oldest of those that share an id."""
    found = sorted((each for each in entries if each), key=lambda key: (key.created, key.id))
    by_id: dict[str, ReceiptKey] = {}
    for key in found:
        by_id.setdefault(key.id, key)
    return Keys(keys=tuple(by_id.values()), damaged=len(entries) - len(by_id))


def _key(entry: Any) -> ReceiptKey | None:
    match entry:
        case {"created": str(created), "id": str(name), "secret": str(secret)}:
            at, identity, value = _time(created), _decoded(name), _decoded(secret)
        case _:
            return None
    if at is None or len(identity) != ID_BYTES or len(value) != SECRET_BYTES:
        return None
    return ReceiptKey(id=name, created=at, secret=value)


def _time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else None


def _decoded(text: str) -> bytes:
    """Return what base64url stands for; nothing for what it does not stand for exactly."""
    try:
        value = urlsafe_b64decode(text)
    except (binascii.Error, ValueError):
        return b""
    return value if urlsafe_b64encode(value).decode() == text else b""
