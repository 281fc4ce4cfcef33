"""Limits that keep the tree readable, and traps that it must not fall into."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONGEST_MODULE = 400
LONGEST_FUNCTION = 60


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def functions_of(module: Path) -> list[tuple[str, int]]:
    """Return name and length, the signature and docstring included, of every function."""
    return [
        (f"{module.relative_to(ROOT)}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1)
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    ]


FILES = tracked()
MODULES = [path for path in FILES if path.suffix == ".py"]


def test_there_is_something_to_look_at() -> None:
    assert len(MODULES) > 20


def test_operator_does_not_shadow_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()
    import operator  # noqa: PLC0415 - what is imported here is what the test is about

    assert operator.add(1, 2) == 3


def test_no_module_is_too_long() -> None:
    lengths = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in MODULES}
    assert {name: n for name, n in lengths.items() if n > LONGEST_MODULE} == {}


def test_no_function_is_too_long() -> None:
    lengths = [found for path in MODULES for found in functions_of(path)]
    assert {name: n for name, n in lengths if n > LONGEST_FUNCTION} == {}


def test_no_work_is_put_off_in_a_comment() -> None:
    put_off = re.compile(r"#.*\b(TODO|FIXME|XXX|HACK)\b")
    mine = Path(__file__)
    found = [
        str(path.relative_to(ROOT))
        for path in MODULES
        if path != mine and put_off.search(path.read_text())
    ]
    assert found == []


BARE = re.compile(r"# (?:noqa|type: ignore)(?:: ([A-Z0-9, ]+)|\[([a-z, -]+)\])?\s*$")
#: How far above an exception the same one may have said why for both.
NEARBY = 10


def unexplained(lines: list[str]) -> list[int]:
    """Return the numbers of the lines with an exception that nobody gave a reason for.

    The reason stands behind it, in a comment on the line before, or behind the same exception a
    few lines above.
    """
    return [
        number
        for number, line in enumerate(lines, 1)
        if (found := BARE.search(line))
        and not (number > 1 and lines[number - 2].lstrip().startswith("# "))
        and not is_explained_above(
            found[1] or found[2], lines[max(0, number - 1 - NEARBY) : number - 1]
        )
    ]


def is_explained_above(rule: str | None, above: list[str]) -> bool:
    return any(rule and rule in line and not BARE.search(line) for line in above)


def test_every_lint_exception_carries_its_reason() -> None:
    found = {
        str(path.relative_to(ROOT)): unexplained(path.read_text().splitlines()) for path in MODULES
    }
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_an_exception_without_reason_would_be_noticed() -> None:
    noqa = "x = 1  # " + "noqa: S310"  # in two pieces: this line is none
    ignored = "x = 1  # " + "type: ignore[index]"
    assert unexplained([noqa, "", ignored, noqa + " - because"]) == [1, 3]
    assert unexplained([noqa + " - because", noqa]) == []
    assert unexplained(["# because", ignored]) == []


@pytest.mark.parametrize(
    "lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda p: p.name
)
def test_locks_name_no_address_and_hash_everything(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert not re.search(r"^\s*--(extra-)?index-url|^\s*--find-links", text, re.MULTILINE)
    entries = [entry for entry in re.split(r"\n(?=[a-z0-9])", text) if "==" in entry]
    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_no_file_names_the_machine_it_was_written_on() -> None:
    here = re.compile(rf"(?<![\w./-]){re.escape(str(ROOT))}(?![\w-])")
    found = []
    for path in FILES:
        try:
            text = path.read_text()
        except UnicodeDecodeError:  # a picture, or another binary file
            continue
        if here.search(text):
            found.append(str(path.relative_to(ROOT)))
    assert found == []
