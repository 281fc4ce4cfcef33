"""Whose a profile is, where it is found, and what of it is refused."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from aiohttp import web
from onnx import TensorProto, helper, numpy_helper

from driftline_api import monitoring
from driftline_api.names import PROFILE_FILE
from driftline_api.signature import Feature as Signed
from driftline_api.signature import ModelSignature, Prediction, signature_hash
from driftline_serving.artifact.transfer import Patience
from driftline_serving.baseline import place
from driftline_serving.baseline.binding import Model, check, model_digest
from driftline_serving.baseline.file import MOST_BYTES, Baseline, baseline_of, read
from driftline_serving.errors import BaselineAwayError, BaselineError
from driftline_stats.drift.build import build
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.profile import Profile
from driftline_stats.drift.rows import CATEGORICAL, PREDICTION, Feature, Rows
from driftline_stats.watch.narrow import narrowed

PATIENCE = Patience(timeout=5, stall=2, first_pause=0.01, longest_pause=0.05)
IMPATIENT = Patience(timeout=0.3, stall=2, first_pause=0.01, longest_pause=0.05)
FEATURES = (
    Feature(name="age"),
    Feature(name="debts"),
    Feature(name="income"),
    Feature(name="prediction", role=PREDICTION),
    Feature(name="city", kind=CATEGORICAL),
)
MINE = Model(digest="sha256:" + "1" * 64, signature="aa", features=FEATURES)


def some_rows(rows: int = 2_000, seed: int = 1) -> Rows:
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, 4)).astype(np.float32)
    numbers[:, 1] += numbers[:, 0]
    return Rows(numeric=numbers, categorical=(rng.choice(["Rome", "Oslo"], rows).astype(object),))


@cache
def a_profile() -> Profile:
    return build(FEATURES, some_rows(), in_order=True)


def a_baseline(artifact: str = MINE.digest, signature: str = MINE.signature) -> Baseline:
    return baseline_of(a_profile(), artifact=artifact, signature=signature)


# --- whose it is


@pytest.mark.parametrize(
    ("artifact", "signature", "said"),
    [
        ("sha256:" + "2" * 64, "aa", "was made with the model sha256:2222"),
        (MINE.digest, "bb", "another signature (bb, this is aa)"),
        (MINE.digest, "", "made without a signature, and this model has one"),
    ],
)
def test_a_profile_of_another_model_is_refused(artifact: str, signature: str, said: str) -> None:
    with pytest.raises(BaselineError) as refused:
        check(a_baseline(artifact, signature), MINE)
    assert said in str(refused.value)
    assert "driftline profile build" in str(refused.value)


def test_a_signature_that_the_model_lost_is_told() -> None:
    with pytest.raises(BaselineError, match=r"put the driftline\.json"):
        check(a_baseline(), Model(digest=MINE.digest))


def test_a_profile_made_without_a_model_is_bound_by_its_signature_alone() -> None:
    check(a_baseline(artifact=""), MINE)


def test_a_profile_lacks_features_of_the_model() -> None:
    more = (*FEATURES, Feature(name="height"))
    with pytest.raises(BaselineError, match="lacks the numeric feature 'height'"):
        check(a_baseline(), Model(digest=MINE.digest, signature="aa", features=more))


def test_a_profile_has_a_feature_of_another_kind() -> None:
    other = (*FEATURES[:-1], Feature(name="city"))
    with pytest.raises(BaselineError, match="the numeric feature 'city'"):
        check(a_baseline(), Model(digest=MINE.digest, signature="aa", features=other))


def test_predictions_may_be_missing_from_a_profile() -> None:
    profile = narrowed(a_profile(), {"prediction"})
    check(baseline_of(profile, artifact=MINE.digest, signature="aa"), MINE)


def a_signature(**changes: object) -> ModelSignature:
    fields: dict[str, object] = {
        "features": [Signed(name="age", tensor="X"), Signed(name="debts", tensor="X", column=1)],
        "prediction": Prediction(task="binary", tensor="label", score="p"),
    }
    return ModelSignature.model_validate(fields | changes)


def test_the_order_of_features_and_what_is_no_meaning_change_no_hash() -> None:
    signature = a_signature()
    turned = a_signature(
        features=signature.features[::-1],
        prediction=Prediction(task="binary", tensor="label", score="p", calibrated=True),
        loss="zero_one",
    )
    assert signature_hash(turned) == signature_hash(signature)


def test_another_column_unit_or_class_changes_the_hash() -> None:
    swapped = [Signed(name="age", tensor="X", column=1), Signed(name="debts", tensor="X")]
    in_days = [Signed(name="age", tensor="X", unit="days"), a_signature().features[1]]
    positive = Prediction(task="binary", tensor="label", score="p", positive="0")
    all_of_them = [
        a_signature(),
        a_signature(features=swapped),
        a_signature(features=in_days),
        a_signature(prediction=positive),
        None,
    ]
    assert len({signature_hash(each) for each in all_of_them}) == len(all_of_them)


# --- the digest of a model


def test_the_digest_of_a_model_of_one_file_is_its_artifacts(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"some bytes")
    (tmp_path / PROFILE_FILE).write_text("{}")
    expected = hashlib.sha256(b"some bytes").hexdigest()
    assert model_digest(tmp_path / "model.onnx") == f"sha256:{expected}"


def a_model_of_two_files(directory: Path, weight: float) -> Path:
    weights = numpy_helper.from_array(np.full(2048, weight, np.float32), "w")
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2048]) for name in ("x", "y")
    )
    multiply = helper.make_node("Mul", ["x", "w"], ["y"])
    model = helper.make_model(helper.make_graph([multiply], "g", [x], [y], [weights]))
    file = directory / "model.onnx"
    onnx.save_model(model, file, save_as_external_data=True, location="weights.bin")
    return file


def test_other_weights_in_a_file_of_their_own_are_another_model(tmp_path: Path) -> None:
    found, bytes_of = [], []
    for name, weight in (("a", 1.0), ("b", 2.0), ("c", 1.0)):
        (tmp_path / name).mkdir()
        file = a_model_of_two_files(tmp_path / name, weight)
        assert (file.parent / "weights.bin").stat().st_size == 4 * 2048
        found.append(model_digest(file))
        bytes_of.append(file.read_bytes())
    assert bytes_of[0] == bytes_of[1]
    assert found[0] != found[1]
    assert found[0] == found[2]


def test_no_file_outside_the_models_directory_is_ever_read(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret").write_text("not for anybody")
    content = b"\n\x08location\x12\x09../secret" + b"\n\x08location\x12\x03a\0b"
    (inside / "model.onnx").write_bytes(content)
    assert model_digest(inside / "model.onnx") == f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_a_model_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match=r"cannot read .*model\.onnx: No such file"):
        model_digest(tmp_path / "model.onnx")


# --- the file


def test_a_profile_comes_back_as_it_was_written() -> None:
    written = baseline_of(a_profile(), artifact=MINE.digest, signature="aa", trained=False)
    again = read(written.text.encode())
    assert again == written
    assert again.profile.order is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "this is no profile"),
        (b"[]", "this is no profile"),
        (b'{"version": 2}', "of version 2, and only 1 is known"),
        (b'{"version": 1}', "the profile is damaged"),
        (b'{"version": 1, "profile": {"kind": "drift-plan"}}', "expected kind 'drift-profile'"),
        (b" " * (MOST_BYTES + 1), "larger than"),
    ],
    ids=["empty", "list", "version", "nothing", "plan", "large"],
)
def test_what_is_no_profile_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(BaselineError) as refused:
        read(text)
    assert said in str(refused.value)


def test_counts_of_another_plan_are_refused() -> None:
    told = json.loads(a_baseline().text)
    told["profile"]["reference"]["plan"] = "0" * 16
    with pytest.raises(BaselineError, match=r"damaged: .*counted by another plan"):
        read(json.dumps(told).encode())


# --- without some features


def test_what_is_left_counts_as_it_did_before() -> None:
    profile, fewer = a_profile(), narrowed(a_profile(), {"age", "city"})
    assert {each.name for each in fewer.plan.features} == {"debts", "income", "prediction"}
    assert fewer.plan.distance is None
    rows = some_rows(500, seed=9)
    left = Rows(numeric=rows.numeric[:, 1:])
    counts = Kernel(profile.plan).count(rows)
    before = {each.name: counts.of(each).tolist() for each in profile.channels}
    counts = Kernel(fewer.plan).count(left)
    after = {each.name: counts.of(each).tolist() for each in fewer.channels}
    assert set(after) == {"debts", "income", "prediction", "debts * income"}
    assert all(before[name] == found for name, found in after.items())
    assert fewer.order is not None
    assert fewer.order.counts.shape[1] == fewer.plan.starts[-1]


def test_without_nothing_is_the_same() -> None:
    assert narrowed(a_profile(), {"height"}) is a_profile()


# --- where it lies


def owner() -> Model:
    return MINE


async def test_a_profile_beside_the_model_is_found(tmp_path: Path) -> None:
    (tmp_path / PROFILE_FILE).write_text(a_baseline().text)
    found = await place.baseline_for(monitoring.Baseline(), tmp_path, {}, owner)
    assert found == a_baseline()


async def test_no_profile_is_none_and_the_model_is_not_read_for_it(tmp_path: Path) -> None:
    def unasked() -> Model:
        raise AssertionError

    assert await place.baseline_for(monitoring.Baseline(), tmp_path, {}, unasked) is None


async def test_another_models_profile_beside_the_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / PROFILE_FILE).write_text(a_baseline(artifact="sha256:" + "2" * 64).text)
    with pytest.raises(BaselineError, match="build it for this model"):
        await place.baseline_for(monitoring.Baseline(), tmp_path, {}, owner)


@asynccontextmanager
async def a_site(text: bytes, failures: int = 0) -> AsyncIterator[str]:
    """Serves a profile to who has the token, after some failures."""
    left = [failures]

    async def answer(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer token":
            return web.Response(status=401)
        if left[0]:
            left[0] -= 1
            return web.Response(status=503)
        return web.Response(body=text)

    app = web.Application()
    app.router.add_get("/profile.json", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/profile.json"
    finally:
        await runner.cleanup()


TOKEN: Mapping[str, str] = {"HTTPS_TOKEN": "token"}


async def test_a_profile_is_fetched_with_the_artifacts_credentials(tmp_path: Path) -> None:
    text = a_baseline().text.encode()
    async with a_site(text, failures=2) as uri:
        digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
        brought = await place.fetched(uri, TOKEN, digest=digest, patience=PATIENCE)
        assert brought == text
        wanted = monitoring.Baseline(uri=uri)
        assert await place.baseline_for(wanted, tmp_path, TOKEN, owner) == a_baseline()


async def test_a_changed_profile_is_refused() -> None:
    async with a_site(b"{}") as uri:
        with pytest.raises(BaselineError, match=r"but sha256:0000.* is asked for"):
            await place.fetched(uri, TOKEN, digest="sha256:" + "0" * 64, patience=PATIENCE)


async def test_denied_access_is_final_and_an_outage_is_not() -> None:
    async with a_site(b"{}", failures=10_000) as uri:
        with pytest.raises(BaselineError, match="denied") as denied:
            await place.fetched(uri, {}, patience=PATIENCE)
        assert not isinstance(denied.value, BaselineAwayError)
        with pytest.raises(BaselineAwayError, match="503"):
            await place.fetched(uri, TOKEN, patience=IMPATIENT)


async def test_what_is_too_large_is_given_up_before_all_of_it_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(place, "MOST_BYTES", 1_000)
    async with a_site(b" " * 1_001) as uri:
        with pytest.raises(BaselineError, match="larger than 1000 bytes"):
            await place.fetched(uri, TOKEN, patience=PATIENCE)


async def test_a_directory_is_no_profile() -> None:
    with pytest.raises(BaselineError, match="is a directory"):
        await place.fetched("s3://profiles/fraud/", {}, patience=PATIENCE)
