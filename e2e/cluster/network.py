"""The pods' network: one bridge, the CNI configuration, and its complete removal.

The bridge carries the node's address, so it is there before the kubelet looks for one. It enforces
no NetworkPolicy. The host is on the bridge and runs kube-proxy, so programs on it reach pods and
Services directly.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from e2e.cluster.layout import Layout

BRIDGE = "driftline0"
NETWORK = "driftline-e2e"
POD_CIDR = "10.244.0.0/22"
GATEWAY = "10.244.0.1"
SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
ACCEPT_CHAIN = "DRIFTLINE-E2E"

SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/bridge/bridge-nf-call-iptables": "1",
}
CHANGED_BY_NODE = (
    "net/ipv4/conf/all/route_localnet",
    "net/netfilter/nf_conntrack_tcp_timeout_close_wait",
    "net/netfilter/nf_conntrack_tcp_timeout_established",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
)
"""What kube-proxy and the kubelet set, where they may."""

CNI_RESULTS = Path("/var/lib/cni/results")


def raise_network() -> dict[str, str]:
    """Create the bridge and let packets pass it.

    Returns:
        The kernel settings as they were, for `lower_network`.
    """
    if not Path("/proc/sys/net/bridge").exists():
        _run("modprobe", "br_netfilter")
    names = [name for name in (*SYSCTLS, *CHANGED_BY_NODE) if _sysctl(name).exists()]
    before = {name: _sysctl(name).read_text().strip() for name in names}
    for name, value in SYSCTLS.items():
        _sysctl(name).write_text(value)
    if not Path("/sys/class/net", BRIDGE).exists():
        _run("ip", "link", "add", BRIDGE, "type", "bridge")
        _run("ip", "addr", "add", f"{GATEWAY}/{POD_CIDR.split('/')[1]}", "dev", BRIDGE)
    _run("ip", "link", "set", BRIDGE, "up")
    _accept_forwarding()
    return before


def lower_network(before: Mapping[str, str]) -> None:
    """Remove bridge and firewall rules and put the kernel settings back, as far as they exist."""
    if Path("/sys/class/net", BRIDGE).exists():
        _run("ip", "link", "delete", BRIDGE)
    for program in ("iptables", "ip6tables"):
        if shutil.which(program):
            for table in ("filter", "nat", "mangle"):
                _clean_table(program, table)
    for name, value in before.items():
        if _sysctl(name).exists() and _sysctl(name).read_text().strip() != value:
            _sysctl(name).write_text(value)
    _forget_results()


def _forget_results() -> None:
    """Remove what the plugins remember of our containers: one file by network of each."""
    for ours in CNI_RESULTS.glob(f"{NETWORK}-*-eth0"):
        container = ours.name.removeprefix(f"{NETWORK}-").removesuffix("-eth0")
        for result in CNI_RESULTS.glob(f"*-{container}-*"):
            result.unlink()


def write_cni(layout: Layout) -> Path:
    """Write the CNI configuration and return its directory."""
    home = layout.config / "cni"
    home.mkdir(parents=True, exist_ok=True)
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(layout.state / "cni"),
            "ranges": [[{"subnet": POD_CIDR, "gateway": GATEWAY}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    content = {"cniVersion": "0.4.0", "name": NETWORK, "plugins": [bridge, ports]}
    (home / "10-driftline.conflist").write_text(json.dumps(content, indent=2))
    return home


def _accept_forwarding() -> None:
    """Let the bridge's packets pass where Docker set the FORWARD policy to DROP."""
    if _run("iptables", "-w", "-N", ACCEPT_CHAIN, check=False):
        return
    for side in ("-i", "-o"):
        _run("iptables", "-w", "-A", ACCEPT_CHAIN, side, BRIDGE, "-j", "ACCEPT")
    _run("iptables", "-w", "-I", "FORWARD", "-j", ACCEPT_CHAIN)


def _clean_table(program: str, table: str) -> None:
    listed = subprocess.run(
        [program, "-w", "-t", table, "-S"], capture_output=True, text=True, check=False
    )
    commands = removal(listed.stdout.splitlines())
    if commands:
        restore = "\n".join([f"*{table}", *commands, "COMMIT", ""])
        subprocess.run(
            [f"{program}-restore", "-w", "--noflush"], input=restore, text=True, check=False
        )


def removal(rules: Sequence[str]) -> list[str]:
    """Return the commands that take our chains, and all that leads into them, out of a table.

    Ours are kube-proxy's and the kubelet's (`KUBE-`: the machine has no room for another kubelet),
    the bridge plugin's of our network, and our own.

    >>> removal(["-P INPUT ACCEPT", "-N KUBE-X", "-A INPUT -j KUBE-X", "-A KUBE-X -j DROP"])
    ['-F KUBE-X', '-D INPUT -j KUBE-X', '-X KUBE-X']
    """
    chains = [rule.split()[1] for rule in rules if rule.startswith("-N ")]
    ours = [chain for chain in chains if _is_ours(chain, rules)]
    into = [
        "-D" + rule[2:]
        for rule in rules
        if rule.startswith("-A ") and rule.split()[1] not in ours and _jumps_into(rule, ours)
    ]
    return [f"-F {chain}" for chain in ours] + into + [f"-X {chain}" for chain in ours]


def _is_ours(chain: str, rules: Iterable[str]) -> bool:
    if chain == ACCEPT_CHAIN or chain.startswith("KUBE-"):
        return True
    if not chain.startswith("CNI-"):
        return False
    marked = f'name: \\"{NETWORK}\\"'
    return any(marked in rule and _jumps_into(rule, [chain]) for rule in rules)


def _jumps_into(rule: str, chains: Iterable[str]) -> bool:
    found = re.search(r" -[jg] (\S+)", rule)
    return found is not None and found[1] in set(chains)


def _sysctl(name: str) -> Path:
    return Path("/proc/sys", name)


def _run(*argv: str, check: bool = True) -> int:
    return subprocess.run(argv, capture_output=True, check=check).returncode
