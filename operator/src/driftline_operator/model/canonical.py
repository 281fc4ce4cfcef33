"""One text for one value, and short names made from it."""

import base64
import hashlib
import json
from typing import Any

HASH_LENGTH = 10


def canonical(value: Any) -> str:
    """Return JSON that is the same for equal values, whatever the order of their keys.

    >>> canonical({"b": 1, "a": [2]})
    '{"a":[2],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def short_hash(value: Any) -> str:
    """Return ten letters and digits (50 bits) that stand for a value, fit for a name.

    >>> short_hash({"a": 1}) == short_hash({"a": 1})
    True
    """
    digest = hashlib.sha256(canonical(value).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:HASH_LENGTH]
