"""An environment of its own for each peer, from a lock with hashes; kept, by the lock's content."""

import hashlib
import subprocess
import sys
from pathlib import Path

from e2e.bench.scene import CHECKOUT
from e2e.cluster.layout import default_layout

LOCKS = CHECKOUT / "requirements"


def python_of(lock: str) -> Path:
    """Return the interpreter of the environment that `requirements/bench-<lock>.txt` says.

    It is made if it is not there yet. No lock stands for our own environment.

    Raises:
        subprocess.CalledProcessError: it could not be made.
    """
    if not lock:
        return Path(sys.executable)
    content = LOCKS / f"bench-{lock}.txt"
    known = hashlib.sha256(f"{sys.version} {content.read_text()}".encode()).hexdigest()[:16]
    home = default_layout().cache / "bench" / f"{lock}-{known}"
    python, made = home / "bin" / "python", home / "made"
    if not made.exists():
        uv = [str(Path(sys.executable).with_name("uv"))]
        fresh = ["venv", "--quiet", "--clear", "--python", sys.executable, str(home)]
        subprocess.run([*uv, *fresh], check=True)
        into = ["pip", "sync", "--quiet", "--python", str(python), "--require-hashes"]
        subprocess.run([*uv, *into, str(content)], check=True)
        made.touch()
    return python


def version_of(package: str, lock: str = "") -> str:
    """Return a package with its version in an environment."""
    code = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    told = subprocess.run([python_of(lock), "-c", code], check=True, capture_output=True, text=True)
    return f"{package} {told.stdout.strip()}"
