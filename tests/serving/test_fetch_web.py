"""Fetching from a real web server."""

import base64
import hashlib
import random
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from driftline_api.conditions import Reason
from driftline_serving.artifact.fetch import Resolved, Target, fetch, resolve, source_of
from driftline_serving.artifact.location import parse
from driftline_serving.artifact.transfer import Patience
from driftline_serving.errors import ArtifactError
from tests.serving.faulty_proxy import Fault, proxy

PATIENCE = Patience(timeout=20, stall=2, first_pause=0.01, longest_pause=0.05)
IMPATIENT = Patience(timeout=0.5, stall=2, first_pause=0.01, longest_pause=0.05)
SIZE = 4_000_000
CONTENT = random.Random(5).randbytes(SIZE)
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
CREDENTIALS = {"HTTPS_USERNAME": "reader", "HTTPS_PASSWORD": "pässword"}


@dataclass(kw_only=True)
class Site:
    """A running server, and the requests that it saw."""

    port: int = 0
    seen: list[web.Request] = field(default_factory=list)

    def url(self, path: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}/{path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """All the ways in which servers answer for one file."""

    file: Path
    site: Site

    async def plain(self, _request: web.Request) -> web.StreamResponse:
        return web.FileResponse(self.file)

    async def without_ranges(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(body=self.file.read_bytes())

    async def guarded(self, request: web.Request) -> web.StreamResponse:
        basic = "Basic " + base64.b64encode("reader:pässword".encode()).decode()
        if request.headers.get("Authorization") in (basic, "Bearer t0ken"):
            return web.FileResponse(self.file)
        raise web.HTTPUnauthorized

    async def moved(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(request.query["to"])

    async def circle(self, _request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/circle")

    async def code(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=int(request.match_info["code"]))

    async def recovers(self, _request: web.Request) -> web.StreamResponse:
        if len(self.site.seen) < 3:
            raise web.HTTPServiceUnavailable
        return web.FileResponse(self.file)

    def application(self) -> web.Application:
        @web.middleware
        async def note(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            self.site.seen.append(request)
            return await handler(request)

        application = web.Application(middlewares=[note])
        application.router.add_get("/m.onnx", self.plain)
        application.router.add_get("/no-ranges/m.onnx", self.without_ranges)
        application.router.add_get("/guarded/m.onnx", self.guarded)
        application.router.add_get("/moved/m.onnx", self.moved)
        application.router.add_get("/recovers/m.onnx", self.recovers)
        application.router.add_get("/circle", self.circle)
        application.router.add_get("/code/{code}", self.code)
        return application


@asynccontextmanager
async def site(directory: Path, tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    """Serve a file."""
    running = Site()
    file = directory / "served.onnx"
    file.write_bytes(CONTENT)
    application = Answers(file=file, site=running).application()
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await listener.start()
    running.port = listener.port
    try:
        yield running
    finally:
        await runner.cleanup()


async def run_fetch(
    url: str,
    directory: Path,
    environ: Mapping[str, str] | None = None,
    patience: Patience = PATIENCE,
) -> Resolved:
    location = parse(url)
    target = Target(directory / "target", DIGEST)
    return await fetch(source_of(location, environ or {}), location, target, patience)


def fetched(directory: Path) -> bytes:
    return (directory / "target/model.onnx").read_bytes()


async def test_brings_a_file(tmp_path: Path) -> None:
    async with site(tmp_path) as server:
        found = await run_fetch(server.url("m.onnx?signature=abc%2F"), tmp_path)
        assert server.seen[0].path_qs == "/m.onnx?signature=abc%2F"
    assert found == Resolved(digest=DIGEST, size=SIZE)
    assert fetched(tmp_path) == CONTENT


async def test_resolves_it(tmp_path: Path) -> None:
    async with site(tmp_path) as server:
        location = parse(server.url("m.onnx"))
        found = await resolve(source_of(location, {}), location, PATIENCE)
    assert found == Resolved(digest=DIGEST, size=SIZE)


@pytest.mark.parametrize(
    ("path", "most"), [("m.onnx", 1.4), ("no-ranges/m.onnx", 3)], ids=["ranges", "no ranges"]
)
async def test_a_cut_connection_is_resumed_where_the_server_can(
    tmp_path: Path, path: str, most: float
) -> None:
    async with site(tmp_path) as server, proxy(server.port, Fault(cuts=[SIZE // 2])) as between:
        await run_fetch(f"http://127.0.0.1:{between.port}/{path}", tmp_path)
        assert between.to_client < most * SIZE
        assert server.seen[1].headers.get("Range", "").startswith("bytes=") == ("no-" not in path)
    assert fetched(tmp_path) == CONTENT


async def test_a_file_that_changed_meanwhile_is_begun_anew(tmp_path: Path) -> None:
    def change() -> None:
        file = tmp_path / "served.onnx"
        file.with_suffix(".new").write_bytes(CONTENT)
        file.with_suffix(".new").replace(file)

    fault = Fault(cuts=[SIZE // 2], before_cut=change)
    async with site(tmp_path) as server, proxy(server.port, fault) as between:
        await run_fetch(f"http://127.0.0.1:{between.port}/m.onnx", tmp_path)
        assert between.to_client > 1.4 * SIZE
    assert fetched(tmp_path) == CONTENT


@pytest.mark.parametrize("environ", [CREDENTIALS, {"HTTPS_TOKEN": "t0ken\n"}])
async def test_credentials_come_from_the_environment(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    async with site(tmp_path) as server:
        await run_fetch(server.url("guarded/m.onnx"), tmp_path, environ)
    assert fetched(tmp_path) == CONTENT


async def test_redirects_are_followed_and_credentials_do_not_go_along(tmp_path: Path) -> None:
    other_directory = tmp_path / "other"
    other_directory.mkdir()
    async with site(tmp_path) as server, site(other_directory) as other:
        url = server.url(f"moved/m.onnx?to={other.url('m.onnx')}")
        await run_fetch(url, tmp_path, CREDENTIALS)
        assert "Authorization" in server.seen[0].headers
        assert "Authorization" not in other.seen[0].headers
    assert fetched(tmp_path) == CONTENT


async def test_a_server_that_recovers_is_asked_again(tmp_path: Path) -> None:
    async with site(tmp_path) as server:
        await run_fetch(server.url("recovers/m.onnx"), tmp_path)
        assert len(server.seen) == 3
    assert fetched(tmp_path) == CONTENT


REFUSALS = {
    "gone": ("code/410", Reason.ARTIFACT_NOT_FOUND, r"nothing at .*\(HTTP 410\)"),
    "not there": ("nowhere", Reason.ARTIFACT_NOT_FOUND, r"nothing at .*\(HTTP 404\)"),
    "unauthorized": ("guarded/m.onnx", Reason.ARTIFACT_ACCESS_DENIED, "HTTP 401.*HTTPS_TOKEN"),
    "forbidden": ("code/403", Reason.ARTIFACT_ACCESS_DENIED, "signed URL may have expired"),
    "odd": ("code/418", Reason.ARTIFACT_UNREACHABLE, "answered HTTP 418"),
    "down": ("code/500", Reason.ARTIFACT_UNREACHABLE, "not done after 0.5 s.*HTTP 500"),
    "circle": ("circle", Reason.ARTIFACT_UNREACHABLE, "redirects in circles"),
}


@pytest.mark.parametrize(("path", "reason", "message"), REFUSALS.values(), ids=REFUSALS)
async def test_refusals_have_their_reason(
    tmp_path: Path, path: str, reason: Reason, message: str
) -> None:
    async with site(tmp_path) as server:
        with pytest.raises(ArtifactError, match=message) as caught:
            await run_fetch(server.url(path), tmp_path, patience=IMPATIENT)
    assert caught.value.reason is reason


async def test_messages_hold_no_signature_and_no_password(tmp_path: Path) -> None:
    async with site(tmp_path) as server:
        url = server.url("code/403?X-Signature=s3cr3t").replace("//", "//me:hunter2@")
        with pytest.raises(ArtifactError) as caught:
            await run_fetch(url, tmp_path)
    assert "s3cr3t" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert f"http://127.0.0.1:{server.port}/code/403" in str(caught.value)


async def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"cannot connect to 127.0.0.1:1") as caught:
        await run_fetch("http://127.0.0.1:1/m.onnx", tmp_path, patience=IMPATIENT)
    assert caught.value.reason is Reason.ARTIFACT_UNREACHABLE


async def test_https_is_trusted_by_certificate_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = a_certificate(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, tmp_path / "key.pem")
    async with site(tmp_path, tls) as server:
        url = server.url("m.onnx", scheme="https")
        with pytest.raises(ArtifactError, match=r"is not trusted.*SSL_CERT_FILE"):
            await run_fetch(url, tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        await run_fetch(url, tmp_path)
    assert fetched(tmp_path) == CONTENT


def a_certificate(directory: Path) -> Path:
    certificate = directory / "certificate.pem"
    command = [
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
        "-keyout", str(directory / "key.pem"), "-out", str(certificate),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return certificate
