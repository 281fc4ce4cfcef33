"""Labels and rewards meet predictions."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from driftline_api.monitor import LabelCohort
from driftline_api.signature import ModelSignature, Prediction
from driftline_serving.monitor.feedback.desk import FeedbackDesk
from driftline_stats.risk.cbpe import Cbpe, Metric
from tests.serving.feedback.builders import (
    HOUR,
    KEY,
    MODEL,
    NOON,
    REVISION,
    Server,
    a_desk,
    classes,
    frame_of,
    probabilities,
    said,
    values,
)
from tests.serving.keys import a_key

DAY = 86_400.0


def the_cohort(desk: FeedbackDesk) -> LabelCohort:
    (only,) = desk.feedback().cohorts
    return only


def test_a_label_is_joined_with_what_is_remembered_by_its_id_alone() -> None:
    server = Server(classes())
    right, wrong = server.predict(label=["bad"]), server.predict(label=["good"])
    desk = a_desk(classes(), right, wrong)
    assert said(desk, id=right.id, label="bad").what == "accepted"
    assert said(desk, id=wrong.id, label="bad").what == "accepted"
    cohort = the_cohort(desk)
    assert (cohort.hour, cohort.rows, cohort.labelled) == (HOUR, 2, 2)
    assert cohort.losses == [(0, 1), (100, 1)]


def test_a_receipt_stands_for_a_prediction_that_nobody_remembers() -> None:
    predicted = Server(classes()).predict(arm="canary", epoch=4, label=["bad", "good"])
    desk = a_desk(classes())
    assert said(desk, receipt=predicted.receipt, label=["bad", "bad"]).what == "accepted"
    cohort = the_cohort(desk)
    assert (cohort.arm, cohort.epoch, cohort.rows) == ("canary", 4, 0)
    assert cohort.losses == [(0, 1), (100, 1)]


def test_an_id_that_nobody_remembers_is_unknown_and_says_to_send_the_receipt() -> None:
    outcome = said(a_desk(classes()), id=Server(classes()).predict(label=["bad"]).id, label="bad")
    assert outcome.what == "unknown"
    assert "receipt" in outcome.message


def test_the_first_label_wins() -> None:
    predicted = Server(classes()).predict(label=["bad"])
    desk = a_desk(classes(), predicted)
    sequence = ["bad", "bad", "good", "bad", 1]
    outcomes = [said(desk, id=predicted.id, label=each).what for each in sequence]
    assert outcomes == ["accepted", "duplicate", "correction", "duplicate", "duplicate"]
    # By its receipt it is the same prediction.
    assert said(desk, receipt=predicted.receipt, label="bad").what == "duplicate"
    assert (the_cohort(desk).labelled, the_cohort(desk).losses) == (1, [(0, 1)])
    assert desk.feedback().outcomes == {"accepted": 1, "correction": 1, "duplicate": 4}


def test_rows_of_one_prediction_are_labelled_one_after_the_other() -> None:
    predicted = Server(classes()).predict(label=["bad", "good", "bad"])
    desk = a_desk(classes(), predicted)
    assert said(desk, id=predicted.id, label=["bad", None, None]).what == "accepted"
    assert said(desk, id=predicted.id, label="bad", row=1).what == "accepted"
    assert said(desk, id=predicted.id, label=["bad", "bad", "bad"]).what == "accepted"
    assert said(desk, id=predicted.id, label=["bad", "bad", "bad"]).what == "duplicate"
    assert (the_cohort(desk).rows, the_cohort(desk).labelled) == (3, 3)
    assert the_cohort(desk).losses == [(0, 2), (100, 1)]


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ({"label": "bad"}, "3 rows, and this has one value"),
        ({"label": ["bad", "bad"]}, "3 rows, and this has a list of 2"),
        ({"label": "bad", "row": 3}, "rows 0 to 2; this is of row 3"),
        ({"label": ["bad", "bad", "ugly"]}, "none of the classes"),
    ],
)
def test_what_does_not_fit_the_rows_is_refused_whole(label: dict[str, Any], told: str) -> None:
    predicted = Server(classes()).predict(label=["bad", "good", "bad"])
    desk = a_desk(classes(), predicted)
    outcome = said(desk, id=predicted.id, **label)
    assert outcome.what == "invalid"
    assert told in outcome.message
    assert the_cohort(desk).labelled == 0


def test_a_receipt_tells_sixteen_rows_and_others_are_unknown_once_the_pod_is_gone() -> None:
    predicted = Server(classes()).predict(label=["bad"] * 20)
    remembers, forgot = a_desk(classes(), predicted), a_desk(classes())
    assert said(remembers, receipt=predicted.receipt, label="bad", row=18).what == "accepted"
    assert said(forgot, receipt=predicted.receipt, label="bad", row=18).what == "unknown"
    assert said(forgot, receipt=predicted.receipt, label=["bad"] * 20).what == "accepted"
    assert the_cohort(forgot).labelled == 16


def test_labels_come_up_to_the_horizon_and_their_delay_is_counted() -> None:
    server = Server(classes())
    predicted = [server.predict(label=["bad"]) for _ in range(4)]
    desk = a_desk(classes(), *predicted)
    for one, delay in zip(predicted, (30.0, 7200.0, 2 * DAY, 89 * DAY), strict=True):
        assert said(desk, NOON + delay, id=one.id, label="bad").what == "accepted"
    assert the_cohort(desk).delays == [1, 0, 0, 0, 1, 0, 1, 0, 0, 1, 0]
    late = said(desk, NOON + 91 * DAY, id=predicted[0].id, label="bad")
    assert late.what == "expired"
    assert "90 days" in late.message


def test_the_time_at_which_something_became_known_counts_and_not_that_of_the_request() -> None:
    predicted = Server(classes()).predict(label=["bad"])
    desk = a_desk(classes(), predicted)
    said(desk, NOON + 5 * DAY, id=predicted.id, label="bad", time=NOON + 30)
    assert the_cohort(desk).delays[0] == 1


def test_a_pod_that_has_told_its_last_takes_no_label_that_nobody_would_hear_of() -> None:
    predicted = Server(classes()).predict(label=["bad"])
    desk = a_desk(classes(), predicted)
    desk.end()
    last = desk.feedback()
    outcome = said(desk, receipt=predicted.receipt, label="bad")
    assert outcome.what == "unavailable"
    assert desk.feedback().cohorts == last.cohorts


def test_what_lies_in_the_future_is_invalid() -> None:
    server = Server(classes())
    ahead, now = server.predict(NOON + 1000, label=["bad"]), server.predict(label=["bad"])
    desk = a_desk(classes(), ahead, now)
    assert said(desk, id=ahead.id, label="bad").what == "invalid"
    assert said(desk, id=now.id, label="bad", time=NOON + 1000).what == "invalid"
    # Clocks differ a little.
    assert said(desk, NOON + 800, id=ahead.id, label="bad").what == "accepted"


def test_receipts_that_are_forged_foreign_or_of_another_prediction_are_invalid() -> None:
    server = Server(classes())
    one, other = server.predict(label=["bad"]), server.predict(label=["bad"])
    of_wine = Server(classes(), revision="wine-1a2b3c").predict(label=["bad"])
    of_a_stranger = Server(classes(), key=a_key(9)).predict(label=["bad"])
    desk = a_desk(classes(), one)
    forged = ("A" if one.receipt[-1] != "A" else "E").join((one.receipt[:-1], ""))
    told: dict[str, dict[str, Any]] = {
        "signature is wrong": {"receipt": forged},
        "not known": {"receipt": of_a_stranger.receipt},
        "of revision wine-1a2b3c, and this is Model loans": {"receipt": of_wine.receipt},
        "different predictions": {"receipt": one.receipt, "id": other.id},
    }
    for message, names in told.items():
        outcome = said(desk, label="bad", **names)
        assert outcome.what == "invalid"
        assert message in outcome.message
    assert said(desk, receipt=one.receipt, id=one.id.upper(), label="bad").what == "accepted"


def test_a_new_key_is_known_from_when_it_is() -> None:
    known = [KEY]
    desk = FeedbackDesk(classes(), MODEL, REVISION, lambda: known)
    predicted = Server(classes(), key=a_key(2)).predict(label=["bad"])
    assert said(desk, receipt=predicted.receipt, label="bad").what == "invalid"
    known.append(a_key(2))
    assert said(desk, receipt=predicted.receipt, label="bad").what == "accepted"


def test_labels_of_revisions_without_pods_are_kept_apart_and_bounded() -> None:
    desk = a_desk(classes())
    for number in range(9):
        gone = Server(classes(), revision=f"{MODEL}-gone{number}").predict(label=["bad"])
        assert said(desk, receipt=gone.receipt, label="bad").what == "accepted"
    feedback = desk.feedback()
    assert feedback.cohorts == []
    assert list(feedback.gone) == [f"{MODEL}-gone{number}" for number in range(4)]
    assert sum(each.labelled for some in feedback.gone.values() for each in some) == 9


def test_rewards_are_counted_beside_labels_without_a_signature() -> None:
    predicted = Server(None).predict(anything=[[1.0], [2.0]])
    desk = a_desk(None, predicted)
    assert said(desk, id=predicted.id, reward=[0.5, None]).what == "accepted"
    assert said(desk, id=predicted.id, reward=2, row=1).what == "accepted"
    assert said(desk, id=predicted.id, reward=3, row=1).what == "correction"
    assert the_cohort(desk).rewards == (2, 2.5, 4.25)
    refused = said(desk, id=predicted.id, label=["a", "b"])
    assert refused.what == "invalid"
    assert "signature.prediction" in refused.message


def test_cohorts_are_of_the_hour_of_the_prediction_and_the_way_it_went() -> None:
    server = Server(classes())
    told = [
        server.predict(NOON, arm="stable", epoch=1, label=["bad"]),
        server.predict(NOON + 3599, arm="canary", epoch=1, label=["bad", "bad"]),
        server.predict(NOON + 3600, arm="stable", epoch=2, label=["bad"]),
    ]
    found = a_desk(classes(), *told).feedback().cohorts
    assert [(each.hour - HOUR, each.arm, each.epoch, each.rows) for each in found] == [
        (0, "canary", 1, 2),
        (0, "stable", 1, 1),
        (1, "stable", 2, 1),
    ]


def test_inferences_that_failed_predicted_nothing() -> None:
    server = Server(classes())
    failed = server.predict()
    failed = replace(failed, inference=failed.inference._replace(status=500))
    desk = a_desk(classes(), failed, server.predict(label=["bad"]))
    assert the_cohort(desk).rows == 1
    assert said(desk, id=failed.id, label="bad").what == "unknown"


def test_losses_of_values_are_in_the_unit_of_the_reference() -> None:
    server = Server(values())
    told = [server.predict(value=[each]) for each in (10.0, 10.0, 10.0)]
    desk = a_desk(values(), *told)
    said(desk, id=told[0].id, label=10)
    assert (the_cohort(desk).labelled, the_cohort(desk).losses) == (1, [])
    desk.began(deviation=0.5)
    said(desk, id=told[1].id, label=11)
    said(desk, receipt=told[2].receipt, label=1000)
    assert the_cohort(desk).losses == [(50, 1), (100, 1)]


def test_the_mean_of_the_bins_is_that_of_the_losses() -> None:
    rng = np.random.default_rng(3)
    scores = rng.uniform(0.9, 1.0, 4_000)
    server = Server(probabilities())
    told = [server.predict(scores=[[1 - each, each]]) for each in scores.tolist()]
    desk = a_desk(probabilities())
    for first in range(0, len(told), 250):
        desk.observe(frame_of(*told[first : first + 250]))
    for each in told:
        assert said(desk, id=each.id, label=1).what == "accepted"
    mean = sum(place * count for place, count in the_cohort(desk).losses) / len(told) / 100
    # Of single bins, the nearest to all of these losses is 1: a mean of 0.01.
    assert mean == pytest.approx(float(np.mean(-np.log(scores) / 5)), rel=0.05)


def test_probabilities_are_counted_where_they_are_calibrated() -> None:
    server = Server(probabilities())
    told = [server.predict(scores=[[0.1, 0.9], [0.8, 0.2]]), server.predict(scores=[[0.3, 0.7]])]
    desk = a_desk(probabilities(), *told)
    found = desk.calibration()
    assert found is not None
    counted = Cbpe.from_json(json.dumps(found))
    assert counted.rows == 3
    assert counted.value(Metric.ACCURACY) == pytest.approx(0.8)
    desk.began(None)
    assert desk.calibration() is None
    assert a_desk(classes(), Server(classes()).predict(label=["bad"])).calibration() is None


def test_a_model_of_many_classes_has_its_loss_from_what_is_remembered() -> None:
    signature = ModelSignature(
        prediction=Prediction(
            task="multiclass", score="scores", calibrated=True, classes=["cat", "dog", "owl"]
        )
    )
    server = Server(signature)
    one = server.predict(scores=[[0.5, 0.5 - math.exp(-2), math.exp(-2)]])
    two = server.predict(scores=[[0.5, 0.3, 0.2]])
    desk = a_desk(signature, one)
    assert said(desk, id=one.id, label="owl").what == "accepted"
    assert the_cohort(desk).losses == [(40, 1)]
    # Its receipt has the class alone: the label is counted, its loss is not known.
    assert said(desk, receipt=two.receipt, label="owl").what == "accepted"
    assert (the_cohort(desk).labelled, the_cohort(desk).losses) == (2, [(40, 1)])


def test_outputs_that_are_not_as_the_signature_says_are_known_by_their_receipts_alone() -> None:
    strange = Server(None).predict(label=[[1.0, 2.0]], value=["much"], scores=["high"])
    for signature in (classes(), values(), probabilities()):
        desk = a_desk(signature)
        desk.observe(frame_of(strange))
        assert the_cohort(desk).rows == 1
