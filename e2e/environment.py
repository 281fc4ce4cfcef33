"""Python environments beside the development one, for what does not go together with it."""

import sys
from pathlib import Path

from e2e.cluster.cache import cached, digest_files
from e2e.cluster.layout import default_layout
from e2e.cluster.progress import run, step

LOCKS = Path(__file__).resolve().parent.parent / "requirements"


def python_with(lock: str) -> Path:
    """Return the interpreter of the environment that `requirements/<lock>.txt` describes.

    It is made first if it is not there, and kept by the lock's content.

    Raises:
        ClusterError: the packages are not to be had.
    """
    file = LOCKS / f"{lock}.txt"
    key = digest_files(LOCKS, [file], sys.version, sys.base_prefix)
    return cached(
        default_layout().cache, f"python-{lock}", key, lambda fresh: _make(fresh, file)
    ) / Path("bin/python")


def _make(fresh: Path, lock: Path) -> None:
    """Write an environment that can be moved: it is renamed when it is whole."""
    uv = str(Path(sys.executable).with_name("uv"))
    log = fresh.with_suffix(".log")
    remedy = "see whether the package registries answer, then try again"
    with step(f"make the environment of {lock.name}", log=log):
        made = [uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(fresh)]
        run(made, log=log, remedy=remedy)
        python = str(fresh / "bin" / "python")
        sync = [uv, "pip", "sync", "--python", python, "--require-hashes", str(lock)]
        run(sync, log=log, remedy=remedy)


def source_path() -> str:
    """Return the PYTHONPATH by which such an environment finds the checkout's sources."""
    root = LOCKS.parent
    return ":".join(str(root / part) for part in ("src", "serving/src", "."))
