"""Which cluster is meant."""

from pathlib import Path

import pytest

from e2e.cluster import up
from e2e.cluster.current import Wish, current, given, wish_from
from e2e.cluster.errors import ClusterError, tail
from e2e.cluster.layout import Layout
from e2e.cluster.state import Kind


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(state=tmp_path / "state", run=tmp_path / "run", cache=tmp_path / "cache")


def test_a_named_kubeconfig_comes_first(layout: Layout) -> None:
    wish = wish_from({"KUBECONFIG": "/etc/prod.yaml", "DRIFTLINE_REGISTRY": "registry.corp/ml"})
    found = given(layout, wish)
    assert found is not None
    assert found.kind is None
    assert found.registry == "registry.corp/ml"
    assert not found.is_direct


def test_our_own_kubeconfig_names_the_cluster_that_is_ours_to_stop(layout: Layout) -> None:
    assert given(layout, wish_from({"KUBECONFIG": str(layout.kubeconfig)})) is None


def test_an_empty_variable_names_nothing(layout: Layout) -> None:
    assert given(layout, wish_from({"KUBECONFIG": ""})) is None


def test_without_any_cluster_the_command_that_starts_one_is_named(layout: Layout) -> None:
    with pytest.raises(ClusterError) as missing:
        current(layout, Wish())
    assert missing.value.remedy == "make cluster-up"


@pytest.mark.parametrize(("docker", "kind"), [(True, Kind.KIND), (False, Kind.NATIVE)])
def test_kind_is_taken_where_docker_answers(
    monkeypatch: pytest.MonkeyPatch, docker: bool, kind: Kind
) -> None:
    monkeypatch.setattr("e2e.cluster.kind.docker_answers", lambda: docker)
    assert up.prospect() is kind


def test_a_kubeconfig_that_names_no_file_fails_with_the_remedy(layout: Layout) -> None:
    with pytest.raises(ClusterError, match="kubectl") as failed:
        up.ensure_up(layout, Wish(kubeconfig=layout.state / "none"))
    assert "KUBECONFIG" in failed.value.report()
    assert failed.value.log is not None
    assert any("none" in line for line in tail(failed.value.log, 5))
