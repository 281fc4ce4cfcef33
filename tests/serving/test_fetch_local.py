"""Fetching from mounted volumes, and what the target's own disk does."""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from driftline_api.conditions import Reason
from driftline_serving.artifact.digest import check_wellformed, directory_digest
from driftline_serving.artifact.fetch import Resolved, Target, fetch, source_of
from driftline_serving.artifact.location import parse
from driftline_serving.artifact.transfer import Patience
from driftline_serving.errors import ArtifactError
from tests.serving.processes import PROGRAM

PATIENCE = Patience(timeout=5, stall=2, first_pause=0.01, longest_pause=0.05)


def run_fetch(uri: str, claim: Path, target: Path, digest: str | None = None) -> Resolved:
    location = parse(uri)
    source = source_of(location, {}, pvc_mount=claim)
    return asyncio.run(fetch(source, location, Target(target, digest), PATIENCE))


@pytest.fixture
def claim(tmp_path: Path) -> Path:
    """A volume with a file, a directory and things that must not be fetched."""
    root = tmp_path / "claim"
    (root / "iris/v1/deep/er").mkdir(parents=True)
    (root / "iris/v1/model.onnx").write_bytes(b"onnx")
    (root / "iris/v1/deep/er/words.txt").write_bytes(b"words")
    (root / "empty").mkdir()
    (tmp_path / "outside.txt").write_text("not of this volume")
    return root


def test_a_file(claim: Path, tmp_path: Path) -> None:
    found = run_fetch("pvc://shared/iris/v1/model.onnx", claim, tmp_path / "target")
    assert found.size == 4
    assert (tmp_path / "target/model.onnx").read_bytes() == b"onnx"


def test_a_directory_whose_digest_coreutils_agree_with(claim: Path, tmp_path: Path) -> None:
    pipeline = r"find . -type f -printf '%P\n' | xargs sha256sum | LC_ALL=C sort | sha256sum"
    said = subprocess.run(
        ["sh", "-c", pipeline], cwd=claim / "iris/v1", check=True, capture_output=True, text=True
    )
    digest = f"sha256:{said.stdout.split()[0]}"
    found = run_fetch("pvc://shared/iris/v1/", claim, tmp_path / "target", digest)
    assert found == Resolved(digest=digest, size=9)
    assert (tmp_path / "target/deep/er/words.txt").read_bytes() == b"words"


def test_a_file_uri(claim: Path, tmp_path: Path) -> None:
    run_fetch(f"file://{claim}/iris/v1/model.onnx", claim, tmp_path / "target")
    assert (tmp_path / "target/model.onnx").read_bytes() == b"onnx"


def test_only_onnx_files_are_renamed(claim: Path, tmp_path: Path) -> None:
    (claim / "iris/Forest.ONNX").write_bytes(b"1")
    (claim / "iris/forest.joblib").write_bytes(b"2")
    run_fetch("pvc://shared/iris/Forest.ONNX", claim, tmp_path / "a")
    run_fetch("pvc://shared/iris/forest.joblib", claim, tmp_path / "b")
    assert (tmp_path / "a/model.onnx").read_bytes() == b"1"
    assert (tmp_path / "b/forest.joblib").read_bytes() == b"2"


NOT_THERE = {
    "nothing": ("pvc://shared/none.onnx", "there is nothing at pvc://shared/none.onnx"),
    "a directory without slash": ("pvc://shared/iris", "end the URI with a slash"),
    "a file with slash": ("pvc://shared/iris/v1/model.onnx/", "leave out the slash"),
    "an empty directory": ("pvc://shared/empty/", "holds no file"),
}


@pytest.mark.parametrize(("uri", "message"), NOT_THERE.values(), ids=NOT_THERE)
def test_what_is_not_there(claim: Path, tmp_path: Path, uri: str, message: str) -> None:
    with pytest.raises(ArtifactError, match=message) as caught:
        run_fetch(uri, claim, tmp_path / "target")
    assert caught.value.reason is Reason.ARTIFACT_NOT_FOUND


@pytest.mark.parametrize("uri", ["pvc://shared/iris/v1/", "pvc://shared/iris/v1/link.txt"])
def test_links_out_of_the_volume_are_refused(claim: Path, tmp_path: Path, uri: str) -> None:
    (claim / "iris/v1/link.txt").symlink_to(tmp_path / "outside.txt")
    with pytest.raises(ArtifactError, match="leads out of the volume") as caught:
        run_fetch(uri, claim, tmp_path / "target")
    assert caught.value.reason is Reason.ARTIFACT_INVALID
    assert not (tmp_path / "target/link.txt").exists()


def test_links_inside_the_volume_are_followed(claim: Path, tmp_path: Path) -> None:
    (claim / "latest.onnx").symlink_to(claim / "iris/v1/model.onnx")
    run_fetch("pvc://shared/latest.onnx", claim, tmp_path / "target")
    assert (tmp_path / "target/model.onnx").read_bytes() == b"onnx"
    assert not (tmp_path / "target/model.onnx").is_symlink()


UNFETCHABLE = {
    "unknown scheme": ("gs://bucket/m.onnx", "scheme 'gs' cannot be fetched: use s3://"),
    "no scheme": ("models/m.onnx", r"scheme '\(none\)'"),
    "no bucket": ("s3:///m.onnx", "names no bucket"),
    "no host": ("https:///m.onnx", "names no bucket, host or claim"),
    "web directory": ("https://host/models/", "is a directory, and https has none"),
    "bad port": ("https://host:99999/m.onnx", "cannot be read"),
    "upwards in a volume": ("pvc://shared/../../etc/passwd", "a file named '../../etc/passwd'"),
    "upwards in a bucket": ("s3://models/a/../b.onnx", "a file named"),
    "our notes": ("pvc://shared/.driftline/x", "a file named"),
}


@pytest.mark.parametrize(("uri", "message"), UNFETCHABLE.values(), ids=UNFETCHABLE)
def test_uris_that_cannot_be_fetched(uri: str, message: str) -> None:
    with pytest.raises(ArtifactError, match=message) as caught:
        parse(uri)
    assert caught.value.reason is Reason.ARTIFACT_INVALID


@pytest.mark.parametrize("digest", ["sha256:abc", "md5:" + "0" * 32, "sha256:" + "A" * 64, ""])
def test_a_digest_of_another_form_is_refused(digest: str) -> None:
    with pytest.raises(ArtifactError, match="64 hexadecimal digits"):
        check_wellformed(digest)


def test_the_order_of_files_does_not_matter() -> None:
    files = [("b", "1" * 64), ("a", "2" * 64)]
    assert directory_digest(files) == directory_digest(reversed(files))


def test_a_full_disk_is_told_before_the_download(claim: Path, tmp_path: Path) -> None:
    """On a real file system of one megabyte, in a mount namespace of our own."""
    (claim / "big.onnx").write_bytes(os.urandom(3_000_000))
    left = fetch_onto_small_disk(claim, tmp_path, "pvc://shared/big.onnx")
    assert left["reason"] == "ArtifactUnreachable"
    assert "no space left" in left["message"]
    assert "needs 3000000 bytes" in left["message"]


def test_a_disk_that_fills_up_is_told_too(tmp_path: Path) -> None:
    """With a file that has no end, and says that its size is 0."""
    left = fetch_onto_small_disk(Path("/"), tmp_path, "file:///dev/zero")
    assert left["reason"] == "ArtifactUnreachable"
    assert left["message"].startswith("no space left on the disk under")


def fetch_onto_small_disk(claim: Path, tmp_path: Path, uri: str) -> dict[str, str]:
    if not shutil.which("unshare"):
        pytest.skip("needs unshare(1) for a small file system of its own")
    target, log = tmp_path / "small", tmp_path / "termination-log"
    target.mkdir()
    command = [
        *PROGRAM, "fetch", "--uri", uri, "--pvc-mount", str(claim), "--target", str(target),
        "--termination-log", str(log), "--timeout", "20",
    ]  # fmt: skip
    script = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"'
    isolated = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, str(target), *command]
    ended = subprocess.run(isolated, check=False, capture_output=True, text=True, timeout=60)
    if "unshare failed" in ended.stderr or "permission denied" in ended.stderr:
        pytest.skip(f"no mount namespace here: {ended.stderr.strip()}")
    assert ended.returncode == 1, ended.stderr
    left: dict[str, str] = json.loads(log.read_text())
    return left


def test_a_target_that_cannot_be_written_is_told(claim: Path, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("a file, where a directory should be")
    with pytest.raises(ArtifactError, match="cannot write"):
        run_fetch("pvc://shared/iris/v1/model.onnx", claim, tmp_path / "target")


def test_the_command_line_from_end_to_end(claim: Path, tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    common = ["--pvc-mount", str(claim), "--termination-log", str(log)]
    uri = "pvc://shared/iris/v1/model.onnx"
    digest = f"sha256:{hashlib.sha256(b'onnx').hexdigest()}"
    subprocess.run([*PROGRAM, "resolve", "--uri", uri, *common], check=True, timeout=60)
    assert json.loads(log.read_text()) == {"digest": digest, "size": 4}

    target = tmp_path / "target"
    command = [*PROGRAM, "fetch", "--uri", uri, "--target", str(target), *common]
    subprocess.run([*command, "--digest", digest], check=True, timeout=60)
    again = subprocess.run(
        [*command, "--digest", digest], check=True, timeout=60, capture_output=True, text=True
    )
    assert "already there and verified" in again.stderr

    wrong = "sha256:" + "0" * 64
    ended = subprocess.run([*command, "--digest", wrong], check=False, timeout=60)
    assert ended.returncode == 1
    assert json.loads(log.read_text())["reason"] == "DigestMismatch"


@pytest.mark.parametrize("command", ["serve", "fetch", "resolve"])
def test_each_command_explains_itself(command: str) -> None:
    said = subprocess.run(
        [*PROGRAM, command, "--help"], check=True, capture_output=True, text=True, timeout=60
    )
    assert "--termination-log" in said.stdout
    assert said.stderr == ""


@pytest.mark.parametrize("wrong", [["--threads", "0"], ["--max-queue", "-1"], ["--port", "x"]])
def test_wrong_arguments_are_named(wrong: list[str]) -> None:
    said = subprocess.run(
        [*PROGRAM, "serve", "--model-name", "m", *wrong],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert said.returncode == 2
    assert f"argument {wrong[0]}" in said.stderr
