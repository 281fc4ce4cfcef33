"""Each mistake is refused where it is made, naming the field and the remedy."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.api.builders import GOOD_MODEL, merged
from tests.conftest import ApiServer

CASES = yaml.safe_load((Path(__file__).parent / "bad_models.yaml").read_text())
MODELS = "/apis/driftline.dev/v1alpha1/namespaces/default/models"


def expanded(value: Any) -> Any:
    """Replace `{41 m}` by 41 times m, so that the table stays readable."""
    if isinstance(value, Mapping):
        return {key: expanded(item) for key, item in value.items()}
    if isinstance(value, str):
        return re.sub(r"\{(\d+) (.)\}", lambda found: found[2] * int(found[1]), value)
    return value


def test_table_is_as_long_as_was_promised() -> None:
    assert len({case["case"] for case in CASES}) == len(CASES) >= 40


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_refused_with_field_and_remedy(api_server: ApiServer, case: dict[str, Any]) -> None:
    bad = merged(GOOD_MODEL, expanded(case["model"]))

    answer = api_server.request("POST", f"{MODELS}?fieldValidation=Strict", bad)

    assert answer.status in {400, 422}, answer.body
    assert case["field"] in answer.message
    assert case["remedy"] in answer.message
