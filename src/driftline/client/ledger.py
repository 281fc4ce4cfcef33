"""Keeps what predictions are known by, under names of your own, until it is known what was true."""

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from driftline.client.errors import MisuseError, NotKeptError
from driftline.client.values import Prediction

#: Predictions that are kept; receipts are good for 90 days.
MOST: Final = 1_000_000
KEPT_SECONDS: Final = 90 * 86_400.0
_BETWEEN_SWEEPS: Final = 1_000

_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, at REAL NOT NULL, said TEXT NOT NULL)"
)
_INDEX: Final = "CREATE INDEX IF NOT EXISTS kept_at ON kept (at)"


class Ledger:
    """A file of predictions, or a table in memory; for many threads and processes at a time.

    What was kept outlives the process at once, and the machine's loss of power after a while: to
    wait for the disk would cost more than most predictions.

    >>> with Ledger() as ledger:
    ...     ledger.keep("order 17", Prediction(id="0190"))
    ...     ledger.find("order 17").id
    '0190'

    Args:
        file: where it lies; None: in memory, and gone with the process.
        most: predictions that are kept; the oldest of more go, and all that are older than 90
            days.
        now: Unix seconds.

    Raises:
        MisuseError: the file cannot be used.
    """

    def __init__(
        self,
        file: Path | str | None = None,
        *,
        most: int = MOST,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._most = most
        self._now = now
        self._lock = threading.Lock()
        self._until_sweep = 0
        try:
            self._table = sqlite3.connect(
                file or ":memory:", timeout=10, isolation_level=None, check_same_thread=False
            )
            if file:
                self._table.execute("PRAGMA journal_mode=WAL")
                self._table.execute("PRAGMA synchronous=NORMAL")
            self._table.execute(_TABLE)
            self._table.execute(_INDEX)
        except sqlite3.Error as error:
            raise MisuseError(f"cannot keep predictions in {file}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._table.close()

    def keep(self, name: str, prediction: Prediction) -> None:
        """Keep a prediction under a name; another of the same name takes its place."""
        with self._lock:
            self._table.execute(
                "INSERT OR REPLACE INTO kept VALUES (?, ?, ?)",
                (name, self._now(), prediction.to_json()),
            )
            self._until_sweep -= 1
            if self._until_sweep < 0:
                self._until_sweep = _BETWEEN_SWEEPS
                self._sweep()

    def find(self, name: str) -> Prediction:
        """Return the prediction of a name.

        Raises:
            NotKeptError: there is none.
        """
        with self._lock:
            found = self._table.execute("SELECT said FROM kept WHERE name = ?", (name,)).fetchone()
        if found is None:
            raise NotKeptError(f"no prediction is kept as {name!r}")
        return Prediction.from_json(found[0])

    def forget(self, name: str) -> None:
        """Forget a prediction, as when it has its label."""
        with self._lock:
            self._table.execute("DELETE FROM kept WHERE name = ?", (name,))

    def __len__(self) -> int:
        with self._lock:
            (count,) = self._table.execute("SELECT COUNT(*) FROM kept").fetchone()
        return int(count)

    def _sweep(self) -> None:
        self._table.execute("DELETE FROM kept WHERE at < ?", (self._now() - KEPT_SECONDS,))
        self._table.execute(
            "DELETE FROM kept WHERE name IN (SELECT name FROM kept ORDER BY at DESC LIMIT -1"
            " OFFSET ?)",
            (self._most,),
        )
