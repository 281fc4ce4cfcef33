import pytest

from tests.cli.builders import Terminal


@pytest.fixture
def driftline(capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)
