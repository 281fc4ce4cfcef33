"""The packages that an image installs, fetched once by their hashes."""

import platform
import sys
from pathlib import Path

from e2e.cluster.cache import cached, digest_files
from e2e.cluster.layout import Layout
from e2e.cluster.progress import run, step

PYTHON = "3.11"
"""The interpreter of the base image: Debian 12's."""

GLIBC_MINORS = (36, 35, 34, 32, 31, 28, 27, 26, 24, 17, 12, 5)
"""Debian 12 has glibc 2.36, and runs wheels made for any of these before it."""


def wheelhouse(layout: Layout, lock: Path) -> Path:
    """Return a directory with a wheel of every package of a lock."""
    log = layout.cache / "log" / f"wheels-{lock.stem}.log"

    def fetch(target: Path) -> None:
        with step(f"fetch the packages of {lock.name}", log=log):
            target.mkdir()
            run(_download(lock, target), log=log, remedy="see whether the package index answers")

    key = digest_files(lock.parent, [lock], PYTHON, platform.machine())
    return cached(layout.cache, f"wheels-{lock.stem}", key, fetch)


def _download(lock: Path, target: Path) -> list[str]:
    machine = platform.machine()
    tags = [f"manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS]
    tags += [f"manylinux2014_{machine}", f"linux_{machine}"]
    return [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"),
        *("--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"),
        *(f"--platform={tag}" for tag in tags),
        *("--dest", str(target), "--requirement", str(lock)),
    ]
