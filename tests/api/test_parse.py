"""Whatever the API server stores, the operator can read."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftline_api.model import ModelSpec, ModelStatus
from driftline_api.status import Condition
from driftline_api.structural import structural
from driftline_api.text import MESSAGE_LIMIT
from tests.api.builders import GOOD_MODEL, merged
from tests.api.from_schema import drawn_from
from tests.conftest import ApiServer

MODELS = "/apis/driftline.dev/v1alpha1/namespaces/default/models"
SAME_EVERY_TIME = settings(
    derandomize=True,
    max_examples=400,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def parts(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw an object with few of its fields, so that most are refused for no reason or one."""
    fields = schema["properties"]
    chosen = st.lists(st.sampled_from(sorted(fields)), max_size=4, unique=True)
    return chosen.flatmap(
        lambda names: st.fixed_dictionaries(
            {name: drawn_from(fields[name], name) for name in names}
        )
    )


def test_every_stored_spec_is_understood(api_server: ApiServer) -> None:
    taken: list[bool] = []

    @SAME_EVERY_TIME
    @given(parts(structural(ModelSpec)))
    def check(spec: dict[str, Any]) -> None:
        model = {**GOOD_MODEL, "spec": {**GOOD_MODEL["spec"], **spec}}
        answer = api_server.request("POST", f"{MODELS}?dryRun=All", model)
        assert answer.status in {201, 400, 422}, answer.message
        taken.append(answer.status == 201)
        if answer.status == 201:
            ModelSpec.model_validate(answer.body["spec"])

    check()
    assert sum(taken) >= 100, "too few were taken to say anything"


def test_every_stored_status_is_understood(api_server: ApiServer) -> None:
    api_server.request("POST", MODELS, merged(GOOD_MODEL, {"metadata": {"name": "parsed"}}))
    taken: list[bool] = []

    @SAME_EVERY_TIME
    @given(parts(structural(ModelStatus)))
    def check(status: dict[str, Any]) -> None:
        path = f"{MODELS}/parsed/status?dryRun=All"
        kind = "application/merge-patch+json"
        answer = api_server.request("PATCH", path, {"status": status}, kind)
        assert answer.status in {200, 422}, answer.message
        taken.append(answer.status == 200)
        if answer.status == 200:
            ModelStatus.model_validate(answer.body.get("status", {}))

    check()
    api_server.request("DELETE", f"{MODELS}/parsed")
    assert sum(taken) >= 100, "too few were taken to say anything"


def test_foreign_text_of_any_length_fits_into_a_message() -> None:
    condition = Condition(
        type="Stalled",
        status="True",
        reason="ChildRefused",
        message="x" * 100_000,
        observed_generation=1,
        last_transition_time="2026-01-01T00:00:00Z",
    )

    assert len(condition.message) == MESSAGE_LIMIT
    assert condition.message.endswith("…")


@pytest.mark.parametrize("runtime", [{}, {"refreshToken": "x"}, {"onnx": None}])
def test_a_runtime_that_names_none_is_onnx(runtime: dict[str, Any]) -> None:
    spec = {"artifact": {"uri": "s3://b/m.onnx"}, "runtime": runtime}

    assert ModelSpec.model_validate(spec).runtime.onnx is not None
