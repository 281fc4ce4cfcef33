"""The model server as its image holds it: with the modules compiled that every request passes."""

import shutil
from pathlib import Path

from e2e.cluster.cache import cached, digest_files
from e2e.cluster.layout import default_layout
from e2e.cluster.progress import run, step
from e2e.environment import python_with

CHECKOUT = Path(__file__).resolve().parent.parent
PROGRAM = CHECKOUT / "serving" / "compile.py"
SOURCES = (CHECKOUT / "src" / "driftline_api", CHECKOUT / "serving" / "src" / "driftline_serving")


def compiled_for(interpreter: str) -> Path:
    """Return a directory for PYTHONPATH with the sources and what was compiled of them.

    Args:
        interpreter: The Python that it is for, whose headers must be here.

    Raises:
        ClusterError: it could not be compiled.
    """
    compiler = python_with("compile", interpreter)
    files = [file for source in SOURCES for file in source.rglob("*") if is_source(file)]
    key = digest_files(CHECKOUT, [PROGRAM, *files], str(compiler))

    def make(fresh: Path) -> None:
        for source in SOURCES:
            skipped = shutil.ignore_patterns("__pycache__", "*.so")
            shutil.copytree(source, fresh / source.name, ignore=skipped)
        log = fresh.with_suffix(".log")
        remedy = "read the log; it takes gcc and Python's headers: apt-get install gcc python3-dev"
        with step("compile the model server (about a minute)", log=log):
            run([str(compiler), str(PROGRAM), str(fresh)], log=log, remedy=remedy)

    return cached(default_layout().cache, "compiled", key, make)


def is_source(file: Path) -> bool:
    """Tell sources from what was made of them."""
    return file.is_file() and file.suffix not in {".pyc", ".so"}
