"""Requests and responses of HTTP/1.1, as they cross the border between bytes and routes.

A record that is made for every request has an `__init__` of its own: what `dataclass` would write
stays interpreted where all else is compiled.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

import orjson

JSON = "application/json"
BINARY = "application/octet-stream"


@dataclass(kw_only=True)
class Request:
    """A request; names of headers are in lower case. The body comes after the rest."""

    method: str = ""
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(slots=True, init=False)
class Response:
    """What goes back.

    Attributes:
        headers: beside those that every response has; whole lines, see `header_lines`.
    """

    status: int
    body: bytes
    content_type: str
    headers: str

    def __init__(
        self, *, status: int = 200, body: bytes = b"", content_type: str = JSON, headers: str = ""
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers


def header_lines(headers: Mapping[str, str]) -> str:
    r"""Return headers as they are sent.

    >>> header_lines({"allow": "GET"})
    'allow: GET\r\n'
    """
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def as_json(content: object, status: int = 200) -> Response:
    """Return a response of JSON."""
    return Response(status=status, body=orjson.dumps(content))


def as_error(message: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error in the protocol's form."""
    # A message may quote what a client sent, which may not be text.
    body = orjson.dumps({"error": message.encode("utf-8", "replace").decode()})
    return Response(status=status, body=body, headers=header_lines(headers or {}))


_REASONS = {status.value: status.phrase for status in HTTPStatus}


def rendered(response: Response, *, closing: bool, with_body: bool) -> bytes:
    """Return the bytes of a response.

    Args:
        response: What is said.
        closing: The connection ends with it.
        with_body: False for HEAD: the headers alone, as GET would have them.
    """
    status, body = response.status, response.body
    kind = f"content-type: {response.content_type}\r\n" if body else ""
    head = (
        f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\ncontent-length: {len(body)}\r\n"
        f"date: {_dates.now()}\r\n{kind}{response.headers}{_CLOSING if closing else ''}\r\n"
    ).encode("latin-1")
    return head + body if with_body else head


_CLOSING = "connection: close\r\n"


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
