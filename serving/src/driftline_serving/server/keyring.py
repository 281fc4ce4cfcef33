"""The keys of receipts, as they lie on disk: read again when they change, off the path of requests.

The directory is a Secret's volume, in which the kubelet swaps a link for all files at once.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from driftline_api.keys import KEYS_FILE, ReceiptKey, parse_keys, signing_key
from driftline_serving.receipt import Signer

#: Between two looks at the file.
LOOK_SECONDS: Final = 5.0

log = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]


def _now() -> datetime:
    return datetime.now(UTC)


class Keyring:
    """The keys that are known, and what signs just now.

    Args:
        directory: Where the file of keys is; None where nothing is to be signed.
        revision: Of this server.
        now: The clock: a key signs only once it is old enough to be known everywhere.
        lack: What logs say of being without keys.

    Attributes:
        keys: All that are known, oldest first; what they signed can be verified.
        signer: Signs receipts; None where there is no key.
    """

    def __init__(
        self,
        directory: Path | None,
        revision: str,
        now: Callable[[], datetime] = _now,
        lack: str = "answers carry no receipt",
    ) -> None:
        self.keys: tuple[ReceiptKey, ...] = ()
        self.signer: Signer | None = None
        self._file = directory / KEYS_FILE if directory else None
        self._revision = revision
        self._now = now
        self._stamp: _Stamp | None = None
        self._signs: ReceiptKey | None = None
        self._told = ""
        self._lack = lack

    async def watch(self) -> None:
        """Keep up with the file, until cancelled."""
        while self._file:
            await asyncio.sleep(LOOK_SECONDS)
            self.refresh()

    def refresh(self) -> None:
        """Read the file if it is another than before, and choose the key that signs."""
        if self._file is None:
            self._tell(f"{self._lack}: no keys are given (--keys)")
            return
        try:
            self._read(self._file)
        except OSError as error:
            self.keys, self._stamp = (), None
            self._tell(f"{self._lack} until there is a {self._file}: {error.strerror}")
        chosen = signing_key(self.keys, self._now())
        if chosen != self._signs:
            self._signs = chosen
            self.signer = Signer(chosen, self._revision) if chosen else None
            if chosen:
                self._tell(f"receipts are signed with key {chosen.id}")

    def _read(self, file: Path) -> None:
        status = file.stat()
        stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
        if stamp == self._stamp:
            return
        found = parse_keys(file.read_bytes())
        self.keys, self._stamp = found.keys, stamp
        if not found.keys:
            self._tell(f"{self._lack}: no key in {file} can be read")
        elif found.damaged:
            self._tell(f"{found.damaged} keys in {file} cannot be read")

    def _tell(self, message: str) -> None:
        """Log what is news."""
        if message != self._told:
            self._told = message
            log.info("%s", message)
