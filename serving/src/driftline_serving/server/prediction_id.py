"""Names of predictions: UUIDv7 that also tell which pod answered.

Laid out after RFC 9562, section 5.7: 48 bits of Unix milliseconds, the version, 12 random bits, the
variant, 62 random bits. The lowest 32 of these are a hash of the pod's IP address, so that feedback
finds the pod that still remembers the prediction. 42 random bits a millisecond and pod remain: at
1,000 predictions in one millisecond, two are the same once in nine million such milliseconds.
"""

import hashlib
import ipaddress
import os
from uuid import UUID

#: Random bits that `prediction_id` takes.
RANDOM_BITS = 42
_POD_BITS = 32
_RAND_B_BITS = 62
_RANDOM_BYTES = -(-RANDOM_BITS // 8)
_POOL_BYTES = 512 * _RANDOM_BYTES


def pod_hash(ip: str) -> int:
    """32 bits that stand for a pod's address, however the address is spelled.

    >>> pod_hash("10.0.0.7") == pod_hash("::ffff:10.0.0.7")
    True
    """
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return int.from_bytes(hashlib.sha256(address.packed).digest()[: _POD_BITS // 8])


def prediction_id(unix_ms: int, random: int, pod: int) -> str:
    """Compose an id.

    >>> prediction_id(0x0190_0000_0001, 0, 0xABCD)
    '01900000-0001-7000-8000-00000000abcd'

    Args:
        unix_ms: When the prediction was made.
        random: `RANDOM_BITS` random bits.
        pod: What `pod_hash` says.
    """
    rand_a, rand_b_high = divmod(random, 1 << (_RAND_B_BITS - _POD_BITS))
    time, low = f"{unix_ms:012x}", f"{0b10 << 62 | rand_b_high << _POD_BITS | pod:016x}"
    return f"{time[:8]}-{time[8:]}-7{rand_a:03x}-{low[:4]}-{low[4:]}"


class RandomBits:
    """Random bits from the system, fetched in bulk: one call of it costs as much as a whole id."""

    def __init__(self) -> None:
        self._pool, self._at = b"", 0

    def __call__(self) -> int:
        """Return `RANDOM_BITS` random bits."""
        if self._at >= len(self._pool):
            self._pool, self._at = os.urandom(_POOL_BYTES), 0
        at = self._at
        self._at = at + _RANDOM_BYTES
        return int.from_bytes(self._pool[at : self._at]) >> (8 * _RANDOM_BYTES - RANDOM_BITS)


def pod_of(identifier: str) -> int:
    """The pod hash in an id."""
    return UUID(identifier).int & ((1 << _POD_BITS) - 1)
