"""What is made once, and when it is made again."""

from pathlib import Path

import pytest

from e2e.cluster import recipes
from e2e.cluster.cache import KEPT, cached, digest_files
from e2e.cluster.recipes import Recipe, lay_context, sources, tag


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def whole(target: Path) -> None:
    target.write_text("whole")


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(target: Path) -> None:
        made.append(target)
        target.write_text("x")

    first = cached(tmp_path, "thing", "k1", make)
    assert cached(tmp_path, "thing", "k1", make) == first
    assert first.read_text() == "x"
    assert len(made) == 1


def test_a_failure_leaves_nothing_under_the_key(tmp_path: Path) -> None:
    def break_off(target: Path) -> None:
        target.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        cached(tmp_path, "thing", "k1", break_off)
    cached(tmp_path, "thing", "k1", whole)
    assert (tmp_path / "thing" / "k1").read_text() == "whole"


def test_old_entries_are_forgotten(tmp_path: Path) -> None:
    for number in range(KEPT + 3):
        cached(tmp_path, "thing", f"k{number}", whole)
    left = [entry.name for entry in (tmp_path / "thing").iterdir() if entry.name[0] != "."]
    assert len(left) == KEPT
    assert f"k{KEPT + 2}" in left


def test_a_digest_depends_on_path_content_and_mode(tmp_path: Path) -> None:
    file = write(tmp_path / "a", "one")
    plain = digest_files(tmp_path, [file])
    file.chmod(0o755)
    executable = digest_files(tmp_path, [file])
    file.write_text("two")
    changed = digest_files(tmp_path, [file])
    moved = digest_files(tmp_path, [file.rename(tmp_path / "b")])
    assert len({plain, executable, changed, moved}) == 4
    assert digest_files(tmp_path, [], "ab", "c") != digest_files(tmp_path, [], "a", "bc")


def a_recipe(home: Path) -> Recipe:
    write(home / "Dockerfile", "FROM scratch")
    write(home / "source/package/module.py", "x = 1")
    write(home / "source/package/__pycache__/module.pyc", "stale")
    return Recipe(
        part="operator",
        name="driftline-operator",
        dockerfile=home / "Dockerfile",
        files={"src": home / "source"},
        based=True,
    )


def test_an_images_context_holds_its_inputs_and_no_byte_code(tmp_path: Path) -> None:
    lay_context(a_recipe(tmp_path), tmp_path / "context")
    found = {
        p.relative_to(tmp_path / "context").as_posix() for p in (tmp_path / "context").rglob("*.*")
    }
    assert found == {"src/package/module.py"}
    assert (tmp_path / "context" / "Dockerfile").exists()


def test_a_tag_follows_every_input_and_nothing_else(tmp_path: Path) -> None:
    recipe = a_recipe(tmp_path)
    first = tag(recipe, {"BASE": "base:1", "TOOLCHAIN": "toolchain:1"})
    write(tmp_path / "source/package/__pycache__/other.pyc", "x")
    assert tag(recipe, {"BASE": "base:1", "TOOLCHAIN": "toolchain:2"}) == first
    assert tag(recipe, {"BASE": "base:2", "TOOLCHAIN": "toolchain:1"}) != first
    write(tmp_path / "source/package/module.py", "x = 2")
    assert tag(recipe, {"BASE": "base:1"}) != first


@pytest.mark.parametrize("recipe", recipes.project_recipes(), ids=lambda recipe: recipe.part)
def test_the_projects_recipes_name_files_that_are_there(recipe: Recipe) -> None:
    found = sources(recipe)
    assert found["Dockerfile"].is_file()
    assert all(source.is_file() for source in found.values())
    assert {f"requirements/{lock.name}" for lock in recipe.locks} <= found.keys()
