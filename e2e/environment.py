"""Python environments beside the development one, for what does not go together with it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from e2e.cluster.cache import cached, digest_files
from e2e.cluster.layout import default_layout
from e2e.cluster.progress import run, step

LOCKS = Path(__file__).resolve().parent.parent / "requirements"


def python_with(lock: str, interpreter: str = sys.executable) -> Path:
    """Return the interpreter of the environment that `requirements/<lock>.txt` describes.

    It is made first if it is not there, and kept by the lock's content.

    Args:
        lock: The lock's name.
        interpreter: The Python that it is made from.

    Raises:
        ClusterError: the packages are not to be had.
    """
    file = LOCKS / f"{lock}.txt"
    key = digest_files(LOCKS, [file], *_identity(interpreter))
    return cached(
        default_layout().cache,
        f"python-{lock}",
        key,
        lambda fresh: _make(fresh, file, interpreter),
    ) / Path("bin/python")


def _identity(interpreter: str) -> Sequence[str]:
    """Return what tells one Python from another: its version, and where it lies."""
    if interpreter == sys.executable:
        return sys.version, sys.base_prefix
    code = "import sys; print(sys.version, sys.base_prefix)"
    return (
        subprocess.run([interpreter, "-c", code], check=True, capture_output=True).stdout.hex(),
    )


def _make(fresh: Path, lock: Path, interpreter: str) -> None:
    """Write an environment that can be moved: it is renamed when it is whole."""
    uv = str(Path(sys.executable).with_name("uv"))
    log = fresh.with_suffix(".log")
    remedy = "see whether the package registries answer, then try again"
    with step(f"make the environment of {lock.name}", log=log):
        made = [uv, "venv", "--quiet", "--relocatable", "--python", interpreter, str(fresh)]
        run(made, log=log, remedy=remedy)
        python = str(fresh / "bin" / "python")
        sync = [uv, "pip", "sync", "--python", python, "--require-hashes", str(lock)]
        run(sync, log=log, remedy=remedy)


def source_path() -> str:
    """Return the PYTHONPATH by which such an environment finds the checkout's sources."""
    root = LOCKS.parent
    return ":".join(str(root / part) for part in ("src", "serving/src", "."))
