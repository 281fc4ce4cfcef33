"""Load from wrk, and what it saw."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.bench.serving.case import Post

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3}
_SCRIPT = """
local posts = {}
function init()
  for _, each in ipairs({%s}) do
    local file = io.open(each.path, "rb")
    posts[#posts + 1] = wrk.format("POST", nil, each.headers, file:read("*a"))
    file:close()
  end
end
local turn = 0
function request()
  turn = turn %% #posts + 1
  return posts[turn]
end
"""


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


def run(
    url: str, posts: Sequence[Post], *, connections: int, seconds: int, cpus: Sequence[int] = ()
) -> Load:
    """Send requests as fast as they are answered.

    Args:
        url: Where to.
        posts: What is sent, in turn.
        connections: How many requests are under way at a time.
        seconds: For how long.
        cpus: Where wrk may run; empty: anywhere.

    Raises:
        LoadError: wrk is missing, or some answer was an error, or there was none.
    """
    pinned = ["taskset", "-c", ",".join(map(str, cpus))] if cpus else []
    with tempfile.TemporaryDirectory(prefix="driftline-wrk-") as name:
        file = Path(name) / "posts.lua"
        file.write_text(script(posts, Path(name)))
        command = [*pinned, _wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
        command += ["--timeout", "60s", "-s", str(file), url]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return parsed(ended.stdout + ended.stderr)


def version() -> str:
    """Return the version of wrk."""
    told = subprocess.run([_wrk(), "-v"], capture_output=True, text=True, check=False)
    return told.stdout.split()[1]


def _wrk() -> str:
    wrk = shutil.which("wrk")
    if wrk is None:
        raise LoadError("wrk is not installed: `apt-get install wrk`")
    return wrk


def script(posts: Sequence[Post], directory: Path) -> str:
    """Return a wrk script that sends them in turn; their bodies are written beside it."""
    entries = []
    for number, post in enumerate(posts):
        body = directory / f"{number}.body"
        body.write_bytes(post.body)
        headers = ", ".join(f'["{name}"] = "{value}"' for name, value in post.headers.items())
        entries.append(f'{{path = "{body}", headers = {{{headers}}}}}')
    return _SCRIPT % ",\n    ".join(entries)


def parsed(text: str) -> Load:
    r"""Read what wrk printed.

    >>> parsed("    50%  451.00us\n    99%    2.03ms\nRequests/sec:   2129.10")
    Load(per_second=2129.1, p50=0.451, p99=2.03)

    Raises:
        LoadError: some answer was an error, or there was none.
    """
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if rate is None or not float(rate[1]) or "Non-2xx" in text or "Socket errors" in text:
        raise LoadError(f"wrk says:\n{text.strip()}")
    return Load(per_second=float(rate[1]), p50=_percentile(text, 50), p99=_percentile(text, 99))


def _percentile(text: str, which: int) -> float:
    found = re.search(rf"^\s+{which}%\s+([\d.]+)(us|ms|s|m)\s*$", text, re.MULTILINE)
    if found is None:
        raise LoadError(f"wrk says nothing of {which} %:\n{text.strip()}")
    return float(found[1]) * _UNITS[found[2]]


def free_cpus(taken: int) -> tuple[list[int], list[int]]:
    """Return CPUs for the server (`taken` of them) and for the client; empty where there are none.

    On a machine with as many CPUs as the server takes, the two share.
    """
    usable = sorted(os.sched_getaffinity(0))
    return (usable[:taken], usable[taken:]) if len(usable) > taken else ([], [])
