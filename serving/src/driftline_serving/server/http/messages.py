"""Requests and responses of HTTP/1.1, as they cross the border between bytes and routes."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

import orjson

JSON = "application/json"
BINARY = "application/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A whole request; names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What goes back.

    Attributes:
        headers: beside those that every response has.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(content: object, status: int = 200) -> Response:
    """Return a response of JSON."""
    return Response(status=status, body=orjson.dumps(content))


def as_error(message: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error in the protocol's form."""
    # A message may quote what a client sent, which may not be text.
    body = orjson.dumps({"error": message.encode("utf-8", "replace").decode()})
    return Response(status=status, body=body, headers=headers or {})


_REASONS = {status.value: status.phrase for status in HTTPStatus}


def rendered(response: Response, *, closing: bool, with_body: bool) -> bytes:
    """Return the bytes of a response.

    Args:
        response: What is said.
        closing: The connection ends with it.
        with_body: False for HEAD: the headers alone, as GET would have them.
    """
    status = response.status
    lines = [
        f"HTTP/1.1 {status} {_REASONS.get(status, '')}",
        f"content-length: {len(response.body)}",
        f"date: {_dates.now()}",
    ]
    if response.body:
        lines.append(f"content-type: {response.content_type}")
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    if closing:
        lines.append("connection: close")
    head = "\r\n".join([*lines, "\r\n"]).encode("latin-1")
    return head + response.body if with_body else head


class _Dates:
    """The date of responses, written anew once a second."""

    def __init__(self) -> None:
        self._second, self._text = 0, ""

    def now(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second, self._text = second, formatdate(second, usegmt=True)
        return self._text


_dates = _Dates()
