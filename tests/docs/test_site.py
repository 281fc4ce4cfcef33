"""The site builds strictly and loads nothing from elsewhere."""

import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT

#: What a browser fetches by itself, as opposed to what a reader may click.
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}


class Fetched(HTMLParser):
    """Collects what a page makes a browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("rel") in {"canonical", "prev", "next"}:
            return
        if url := given.get(FETCHED.get(tag, "")):
            self.urls.append(url)


def fetched_by(text: str) -> list[str]:
    parser = Fetched()
    parser.feed(text)
    return parser.urls


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return target


def external(urls: list[str]) -> Iterator[str]:
    return (url for url in urls if url.startswith(("http:", "https:", "//")))


def test_every_page_is_built(site: Path) -> None:
    for page in DOCS.rglob("*.md"):
        path = page.relative_to(DOCS).with_suffix("")
        folder = path.parent if path.name == "index" else path
        assert (site / folder / "index.html").is_file(), page


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    assert {p.name: list(external(fetched_by(p.read_text()))) for p in pages} == {
        p.name: [] for p in pages
    }


def test_loading_from_elsewhere_would_be_noticed() -> None:
    text = '<link rel="stylesheet" href="https://cdn.example/x.css"><script src="/y.js"></script>'
    assert list(external(fetched_by(text))) == ["https://cdn.example/x.css"]


def test_the_reference_of_the_model_is_filled_in(site: Path) -> None:
    page = (site / "reference" / "model" / "index.html").read_text()
    assert "artifact.uri" in page
    assert "model-fields" not in page


def test_hooks_are_not_published(site: Path) -> None:
    assert not (site / "hooks").exists()
