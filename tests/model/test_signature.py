"""A signature reaches the server as it was meant, or is refused before a pod is made."""

from typing import Any

import pytest

from driftline_api.conditions import Reason
from driftline_api.model import ModelSpec
from driftline_api.names import MOST_SIGNATURE_BYTES, SIGNATURE_VARIABLE
from driftline_api.note import read_signature
from driftline_api.signature import ModelSignature
from driftline_operator.model.containers import Identity
from driftline_operator.model.observed import Pinned
from driftline_operator.model.refused_specs import spec_problem
from driftline_operator.model.template import render_server_template
from tests.model.builders import DIGEST, IMAGES, a_spec

FOREIGN = {"container": {"image": "team/server:1"}}


def a_signed(signature: dict[str, Any] | None, **spec: Any) -> ModelSpec:
    return ModelSpec.model_validate(a_spec(signature=signature, **spec))


def environment(spec: ModelSpec) -> dict[str, str]:
    """Return the variables of the container that serves."""
    pinned = Pinned(uri="s3://models/iris.onnx", digest=DIGEST)
    identity = Identity(model="iris", revision="iris-1")
    template = render_server_template(spec, pinned, identity, IMAGES)
    server, *_ = template["spec"]["containers"]
    return {each["name"]: each["value"] for each in server["env"]}


SIGNATURE = {
    "features": [{"name": "größe $(HOME) $$", "tensor": "X", "column": 3}],
    "prediction": {"task": "multiclass", "tensor": "label", "classes": ["$(PATH)", "b", "c"]},
}


@pytest.mark.parametrize("runtime", [{}, FOREIGN])
def test_the_server_is_given_what_the_spec_says(runtime: dict[str, Any]) -> None:
    given = environment(a_signed(SIGNATURE, runtime=runtime))[SIGNATURE_VARIABLE]

    assert read_signature(given) == ModelSignature.model_validate(SIGNATURE)


def test_nothing_in_it_is_a_variable_to_kubernetes() -> None:
    assert "$" not in environment(a_signed(SIGNATURE))[SIGNATURE_VARIABLE]


def test_the_server_of_a_model_without_one_is_given_none() -> None:
    assert SIGNATURE_VARIABLE not in environment(a_signed(None))


def feature(name: str, column: int, **fields: Any) -> dict[str, Any]:
    return {"name": name, "tensor": "X", "column": column, **fields}


LEVELS = [str(n) * 40 for n in range(100)]
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "two features of one column": (
        {"features": [feature("a", 1), feature("b", 1)]},
        "spec.signature.features",
    ),
    "a class twice": (
        {"prediction": {"task": "multiclass", "tensor": "y", "classes": ["a", "a"]}},
        "spec.signature.prediction.classes",
    ),
    "too much of it": (
        {"features": [feature(str(n), n, kind="categorical", levels=LEVELS) for n in range(20)]},
        f"and {MOST_SIGNATURE_BYTES} is the most",
    ),
}


@pytest.mark.parametrize(("signature", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_what_the_api_server_cannot_see_is_a_condition(
    signature: dict[str, Any], told: str
) -> None:
    problem = spec_problem(a_signed(signature))

    assert problem
    assert problem.reason is Reason.INVALID_SPEC
    assert told in problem.message


def test_a_good_one_is_no_problem() -> None:
    assert spec_problem(a_signed(SIGNATURE)) is None
