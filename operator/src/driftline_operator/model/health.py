"""Why a revision does not get ready, told from its pods: named causes, the surest first.

Kubernetes retries all of these by itself, so a revision recovers without us as soon as the cause
is gone. What is decided here is what to tell, and when it is certain that waiting will not help.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from driftline_api.conditions import Reason
from driftline_operator.model.clock import BEGINNING
from driftline_operator.model.observed import ContainerView, PodView
from driftline_operator.model.pods import left_behind

AT_ONCE: Final = BEGINNING
#: A registry that hiccups for less than this is not worth alarming anybody.
PULL_PATIENCE: Final = timedelta(seconds=30)
#: Who has crashed that often has not just been unlucky.
CRASHES: Final = 2
TAIL: Final = 300
#: Our own containers say the most important first, and leave at most 1,500 characters.
OWN_TAIL: Final = 1_500

_ARTIFACT_REMEDY: Final = {
    Reason.ARTIFACT_NOT_FOUND: "correct spec.artifact.uri, or upload the artifact",
    Reason.ARTIFACT_ACCESS_DENIED: "correct the credentials in the Secret that "
    "spec.artifact.secretRef names, or their rights",
    Reason.ARTIFACT_UNREACHABLE: "check the endpoint, DNS, certificates and egress policies",
    Reason.ARTIFACT_INVALID: "export the model again and upload it, then set its digest",
    Reason.SIGNATURE_INVALID: "correct spec.signature, or driftline.json in the artifact",
    Reason.DIGEST_MISMATCH: "set spec.artifact.digest to that of the file, or a new "
    "spec.artifact.refreshToken, or put the right file in place",
}
_NEVER_PULLED: Final = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_NOT_PULLED: Final = _NEVER_PULLED | {"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"}
_NOT_STARTED: Final = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError"}
)
#: What the runtimes say, and what it means. The text itself differs from one try to the next.
_PULL_CAUSES: Final = {
    ("not found", "does not exist", "manifest unknown"): "it is not there",
    ("unauthorized", "denied", "forbidden", "authentication"): "access is denied",
    ("no such host", "timeout", "refused", "unreachable"): "the registry cannot be reached",
}
_SECRET: Final = re.compile(r'secret "(?P<name>[^"]+)" not found')


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What keeps something from going on.

    Attributes:
        message: what is wrong, with the numbers.
        remedy: what a person is to do, as an order.
        certain: from when on it is sure that a person must act; None while it may pass by
            itself, which ends with the progress deadline.
    """

    reason: Reason
    message: str
    remedy: str
    certain: datetime | None = AT_ONCE

    def is_certain(self, now: datetime) -> bool:
        """Tell whether waiting any longer is of no use."""
        return self.certain is not None and now >= self.certain


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """Something made of pods that is not ready: a revision or a Job.

    Attributes:
        refused: why its pods could not be created.
        memory: the memory limit of what serves, as written; empty without one.
    """

    pods: Sequence[PodView] = ()
    refused: str = ""
    memory: str = ""

    def newest_first(self) -> list[PodView]:
        """Return the pods, newest first, those that are ready left out."""
        unready = sorted((pod for pod in self.pods if not pod.ready), key=lambda pod: pod.name)
        return sorted(unready, key=lambda pod: pod.created, reverse=True)

    def containers(self) -> Iterator[tuple[PodView, ContainerView]]:
        """Yield what does not serve, of the newest pods first."""
        for pod in self.newest_first():
            for container in pod.containers:
                if not container.ready:
                    yield pod, container


def artifact_refused(suspect: Suspect) -> Problem | None:
    """Our own containers say themselves what is wrong with an artifact."""
    for pod, container in suspect.containers():
        left = left_behind(container.failure)
        reason = next((each for each in _ARTIFACT_REMEDY if each == left.get("reason")), None)
        if reason is not None:
            told = _tail(left.get("message"), OWN_TAIL)
            return Problem(
                reason=reason,
                message=f"{container.name} of pod {pod.name}: {told}",
                remedy=_ARTIFACT_REMEDY[reason],
                certain=None if reason is Reason.ARTIFACT_UNREACHABLE else AT_ONCE,
            )
    return None


def secret_missing(suspect: Suspect) -> Problem | None:
    """A container cannot be made for want of a Secret, or of a key in one."""
    for pod, container in suspect.containers():
        named = _SECRET.search(container.message)
        keyless = "find key" in container.message and "Secret" in container.message
        if container.waiting in _NOT_STARTED and (named or keyless):
            what = f'Secret "{named["name"]}" is not there' if named else container.message
            return Problem(
                reason=Reason.SECRET_NOT_FOUND,
                message=f"{container.name} of pod {pod.name} cannot start: {what}",
                remedy="create it in the namespace of the Model, or correct its name",
            )
    return None


def image_not_pulled(suspect: Suspect) -> Problem | None:
    """An image is not there, or not for us."""
    for pod, container in suspect.containers():
        if container.waiting in _NOT_PULLED:
            hopeless = container.waiting in _NEVER_PULLED
            return Problem(
                reason=Reason.IMAGE_PULL_FAILED,
                message=f"image {container.image} of pod {pod.name} cannot be pulled"
                f"{_pull_cause(container.message)}",
                remedy="correct the image's name or tag, or spec.imagePullSecrets",
                certain=AT_ONCE if hopeless else pod.created + PULL_PATIENCE,
            )
    return None


def out_of_memory(suspect: Suspect) -> Problem | None:
    """The kernel killed a container at its memory limit."""
    for pod, container in suspect.containers():
        failure = container.failure
        if failure and failure.reason == "OOMKilled":
            limit = f" of {suspect.memory}" if suspect.memory else ""
            return Problem(
                reason=Reason.OUT_OF_MEMORY,
                message=f"{container.name} of pod {pod.name} was killed at its memory "
                f"limit{limit}, {_often(container)}",
                remedy="raise spec.resources.limits.memory, or make the model smaller",
                certain=AT_ONCE if container.restarts else None,
            )
    return None


def crash_loop(suspect: Suspect) -> Problem | None:
    """A container ends, again and again, whatever its exit code says."""
    for pod, container in suspect.containers():
        ended = container.failure or (container.last if container.restarts else None)
        if ended is None or (pod.finished and not ended.exit_code):
            continue
        said = f": {_tail(ended.message)}" if ended.message else ""
        return Problem(
            reason=Reason.CRASH_LOOP,
            message=f"{container.name} of pod {pod.name} ended with code {ended.exit_code}, "
            f"{_often(container)}{said}",
            remedy=f"see kubectl logs {pod.name} -c {container.name} --previous",
            certain=AT_ONCE if container.restarts >= CRASHES else None,
        )
    return None


def container_not_made(suspect: Suspect) -> Problem | None:
    """The kubelet cannot make a container: a missing ConfigMap, an image that runs as root."""
    for pod, container in suspect.containers():
        if container.waiting in _NOT_STARTED:
            return Problem(
                reason=Reason.CRASH_LOOP,
                message=f"{container.name} of pod {pod.name} cannot start: "
                f"{_tail(container.message) or container.waiting}",
                remedy="correct spec.runtime or spec.podTemplate",
                certain=pod.created + PULL_PATIENCE,
            )
    return None


def unschedulable(suspect: Suspect) -> Problem | None:
    """No node fits. One may be added, or freed, while we wait."""
    for pod in suspect.newest_first():
        if pod.unschedulable:
            return Problem(
                reason=Reason.UNSCHEDULABLE,
                message=f"pod {pod.name}: {_tail(pod.unschedulable)}",
                remedy="lower spec.resources.requests, correct nodeSelector, affinity and "
                "tolerations, or add nodes",
                certain=None,
            )
    return None


def pods_refused(suspect: Suspect) -> Problem | None:
    """The API server takes no pods. A quota may be freed while we wait, a policy will not."""
    if not suspect.refused:
        return None
    return Problem(
        reason=Reason.CHILD_REFUSED,
        message=f"its pods are refused: {_tail(suspect.refused)}",
        remedy="correct the Model, or have the rule that refuses them changed",
        certain=None if "quota" in suspect.refused else AT_ONCE,
    )


#: In this order: what a container says of itself is surer than what others say about it.
CAUSES: Final[tuple[Callable[[Suspect], Problem | None], ...]] = (
    artifact_refused,
    secret_missing,
    image_not_pulled,
    out_of_memory,
    container_not_made,
    crash_loop,
    unschedulable,
    pods_refused,
)


def diagnose(suspect: Suspect) -> Problem | None:
    """Return the surest cause, None where nothing is known to be wrong."""
    found = (cause(suspect) for cause in CAUSES)
    return next((problem for problem in found if problem), None)


def _pull_cause(message: str) -> str:
    said = message.lower()
    causes = (why for words, why in _PULL_CAUSES.items() if any(word in said for word in words))
    cause = next(causes, None)
    return f": {cause}" if cause else ""


def _often(container: ContainerView) -> str:
    """Return how often a container ended; not in exact numbers, which would only move."""
    return ("once", "twice")[container.restarts] if container.restarts < 2 else "3 times or more"


def _tail(text: object, most: int = TAIL) -> str:
    """Return the end of a text, on one line: where programs say what went wrong."""
    words = " ".join(str(text or "").split())
    return words if len(words) <= most else "…" + words[-most:]
