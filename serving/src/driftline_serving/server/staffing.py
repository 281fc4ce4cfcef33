"""How many workers there are, and what each takes on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Bytes that a worker takes for itself: libraries, and room for requests.
BASE_BYTES: Final = 64 * 1024**2
#: What a model takes in memory, as a multiple of its file; measured by `e2e/bench/workers.py`.
#: Trees are unfolded to ten times their size and more; a network takes hardly more than its
#: weights, but is dear to run, so that few workers with several runs at a time each serve it as
#: well.
MULTIPLE: Final = 12
#: Of the memory, that copies of the model may take together.
SHARE: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Staffing:
    """What was decided.

    Attributes:
        workers: processes, each with a copy of the model.
        runs: of the model, at a time in each.
        reason: what there is a worker for, in words.
    """

    workers: int
    runs: int
    reason: str

    @property
    def described(self) -> str:
        """In words."""
        workers = "1 worker" if self.workers == 1 else f"{self.workers} workers"
        return workers if self.runs == 1 else f"{workers} of {self.runs} runs at a time"


def staffing(*, cpus: int, threads: int, memory: int, artifact: int, wanted: int = 0) -> Staffing:
    """Decide.

    Args:
        cpus: To be kept busy.
        threads: Of one run.
        memory: Bytes that may be used.
        artifact: Bytes of the model's files.
        wanted: Workers that a person asked for; 0 leaves it to us.

    >>> staffing(cpus=8, threads=2, memory=2**33, artifact=2**20).workers
    4
    >>> staffing(cpus=8, threads=1, memory=2**33, artifact=2**27)
    Staffing(workers=2, runs=4, reason='2 copies of the model fit into half of the memory')
    """
    runs = max(1, cpus // threads)
    fitting = max(1, int(memory * SHARE) // (BASE_BYTES + MULTIPLE * artifact))
    if wanted:
        workers, reason = wanted, "as told"
    elif fitting < runs:
        copies = (
            "1 copy of the model fits" if fitting == 1 else f"{fitting} copies of the model fit"
        )
        workers, reason = fitting, f"{copies} into half of the memory"
    else:
        workers, reason = runs, f"{cpus} CPUs, {threads} for each run of the model"
    return Staffing(workers=workers, runs=max(1, cpus // (workers * threads)), reason=reason)


def size_of(directory: Path) -> int:
    """Return the bytes of all files in a directory, 0 if it is not there."""
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
