"""An environment for each server, of one and the same Python: that of the images."""

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from e2e.environment import python_with

#: Of a peer that says nothing else: what our own image holds.
OWN_LOCK = "serving"


@cache
def interpreter() -> str:
    """Return the Python that all servers run on.

    Debian's, as in the images, if it is here: it is compiled with optimisations, which one that was
    compiled by hand need not be, and servers that do more in Python gain more by them.
    """
    return shutil.which("python3.11", path="/usr/bin") or sys.executable


@cache
def python_of(lock: str) -> Path:
    """Return the interpreter of the environment that `requirements/<lock>.txt` says.

    Raises:
        ClusterError: the packages are not to be had.
    """
    return python_with(lock or OWN_LOCK, interpreter())


def version_of(package: str, lock: str = "") -> str:
    """Return a package with its version in an environment."""
    code = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    python = sys.executable if package == "driftline" else python_of(lock)
    told = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    return f"{package} {told.stdout.strip()}"


def python_version() -> str:
    """Return which Python it is."""
    told = subprocess.run([interpreter(), "-VV"], check=True, capture_output=True, text=True)
    return told.stdout.strip()
