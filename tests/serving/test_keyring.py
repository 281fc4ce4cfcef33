"""The keys of receipts as they lie on disk, and what signs."""

import base64
import logging
from datetime import timedelta
from pathlib import Path

import pytest

from driftline_serving.receipt import Verifier
from driftline_serving.server.keyring import Keyring
from tests.serving.keys import NOW, Volume, a_key

ID = "01900000-0001-7000-8000-00000000abcd"


class Bench:
    """A keyring, the volume that it reads, and a clock that the test moves."""

    def __init__(self, directory: Path) -> None:
        self.volume = Volume(directory)
        self.now = NOW
        self.keyring = Keyring(directory, "m-1", now=lambda: self.now)

    def signs_with(self) -> str | None:
        """Return the id of the key that signs after another look."""
        self.keyring.refresh()
        if self.keyring.signer is None:
            return None
        token = self.keyring.signer.sign(ID)
        return Verifier(self.keyring.keys).verify(token).key_id


@pytest.fixture
def bench(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Bench:
    caplog.set_level(logging.INFO)
    return Bench(tmp_path / "keys")


def test_nothing_signs_until_there_are_keys(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    assert [bench.signs_with() for _ in range(3)] == [None, None, None]
    assert caplog.text.count("answers carry no receipt until there is a") == 1
    key = a_key()
    bench.volume.hold(key)
    assert bench.signs_with() == key.id
    assert f"receipts are signed with key {key.id}" in caplog.text


def test_where_no_keys_are_given_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    keyring = Keyring(None, "")
    keyring.refresh()
    keyring.refresh()
    assert keyring.signer is None
    assert caplog.messages == ["answers carry no receipt: no keys are given (--keys)"]


def test_a_new_key_verifies_at_once_and_signs_when_everybody_has_it(bench: Bench) -> None:
    old, new = a_key(1, days=30), a_key(2)
    bench.volume.hold(old)
    assert bench.signs_with() == old.id
    bench.volume.hold(old, new)
    assert bench.signs_with() == old.id
    assert bench.keyring.keys == (old, new)
    bench.now += timedelta(minutes=10)
    assert bench.signs_with() == new.id


def test_an_older_file_of_the_same_length_is_another_file(bench: Bench) -> None:
    one, two = a_key(1, days=1), a_key(2, days=1)
    bench.volume.hold(one)
    assert bench.signs_with() == one.id
    bench.volume.hold(two)
    assert bench.signs_with() == two.id


def test_nothing_signs_with_a_key_that_was_taken_away(bench: Bench) -> None:
    bench.volume.hold(a_key())
    bench.signs_with()
    bench.volume.empty()
    assert bench.signs_with() is None
    assert bench.keyring.keys == ()


@pytest.mark.parametrize("text", ["", "{}", '{"keys": []}', "\0"])
def test_a_damaged_file_signs_nothing_and_is_told(
    bench: Bench, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    bench.volume.write(text)
    assert [bench.signs_with(), bench.signs_with()] == [None, None]
    assert caplog.text.count("no key in") == 1


def test_no_secret_is_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = a_key()
    bench.volume.hold(key)
    bench.signs_with()
    assert key.id in caplog.text
    assert base64.urlsafe_b64encode(key.secret).decode() not in caplog.text
