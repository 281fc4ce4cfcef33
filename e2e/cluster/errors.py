"""What a person is told when a step of the cluster does not work.

ClusterError          a step failed: what, where its log is, what to do
└── RefusedError      nothing was tried, because somebody else's work would suffer
"""

from pathlib import Path


class ClusterError(Exception):
    """A step failed, said so that the reader can go on alone.

    Attributes:
        log: the file with the details, if the step wrote one.
        remedy: the next thing to do.
    """

    def __init__(self, message: str, *, log: Path | None = None, remedy: str = "") -> None:
        super().__init__(message)
        self.log = log
        self.remedy = remedy

    def report(self, lines: int = 15) -> str:
        """Return the message with the end of the log and the remedy, for a terminal."""
        parts = [str(self)]
        if self.log is not None:
            parts += [f"  | {line}" for line in tail(self.log, lines)]
            parts.append(f"log: {self.log}")
        if self.remedy:
            parts.append(f"what to do: {self.remedy}")
        return "\n".join(parts)


class RefusedError(ClusterError):
    """Nothing was tried, because somebody else's cluster or program would suffer."""


def tail(log: Path, lines: int) -> list[str]:
    """Return the last lines of a log, none if there is no such file."""
    if not log.exists():
        return []
    return log.read_text(errors="replace").splitlines()[-lines:]
