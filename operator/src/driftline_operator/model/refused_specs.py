"""What a spec may not ask for and the API server cannot know: it takes our template to see it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from driftline_api.conditions import Reason
from driftline_api.keys import KEYS_SECRET
from driftline_api.model import ModelSpec
from driftline_operator.model.health import Problem

_OUR_VOLUMES: Final = frozenset({"model", "tmp", "pvc", KEYS_SECRET})
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


RULES: Final[tuple[Callable[[ModelSpec], Problem | None], ...]] = (
    volume_is_ours,
    environment_is_ours,
)


def spec_problem(spec: ModelSpec) -> Problem | None:
    """Return why a spec cannot be realised, None where it can."""
    return next((problem for rule in RULES if (problem := rule(spec))), None)


def _maps(value: Any) -> Iterable[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
