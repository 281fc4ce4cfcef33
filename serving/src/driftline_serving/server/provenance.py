"""What an answer says of itself, beside what the model said.

It stands in headers over HTTP, in trailing metadata over gRPC, and in the response's `parameters`
where a request asks for that: standard clients hide headers.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from driftline_api.names import (
    ARM_HEADER,
    EPOCH_HEADER,
    PREDICTION_ID_HEADER,
    RECEIPT_HEADER,
    REQUEST_ID_HEADER,
)
from driftline_serving.receipt import MOST_PREDICTIONS
from driftline_serving.server.keyring import Keyring
from driftline_serving.server.predictions import Predictions
from driftline_serving.server.request import Answered

#: The request's parameter that asks for the same in the response's parameters.
PARAMETER: Final = "driftline"
TRACE_PARENT: Final = "traceparent"
TRACE_STATE: Final = "tracestate"

_PASSED_ON: Final = frozenset({REQUEST_ID_HEADER, TRACE_PARENT})
#: A client's own id goes into headers and logs as it came.
_REQUEST_ID: Final = re.compile(r"[!-~]{1,128}")
#: After W3C Trace Context, sections 3.2 and 3.3. A later version may have further fields.
_PARENT_FIELDS: Final = r"(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
_PARENT: Final = re.compile(
    rf"00-{_PARENT_FIELDS}|(?!00|ff)[0-9a-f]{{2}}-{_PARENT_FIELDS}(-[!-~]{{0,200}})?"
)
_MEMBER: Final = re.compile(
    r"([a-z][-a-z0-9_*/]{0,255}|[a-z0-9][-a-z0-9_*/]{0,240}@[a-z][-a-z0-9_*/]{0,13})"
    r"=[ -+\--<>-~]{0,255}[!-+\--<>-~]"
)
_MOST_STATE: Final = 512
_MOST_MEMBERS: Final = 32


class Provenance:
    """Says of each answer where it comes from.

    Args:
        server: What is the same in all answers: headers that tell who answered.
        keyring: Signs receipts, where it has keys.

    Attributes:
        predictions: Reads what was predicted out of an answer; None where no signature says how.
    """

    def __init__(self, server: Mapping[str, str], keyring: Keyring) -> None:
        self.server = server
        self.predictions: Predictions | None = None
        self._keyring = keyring

    def receipt(self, answered: Answered) -> str:
        """Return a signed receipt, empty where there is no key."""
        signer = self._keyring.signer
        if signer is None:
            return ""
        headers = answered.headers
        return signer.sign(
            answered.prediction_id,
            headers.get(ARM_HEADER, ""),
            headers.get(EPOCH_HEADER, ""),
            self._predicted(answered),
        )

    def _predicted(self, answered: Answered) -> Sequence[float]:
        request = answered.request
        if self.predictions is None or request is None:
            return ()
        pairs = zip(request.outputs, answered.results, strict=True)
        outputs = {wanted.name: array for wanted, array in pairs}
        return self.predictions.values(outputs, MOST_PREDICTIONS) or ()

    def of(self, answered: Answered, receipt: str) -> dict[str, str]:
        """Return all that an answer says of itself."""
        signed = {RECEIPT_HEADER: receipt} if receipt else {}
        return {PREDICTION_ID_HEADER: answered.prediction_id, **signed, **self.server}


def passed_on(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return those of a request's headers that go back with the answer, as they came.

    What is not well-formed is left out: to refuse an answer for it would help nobody.
    """
    kept: list[tuple[str, str]] = []
    if _PASSED_ON.isdisjoint(headers):
        return kept
    given = headers.get(REQUEST_ID_HEADER)
    if given and _REQUEST_ID.fullmatch(given):
        kept.append((REQUEST_ID_HEADER, given))
    parent = headers.get(TRACE_PARENT)
    if parent and _PARENT.fullmatch(parent):
        kept.append((TRACE_PARENT, parent))
        state = headers.get(TRACE_STATE)
        if state and _is_state(state):
            kept.append((TRACE_STATE, state))
    return kept


def log_context(headers: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return what a log record is given as `extra`, to be found by the client's own names."""
    return {"context": dict(passed_on(headers))}


def _is_state(text: str) -> bool:
    if len(text) > _MOST_STATE:
        return False
    members = [member for each in text.split(",") if (member := each.strip(" "))]
    return 0 < len(members) <= _MOST_MEMBERS and all(map(_MEMBER.fullmatch, members))
