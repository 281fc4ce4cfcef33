"""The commands that a user is told to compute a digest with give the digest that we verify."""

import hashlib
import subprocess
from pathlib import Path

from driftline_serving.artifact.digest import directory_digest, file_digest
from tests.docs.pages import DOCS

FILES = {
    "model.onnx": b"weights",
    "driftline.json": b"{}",
    "sub/Labels and more.txt": b"a\nb\n",
    "sub/a.bin": b"\x00" * 70_000,
}


def shown_commands() -> tuple[str, str]:
    """Return the command for a file and the one for a directory, as the guide shows them."""
    text = (DOCS / "guide" / "artifacts.md").read_text()
    block = next(part for part in text.split("```") if "sha256sum" in part)
    of_file, of_directory = block.split("$ ")[1:]
    return of_file, of_directory.replace("cd model/ && ", "")


def run(command: str, directory: Path) -> str:
    done = subprocess.run(
        ["bash", "-c", command], cwd=directory, capture_output=True, text=True, check=True
    )
    return f"sha256:{done.stdout.split()[0]}"


def write_files(directory: Path) -> None:
    for name, content in FILES.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_the_command_for_a_file(tmp_path: Path) -> None:
    write_files(tmp_path)
    digest = file_digest(hashlib.sha256(FILES["model.onnx"]).hexdigest())
    assert run(shown_commands()[0], tmp_path) == digest


def test_the_command_for_a_directory(tmp_path: Path) -> None:
    write_files(tmp_path)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    assert run(shown_commands()[1], tmp_path) == directory_digest(hashes.items())
