"""What holds for every module of the package: its doctests, and what it may import."""

import ast
import doctest
import importlib
import pkgutil
import sys
from pathlib import Path

import pytest

import driftline_stats

SOURCES = Path(driftline_stats.__file__).parent
NAMES = sorted(
    each.name for each in pkgutil.walk_packages(driftline_stats.__path__, "driftline_stats.")
)
#: Of the standard library, what would make a result depend on more than the arguments.
IMPURE = {
    "asyncio", "datetime", "logging", "multiprocessing", "os", "pathlib", "random", "secrets",
    "socket", "subprocess", "tempfile", "threading", "time", "urllib",
}  # fmt: skip
ALLOWED = (set(sys.stdlib_module_names) - IMPURE) | {"driftline_stats", "numpy", "scipy"}


def imported_by(source: str) -> set[str]:
    """Return the top-level packages that a module imports, wherever it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0] if not node.level else ".")
    return names


@pytest.mark.parametrize("name", NAMES)
def test_doctests_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_numpy_scipy_and_what_is_pure_are_all_that_is_imported() -> None:
    found = {
        str(path.relative_to(SOURCES)): sorted(imported_by(path.read_text()) - ALLOWED)
        for path in sorted(SOURCES.rglob("*.py"))
    }
    assert {path: names for path, names in found.items() if names} == {}


def test_an_impure_import_would_be_noticed() -> None:
    source = "def f():\n    import time\n    from pathlib import Path\n    import numpy.linalg\n"
    assert imported_by(source) - ALLOWED == {"time", "pathlib"}
