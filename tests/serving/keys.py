"""Keys of receipts, and the volume of a Secret as a kubelet writes it."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

from driftline_api.keys import ReceiptKey, new_key, render_keys

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def a_key(number: int = 1, now: datetime = NOW, **age: float) -> ReceiptKey:
    return new_key(bytes([number]) * 38, now - timedelta(**age))


class Volume:
    """A Secret's files, all of which change at once, by the swap of a link."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._states = itertools.count()
        directory.mkdir()

    def hold(self, *keys: ReceiptKey) -> None:
        self.write(render_keys(keys))

    def write(self, text: str) -> None:
        state = self.directory / f"..state_{next(self._states)}"
        state.mkdir()
        (state / "keys.json").write_text(text)
        link = self.directory / "..data_tmp"
        link.symlink_to(state.name)
        link.rename(self.directory / "..data")
        file = self.directory / "keys.json"
        if not file.is_symlink():
            file.symlink_to("..data/keys.json")

    def empty(self) -> None:
        (self.directory / "keys.json").unlink()
