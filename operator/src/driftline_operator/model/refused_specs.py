"""What a spec may not ask for and the API server cannot know: it takes our template to see it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from driftline_api.conditions import Reason
from driftline_api.keys import KEYS_SECRET
from driftline_api.model import ModelSpec
from driftline_api.names import MOST_SIGNATURE_BYTES
from driftline_api.signature import mistakes
from driftline_operator.model.containers import signature_text
from driftline_operator.model.health import Problem

_OUR_VOLUMES: Final = frozenset({"model", "tmp", "pvc", "tap", KEYS_SECRET})
_OUR_ENVIRONMENT: Final = "DRIFTLINE_"


def volume_is_ours(spec: ModelSpec) -> Problem | None:
    """A volume merged over one of ours would have two sources."""
    pod = (spec.pod_template or {}).get("spec") or {}
    taken = _OUR_VOLUMES.intersection(each.get("name") for each in _maps(pod.get("volumes")))
    if not taken:
        return None
    return Problem(
        reason=Reason.INVALID_SPEC,
        message=f"spec.podTemplate.spec.volumes: {', '.join(sorted(taken))} is a volume of "
        "Driftline's own",
        remedy="choose another name for yours",
    )


def environment_is_ours(spec: ModelSpec) -> Problem | None:
    """Answers name their revision by these variables: they must not say something else."""
    pod = (spec.pod_template or {}).get("spec") or {}
    for container in _maps(pod.get("containers")):
        for variable in _maps(container.get("env")):
            if str(variable.get("name")).startswith(_OUR_ENVIRONMENT):
                where = f"spec.podTemplate.spec.containers[{container.get('name')}].env"
                return Problem(
                    reason=Reason.INVALID_SPEC,
                    message=f"{where}: {variable['name']} is set by Driftline",
                    remedy=f"choose a name that does not begin with {_OUR_ENVIRONMENT}",
                )
    return None


def signature_is_mistaken(spec: ModelSpec) -> Problem | None:
    """The API server cannot compare the items of long lists."""
    for where, what in mistakes(spec.signature) if spec.signature else ():
        return Problem(
            reason=Reason.INVALID_SPEC,
            message=f"spec.signature.{where} cannot be meant so",
            remedy=what,
        )
    return None


def signature_is_too_long(spec: ModelSpec) -> Problem | None:
    """It travels in an environment variable, and stands in each pod."""
    size = len(signature_text(spec.signature)) if spec.signature else 0
    if size <= MOST_SIGNATURE_BYTES:
        return None
    return Problem(
        reason=Reason.INVALID_SPEC,
        message=f"spec.signature takes {size} bytes, and {MOST_SIGNATURE_BYTES} is the most",
        remedy="put it into driftline.json beside model.onnx, or leave out levels",
    )


RULES: Final[tuple[Callable[[ModelSpec], Problem | None], ...]] = (
    volume_is_ours,
    environment_is_ours,
    signature_is_mistaken,
    signature_is_too_long,
)


def spec_problem(spec: ModelSpec) -> Problem | None:
    """Return why a spec cannot be realised, None where it can."""
    return next((problem for rule in RULES if (problem := rule(spec))), None)


def _maps(value: Any) -> Iterable[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
