"""The pictures of the statistics are those that the code draws, and each is shown and described."""

import re
from pathlib import Path

import pytest

from e2e.pictures.draw import PICTURES
from e2e.pictures.style import IMAGES, styled
from tests.docs.pages import DOCS

COMMITTED = sorted(IMAGES.glob("statistics-*.svg"))


def without_curves(text: str) -> str:
    """Return a picture without its coordinates, whose last digits are the processor's."""
    return re.sub(r'\b(d|id|clip-path|xlink:href|[xy])="[^"]*"', "", text)


def test_every_committed_picture_is_drawn_by_the_code() -> None:
    assert [path.stem for path in COMMITTED] == sorted(PICTURES)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_picture_says_what_it_said_when_it_was_committed(path: Path) -> None:
    drawn = styled(PICTURES[path.stem])
    assert without_curves(drawn) == without_curves(path.read_text())


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_picture_is_shown_with_a_text_for_those_who_do_not_see_it(path: Path) -> None:
    page = (DOCS / "concepts" / "statistics.md").read_text()
    assert re.search(rf"!\[[^\]]{{40,}}\]\(\.\./images/{path.name}\)", page)
    assert "<desc" in path.read_text()
