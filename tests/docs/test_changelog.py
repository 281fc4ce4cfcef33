"""Changelog fragments can be told apart by their names, and say something."""

import re

from tests.docs.pages import ROOT

NAME = re.compile(r"[a-z0-9-]+\.(added|changed|deprecated|removed|fixed|security)\.md")
FRAGMENTS = sorted(p for p in (ROOT / "changelog.d").iterdir() if p.name != "README.md")


def test_every_fragment_is_named_by_its_kind() -> None:
    assert [path.name for path in FRAGMENTS if not NAME.fullmatch(path.name)] == []


def test_every_fragment_is_a_sentence_or_two() -> None:
    wrong = [
        p.name for p in FRAGMENTS if not re.fullmatch(r"[A-Z].{20,400}\.", p.read_text().strip())
    ]
    assert wrong == []
