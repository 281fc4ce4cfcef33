"""Names of predictions: UUIDv7 that also tell which pod answered.

Laid out after RFC 9562, section 5.7: 48 bits of Unix milliseconds, the version, 12 random bits, the
variant, 62 random bits. The lowest 32 of these are a hash of the pod's IP address, so that feedback
finds the pod that still remembers the prediction. 42 random bits a millisecond and pod remain: at
1,000 predictions in one millisecond, two are the same once in nine million such milliseconds.
"""

import hashlib
import ipaddress
import os
from collections.abc import Callable
from uuid import UUID

_POD_BITS = 32
#: Random hexadecimal digits of an id; of the one that also holds the variant, two bits count.
_DIGITS = 11
_POOL_BYTES = 512 * _DIGITS // 2
#: That digit with the variant, which is 0b10, in its higher bits.
_VARIANT = {f"{digit:x}": f"{0b1000 | digit & 0b11:x}" for digit in range(16)}


def pod_hash(ip: str) -> int:
    """32 bits that stand for a pod's address, however the address is spelled.

    >>> pod_hash("10.0.0.7") == pod_hash("::ffff:10.0.0.7")
    True
    """
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return int.from_bytes(hashlib.sha256(address.packed).digest()[: _POD_BITS // 8])


class PredictionIds:
    """Makes ids for one pod: one for every request, while others wait.

    Args:
        pod: What `pod_hash` says.
        random: Returns random bytes, as `os.urandom` does. They are fetched in bulk: one call of
            it costs as much as a whole id.
    """

    def __init__(self, pod: int, random: Callable[[int], bytes] = os.urandom) -> None:
        self._pod = f"{pod:08x}"
        self._random = random
        self._digits, self._at = "", 0
        self._ms, self._time = -1, ""

    def __call__(self, unix_ms: int) -> str:
        """Return a new id of a prediction that was made at this time.

        >>> PredictionIds(0xABCD, bytes)(0x0190_0000_0001)
        '01900000-0001-7000-8000-00000000abcd'
        """
        if unix_ms != self._ms:
            time = f"{unix_ms:012x}"
            self._ms, self._time = unix_ms, f"{time[:8]}-{time[8:]}-7"
        if self._at >= len(self._digits):
            self._digits, self._at = self._random(_POOL_BYTES).hex(), 0
        at = self._at
        self._at = at + _DIGITS
        bits = self._digits[at : self._at]
        return f"{self._time}{bits[:3]}-{_VARIANT[bits[3]]}{bits[4:7]}-{bits[7:]}{self._pod}"


def pod_of(identifier: str) -> int:
    """The pod hash in an id."""
    return UUID(identifier).int & ((1 << _POD_BITS) - 1)
