"""Programs out of Debian packages, unpacked beside the system: nothing is installed or configured.

apt verifies what it fetches by Debian's signatures. What the package depends on is not fetched:
this is for programs that stand alone.
"""

import shutil
from pathlib import Path

from e2e.cluster.cache import cached, digest_files
from e2e.cluster.layout import Layout
from e2e.cluster.progress import run, step
from e2e.cluster.rootfs import SUITE

REMEDY = "apt-get update, then try again"


def is_there() -> bool:
    """Tell whether this machine has what fetches and unpacks packages."""
    return all(shutil.which(program) for program in ("apt-get", "dpkg-deb"))


def unpacked(layout: Layout, package: str) -> Path:
    """Return the directory that holds a package's files, fetched and unpacked if it is new.

    Raises:
        ClusterError: it is not to be had.
    """
    log = layout.cache / "log" / f"debian-{package}.log"

    def make(target: Path) -> None:
        with step(f"unpack Debian's {package}", log=log):
            packed = target.with_suffix(".deb")
            shutil.rmtree(packed, ignore_errors=True)
            packed.mkdir(parents=True)
            fetch = ["apt-get", "-o", "APT::Sandbox::User=root", "download", package]
            run(fetch, log=log, cwd=packed, remedy=REMEDY)
            (archive,) = packed.glob("*.deb")
            run(["dpkg-deb", "-x", str(archive), str(target)], log=log, remedy=REMEDY)
            shutil.rmtree(packed)

    return cached(layout.cache, f"debian-{package}", digest_files(Path(), [], SUITE), make)
