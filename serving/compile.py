"""Compiles what every request passes through, with mypyc, from the sources as they are.

The modules stay ordinary Python: where nothing is compiled they run as they stand, and do the same.
It takes mypy, setuptools, a C compiler and Python's headers; `requirements/compile.txt` pins the
first two.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from mypyc.build import mypycify
from setuptools import Distribution

PACKAGE = "driftline_serving"
MODULES = (
    "receipt",
    "server/batcher",
    "server/codec",
    "server/http/connection",
    "server/http/messages",
    "server/http/reading",
    "server/http/routes",
    "server/measures",
    "server/observation",
    "server/ordinary",
    "server/prediction_id",
    "server/predictions",
    "server/provenance",
    "server/request",
    "server/service",
    "tap/columns",
    "tap/encode",
    "tap/layout",
    "tap/observer",
    "tap/portions",
    "tap/queue",
    "tap/records",
    "tap/size",
    "tap/writer",
)
#: Packages that are imported need not be here: what comes from them has no type then.
CONFIGURATION = """[mypy]
explicit_package_bases = True
namespace_packages = True
ignore_missing_imports = True
disable_error_code = no-any-return, unused-ignore, misc
mypy_path = {path}
"""


def main() -> None:
    """Compile into a directory that holds the package; extension modules are written beside it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help=f"where {PACKAGE}/ is")
    directory = parser.parse_args().directory.resolve()
    with tempfile.TemporaryDirectory(prefix="driftline-compile-") as name:
        _compile(directory, Path(name))
    sys.stdout.write(f"compiled {len(MODULES)} modules for {sys.implementation.cache_tag}\n")


def _compile(directory: Path, scratch: Path) -> None:
    os.chdir(directory)  # a module's name is its path from here
    configuration = scratch / "mypy.ini"
    configuration.write_text(CONFIGURATION.format(path=directory))
    files = [f"{PACKAGE}/{module}.py" for module in MODULES]
    extensions = mypycify(
        ["--config-file", str(configuration), "--cache-dir", str(scratch / "mypy"), *files],
        opt_level="3",
        debug_level="0",
        target_dir=str(scratch / "c"),
    )
    distribution = Distribution({"name": "driftline-serving", "ext_modules": extensions})
    build = distribution.get_command_obj("build_ext")
    build.inplace = True
    build.build_temp = str(scratch / "objects")
    build.build_lib = str(scratch / "lib")
    build.ensure_finalized()
    build.run()


if __name__ == "__main__":
    main()
