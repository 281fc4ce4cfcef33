"""`kubectl`, as a person would type it, with typed results and errors that say what failed."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

Object = dict[str, Any]
T = TypeVar("T")


class KubectlError(Exception):
    """A kubectl command failed; the message is what it printed."""


class NeverHappenedError(AssertionError):
    """What was waited for did not come about in time."""


def program() -> str:
    """Return the pinned kubectl, which a package of ours brings, beside the interpreter."""
    return str(Path(sys.executable).with_name("kubectl"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubectl:
    """Commands against one cluster.

    Attributes:
        kubeconfig: the file that says which cluster, and who asks.
    """

    kubeconfig: Path
    binary: str = field(default_factory=program)

    def run(self, *args: str, stdin: str | None = None, timeout: float = 60) -> str:
        """Return what the command printed.

        Raises:
            KubectlError: it failed, or took longer than `timeout` seconds.
        """
        command = [self.binary, "--kubeconfig", str(self.kubeconfig), *args]
        try:
            done = subprocess.run(
                command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise KubectlError(f"kubectl {' '.join(args)}: no end after {timeout:g} s") from error
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, *objects: Mapping[str, Any]) -> str:
        """Apply manifests."""
        return self.run("apply", "-f", "-", stdin=yaml.safe_dump_all([dict(o) for o in objects]))

    def get(self, namespace: str, kind: str, name: str) -> Object | None:
        """Return one object, or None where there is none."""
        out = self.run("get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found")
        return json.loads(out) if out.strip() else None

    def list(
        self, namespace: str, kind: str, labels: Mapping[str, str] | None = None
    ) -> list[Object]:
        """Return all objects of a kind in a namespace, by labels if given."""
        selector = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        out = self.run("get", kind, "-n", namespace, "-o", "json", "-l", selector)
        items: list[Object] = json.loads(out)["items"]
        return items

    def list_everywhere(self, kind: str, labels: Mapping[str, str]) -> Sequence[Object]:
        """Return all objects of a kind in all namespaces, by labels."""
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        found: Sequence[Object] = json.loads(
            self.run("get", kind, "-A", "-o", "json", "-l", selector)
        )["items"]
        return found

    def delete(self, namespace: str, kind: str, *names: str, wait: bool = True) -> None:
        """Delete objects; those that are gone already are fine."""
        flag = f"--wait={str(wait).lower()}"
        self.run("delete", kind, *names, "-n", namespace, "--ignore-not-found", flag, timeout=180)

    @contextlib.contextmanager
    def port_forward(self, namespace: str, target: str, port: int) -> Iterator[int]:
        """Forward a free port of loopback to `target` (as `svc/NAME`), and yield it."""
        command = [self.binary, "--kubeconfig", str(self.kubeconfig), "port-forward"]
        command += ["-n", namespace, target, f":{port}", "--address", "127.0.0.1"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if "127.0.0.1:" not in line:
                raise KubectlError(f"port-forward to {namespace}/{target}: {line.strip()}")
            yield int(line.split("127.0.0.1:")[1].split()[0])
        finally:
            process.terminate()
            process.wait(10)
            assert process.stdout is not None
            process.stdout.close()


def condition(obj: Object | None, kind: str) -> Object:
    """Return a condition of an object, empty where it has none."""
    conditions: Sequence[Object] = (obj or {}).get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == kind), {})


def eventually(what: str, probe: Callable[[], T], *, within: float = 60, every: float = 0.25) -> T:
    """Call `probe` until it returns something true, and return that.

    An AssertionError or KubectlError inside `probe` counts as not yet.

    Raises:
        NeverHappenedError: `within` seconds have passed; the message names what was last seen.
    """
    deadline = time.monotonic() + within
    last: object = None
    while time.monotonic() < deadline:
        try:
            seen = probe()
            if seen:
                return seen
            last = seen
        except (AssertionError, KubectlError) as error:
            last = error
        time.sleep(every)
    raise NeverHappenedError(f"{what}: not within {within:g} s; last seen: {last}")


def from_environment() -> Kubectl:
    """Return the kubectl for `KUBECONFIG`."""
    return Kubectl(kubeconfig=Path(os.environ["KUBECONFIG"]))
