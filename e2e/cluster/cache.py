"""What is costly to make is kept, under the hash of all that it was made from."""

import contextlib
import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

KEPT = 3
"""Entries kept of each name: today's, and those of the branches one switches between."""


def digest_files(root: Path, files: Iterable[Path], *more: str) -> str:
    """Hash files by path below `root`, mode and content, and any further words.

    Returns:
        16 hexadecimal digits: enough for things of one project.
    """
    total = hashlib.sha256()
    for word in more:
        total.update(f"{len(word)}:{word}".encode())
    for file in sorted(files):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        executable = bool(file.stat().st_mode & 0o100)
        total.update(f"{file.relative_to(root).as_posix()} {executable} {content}\n".encode())
    return total.hexdigest()[:16]


def cached(cache: Path, name: str, key: str, make: Callable[[Path], None]) -> Path:
    """Return the file or directory of that key, made first if it is not there.

    `make` writes it to the path it is given; a crash in it leaves nothing under the key.
    """
    home = cache / name
    final = home / key
    with alone(home / ".lock"):
        if not final.exists():
            fresh = home / f".{key}.new"
            discard(fresh)
            make(fresh)
            fresh.replace(final)
            _forget_old(home, final)
    return final


def discard(path: Path) -> None:
    """Remove a file or a directory, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _forget_old(home: Path, newest: Path) -> None:
    entries = [entry for entry in home.iterdir() if not entry.name.startswith(".")]
    entries.sort(key=lambda entry: (entry == newest, entry.stat().st_mtime), reverse=True)
    for entry in entries[KEPT:]:
        discard(entry)


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold a lock among all processes of this machine; wait for it if need be."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
