"""Links lead somewhere, and what is named is there.

mkdocs checks links and anchors within the site; here it is what a reader of the repository follows.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import yaml

from tests.docs.pages import DOCS, PAGES, ROOT, blocks, links

MAKE = re.compile(r"(?:^\$ |`)make ([a-z][a-z-]*)", re.MULTILINE)
TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)
PATH = re.compile(
    r"`((?:operator|serving|src|crds|charts|images|tests|e2e|docs|changelog\.d)/[\w./-]*)`"
)


def by_page(find: Callable[[Path], Iterable[str]]) -> dict[str, list[str]]:
    """Return what `find` finds, by page, pages without a find left out."""
    found = {str(page.relative_to(ROOT)): sorted(find(page)) for page in PAGES}
    return {page: each for page, each in found.items() if each}


def test_links_to_files_lead_somewhere() -> None:
    def broken(page: Path) -> list[str]:
        targets = [target.partition("#")[0] for target in links(page)]
        return [each for each in targets if each and not (page.parent / each).exists()]

    assert by_page(broken) == {}


def test_named_make_targets_exist() -> None:
    there = set(TARGET.findall((ROOT / "Makefile").read_text()))
    assert by_page(lambda page: set(MAKE.findall(page.read_text())) - there) == {}


def test_some_make_targets_are_named() -> None:
    readme = (ROOT / "README.md").read_text()
    assert {"demo", "test", "help"} <= set(MAKE.findall(readme))


def test_named_paths_exist() -> None:
    def missing(page: Path) -> list[str]:
        return [each for each in PATH.findall(page.read_text()) if not (ROOT / each).exists()]

    assert by_page(missing) == {}


def test_shown_manifests_are_yaml() -> None:
    found = [yaml.safe_load(block.text) for block in blocks("yaml")]
    assert len(found) >= 10


def test_every_decision_is_listed_and_complete() -> None:
    records = sorted(path for path in (DOCS / "adr").glob("*.md") if path.name != "index.md")
    index = (DOCS / "adr" / "index.md").read_text()

    assert [path.name for path in records if f"({path.name})" not in index] == []
    for number, path in enumerate(records, 1):
        text = path.read_text()
        assert path.name.startswith(f"{number:04d}-")
        assert text.startswith(f"# {number:04d}: ")
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequence"], path.name
