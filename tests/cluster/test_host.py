"""What the machine is, decides how the node is configured."""

from pathlib import Path

import pytest
import yaml

from e2e.cluster import components, containerd
from e2e.cluster.host import Host, inspect_host
from e2e.cluster.layout import Layout, default_layout

FREE = "CapEff:\t000001ffffffffff\n"
NO_SYS_RESOURCE = "CapEff:\t000001fffeffffff\n"


def a_machine(root: Path, *, status: str = FREE, v2: bool = True, dns: str = "10.0.0.2") -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/status").write_text(f"Name:\tpython\n{status}")
    (root / "sys/fs/cgroup").mkdir(parents=True)
    if v2:
        (root / "sys/fs/cgroup/cgroup.controllers").write_text("cpu memory\n")
    (root / "etc").mkdir()
    (root / "etc/resolv.conf").write_text(f"nameserver {dns}\n")
    return root


def a_layout(home: Path) -> Layout:
    return Layout(state=home / "state", run=home / "run", cache=home / "cache")


def kubelet_config(layout: Layout) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((layout.config / "kubelet.yaml").read_text())
    return found


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A layout whose kubeconfigs are empty: certificates take a second and say nothing here."""
    monkeypatch.setattr(components, "write_kubeconfig", lambda _home, _name, target: target.touch())
    found = a_layout(tmp_path)
    found.config.mkdir(parents=True)
    return found


def test_a_modern_host_is_told_apart_from_a_restricted_one(tmp_path: Path) -> None:
    modern = inspect_host(a_machine(tmp_path / "modern"))
    restricted = inspect_host(a_machine(tmp_path / "old", status=NO_SYS_RESOURCE, v2=False))
    assert not modern.cgroup_v1
    assert modern.may_raise_limits
    assert restricted.cgroup_v1
    assert not restricted.may_raise_limits


def test_dns_on_loopback_is_of_no_use_to_a_pod(tmp_path: Path) -> None:
    root = a_machine(tmp_path, dns="127.0.0.53")
    assert inspect_host(root).resolv_conf is None
    upstream = root / "run/systemd/resolve/resolv.conf"
    upstream.parent.mkdir(parents=True)
    upstream.write_text("nameserver 10.0.0.2\n")
    assert inspect_host(root).resolv_conf == upstream


def test_a_modern_host_gets_a_node_without_exceptions(layout: Layout, tmp_path: Path) -> None:
    host = Host(cgroup_v1=False, may_raise_limits=True, resolv_conf=tmp_path / "resolv.conf")
    components.kubelet(layout, Path("kube"), host)
    config = kubelet_config(layout)
    assert "featureGates" not in config
    assert "failCgroupV1" not in config
    toml = containerd.write_config(layout, host, sandbox_image="pause", cni=tmp_path)
    assert "restrict_oom_score_adj" not in toml.read_text()


def test_a_restricted_host_gets_what_it_needs(layout: Layout, tmp_path: Path) -> None:
    host = Host(cgroup_v1=True, may_raise_limits=False, resolv_conf=None)
    components.kubelet(layout, Path("kube"), host)
    config = kubelet_config(layout)
    assert config["featureGates"] == {"KubeletInUserNamespace": True}
    assert config["failCgroupV1"] is False
    toml = containerd.write_config(layout, host, sandbox_image="pause", cni=tmp_path)
    assert "restrict_oom_score_adj = true" in toml.read_text()


def test_state_and_cache_of_a_user_follow_the_xdg_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    found = default_layout({"HOME": "/home/me", "XDG_CACHE_HOME": "/caches"})
    assert found.state == Path("/home/me/.local/state/driftline-e2e")
    assert found.cache == Path("/caches/driftline")


def test_the_cache_can_be_moved() -> None:
    assert default_layout({"HOME": "/root", "DRIFTLINE_CACHE": "/big"}).cache == Path("/big")
