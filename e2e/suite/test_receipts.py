"""Receipts: signed in the pods with the namespace's keys, which are replaced without a restart."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from driftline_api.keys import KEYS_FILE, KEYS_SECRET, ReceiptKey, parse_keys, render_keys
from driftline_api.names import DIGEST_HEADER, PREDICTION_ID_HEADER, RECEIPT_HEADER, ROUTER
from driftline_serving.receipt import Receipt, ReceiptError, verify
from e2e.install import NAMESPACE, OPERATOR
from e2e.kubectl import KubectlError, eventually
from e2e.models import Data
from e2e.workspace import Workspace, infer_body

MODEL = "signed"


@pytest.fixture(scope="module")
def signing(workspace: Workspace) -> Workspace:
    """A namespace with a Model that serves."""
    prediction = {"task": "binary", "tensor": "label", "score": "probabilities"}
    workspace.apply(workspace.model(MODEL, signature={"prediction": prediction}))
    workspace.wait_promoted(MODEL)
    return workspace


def keys(workspace: Workspace) -> tuple[ReceiptKey, ...]:
    """Return the namespace's keys, oldest first."""
    found = parse_keys(base64.b64decode(workspace.get(KEYS_SECRET, "secret")["data"][KEYS_FILE]))
    assert found.damaged == 0
    return found.keys


def write(workspace: Workspace, *held: ReceiptKey) -> None:
    """Have the Secret hold other keys, as a person could."""
    patch = json.dumps({"stringData": {KEYS_FILE: render_keys(held)}})
    args = ("patch", "secret", KEYS_SECRET, "-n", workspace.namespace, "--type=merge", "-p", patch)
    workspace.kubectl.run(*args)


def aged(key: ReceiptKey, by: timedelta) -> ReceiptKey:
    return ReceiptKey(id=key.id, created=key.created - by, secret=key.secret)


def have_it_looked_at(workspace: Workspace) -> None:
    """Have the operator look at the namespace's routers now, and not in ten minutes."""
    workspace.kubectl.delete(workspace.namespace, "poddisruptionbudget", ROUTER)


def signed_with(workspace: Workspace, data: Data, key: ReceiptKey) -> Callable[[], Receipt]:
    """Return what asks for an answer that is signed with a key.

    Kubelets bring a Secret to running pods once a minute or so; one that is told of a change of the
    pod does so at once.
    """

    def ask() -> Receipt:
        now = datetime.now(UTC).isoformat()
        poke = ("annotate", "pods", "-l", f"driftline.dev/model={MODEL}", f"poked={now}")
        workspace.kubectl.run(*poke, "-n", workspace.namespace, "--overwrite")
        token = workspace.headers(MODEL, data.test_x[:1])[RECEIPT_HEADER]
        assert token, "the answer has no receipt"
        try:
            found = verify(token, keys(workspace))
        except ReceiptError as error:
            raise AssertionError(str(error)) from error
        assert found.key_id == key.id, f"signed with {found.key_id}"
        return found

    return ask


def test_answers_have_receipts_that_the_namespaces_key_verifies(
    signing: Workspace, data: Data
) -> None:
    (key,) = keys(signing)
    found = eventually("a receipt", signed_with(signing, data, key), within=150, every=1)
    assert found.revision == signing.get(MODEL)["status"]["stableRevision"]
    assert (found.arm, found.unit) == ("stable", b"")
    assert found.epoch == signing.get(MODEL)["status"]["traffic"]["epoch"]
    assert abs(datetime.now(UTC) - found.time) < timedelta(minutes=5)
    (score,) = found.predictions
    assert (score >= 0.5) == signing.predict(MODEL, data.test_x[:1])[0]


def test_the_parameters_of_an_answer_say_the_same(signing: Workspace, data: Data) -> None:
    (key,) = keys(signing)
    eventually("a receipt", signed_with(signing, data, key), within=150, every=1)
    asked = {**infer_body(data.test_x[:1]), "parameters": {"driftline": True}}
    told = signing.system.post(signing.namespace, MODEL, asked)["parameters"]
    receipt = verify(told[RECEIPT_HEADER], keys(signing))
    assert receipt.prediction_id == told[PREDICTION_ID_HEADER]
    assert told[DIGEST_HEADER] == signing.system.artifacts["v1"].digest


def test_a_key_that_is_old_enough_gets_a_successor_and_still_verifies(
    signing: Workspace, data: Data
) -> None:
    (old,) = keys(signing)
    eventually("a receipt", signed_with(signing, data, old), within=150, every=1)
    token = signing.headers(MODEL, data.test_x[:1])[RECEIPT_HEADER]
    write(signing, aged(old, timedelta(days=31)))
    have_it_looked_at(signing)
    eventually("there are two keys", lambda: len(keys(signing)) == 2)
    _, new = keys(signing)
    assert new.id != old.id
    assert verify(token, keys(signing)).key_id == old.id
    write(signing, aged(old, timedelta(days=31)), aged(new, timedelta(minutes=11)))
    eventually("the new key signs", signed_with(signing, data, new), within=150, every=1)
    assert verify(token, keys(signing)).key_id == old.id


def test_a_deleted_secret_is_made_anew(signing: Workspace) -> None:
    before = {key.id for key in keys(signing)}
    signing.kubectl.delete(signing.namespace, "secret", KEYS_SECRET)
    have_it_looked_at(signing)
    (after,) = eventually("there are keys again", lambda: keys(signing))
    assert after.id not in before


def test_damaged_keys_are_told_and_replaced(signing: Workspace) -> None:
    patch = json.dumps({"stringData": {KEYS_FILE: "damaged"}})
    args = ("patch", "secret", KEYS_SECRET, "-n", signing.namespace, "--type=merge", "-p", patch)
    signing.kubectl.run(*args)
    have_it_looked_at(signing)
    (made,) = eventually("there are keys again", lambda: keys(signing))
    assert datetime.now(UTC) - made.created < timedelta(minutes=5)

    def told() -> bool:
        events = signing.kubectl.list(signing.namespace, "events.v1.")
        return any(each["reason"] == "KeysDamaged" for each in events)

    eventually("the damage is told", told)


def test_the_operator_may_read_no_other_secret(signing: Workspace) -> None:
    who = f"--as=system:serviceaccount:{NAMESPACE}:{OPERATOR}"

    def may(verb: str, what: str) -> bool:
        try:
            args = ("auth", "can-i", verb, what, "-n", signing.namespace, who)
            return signing.kubectl.run(*args).strip() == "yes"
        except KubectlError:
            return False

    assert may("get", f"secret/{KEYS_SECRET}")
    assert not may("get", "secret/models-s3")
    assert not may("list", "secrets")
