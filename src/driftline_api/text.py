"""Texts and numbers of statuses, bounded: what somebody else wrote may be of any length."""

from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from driftline_api.schema import Extension

MESSAGE_LIMIT: Final = 2048


def cut(most: int) -> BeforeValidator:
    """Return what shortens a longer text to `most` characters."""

    def shortened(text: object) -> object:
        if isinstance(text, str) and len(text) > most:
            return text[: most - 1] + "…"
        return text

    return BeforeValidator(shortened)


Message = Annotated[str, cut(MESSAGE_LIMIT), Field(max_length=MESSAGE_LIMIT)]
RevisionName = Annotated[str, Field(max_length=63)]
#: RFC 3339.
Time = Annotated[str, Field(max_length=40), Extension({"format": "date-time"})]
Count = Annotated[int, Field(ge=0, le=2_147_483_647), Extension({"format": "int32"})]
