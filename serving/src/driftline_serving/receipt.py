"""Receipts: what was predicted, signed, for the client to keep until it learns the truth.

A receipt is base64url, without padding, of these bytes; integers are big-endian:

    1       the format's version, 1
    6       the key's id, as bytes
    1 + n   length and bytes of: the revision, in ASCII
    1 + n   the arm that the router chose, in ASCII; empty where no router did
    8       the epoch: the number of the router's last change of weights; 0 where no router did
    1 + n   the unit's hash; empty as long as routing is not sticky
    16      the prediction's id, a UUID of version 7, in which stands the time
    1       the number of predictions, at most 16
    8 each  the predicted class or score of the first rows, IEEE 754 binary64
    16      keyed BLAKE2b-128 (RFC 7693) over all of the above

Its key is itself HMAC-SHA256 of `driftline-receipt` under the secret in the key file,
so that the same secret can sign other things.
"""

import binascii
import hashlib
import hmac
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

from driftline_api.keys import ReceiptKey, key_bytes
from driftline_serving.errors import ServingError

VERSION: Final = 1
MOST_PREDICTIONS: Final = 16
#: Characters of an arm's name; a longer one was not given by a router of ours.
MOST_ARM: Final = 63

_PURPOSE: Final = b"driftline-receipt"
_MAC_BYTES: Final = 16
_MOST_TEXT: Final = 255
_MOST_EPOCH: Final = 2**64 - 1
#: Characters of a receipt in which everything is as long as it can be.
_LONGEST: Final = 1_300
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_HEAD: Final = struct.Struct(">B6s")
_VALUES: Final = tuple(struct.Struct(f">B{count}d") for count in range(MOST_PREDICTIONS + 1))


class ReceiptError(ServingError):
    """This is no receipt that can be verified; the message says why."""

    status = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a receipt says.

    Attributes:
        key_id: of the key that signed it.
        revision: that predicted; empty outside a cluster.
        arm: `stable` or `canary`; empty where no router chose.
        epoch: number of the router's last change of weights.
        unit: hash of the unit that was routed; empty as long as routing is not sticky.
        prediction_id: a UUID of version 7.
        predictions: the predicted class or score of the first rows, 16 at most; empty where the
            model does not say which of its outputs that is.
    """

    key_id: str
    revision: str
    arm: str = ""
    epoch: int = 0
    unit: bytes = b""
    prediction_id: str
    predictions: tuple[float, ...] = ()

    @property
    def time(self) -> datetime:
        """When it was predicted, to the millisecond."""
        milliseconds = int(self.prediction_id[:8] + self.prediction_id[9:13], 16)
        return datetime.fromtimestamp(milliseconds / 1000, UTC)


class Signer:
    """Signs with one key, for one revision."""

    def __init__(self, key: ReceiptKey, revision: str) -> None:
        self._keyed = _keyed(key)
        self._start = _HEAD.pack(VERSION, key_bytes(key)) + _sized(revision.encode("ascii"))

    def sign(
        self, prediction_id: str, arm: str = "", epoch: str = "", predictions: Sequence[float] = ()
    ) -> str:
        """Return a receipt. A few microseconds: every answer has one.

        Args:
            prediction_id: A UUID.
            arm: As the router's header says it; one that is no name counts as none.
            epoch: The same; one that is no number counts as 0.
            predictions: One a row; of more than 16 the first are taken.
        """
        values = predictions[:MOST_PREDICTIONS]
        signed = b"".join(
            (
                self._start,
                _routed(arm, epoch),
                bytes.fromhex(prediction_id.replace("-", "")),
                _VALUES[len(values)].pack(len(values), *values),
            )
        )
        mac = self._keyed.copy()
        mac.update(signed)
        return _encoded(signed + mac.digest())


class Verifier:
    """Tells receipts of a namespace from anything else."""

    def __init__(self, keys: Iterable[ReceiptKey]) -> None:
        self._keys: Mapping[bytes, tuple[str, hashlib.blake2b]] = {
            key_bytes(key): (key.id, _keyed(key)) for key in keys
        }

    def verify(self, token: str) -> Receipt:
        """Return what a receipt says.

        Raises:
            ReceiptError: it is damaged, forged, of another version, or of a key that is not known.
        """
        content = _decoded(token)
        if not content or content[0] != VERSION:
            found = f"version {content[0]}" if content else "empty"
            raise ReceiptError(f"the receipt is {found}; version {VERSION} is known")
        signed, mac = content[:-_MAC_BYTES], content[-_MAC_BYTES:]
        if len(signed) < _HEAD.size:
            raise ReceiptError("the receipt is cut short")
        _, identity = _HEAD.unpack_from(signed)
        known = self._keys.get(identity)
        if known is None:
            raise ReceiptError(
                "the receipt's key is not known: it has been replaced too long ago, or belongs to "
                "another namespace"
            )
        key_id, keyed = known
        expected = keyed.copy()
        expected.update(signed)
        if not hmac.compare_digest(expected.digest(), mac):
            raise ReceiptError("the receipt's signature is wrong")
        return _read(signed, key_id)


def verify(token: str, keys: Iterable[ReceiptKey]) -> Receipt:
    """Return what a receipt says; see `Verifier`, which is cheaper for more than one."""
    return Verifier(keys).verify(token)


def _keyed(key: ReceiptKey) -> hashlib.blake2b:
    derived = hmac.digest(key.secret, _PURPOSE, "sha256")
    return hashlib.blake2b(key=derived, digest_size=_MAC_BYTES)


@lru_cache(maxsize=64)
def _routed(arm: str, epoch: str) -> bytes:
    """Return arm, epoch and unit: as good as constant between two changes of weights."""
    named = arm if len(arm) <= MOST_ARM and arm.isascii() and arm.isprintable() else ""
    plain = epoch.isascii() and epoch.isdecimal() and len(epoch) < len(str(_MOST_EPOCH))
    return _sized(named.encode()) + (int(epoch) if plain else 0).to_bytes(8) + _sized(b"")


def _sized(text: bytes) -> bytes:
    assert len(text) <= _MOST_TEXT
    return bytes((len(text),)) + text


def _encoded(content: bytes) -> str:
    text = binascii.b2a_base64(content, newline=False).translate(_URL_SAFE)
    return text.rstrip(b"=").decode("ascii")


def _decoded(token: str) -> bytes:
    """Return the bytes that a token stands for, of which each has one spelling only."""
    if len(token) > _LONGEST or not token.isascii():
        raise ReceiptError("this is not a receipt")
    text = token.encode("ascii").translate(_STANDARD) + b"=" * (-len(token) % 4)
    try:
        content = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error as error:
        raise ReceiptError(f"this is not a receipt: {error}") from error
    if _encoded(content) != token:
        raise ReceiptError("this is not a receipt: it is spelled in another way")
    return content


def _read(signed: bytes, key_id: str) -> Receipt:
    """Read what we have signed."""
    at = _HEAD.size
    revision, at = _text(signed, at)
    arm, at = _text(signed, at)
    epoch, at = int.from_bytes(signed[at : at + 8]), at + 8
    unit, at = _text(signed, at)
    identity, at = signed[at : at + 16], at + 16
    _, *predictions = _VALUES[signed[at]].unpack_from(signed, at)
    return Receipt(
        key_id=key_id,
        revision=revision.decode("ascii"),
        arm=arm.decode("ascii"),
        epoch=epoch,
        unit=unit,
        prediction_id=str(UUID(bytes=identity)),
        predictions=tuple(predictions),
    )


def _text(signed: bytes, at: int) -> tuple[bytes, int]:
    end = at + 1 + signed[at]
    return signed[at + 1 : end], end
