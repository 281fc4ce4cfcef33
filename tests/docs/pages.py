"""What the tests of the documentation read: its pages, and the pieces in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = [*TOP, ROOT / "changelog.d" / "README.md", *sorted(DOCS.rglob("*.md"))]

FENCE = re.compile(r"^ *```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of code."""

    page: Path
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.text.strip().splitlines()[0]}"


def blocks(*languages: str) -> Iterator[Block]:
    """Yield the blocks of all pages in these languages."""
    for page in PAGES:
        for match in FENCE.finditer(page.read_text()):
            if match["language"] in languages:
                yield Block(page=page, language=match["language"], text=match["text"])


def prose(page: Path) -> str:
    """Return a page's text without its blocks of code."""
    return FENCE.sub("", page.read_text())


def links(page: Path) -> list[str]:
    """Return the targets of a page's links to files."""
    return [target for target in LINK.findall(prose(page)) if "://" not in target]
