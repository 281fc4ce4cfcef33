"""The command lines and configuration files of a one-node control plane and its node."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from e2e.cluster.host import Host
from e2e.cluster.layout import Layout
from e2e.cluster.network import DNS_SERVICE, GATEWAY, POD_CIDR, SERVICE_CIDR
from e2e.cluster.pki import write_kubeconfig

NODE = "node-1"
ETCD = "http://127.0.0.1:2379"
PORTS = {
    2379: "etcd",
    2380: "etcd",
    6443: "the API server",
    10250: "the kubelet",
    10256: "kube-proxy",
    10257: "the controller manager",
    10259: "the scheduler",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A program of the cluster.

    Attributes:
        name: of its log.
        argv: its command line.
    """

    name: str
    argv: tuple[str, ...]


def _component(name: str, *argv: str | Path) -> Component:
    return Component(name=name, argv=tuple(str(part) for part in argv))


def etcd(layout: Layout, kube: Path) -> Component:
    """Return the store; it skips fsync, because nobody needs this data after a power cut."""
    return _component(
        *("etcd", kube, "etcd", "--unsafe-no-fsync", "--log-level=warn"),
        f"--data-dir={layout.state / 'etcd'}",
        f"--listen-client-urls={ETCD}",
        f"--advertise-client-urls={ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=default=http://127.0.0.1:2380",
    )


def apiserver(layout: Layout, kube: Path) -> Component:
    """Return the API server, with upstream's default admission and an audit log of all writes."""
    pki = layout.pki
    return _component(
        *("apiserver", kube, "kube-apiserver", f"--etcd-servers={ETCD}"),
        *("--secure-port=6443", f"--advertise-address={GATEWAY}"),
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--service-account-key-file={pki / 'service-account.pub'}",
        f"--service-account-signing-key-file={pki / 'service-account.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        *("--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"),
        *("--allow-privileged", "--profiling=false"),
        # The node's name resolves nowhere; exec, logs and port-forward need its address.
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet.key'}",
        f"--audit-policy-file={_write_audit_policy(layout)}",
        f"--audit-log-path={layout.logs / 'audit.log'}",
        *("--audit-log-maxsize=200", "--audit-log-maxbackup=2", "--audit-log-mode=batch"),
    )


def controllers(layout: Layout, kube: Path) -> tuple[Component, ...]:
    """Return controller manager, scheduler and kube-proxy."""
    pki, no_election = layout.pki, ("--leader-elect=false", "--profiling=false")
    return (
        _component(
            *("controller-manager", kube, "kube-controller-manager", *no_election),
            f"--kubeconfig={_kubeconfig(layout, 'controller-manager')}",
            "--use-service-account-credentials",
            f"--service-account-private-key-file={pki / 'service-account.key'}",
            f"--root-ca-file={pki / 'ca.crt'}",
            f"--cluster-cidr={POD_CIDR}",
            "--bind-address=127.0.0.1",
            # The one node never dies alone. After a pause of the API server it would be taken for
            # dead, and all pods with it, because the watch of its heartbeats comes back late.
            "--node-monitor-grace-period=300s",
        ),
        _component(
            *("scheduler", kube, "kube-scheduler", *no_election, "--bind-address=127.0.0.1"),
            f"--kubeconfig={_kubeconfig(layout, 'scheduler')}",
        ),
        _component("proxy", kube, "kube-proxy", f"--config={_write_proxy(layout)}"),
    )


def kubelet(layout: Layout, kube: Path, host: Host) -> Component:
    """Return the kubelet, on the bridge's address."""
    return _component(
        *("kubelet", kube, "kubelet", f"--config={_write_kubelet(layout, host)}"),
        f"--kubeconfig={_kubeconfig(layout, 'kubelet')}",
        f"--hostname-override={NODE}",
        f"--node-ip={GATEWAY}",
        f"--root-dir={layout.state / 'kubelet'}",
        f"--cert-dir={layout.state / 'kubelet-pki'}",
    )


def node_environment() -> dict[str, str]:
    """Return what the node's programs need: system directories that a root's PATH may lack."""
    return {"PATH": f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"}


def _write_kubelet(layout: Layout, host: Host) -> Path:
    config: dict[str, object] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": GATEWAY,
        "authentication": {
            "x509": {"clientCAFile": str(layout.pki / "ca.crt")},
            "webhook": {"enabled": True},
            "anonymous": {"enabled": False},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(layout.pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(layout.pki / "kubelet.key"),
        "cgroupDriver": "cgroupfs",
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "podLogsDir": str(layout.state / "pod-logs"),
        "volumePluginDir": str(layout.state / "volume-plugins"),
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "resolvConf": str(_resolv_conf(layout, host)),
        "healthzPort": 0,
        "maxPods": 250,
        "registryPullQPS": 0,
        "serializeImagePulls": False,
        "failSwapOn": False,
        # A laptop's disk is often nearly full; a test cluster must not evict because of it.
        "evictionHard": {
            "memory.available": "100Mi",
            **dict.fromkeys(("nodefs.available", "imagefs.available", "nodefs.inodesFree"), "1%"),
        },
        "imageGCHighThresholdPercent": 100,
        **_for_this_host(host),
    }
    return _write(layout, "kubelet.yaml", config)


def _for_this_host(host: Host) -> dict[str, object]:
    special: dict[str, object] = {}
    if host.cgroup_v1:
        special["failCgroupV1"] = False
    if not host.may_raise_limits:
        special["featureGates"] = {"KubeletInUserNamespace": True}
        special["localStorageCapacityIsolation"] = False
    return special


def _write_proxy(layout: Layout) -> Path:
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(_kubeconfig(layout, "proxy"))},
        "mode": "iptables",
        "clusterCIDR": POD_CIDR,
        "hostnameOverride": NODE,
        "metricsBindAddress": "127.0.0.1:10249",
        # The host's connection table is the host's.
        "conntrack": {"maxPerCore": 0},
    }
    return _write(layout, "proxy.yaml", config)


def _write_audit_policy(layout: Layout) -> Path:
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {
                "level": "Metadata",
                "verbs": ["create", "update", "patch", "delete", "deletecollection"],
            },
            {"level": "None"},
        ],
    }
    return _write(layout, "audit.yaml", policy)


def _kubeconfig(layout: Layout, name: str) -> Path:
    target = layout.config / f"{name}.kubeconfig"
    write_kubeconfig(layout.pki, name, target)
    return target


def _resolv_conf(layout: Layout, host: Host) -> Path:
    if host.resolv_conf is not None:
        return host.resolv_conf
    empty = layout.config / "resolv.conf"
    empty.write_text("")
    return empty


def _write(layout: Layout, name: str, content: object) -> Path:
    layout.config.mkdir(parents=True, exist_ok=True)
    target = layout.config / name
    target.write_text(yaml.safe_dump(content, sort_keys=False))
    return target


def control_plane(layout: Layout, kube: Path) -> Sequence[Component]:
    """Return the programs that the API server needs and itself, in their order."""
    return (etcd(layout, kube), apiserver(layout, kube))
