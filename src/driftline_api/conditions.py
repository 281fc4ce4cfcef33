"""Conditions and their reasons, after the kstatus rules.

A reason is a stable CamelCase word that programs may match on. The message beside it is for
people: it carries the numbers, and says who must act next and what to do.
"""

from enum import StrEnum
from typing import Final, Literal

ConditionStatus = Literal["True", "False", "Unknown"]


class ConditionType(StrEnum):
    """The kinds of condition on a Model."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    ROLLOUT_SUCCEEDED = "RolloutSucceeded"
    DRIFT_FREE = "DriftFree"


class Reason(StrEnum):
    """Why a condition has its status."""

    # Ready
    SERVING = "Serving"
    STARTING = "Starting"
    ROUTER_NOT_READY = "RouterNotReady"
    STABLE_UNAVAILABLE = "StableUnavailable"
    # Reconciling
    RESOLVING_ARTIFACT = "ResolvingArtifact"
    REVISION_STARTING = "RevisionStarting"
    AWAITING_ROUTERS = "AwaitingRouters"
    SWITCHING_TRAFFIC = "SwitchingTraffic"
    SCALING = "Scaling"
    UP_TO_DATE = "UpToDate"
    # Stalled, and RolloutSucceeded=False
    NAME_CONFLICT = "NameConflict"
    INVALID_SPEC = "InvalidSpec"
    CHILD_REFUSED = "ChildRefused"
    ARTIFACT_NOT_FOUND = "ArtifactNotFound"
    ARTIFACT_ACCESS_DENIED = "ArtifactAccessDenied"
    ARTIFACT_UNREACHABLE = "ArtifactUnreachable"
    ARTIFACT_INVALID = "ArtifactInvalid"
    SIGNATURE_INVALID = "SignatureInvalid"
    DIGEST_MISMATCH = "DigestMismatch"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a reason, not a password
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CRASH_LOOP = "CrashLoop"
    OUT_OF_MEMORY = "OutOfMemory"
    UNSCHEDULABLE = "Unschedulable"
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    PORTS_EXHAUSTED = "PortsExhausted"
    # Events of the receipts' keys
    KEYS_DAMAGED = "KeysDamaged"
    # RolloutSucceeded
    PROMOTED = "Promoted"
    IN_PROGRESS = "InProgress"
    # DriftFree
    NO_DRIFT = "NoDrift"
    DATA_INTEGRITY = "DataIntegrity"
    COVARIATE_DRIFT = "CovariateDrift"
    PREDICTION_DRIFT = "PredictionDrift"
    CONCEPT_DRIFT = "ConceptDrift"
    TRAINING_SERVING_SKEW = "TrainingServingSkew"
    INSUFFICIENT_DATA = "InsufficientData"
    BASELINE_MISSING = "BaselineMissing"
    # Events of drift
    DRIFT_DETECTED = "DriftDetected"
    DRIFT_CLEARED = "DriftCleared"
    BASELINE_LEARNED = "BaselineLearned"
    BASELINE_ACCEPTED = "BaselineAccepted"
    BASELINE_REFUSED = "BaselineRefused"


#: Reasons with which `DriftFree` is False: the data differ.
DRIFTED: Final = frozenset(
    {
        Reason.DATA_INTEGRITY,
        Reason.COVARIATE_DRIFT,
        Reason.PREDICTION_DRIFT,
        Reason.CONCEPT_DRIFT,
        Reason.TRAINING_SERVING_SKEW,
    }
)
#: All reasons of `DriftFree`.
DRIFT_REASONS: Final = DRIFTED | {
    Reason.NO_DRIFT,
    Reason.INSUFFICIENT_DATA,
    Reason.BASELINE_MISSING,
}
