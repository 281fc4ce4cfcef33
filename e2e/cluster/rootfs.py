"""The root file system of our images: Debian's essential packages and its Python, no more."""

import os
from pathlib import Path

from e2e.cluster.cache import cached, digest_files
from e2e.cluster.layout import Layout
from e2e.cluster.progress import run, step

SUITE = "bookworm"
PACKAGES = ("ca-certificates", "libstdc++6", "python3", "python3-venv")
UNREAD = ("doc", "man", "info", "locale", "lintian", "bug", "common-licenses")
"""Directories of /usr/share that nobody reads in a container."""


def base_tar(layout: Layout) -> Path:
    """Return the file system as a tar archive, made by mmdebstrap if its recipe is new."""
    argv = [
        *("mmdebstrap", "--variant=essential", "--mode=root", "--format=tar"),
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in UNREAD),
        # Without it the archive would differ with the minute in which it was made.
        "--customize-hook=rm -rf $1/var/log/* $1/var/cache/* $1/var/lib/apt",
        SUITE,
    ]
    log = layout.cache / "log" / "rootfs.log"

    def make(target: Path) -> None:
        with step("make the images' base from Debian packages (about 30 s, once)", log=log):
            archive = target.with_suffix(".tar")
            environ = {**os.environ, "SOURCE_DATE_EPOCH": "0"}
            run([*argv, str(archive)], log=log, environ=environ, remedy="apt-get update, try again")
            archive.replace(target)

    key = digest_files(Path(), [], *argv)
    return cached(layout.cache, "rootfs", key, make)
