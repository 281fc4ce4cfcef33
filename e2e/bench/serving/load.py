"""Load from wrk, and what it saw."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


class LoadError(Exception):
    """The load could not be made, or was not answered as it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one run of wrk measured.

    Attributes:
        per_second: requests that were answered.
        p50: milliseconds.
        p99: milliseconds.
    """

    per_second: float
    p50: float
    p99: float


def script(body: bytes) -> str:
    """Return a wrk script that posts a body of JSON."""
    assert b"]==]" not in body
    return (
        'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
        f"wrk.body = [==[{body.decode()}]==]\n"
    )


def run(url: str, body: bytes, *, connections: int, seconds: int, cpus: Sequence[int] = ()) -> Load:
    """Send requests as fast as they are answered.

    Args:
        url: Where to.
        body: JSON.
        connections: How many requests are under way at a time.
        seconds: For how long.
        cpus: Where wrk may run; empty: anywhere.

    Raises:
        LoadError: wrk is missing, or some answer was an error.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise LoadError("wrk is not installed: `apt-get install wrk`")
    pinned = ["taskset", "-c", ",".join(map(str, cpus))] if cpus else []
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script(body))
        file.flush()
        command = [*pinned, wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
        command += ["--timeout", "30s", "-s", file.name, url]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return parsed(ended.stdout + ended.stderr)


def parsed(text: str) -> Load:
    r"""Read what wrk printed.

    >>> parsed("    50%  451.00us\n    99%    2.03ms\nRequests/sec:   2129.10")
    Load(per_second=2129.1, p50=0.451, p99=2.03)

    Raises:
        LoadError: some answer was an error, or there was none.
    """
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if rate is None or "Non-2xx" in text or "Socket errors" in text:
        raise LoadError(f"wrk says:\n{text.strip()}")
    return Load(per_second=float(rate[1]), p50=_percentile(text, 50), p99=_percentile(text, 99))


def _percentile(text: str, which: int) -> float:
    found = re.search(rf"^\s+{which}%\s+([\d.]+)(us|ms|s)$", text, re.MULTILINE)
    if found is None:
        raise LoadError(f"wrk says nothing of {which} %:\n{text.strip()}")
    return float(found[1]) * _UNITS[found[2]]


def infer_body(name: str, shape: Sequence[int], values: Sequence[float]) -> bytes:
    """Return an inference request of one FP32 tensor."""
    tensor = {"name": name, "shape": list(shape), "datatype": "FP32", "data": list(values)}
    return orjson.dumps({"inputs": [tensor]})


def free_cpus(taken: int) -> tuple[list[int], list[int]]:
    """Return CPUs for the server (`taken` of them) and for the client; empty where there are none.

    On a machine with as many CPUs as the server takes, the two share.
    """
    usable = sorted(os.sched_getaffinity(0))
    return (usable[:taken], usable[taken:]) if len(usable) > taken else ([], [])
