"""Who acts next, and what to do."""

from driftline_stats.watch.findings import Performance, Reason, Recommendation

_WHERE = "monitoring.baseline"
_TEXTS: dict[tuple[Reason, Recommendation], str] = {
    (Reason.NO_DRIFT, Recommendation.NOTHING): "Nobody need do anything.",
    (Reason.INSUFFICIENT_DATA, Recommendation.WAIT): (
        "Nobody need do anything: an answer follows when there are more rows."
    ),
    (Reason.DATA_INTEGRITY, Recommendation.FIX_DATA): (
        "Whoever sends the requests: find out what changed in what is named first, and mend it. "
        "Neither retraining nor going back helps while inputs are faulty. If the new values are "
        "right, build a profile of data that has them."
    ),
    (Reason.DATA_INTEGRITY, Recommendation.ROLL_BACK): (
        "Whoever released the revision: the fault came with it and the one before had none. Go "
        "back to that one, then mend what the revision expects of its inputs."
    ),
    (Reason.CONCEPT_DRIFT, Recommendation.RETRAIN): (
        "Whoever owns the model: the same model is more often wrong than it was. Retrain with "
        "labelled rows from after the change, and check first that labels mean what they did."
    ),
    (Reason.CONCEPT_DRIFT, Recommendation.ROLL_BACK): (
        "Whoever owns the model: it is more often wrong than it was, and its inputs have not "
        "moved. If the revision before does better on the same rows, go back to it; otherwise "
        "retrain with labelled rows from after the change."
    ),
    (Reason.TRAINING_SERVING_SKEW, Recommendation.ACCEPT): (
        "Whoever owns the model: no loss is seen. If the live rows are right, name this revision "
        f"in {_WHERE}.accept: drift is then watched for against its first rows."
    ),
    (Reason.TRAINING_SERVING_SKEW, Recommendation.INVESTIGATE): (
        "Whoever owns the model: compare how these features are made in training and in serving. "
        "If serving is wrong, mend it. If it is right, name this revision in "
        f"{_WHERE}.accept, or retrain on rows as they are served."
    ),
    (Reason.COVARIATE_DRIFT, Recommendation.NOTHING): (
        "Nobody need act: inputs are others than they were, and no loss is seen. Keep labels "
        "coming; they would show one."
    ),
    (Reason.COVARIATE_DRIFT, Recommendation.INVESTIGATE): (
        "Whoever owns the model: find out whether the features named first are as they should be. "
        "If they are, get labels for rows from after the change: only these tell whether the model "
        "is worse. Inputs that moved are no reason to go back."
    ),
    (Reason.PREDICTION_DRIFT, Recommendation.NOTHING): (
        "Nobody need act: predictions are others than they were, and no loss is seen."
    ),
    (Reason.PREDICTION_DRIFT, Recommendation.INVESTIGATE): (
        "Whoever owns the model: predictions moved and no watched input did. Look at inputs that "
        "are excluded or tolerated, and get labels for rows from after the change."
    ),
}
_RETRAIN = (
    "Whoever owns the model: retrain with rows from after the change. Inputs moved by more than "
    "matters, and loss with them."
)


def advice_for(
    reason: Reason, recommendation: Recommendation, performance: Performance | None
) -> str:
    """Return what to do, for people.

    >>> advice_for(Reason.NO_DRIFT, Recommendation.NOTHING, None)
    'Nobody need do anything.'

    Args:
        reason: what was found.
        recommendation: what the evidence speaks for.
        performance: what is known of labels: where there are none, they are asked for.
    """
    text = _TEXTS.get((reason, recommendation), _RETRAIN)
    if recommendation is Recommendation.INVESTIGATE and performance and performance.labels:
        return f"{text} So far: {performance.text}."
    return text
