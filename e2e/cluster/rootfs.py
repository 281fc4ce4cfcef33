"""The root file systems of our images: Debian's essential packages and its Python, no more."""

import os
from pathlib import Path

from e2e.cluster.cache import cached, digest_files
from e2e.cluster.layout import Layout
from e2e.cluster.progress import run, step

SUITE = "bookworm"
_BASE = ("ca-certificates", "libstdc++6", "python3", "python3-venv")
PACKAGES = {"base": _BASE, "toolchain": (*_BASE, "gcc", "libc6-dev", "python3-dev")}
UNREAD = ("doc", "man", "info", "locale", "lintian", "bug", "common-licenses")
"""Directories of /usr/share that nobody reads in a container."""


def archive(layout: Layout, part: str) -> Path:
    """Return a file system as a tar archive, made by mmdebstrap if its recipe is new.

    Args:
        layout: Where the archive is kept.
        part: Which: a name in `PACKAGES`.
    """
    argv = [
        *("mmdebstrap", "--variant=essential", "--mode=root", "--format=tar"),
        f"--include={','.join(PACKAGES[part])}",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in UNREAD),
        # Without it the archive would differ with the minute in which it was made.
        "--customize-hook=rm -rf $1/var/log/* $1/var/cache/* $1/var/lib/apt",
        SUITE,
    ]
    log = layout.cache / "log" / f"rootfs-{part}.log"

    def make(target: Path) -> None:
        with step(f"make the images' {part} from Debian packages (about 30 s, once)", log=log):
            fresh = target.with_suffix(".tar")
            environ = {**os.environ, "SOURCE_DATE_EPOCH": "0"}
            run([*argv, str(fresh)], log=log, environ=environ, remedy="apt-get update, try again")
            fresh.replace(target)

    key = digest_files(Path(), [], *argv)
    return cached(layout.cache, f"rootfs-{part}", key, make)
