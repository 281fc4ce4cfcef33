"""What has to be there first, said in one message where it cannot be brought."""

import re
import tomllib
from pathlib import Path

import pytest

from e2e import bootstrap, check
from e2e import test as test_command
from e2e.bootstrap import BootstrapError, Package


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    there = Package("coreutils", "ls")
    packages = [there, Package("b", str(tmp_path / "none")), Package("a", "no-such-program-x")]
    assert bootstrap.missing(packages) == ["a", "b"]


def test_without_root_all_packages_are_named_in_one_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(BootstrapError, match="apt-get install buildah runc"):
        bootstrap.install(["buildah", "runc"])


def test_an_old_python_is_refused() -> None:
    with pytest.raises(BootstrapError, match="Python 3"):
        bootstrap.check_python((3, 9))


def test_the_stamp_follows_the_locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in bootstrap.INPUTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one")
    monkeypatch.setattr(bootstrap, "CHECKOUT", tmp_path)
    first = bootstrap.stamp()
    assert bootstrap.stamp() == first
    (tmp_path / "requirements/dev.txt").write_text("two")
    assert bootstrap.stamp() != first


@pytest.mark.parametrize("lock", sorted(bootstrap.LOCKS.glob("*.txt")), ids=lambda lock: lock.name)
def test_locks_have_hashes_and_name_no_place(lock: Path) -> None:
    text = lock.read_text()
    pinned = [line for line in text.splitlines() if "==" in line and not line.startswith(" ")]
    assert pinned
    assert all(line.endswith("\\") for line in pinned)
    assert text.count("--hash=sha256:") >= len(pinned)
    assert "://" not in text
    assert "index-url" not in text


def test_the_lock_covers_what_the_project_asks_for() -> None:
    project = tomllib.loads((bootstrap.CHECKOUT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    asked = [*project["dependencies"], *(name for extra in extras for name in extra)]
    names = {re.split(r"[=<>\[;! ]", name)[0].lower() for name in asked} - {"driftline"}
    locks = "".join((bootstrap.LOCKS / name).read_text() for name in ("dev.txt", "fuzz.txt"))
    locked = {line.split("==")[0] for line in locks.splitlines() if "==" in line}
    assert names <= locked, f"run `make lock`: {sorted(names - locked)} are not locked"


def test_images_carry_the_versions_that_the_tests_run_with() -> None:
    def pins(name: str) -> set[str]:
        lines = (bootstrap.LOCKS / f"{name}.txt").read_text().splitlines()
        return {line.split()[0] for line in lines if "==" in line and not line.startswith(" ")}

    assert pins("operator") <= pins("dev")
    assert pins("serving") <= pins("dev")
    assert pins("uv") <= pins("dev")


def test_a_failed_check_shows_what_it_said_and_a_passed_one_does_not() -> None:
    failing = check.Check(
        name="bad", argv=("sh", "-c", "echo broken; exit 3"), remedy="make format"
    )
    shown = check.report(check.perform(failing))
    assert "broken" in shown
    assert "make format" in shown
    passing = check.perform(check.Check(name="good", argv=("echo", "chatter")))
    assert "chatter" not in check.report(passing)


def test_every_script_and_dockerfile_is_checked() -> None:
    tracked = (".ci/run", "a/b.sh", "images/x/Dockerfile", "src/y.py")
    found = {one.name: one.argv[1:] for one in check.checks(tracked)}
    assert found["shell"] == (".ci/run", "a/b.sh")
    assert found["dockerfiles"] == ("images/x/Dockerfile",)


@pytest.mark.parametrize(
    ("codes", "verdict"), [([0, 5, 0], 0), ([5, 5], 5), ([0, 1, 5], 1), ([2, 0], 2), ([0], 0)]
)
def test_no_test_selected_in_a_part_is_no_failure(codes: list[int], verdict: int) -> None:
    assert test_command.verdict(codes) == verdict
