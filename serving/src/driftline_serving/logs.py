"""Logs on stderr: one line of JSON a record for machines, plain text for a person at a terminal.

What clients send is in no record.
"""

import argparse
import json
import logging
import os
import sys
import threading
from datetime import UTC, datetime
from typing import Any, Final

JSON: Final = "json"
TEXT: Final = "text"
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")


class JsonLines(logging.Formatter):
    """Writes a record, its traceback and what is given it as `context` included, as one line.

    Args:
        worker: Which of the workers writes; None in a process that has none.
    """

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._about = {} if worker is None else {"worker": worker}

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self._about,
            **getattr(record, "context", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(kind: str, level: str, worker: int | None = None) -> None:
    """Have all records of this process written to stderr, and what would end it silently, too."""
    handler = logging.StreamHandler(sys.stderr)
    if kind == JSON:
        handler.setFormatter(JsonLines(worker))
    else:
        who = "" if worker is None else f"[worker {worker}] "
        text = f"%(asctime)s %(levelname)s {who}%(name)s: %(message)s"
        handler.setFormatter(logging.Formatter(text))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = lambda *what: _tell_bug(what)
    threading.excepthook = lambda bug: _tell_bug((bug.exc_type, bug.exc_value, bug.exc_traceback))


def _tell_bug(what: Any) -> None:
    """Log what Python else writes on stderr by itself, in many lines."""
    logging.getLogger("driftline_serving").critical("a bug in Driftline", exc_info=what)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let a person choose."""
    parser.add_argument(
        "--log-format",
        choices=(JSON, TEXT),
        default=TEXT if sys.stderr.isatty() else JSON,
        help=f"{JSON}, one object a line, or {TEXT} ({TEXT} at a terminal, else {JSON})",
    )
    parser.add_argument(
        "--log-level",
        type=str.upper,
        choices=LEVELS,
        default=_level(os.environ.get("DRIFTLINE_LOG_LEVEL", "")),
        help="least serious records to write (or DRIFTLINE_LOG_LEVEL; default: %(default)s)",
    )


def _level(wanted: str) -> str:
    return wanted.upper() if wanted.upper() in LEVELS else "INFO"
