from pathlib import Path

import pytest

from driftline_serving.server.staffing import BASE_BYTES, MULTIPLE, size_of, staffing

MEGABYTE = 1024**2
GIGABYTE = 1024 * MEGABYTE

CASES = {
    "one worker for each CPU": ({}, 4, 1),
    "one for as many CPUs as a run has threads": ({"threads": 2}, 2, 1),
    "a CPU that is left over is nobody's": ({"cpus": 5, "threads": 2}, 2, 1),
    "more threads than CPUs": ({"cpus": 2, "threads": 4}, 1, 1),
    "a small memory": ({"memory": 256 * MEGABYTE}, 1, 4),
    "a large model": ({"artifact": 100 * MEGABYTE}, 1, 4),
    "two copies, which share the CPUs": ({"artifact": 30 * MEGABYTE}, 2, 2),
    "no memory at all": ({"memory": 0}, 1, 4),
    "as told": ({"wanted": 3}, 3, 1),
    "fewer than CPUs, as told": ({"wanted": 2}, 2, 2),
    "more than CPUs, as told": ({"wanted": 9}, 9, 1),
    "as told, whatever the memory": ({"wanted": 4, "memory": 0}, 4, 1),
}
USUAL = {"cpus": 4, "threads": 1, "memory": 2 * GIGABYTE, "artifact": MEGABYTE}


@pytest.mark.parametrize(("case", "workers", "runs"), CASES.values(), ids=CASES)
def test_how_many_workers_and_runs(case: dict[str, int], workers: int, runs: int) -> None:
    staff = staffing(**(USUAL | case))
    assert (staff.workers, staff.runs) == (workers, runs)


@pytest.mark.parametrize("threads", range(1, 9))
@pytest.mark.parametrize("artifact", [0, 10 * MEGABYTE, GIGABYTE])
def test_neither_cpus_nor_memory_are_exceeded(threads: int, artifact: int) -> None:
    for cpus in range(1, 65):
        staff = staffing(cpus=cpus, threads=threads, memory=4 * GIGABYTE, artifact=artifact)
        copies = staff.workers * (BASE_BYTES + MULTIPLE * artifact)
        assert staff.workers * staff.runs * threads <= max(cpus, threads)
        assert staff.workers == 1 or copies <= 2 * GIGABYTE


def test_an_artifact_is_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"12345")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "one").write_bytes(b"123")
    assert size_of(tmp_path) == 8
    assert size_of(tmp_path / "nothing") == 0
