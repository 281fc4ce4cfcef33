"""Fetching from a real S3 server, over good and bad connections."""

import hashlib
import logging
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from driftline_api.conditions import Reason
from driftline_serving.artifact.fetch import Resolved, Target, fetch, resolve, source_of
from driftline_serving.artifact.location import parse
from driftline_serving.artifact.transfer import Patience
from driftline_serving.errors import ArtifactError
from tests.serving.faulty_proxy import Fault, proxy
from tests.serving.seaweed import KEY, SECRET, Seaweed, seaweed

PATIENCE = Patience(timeout=20, stall=2, first_pause=0.01, longest_pause=0.05)
IMPATIENT = Patience(timeout=0.5, stall=2, first_pause=0.01, longest_pause=0.05)
SIZE = 6_000_000
BIG = random.Random(3).randbytes(SIZE)
BIG_DIGEST = f"sha256:{hashlib.sha256(BIG).hexdigest()}"
URI = "s3://models/iris/v1.onnx"


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    with seaweed(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@pytest.fixture
def big(s3: Seaweed) -> Seaweed:
    s3.put("iris/v1.onnx", BIG)
    return s3


async def run_fetch(
    uri: str,
    environ: Mapping[str, str],
    target: Target,
    monkeypatch: pytest.MonkeyPatch,
    patience: Patience = PATIENCE,
) -> Resolved:
    """Fetch with that environment, which the client reads for itself too."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    location = parse(uri)
    return await fetch(source_of(location, environ), location, target, patience)


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def test_brings_a_file_under_the_name_that_the_server_reads(
    big: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Target(tmp_path, BIG_DIGEST)
    found = await run_fetch(URI, big.environ(), target, monkeypatch)
    assert found == Resolved(digest=BIG_DIGEST, size=SIZE)
    assert (tmp_path / "model.onnx").read_bytes() == BIG
    assert names_in(tmp_path) == [".driftline", "model.onnx"]


async def test_resolving_says_the_same_and_keeps_nothing(big: Seaweed) -> None:
    location = parse(URI)
    found = await resolve(source_of(location, big.environ()), location, PATIENCE)
    assert found == Resolved(digest=BIG_DIGEST, size=SIZE)


async def test_a_directory_comes_whole_and_its_digest_is_that_of_its_files(
    s3: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"model.onnx": b"onnx", "driftline.json": b"{}", "vocabulary/a b.txt": b"words"}
    for path, content in files.items():
        s3.put(f"whole/v1/{path}", content)
    s3.put("whole/v10/other.txt", b"not below the prefix")
    lines = sorted(f"{hashlib.sha256(c).hexdigest()}  {p}\n" for p, c in files.items())
    digest = f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"
    uri = "s3://models/whole/v1/"
    found = await run_fetch(uri, s3.environ(), Target(tmp_path, digest), monkeypatch)
    assert found == Resolved(digest=digest, size=11)
    assert {path: (tmp_path / path).read_bytes() for path in files} == files
    location = parse(uri)
    assert await resolve(source_of(location, s3.environ()), location, PATIENCE) == found


async def test_a_restart_finds_it_there_without_asking_anyone(
    big: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Target(tmp_path, BIG_DIGEST)
    await run_fetch(URI, big.environ(), target, monkeypatch)
    nowhere = big.environ(port=1)
    again = await run_fetch(URI, nowhere, target, monkeypatch, IMPATIENT)
    assert again == Resolved(digest=BIG_DIGEST, size=SIZE)


@pytest.mark.parametrize("spoil", ["another uri", "another digest", "touched file", "lost file"])
async def test_what_is_there_is_not_trusted_blindly(
    big: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    await run_fetch(URI, big.environ(), Target(tmp_path, BIG_DIGEST), monkeypatch)
    uri, digest = URI, BIG_DIGEST
    if spoil == "another uri":
        uri = "s3://models/iris/v2.onnx"
    elif spoil == "another digest":
        digest = "sha256:" + "0" * 64
    elif spoil == "touched file":
        (tmp_path / "model.onnx").write_bytes(b"x" * SIZE)
    else:
        (tmp_path / "model.onnx").unlink()
    nowhere = big.environ(port=1)
    with pytest.raises(ArtifactError, match="was not done after"):
        await run_fetch(uri, nowhere, Target(tmp_path, digest), monkeypatch, IMPATIENT)


@pytest.mark.parametrize("stall", [False, True], ids=["cut", "stalled"])
async def test_resumes_where_the_connection_broke(
    big: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stall: bool
) -> None:
    quick = Patience(timeout=20, stall=0.3, first_pause=0.01, longest_pause=0.05)
    fault = Fault(cuts=[SIZE // 2, SIZE // 4, 1000], stall=stall)
    async with proxy(big.port, fault) as between:
        environ = big.environ(port=between.port)
        target = Target(tmp_path, BIG_DIGEST)
        found = await run_fetch(URI, environ, target, monkeypatch, quick)
    assert found.size == SIZE
    assert (tmp_path / "model.onnx").read_bytes() == BIG
    assert between.connections >= 4
    # What was under way when a connection ended is lost; begun anew, it were 1.75 times the size.
    assert between.to_client < 1.6 * SIZE


async def test_resumes_what_an_earlier_process_left(
    big: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await leave_half(big, tmp_path, monkeypatch)
    async with proxy(big.port, Fault()) as between:
        environ = big.environ(port=between.port)
        await run_fetch(URI, environ, Target(tmp_path, BIG_DIGEST), monkeypatch)
    assert (tmp_path / "model.onnx").read_bytes() == BIG
    assert between.to_client < 0.75 * SIZE


async def leave_half(s3: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a fetch run out of time with about half of the file on disk."""
    async with proxy(s3.port, Fault(cuts=[SIZE // 2], stall=True)) as between:
        environ = s3.environ(port=between.port)
        hasty = Patience(timeout=1, stall=10)
        with pytest.raises(ArtifactError, match="was not done after 1 s"):
            await run_fetch(URI, environ, Target(tmp_path, BIG_DIGEST), monkeypatch, hasty)
    part = tmp_path / ".driftline/parts/model.onnx"
    assert SIZE // 4 < part.stat().st_size < SIZE
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize("when", ["within one run", "between two runs"])
async def test_an_object_that_changed_is_begun_anew(
    big: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    other = random.Random(4).randbytes(SIZE)
    digest = f"sha256:{hashlib.sha256(other).hexdigest()}"
    cuts = []
    if when == "between two runs":
        await leave_half(big, tmp_path, monkeypatch)
        big.put("iris/v1.onnx", other)
    else:
        cuts = [1500, SIZE // 2]
    fault = Fault(cuts=cuts, before_cut=lambda: big.put("iris/v1.onnx", other))
    async with proxy(big.port, fault) as between:
        environ = big.environ(port=between.port)
        await run_fetch(URI, environ, Target(tmp_path, digest), monkeypatch)
    assert (tmp_path / "model.onnx").read_bytes() == other


async def test_another_digest_is_told_with_both_and_leaves_nothing(
    big: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = "sha256:" + "0" * 64
    with pytest.raises(ArtifactError) as caught:
        await run_fetch(URI, big.environ(), Target(tmp_path, wanted), monkeypatch)
    assert caught.value.reason is Reason.DIGEST_MISMATCH
    assert BIG_DIGEST in str(caught.value)
    assert wanted in str(caught.value)
    assert names_in(tmp_path) == [".driftline"]
    assert names_in(tmp_path / ".driftline") == ["notes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A fetch that must fail: what is asked for, as whom, and what is said."""

    uri: str = URI
    environ: dict[str, str] = field(default_factory=dict)
    reason: Reason
    message: str


DENIED, MISSING = Reason.ARTIFACT_ACCESS_DENIED, Reason.ARTIFACT_NOT_FOUND
UNREACHABLE = Reason.ARTIFACT_UNREACHABLE
REFUSED = {
    "no such object": Refused(
        uri="s3://models/none.onnx", reason=MISSING, message="there is nothing at"
    ),
    "no such prefix": Refused(
        uri="s3://models/none/", reason=MISSING, message="there is no object below"
    ),
    "no such bucket": Refused(uri="s3://none/m.onnx", reason=MISSING, message="nothing at"),
    "no such bucket to list": Refused(
        uri="s3://none/m/", reason=MISSING, message="there is no such bucket"
    ),
    "unknown key": Refused(
        environ={"AWS_ACCESS_KEY_ID": "nobody"}, reason=DENIED, message="check the keys"
    ),
    "wrong secret": Refused(
        environ={"AWS_SECRET_ACCESS_KEY": "wrong"}, reason=DENIED, message="check the keys"
    ),
    "wrong secret to list": Refused(
        uri="s3://models/iris/",
        environ={"AWS_SECRET_ACCESS_KEY": "wrong"},
        reason=DENIED,
        message="SignatureDoesNotMatch",
    ),
    "no credentials": Refused(
        environ={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
        reason=DENIED,
        message="name a Secret with AWS_ACCESS_KEY_ID",
    ),
    "a key that is none": Refused(
        environ={"AWS_ACCESS_KEY_ID": "a\nb"}, reason=DENIED, message="AWS_ACCESS_KEY_ID"
    ),
    "nobody listens": Refused(
        environ={"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
        reason=UNREACHABLE,
        message="Connection refused",
    ),
    "no such host": Refused(
        environ={"AWS_ENDPOINT_URL": "http://none.invalid"}, reason=UNREACHABLE, message="lookup"
    ),
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
async def test_refusals_have_their_reason(
    big: Seaweed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    refused: Refused,
) -> None:
    caplog.set_level(logging.DEBUG)
    environ = big.environ(changes=refused.environ)
    with pytest.raises(ArtifactError, match=refused.message) as caught:
        await run_fetch(refused.uri, environ, Target(tmp_path, None), monkeypatch, IMPATIENT)
    assert caught.value.reason is refused.reason
    for secret in (SECRET, "Signature="):
        assert secret not in str(caught.value) + caplog.text


async def test_a_line_break_at_the_end_of_a_key_does_no_harm(
    big: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = big.environ(
        changes={"AWS_ACCESS_KEY_ID": f"{KEY}\n", "AWS_SECRET_ACCESS_KEY": f"{SECRET}\n"}
    )
    await run_fetch(URI, environ, Target(tmp_path, BIG_DIGEST), monkeypatch)
    assert (tmp_path / "model.onnx").read_bytes() == BIG
