"""Decides the keys that a namespace's receipts are signed with: Secret `driftline-keys`.

The newest is replaced when it has reached an age; an older one stays for as long as a receipt
that it signed may still be shown. The Secret outlives the routers, and goes when the last receipt
that any server of the namespace can have signed is too old.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from driftline_api.conditions import Reason
from driftline_api.keys import (
    KEYS_FILE,
    KEYS_SECRET,
    SPREAD,
    Keys,
    ReceiptKey,
    new_key,
    parse_keys,
    render_keys,
)
from driftline_api.names import ADOPT, ROUTER
from driftline_operator.core.ownership import is_labelled
from driftline_operator.core.plan import Deletion, EventRecord, Manifest, ObjectRef, Plan
from driftline_operator.router.manifests import LABELS

#: No watch tells of Secrets, so that nobody need be allowed to list them: they are looked at.
LOOK_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyConfig:
    """What the installation says about receipts.

    Attributes:
        rotation: the age at which the newest key gets a successor.
        horizon: how long after a prediction its receipt may be shown, with labels or to ask why.
    """

    rotation: timedelta = timedelta(days=30)
    horizon: timedelta = timedelta(days=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysObserved:
    """What is known of a namespace's keys.

    Attributes:
        found: the Secret's content, nothing where there is no Secret of ours.
        secret: the Secret as it was seen, None where there is none of ours.
        random: bytes to make the next key of, should one be needed.
    """

    found: Keys
    secret: Deletion | None
    random: bytes


def keys_ref(namespace: str) -> ObjectRef:
    """Return the name of a namespace's Secret."""
    return ObjectRef(api_version="v1", kind="Secret", namespace=namespace, name=KEYS_SECRET)


def gather_keys(secret: Manifest | None, random: bytes) -> KeysObserved:
    """Return what a Secret says; a foreign one says nothing, and is not to be touched."""
    if secret is None or not (is_labelled(secret) or _is_handed_over(secret)):
        return KeysObserved(found=Keys(), secret=None, random=random)
    meta = secret["metadata"]
    seen = Deletion(
        ref=ObjectRef.of(secret), uid=meta["uid"], resource_version=meta["resourceVersion"]
    )
    return KeysObserved(found=_content(secret), secret=seen, random=random)


def _is_handed_over(secret: Manifest) -> bool:
    annotations = secret["metadata"].get("annotations") or {}
    return bool(annotations.get(ADOPT) == ROUTER)


def plan_keys(namespace: str, seen: KeysObserved, now: datetime, config: KeyConfig) -> Plan:
    """Return what is to be done about the keys of a namespace that holds Models."""
    return _write(namespace, seen, rotated(seen, now, config))


def plan_old_keys(namespace: str, seen: KeysObserved, now: datetime, config: KeyConfig) -> Plan:
    """Return the same for a namespace without Models: no key is made, and none where none is."""
    if seen.secret is None:
        return Plan()
    return _write(namespace, seen, unexpired(seen.found.keys, now, config))


def rotated(seen: KeysObserved, now: datetime, config: KeyConfig) -> tuple[ReceiptKey, ...]:
    """Return the keys that there shall be, oldest first."""
    keys = unexpired(seen.found.keys, now, config)
    if keys and now - keys[-1].created < config.rotation:
        return keys
    made = new_key(seen.random, now)
    return keys if made.id in {key.id for key in keys} else (*keys, made)


def unexpired(
    keys: Sequence[ReceiptKey], now: datetime, config: KeyConfig
) -> tuple[ReceiptKey, ...]:
    """Return those of which a receipt may still be shown; the newest is always one.

    A key signs until its successor has spread.
    """
    ended = [later.created + SPREAD for _, later in pairwise(keys)]
    kept = [key for key, end in zip(keys, ended, strict=False) if now - end < config.horizon]
    return (*kept, *keys[-1:])


def _write(namespace: str, seen: KeysObserved, keys: Sequence[ReceiptKey]) -> Plan:
    """Write over what was read, and only over that."""
    metadata: dict[str, Any] = {"name": KEYS_SECRET, "namespace": namespace, "labels": dict(LABELS)}
    if seen.secret:
        metadata["resourceVersion"] = seen.secret.resource_version
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": "Opaque",
        "data": {KEYS_FILE: base64.b64encode(render_keys(keys).encode()).decode()},
    }
    return Plan(apply=(manifest,), events=_told(seen), requeue_after=LOOK_SECONDS)


def _told(seen: KeysObserved) -> tuple[EventRecord, ...]:
    """Tell once that keys were lost: the Secret that is written now has none that is damaged."""
    if not seen.secret or not seen.found.damaged:
        return ()
    message = (
        f"{seen.found.damaged} of its entries could not be read and were dropped, "
        f"{len(seen.found.keys)} were kept: receipts signed with a dropped key no longer verify; "
        "nothing is to be done, but who edited it?"
    )
    event = EventRecord(
        about=seen.secret.ref,
        uid=seen.secret.uid,
        type="Warning",
        reason=Reason.KEYS_DAMAGED.value,
        message=message,
    )
    return (event,)


def _content(secret: Manifest) -> Keys:
    try:
        text = base64.b64decode((secret.get("data") or {}).get(KEYS_FILE, ""), validate=True)
    except (binascii.Error, ValueError):
        return Keys(damaged=1)
    return parse_keys(text)
