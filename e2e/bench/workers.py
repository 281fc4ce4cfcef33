"""`python -m e2e.bench.workers`: what a worker of the model server takes in memory, by model.

The figures behind `BASE_BYTES` and `MULTIPLE` of `driftline_serving.server.staffing`.
"""

import re
import sys
import tempfile
import time
from pathlib import Path

from e2e.bench.process import Running, running
from e2e.bench.serving.models import cases
from e2e.models import breast_cancer, forest_of, train

MEGABYTE = 1e6
START_SECONDS = 60.0


def models() -> dict[str, bytes]:
    """Return models to measure, as ONNX."""
    data = breast_cancer()
    return {
        "a logistic regression": train(1, data).onnx,
        "100 trees": train(2, data).onnx,
        **{case.name: case.onnx for case in cases()},
        "a forest of 10 MB": forest_of(10).onnx,
        "a forest of 40 MB": forest_of(40).onnx,
    }


def measured(onnx: bytes) -> dict[str, float]:
    """Return what stands in a fresh worker's `smaps_rollup`, in 10^6 bytes."""
    with tempfile.TemporaryDirectory(prefix="driftline-workers-") as name:
        directory = Path(name)
        (directory / "model.onnx").write_bytes(onnx)
        command = [sys.executable, "-m", "driftline_serving.laptop", "--model", name]
        command += ["--workers", "1", "--cpus", "1", "--port", "0", "--grpc-port", "0"]
        command += ["--admin-port", "0"]
        with running("driftline-serve", command, directory / "log") as program:
            wait_ready(program)
            pid = program.process.pid
            worker = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
            rollup = Path(f"/proc/{worker}/smaps_rollup").read_text()
    found = re.findall(r"^(\w+): +(\d+) kB$", rollup, re.MULTILINE)
    return {name: int(kilobytes) * 1024 / MEGABYTE for name, kilobytes in found}


def wait_ready(program: Running) -> None:
    """Wait until all workers are.

    Raises:
        TimeoutError: they are not in time.
    """
    deadline = time.monotonic() + START_SECONDS
    while "ready: 1 of 1 workers" not in program.log.read_text():
        program.check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{program.name} is not ready:\n{program.tail()}")
        time.sleep(0.05)


def main() -> None:
    """Print a table; MB are 10^6 bytes, and the smallest worker stands for one without a model."""
    found = {name: (len(onnx) / MEGABYTE, measured(onnx)) for name, onnx in models().items()}
    least = min(rollup["Private_Dirty"] for _, rollup in found.values())
    row = "{:26} {:>9} {:>9} {:>12} {:>13}".format
    print(row("model", "file MB", "PSS MB", "private MB", "model / file"))
    for name, (size, rollup) in found.items():
        private = rollup["Private_Dirty"]
        ratio = f"{(private - least) / size:.1f}" if size >= 1 else ""
        print(row(name, f"{size:.1f}", f"{rollup['Pss']:.0f}", f"{private:.0f}", ratio))


if __name__ == "__main__":
    main()
