"""What a teardown takes away, and what it leaves alone."""

import doctest
from pathlib import Path

import pytest

from e2e.cluster import binaries, network, teardown
from e2e.cluster.network import removal
from e2e.cluster.teardown import mounts_below

#: What iptables listed while a pod ran beside Docker's and another network's rules.
NAT = r"""
-P PREROUTING ACCEPT
-P POSTROUTING ACCEPT
-N CNI-1fa2
-N CNI-77cc
-N DOCKER
-N KUBE-POSTROUTING
-N KUBE-SERVICES
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -m comment --comment "postrouting" -j KUBE-POSTROUTING
-A POSTROUTING -s 10.244.0.6/32 -m comment --comment "name: \"driftline-e2e\" id: \"a\"" -j CNI-1fa2
-A POSTROUTING -s 10.88.0.2/32 -m comment --comment "name: \"podman\" id: \"cd\"" -j CNI-77cc
-A CNI-1fa2 -d 10.244.0.0/22 -m comment --comment "name: \"driftline-e2e\" id: \"a\"" -j ACCEPT
-A CNI-77cc -d 10.88.0.0/16 -m comment --comment "name: \"podman\" id: \"cd\"" -j ACCEPT
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -j KUBE-POSTROUTING
""".strip().splitlines()


def test_our_chains_go_with_all_that_leads_into_them() -> None:
    assert removal(NAT) == [
        "-F CNI-1fa2",
        "-F KUBE-POSTROUTING",
        "-F KUBE-SERVICES",
        '-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        '-D POSTROUTING -m comment --comment "postrouting" -j KUBE-POSTROUTING',
        "-D" + NAT[10].removeprefix("-A"),
        "-X CNI-1fa2",
        "-X KUBE-POSTROUTING",
        "-X KUBE-SERVICES",
    ]


def test_other_networks_and_docker_stay() -> None:
    touched = " ".join(removal(NAT))
    assert "DOCKER" not in touched
    assert "podman" not in touched
    assert "CNI-77cc" not in touched


def test_a_clean_table_needs_nothing() -> None:
    assert removal(["-P INPUT ACCEPT", "-A INPUT -i lo -j ACCEPT"]) == []


def test_mounts_with_spaces_are_found() -> None:
    table = "1 0 8:1 / /run/e2e/a\\040b rw - tmpfs tmpfs rw"
    assert mounts_below(table, [Path("/run/e2e")]) == ["/run/e2e/a b"]


def test_the_directory_itself_and_its_namesakes_stay_mounted() -> None:
    table = "1 0 8:1 / /run/e2e rw\n2 0 8:1 / /run/e2e-other/x rw"
    assert mounts_below(table, [Path("/run/e2e")]) == []


@pytest.mark.parametrize("module", [binaries, network, teardown])
def test_examples_in_docstrings(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]  # a module is an object here
    assert result.attempted
    assert not result.failed
