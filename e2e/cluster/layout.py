"""Where a cluster keeps its things: never inside a checkout.

State dies with the cluster, the cache outlives it. Everything that a teardown must find after a
crash lies under `state` or `run`, which is why containerd and the kubelet get roots there.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The directories of one cluster.

    Attributes:
        state: what is written while a cluster is up; removed by its teardown.
        run: sockets and mounts, on a short path (a Unix socket's is at most 107 bytes).
        cache: what was built, by the hash of what it was built from; kept.
    """

    state: Path
    run: Path
    cache: Path

    @property
    def record(self) -> Path:
        """The file that says what runs, and which checkout started it."""
        return self.state / "cluster.json"

    @property
    def lock(self) -> Path:
        """The file locked by whoever changes the cluster."""
        return self.run.with_suffix(".lock")

    @property
    def logs(self) -> Path:
        """One file for each program."""
        return self.state / "log"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.state / "pki"

    @property
    def config(self) -> Path:
        """Configuration files of the programs."""
        return self.state / "config"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state / "kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        """The socket of the cluster's own containerd."""
        return self.run / "containerd.sock"

    @property
    def bin(self) -> Path:
        """Links to the programs that belong to the cluster's version: kubectl, helm."""
        return self.state / "bin"


def default_layout(environ: Mapping[str, str] = os.environ) -> Layout:
    """Return root's system directories, or a user's own by the XDG variables.

    Args:
        environ: `DRIFTLINE_CACHE` moves the cache, the XDG variables the rest of a user's.
    """
    home = Path(environ.get("HOME", "/root"))
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "driftline"
    cache = Path(environ.get("DRIFTLINE_CACHE") or cache)
    if os.geteuid() == 0:
        return Layout(
            state=Path("/var/lib/driftline-e2e"), run=Path("/run/driftline-e2e"), cache=cache
        )
    state = Path(environ.get("XDG_STATE_HOME") or home / ".local/state") / "driftline-e2e"
    run = Path(environ.get("XDG_RUNTIME_DIR") or state) / "driftline-e2e"
    return Layout(state=state, run=run, cache=cache)
