"""Receipts: what was signed comes back, and nothing else does."""

import base64
import hashlib
import hmac
import math
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_serving.receipt import (
    MOST_PREDICTIONS,
    Receipt,
    ReceiptError,
    Signer,
    Verifier,
    verify,
)
from driftline_serving.server.prediction_id import PredictionIds
from tests.serving.keys import a_key

KEY = a_key()
ID = "01900000-0001-7000-8000-00000000abcd"
TOKEN = Signer(KEY, "iris-abc").sign(ID, "canary", "7", [1.0, 0.25])

words = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=63)
ids = st.integers(0, 2**128 - 1).map(lambda number: str(UUID(int=number)))
floats = st.lists(st.floats(allow_nan=False), max_size=MOST_PREDICTIONS)


def test_says_what_was_signed() -> None:
    assert verify(TOKEN, [KEY]) == Receipt(
        key_id=KEY.id,
        revision="iris-abc",
        arm="canary",
        epoch=7,
        prediction_id=ID,
        predictions=(1.0, 0.25),
    )


def test_the_layout_is_the_documented_one() -> None:
    content = base64.urlsafe_b64decode(TOKEN + "=" * (-len(TOKEN) % 4))
    assert content[:-16] == (
        b"\x01"
        + base64.urlsafe_b64decode(KEY.id)
        + b"\x08iris-abc"
        + b"\x06canary"
        + b"\x00\x00\x00\x00\x00\x00\x00\x07"
        + b"\x00"
        + bytes.fromhex(ID.replace("-", ""))
        + b"\x02\x3f\xf0\x00\x00\x00\x00\x00\x00\x3f\xd0\x00\x00\x00\x00\x00\x00"
    )


def test_the_time_is_that_of_the_prediction() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    made = PredictionIds(6)(int(at.timestamp() * 1000))
    assert verify(Signer(KEY, "").sign(made), [KEY]).time == at


@given(words, words, ids, st.integers(0, 10**18), floats)
def test_whatever_is_signed_comes_back(
    revision: str, arm: str, made: str, epoch: int, predictions: list[float]
) -> None:
    token = Signer(KEY, revision).sign(made, arm, str(epoch), predictions)
    found = Verifier([a_key(2), KEY]).verify(token)
    assert (found.revision, found.arm, found.epoch) == (revision, arm, epoch)
    assert (found.prediction_id, found.predictions) == (made, tuple(predictions))
    assert token.isascii()
    assert not set(token) & set("+/=\r\n ")


def test_not_a_number_is_a_prediction_too() -> None:
    (found,) = verify(Signer(KEY, "").sign(ID, predictions=[math.nan]), [KEY]).predictions
    assert math.isnan(found)


def test_of_many_rows_the_first_are_in_it() -> None:
    found = verify(Signer(KEY, "").sign(ID, predictions=range(100)), [KEY])
    assert found.predictions == tuple(range(16))


@pytest.mark.parametrize("arm", ["x" * 64, "é", "a\r\nb: c", "\0", "stable" * 100])
def test_what_no_router_says_is_no_arm(arm: str) -> None:
    assert verify(Signer(KEY, "").sign(ID, arm), [KEY]).arm == ""


@pytest.mark.parametrize("epoch", ["", "-1", "one", "1.5", "9" * 30, "٣", " 1", "+1", "1_0"])
def test_what_is_no_number_is_no_epoch(epoch: str) -> None:
    assert verify(Signer(KEY, "").sign(ID, "stable", epoch), [KEY]).epoch == 0


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from("ABab01-_+/=~ \n"))
def test_no_other_spelling_is_taken(at: int, put: str) -> None:
    other = TOKEN[:at] + put + TOKEN[at + 1 :]
    if other != TOKEN:
        with pytest.raises(ReceiptError):
            verify(other, [KEY])


@pytest.mark.parametrize("length", range(len(TOKEN)))
def test_a_receipt_that_is_cut_short_is_refused(length: int) -> None:
    with pytest.raises(ReceiptError):
        verify(TOKEN[:length], [KEY])


@pytest.mark.parametrize("more", ["A", "AA", "AAA", "AAAA", "=", "==", "\n", " "])
def test_nor_is_a_longer_one_taken(more: str) -> None:
    with pytest.raises(ReceiptError):
        verify(TOKEN + more, [KEY])


@given(st.one_of(st.text(), st.binary(max_size=400).map(lambda b: base64.b64encode(b).decode())))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ReceiptError):
        verify(text, [KEY])


def test_says_what_is_wrong() -> None:
    renamed = replace(a_key(2), id=KEY.id)
    later = "Ag" + TOKEN[2:]
    cases = [
        (TOKEN, [a_key(2)], "key is not known"),
        (TOKEN, [], "key is not known"),
        (TOKEN, [renamed], "signature is wrong"),
        (later, [KEY], "version 2; version 1 is known"),
        ("", [KEY], "empty"),
        ("AQ", [KEY], "cut short"),
        ("%%", [KEY], "not a receipt"),
        ("A" * 5000, [KEY], "not a receipt"),
    ]
    for token, keys, message in cases:
        with pytest.raises(ReceiptError, match=message):
            verify(token, keys)


def test_the_secret_of_the_file_signs_nothing_itself() -> None:
    """What signs is derived for this one purpose: a signature is of no use for another."""
    content = base64.urlsafe_b64decode(TOKEN + "=" * (-len(TOKEN) % 4))
    with_key = hmac.digest(KEY.secret, b"driftline-receipt", "sha256")
    signed, mac = content[:-16], content[-16:]
    assert hashlib.blake2b(signed, key=KEY.secret, digest_size=16).digest() != mac
    assert hashlib.blake2b(signed, key=with_key, digest_size=16).digest() == mac
