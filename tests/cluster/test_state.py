"""Who may touch the one cluster of a machine."""

import json
import multiprocessing
import os
import threading
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from e2e.cluster.errors import RefusedError
from e2e.cluster.layout import Layout
from e2e.cluster.processes import Running, boot_id, spawn, stop
from e2e.cluster.state import (
    Facts,
    Kind,
    Record,
    Standing,
    gather_facts,
    judge,
    load,
    locked,
    save,
)

MINE = Path("/home/me/driftline")
OTHERS = "/home/other/driftline"


def a_layout(home: Path) -> Layout:
    return Layout(state=home / "state", run=home / "run", cache=home / "cache")


def a_record(checkout: str = str(MINE), *, ready: bool = True) -> Record:
    return Record(
        checkout=checkout,
        kind=Kind.NATIVE,
        kubeconfig="/state/kubeconfig",
        boot=boot_id(),
        ready=ready,
        processes=(Running(name="etcd", pid=4, started=17),),
        sysctls={"net/ipv4/ip_forward": "0"},
        images={"operator": "127.0.0.1:5055/driftline-operator:0123"},
    )


RUNS = Facts(checkout_exists=True, alive=1, expected=1, debris=True)
CRASHED = Facts(checkout_exists=True, alive=0, expected=1, debris=True)
HALF = Facts(checkout_exists=True, alive=1, expected=2, debris=True)
ORPHANED = Facts(checkout_exists=False, alive=1, expected=1, debris=True)


@pytest.mark.parametrize(
    ("record", "facts", "standing"),
    [
        pytest.param(None, Facts(), Standing.FREE, id="nothing there"),
        pytest.param(None, Facts(debris=True), Standing.LEFTOVER, id="files without a record"),
        pytest.param(a_record(), RUNS, Standing.OURS, id="ours runs"),
        pytest.param(a_record(ready=False), RUNS, Standing.LEFTOVER, id="ours, cut short"),
        pytest.param(a_record(), HALF, Standing.LEFTOVER, id="ours, half dead"),
        pytest.param(a_record(), CRASHED, Standing.LEFTOVER, id="ours, crashed"),
        pytest.param(a_record(OTHERS), CRASHED, Standing.LEFTOVER, id="another's, crashed"),
        pytest.param(a_record(OTHERS), ORPHANED, Standing.LEFTOVER, id="of a deleted checkout"),
    ],
)
def test_standing(record: Record | None, facts: Facts, standing: Standing) -> None:
    assert judge(record, facts, MINE) is standing


@pytest.mark.parametrize("facts", [RUNS, HALF])
def test_another_checkouts_cluster_is_refused_with_its_path_and_the_command(facts: Facts) -> None:
    with pytest.raises(RefusedError) as refused:
        judge(a_record(OTHERS), facts, MINE)
    assert OTHERS in str(refused.value)
    assert refused.value.remedy == f"make -C {OTHERS} cluster-down"


def test_an_unfinished_start_of_another_checkout_is_refused_too() -> None:
    with pytest.raises(RefusedError):
        judge(a_record(OTHERS, ready=False), RUNS, MINE)


def test_the_record_survives_writing_and_reading(tmp_path: Path) -> None:
    layout = a_layout(tmp_path)
    save(layout, a_record())
    assert load(layout) == a_record()


def test_a_record_cut_short_counts_as_debris(tmp_path: Path) -> None:
    layout = a_layout(tmp_path)
    save(layout, a_record())
    layout.record.write_text(layout.record.read_text()[:40])
    assert load(layout) is None
    assert judge(None, gather_facts(layout, None), MINE) is Standing.LEFTOVER


def test_facts_count_real_processes(tmp_path: Path) -> None:
    layout = a_layout(tmp_path)
    process = spawn("sleep", ["sleep", "60"], tmp_path / "log")
    record = replace(a_record(str(tmp_path)), processes=(process,))
    try:
        assert gather_facts(layout, record).alive == 1
    finally:
        stop([process])
    assert gather_facts(layout, record) == Facts(
        checkout_exists=True, alive=0, expected=1, debris=True
    )


def test_a_process_that_took_over_the_number_is_not_ours(tmp_path: Path) -> None:
    impostor = Running(name="etcd", pid=os.getpid(), started=1)
    record = replace(a_record(str(tmp_path)), processes=(impostor,))
    assert gather_facts(a_layout(tmp_path), record).alive == 0


def test_no_process_survives_a_boot(tmp_path: Path) -> None:
    process = spawn("sleep", ["sleep", "60"], tmp_path / "log")
    try:
        record = replace(a_record(str(tmp_path)), processes=(process,), boot="an earlier one")
        assert gather_facts(a_layout(tmp_path), record).alive == 0
    finally:
        stop([process])


def _hold(layout: Layout, held: Event, release: Event, let_go: Path) -> None:
    with locked(layout):
        held.set()
        release.wait(30)
        let_go.touch()


def test_two_commands_take_turns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout, let_go = a_layout(tmp_path), tmp_path / "let-go"
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(layout, held, release, let_go))
    other.start()
    try:
        assert held.wait(30)
        threading.Timer(0.2, release.set).start()
        with locked(layout):
            assert let_go.exists()
    finally:
        release.set()
        other.join(30)
    assert f"process {other.pid}, which starts or stops" in capsys.readouterr().out
    assert not layout.lock.exists()


def test_the_record_is_plain_json(tmp_path: Path) -> None:
    layout = a_layout(tmp_path)
    save(layout, a_record())
    assert json.loads(layout.record.read_text())["kind"] == "native"
