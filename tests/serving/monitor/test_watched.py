"""From tensors to rows: what is read, under which name, and what is a fault."""

import numpy as np
import pytest

from driftline_api.signature import Feature, ModelSignature, Prediction
from driftline_serving.server.tensors import Array, Datatype, Signature, TensorSpec
from driftline_serving.tap.records import Omitted
from driftline_serving.watched.extract import Extracted, Extractor, WatchedError
from driftline_serving.watched.watched import WIDEST, watched_of
from driftline_stats.drift import rows as stats
from tests.serving.monitor.frames import a_frame, a_loan, an_inference, loans


def names(signature: ModelSignature | None, tensors: Signature | None = None) -> list[str]:
    return [each.name for each in watched_of(signature, tensors).features]


def a_spec(name: str, datatype: Datatype, *shape: int) -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=(-1, *shape))


def of_loans(*inferences: object) -> Extracted:
    frame = a_frame(list(inferences))  # type: ignore[arg-type]  # all are inferences
    (group,) = frame.groups
    return Extractor(watched_of(loans())).of_group(group)


def read(prediction: Prediction, **outputs: Array) -> list[object]:
    """Return the rows of predictions: numbers first, then levels."""
    rows = Extractor(watched_of(ModelSignature(prediction=prediction))).of_tensors({}, outputs).rows
    levels = [column.tolist() for column in rows.categorical]
    return [*rows.numeric.T.tolist(), *levels]


def test_features_and_predictions_are_read_by_the_signature() -> None:
    found = of_loans(a_loan(31, 7, "Oslo", 0.75), a_loan(54, 0, "Rome", 0.25))
    assert names(loans()) == [
        "city",
        "note.length",
        "age",
        "debt",
        "prediction",
        "prediction.score",
    ]
    assert found.rows.numeric.tolist() == [[4, 31, 7, 0.75], [4, 54, 0, 0.25]]
    assert [each.tolist() for each in found.rows.categorical] == [["Oslo", "Rome"], ["bad", "good"]]
    assert (found.inferences, dict(found.faults)) == (2, {})


def test_rows_come_in_the_order_of_a_plan() -> None:
    wanted = [stats.Feature(name="debt"), stats.Feature(name="age")]
    extractor = Extractor(watched_of(loans()), wanted)
    rows = extractor.of_tensors({"x": np.array([[1.0, 2.0]])}, {}).rows
    assert (rows.numeric.tolist(), rows.categorical) == ([[2, 1]], ())


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (stats.Feature(name="weight"), "no 'weight'; it has 'city'"),
        (stats.Feature(name="age", kind="categorical"), "'age': of another kind"),
    ],
)
def test_a_plan_of_another_model_is_refused(wanted: stats.Feature, says: str) -> None:
    with pytest.raises(WatchedError, match=says):
        Extractor(watched_of(loans()), [wanted])


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        ({"age"}, ["city", "note.length", "debt", "prediction", "prediction.score"]),
        ({"x", "note"}, ["city", "prediction", "prediction.score"]),
        ({"note.length"}, ["city", "age", "debt", "prediction", "prediction.score"]),
    ],
)
def test_what_is_excluded_by_feature_or_tensor_is_not_read(
    exclude: set[str], left: list[str]
) -> None:
    extractor = Extractor(watched_of(loans()), exclude=exclude)
    assert [each.name for each in extractor.features] == left


def test_what_a_plan_has_and_is_excluded_is_missing_in_every_row() -> None:
    watched = watched_of(loans())
    extractor = Extractor(watched, watched.features, exclude={"debt", "city"})
    (group,) = a_frame([a_loan(31, 7, "Oslo")]).groups
    rows = extractor.of_group(group).rows
    assert np.isnan(rows.numeric[0]).tolist() == [False, False, True, False]
    assert rows.categorical[0].tolist() == [None]


def test_without_a_signature_columns_are_watched_by_tensor() -> None:
    tensors = Signature(
        inputs=(
            a_spec("x", Datatype.FP32, 3),
            a_spec("age", Datatype.INT64, 1),
            a_spec("city", Datatype.BYTES),
            a_spec("image", Datatype.UINT8, 28, 28),
            a_spec("words", Datatype.INT64, -1),
        ),
        outputs=(a_spec("label", Datatype.INT64), a_spec("x", Datatype.FP32, 2)),
    )
    found = names(None, tensors)
    assert found[:6] == ["x[0]", "x[1]", "x[2]", "age", "city", "image.norm"]
    assert found[24:] == ["words.length", "words.mean", "words.missing", "label", "x[0]'", "x[1]'"]
    kinds = {each.name: (each.kind, each.role) for each in watched_of(None, tensors).features}
    assert kinds["city"] == ("categorical", "feature")
    assert kinds["label"] == ("categorical", "prediction")
    assert kinds["x[1]'"] == ("numeric", "prediction")


def test_tensors_of_a_model_without_signature_become_rows() -> None:
    tensors = Signature(
        inputs=(a_spec("image", Datatype.UINT8, 20, 20), a_spec("words", Datatype.INT64, -1)),
        outputs=(),
    )
    extractor = Extractor(watched_of(None, tensors))
    inputs = {"image": np.full((2, 20, 20), 3, np.uint8), "words": np.array([[1, 2], [3, 4]])}
    rows = extractor.of_tensors(inputs, {}).rows
    assert rows.numeric[:, :3].tolist() == [[60, 3, 0]] * 2
    assert rows.numeric[:, -3:].tolist() == [[2, 1.5, 0], [2, 3.5, 0]]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (a_spec("big", Datatype.FP32, WIDEST + 1), "more than"),
        (a_spec("texts", Datatype.BYTES, 300), "strings in too many columns"),
        (a_spec("none", Datatype.FP32, 0), "no columns"),
    ],
)
def test_what_is_not_watched_is_said(spec: TensorSpec, why: str) -> None:
    found = watched_of(None, Signature(inputs=(spec,), outputs=()))
    assert found.features == ()
    assert why in found.unwatched[0].why


def test_a_regression_is_its_value() -> None:
    assert read(Prediction(task="regression", tensor="y"), y=np.array([[1.5], [2]])) == [[1.5, 2]]


def test_classes_have_the_names_of_the_signature() -> None:
    named = Prediction(task="multiclass", tensor="c", classes=["a", "b", "c"])
    assert read(named, c=np.array([2, 0, 7])) == [["c", "a", 7]]
    assert read(named, c=np.array(["a", "zebra"], object)) == [["a", "zebra"]]


def test_a_class_follows_from_scores_where_no_output_names_it() -> None:
    scores = np.array([[0.25, 0.75], [0.625, 0.375], [np.nan, 0.5]], np.float32)
    binary = Prediction(task="binary", score="p", classes=["no", "yes"])
    first, levels = read(binary, p=scores)
    assert (first, levels) == ([0.75, 0.375, 0.5], ["yes", "no", None])
    several = Prediction(task="multiclass", score="p")
    best, levels = read(several, p=scores[:2])
    assert (best, levels) == ([0.75, 0.625], [1, 0])


def test_one_column_of_scores_is_that_of_the_positive_class() -> None:
    binary = Prediction(task="binary", score="p", calibrated=True, positive="0")
    assert read(binary, p=np.array([0.75, 0.25], np.float32)) == [[0.75, 0.25], ["0", "1"]]


@pytest.mark.parametrize(
    ("inputs", "fault"),
    [
        ({"city": np.array([["Rome"]], object)}, ("x", "missing_tensor")),
        ({"x": np.array([["a", "b"]], object)}, ("x", "wrong_type")),
        ({"x": np.zeros((1, 1), np.float32)}, ("x", "wrong_shape")),
        ({"x": np.zeros((1, 2, 2), np.float32)}, ("x", "wrong_shape")),
        ({"x": np.array([[np.nan, 0]], np.float32)}, ("age", "not_a_number")),
    ],
)
def test_a_fault_is_counted_and_missing_in_the_row(
    inputs: dict[str, Array], fault: tuple[str, str]
) -> None:
    whole = a_loan()
    city = {"city": np.array([["Rome"]], object), "note": np.array([["soon"]], object)}
    found = of_loans(an_inference({**city, **inputs}, whole.outputs))
    assert dict(found.faults) == {fault: 1}
    assert np.isnan(found.rows.numeric[0, 1])
    assert found.rows.categorical[0].tolist() == ["Rome"]


def test_rows_of_different_numbers_do_not_belong_together() -> None:
    inputs = {"x": np.zeros((2, 2), np.float32), "city": np.array(["Rome"], object)}
    found = of_loans(an_inference(inputs, {}))
    assert found.faults["x", "wrong_shape"] == 1
    assert len(found.rows) == 1


def test_an_inference_that_was_too_large_to_be_told_is_left_out() -> None:
    loan = a_loan()
    found = of_loans(
        an_inference({**loan.inputs, "x": Omitted(Datatype.FP32, (9, 2))}, loan.outputs)
    )
    assert (len(found.rows), found.inferences) == (0, 0)
    assert dict(found.faults) == {("x", "omitted"): 1}


def test_faults_are_counted_once_for_each_inference() -> None:
    features = [Feature(name="age", tensor="x")]
    extractor = Extractor(watched_of(ModelSignature(features=features)))
    hole = np.full((3, 1), np.nan, np.float32)
    told = [an_inference({"x": each}) for each in (hole, np.zeros((2, 1), np.float32), hole[:1])]
    (group,) = a_frame(told).groups
    found = extractor.of_group(group)
    assert (len(found.rows), dict(found.faults)) == (6, {("age", "not_a_number"): 2})
    some = extractor.of_group(group, np.array([False, True, True]))
    assert (len(some.rows), some.inferences) == (3, 2)
    assert dict(some.faults) == {("age", "not_a_number"): 1}


def test_long_text_is_no_level_to_keep() -> None:
    found = of_loans(a_loan(city="R" * 100_000))
    assert len(found.rows.categorical[0][0]) == 128


def test_nothing_of_a_frame_is_held() -> None:
    """Rows that wait must not keep the bytes of frames from being freed."""
    signature = ModelSignature(features=[Feature(name="plan", tensor="i", kind="categorical")])
    (group,) = a_frame([an_inference({"i": np.array([[1]], np.int64)})]).groups
    rows = Extractor(watched_of(signature)).of_group(group).rows
    assert rows.categorical[0].base is None
    assert rows.numeric.base is None
