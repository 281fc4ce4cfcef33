"""What the supervisor tells a worker when it starts it, in one argument of its command line."""

import argparse
import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A worker's task.

    Attributes:
        number: which of the workers it is.
        board: the file descriptor of the board.
        parent: the supervisor's process; a worker without it leaves.
        runs: of the model, at a time.
        late: other workers answer already.
        arguments: of the server's command line.
    """

    number: int
    board: int
    parent: int
    runs: int
    late: bool
    arguments: dict[str, Any]

    def told(self) -> str:
        """Return it as text, for `heard`."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def heard(cls, text: str) -> "Task":
        """Return what `told` was told of."""
        return cls(**json.loads(text))

    @property
    def namespace(self) -> argparse.Namespace:
        """The arguments as the parser gave them, paths as text."""
        return argparse.Namespace(**self.arguments)
