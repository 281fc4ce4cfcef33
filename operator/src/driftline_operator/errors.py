"""Everything that can go wrong on purpose.

    DriftlineError
    ├── TerminalError            the user must act; not retried until something changes
    │   ├── ConfigError          the installation's settings do not make sense
    │   └── RefusedError         the API server understood and said no (invalid, forbidden)
    └── TransientError           retried with backoff
        ├── ConflictError        the object changed since it was read, or a precondition failed
        ├── GoneError            the object to be changed is no longer there (404)
        ├── ExpiredError         the resourceVersion is too old (410): list anew
        ├── NotLeaderError       the Lease was not renewed in time: the plan is dropped
        └── UnavailableError     no answer, a time-out, 429 or 5xx

Any other exception is a bug: it is logged with its traceback, counted and retried with backoff.
"""


class DriftlineError(Exception):
    """Base of every error that Driftline raises on purpose."""


class TerminalError(DriftlineError):
    """Only the user can mend this."""


class ConfigError(TerminalError):
    """A setting is missing or cannot be read."""


class RefusedError(TerminalError):
    """The API server refused the request as invalid or forbidden.

    Attributes:
        status: the HTTP status code.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class TransientError(DriftlineError):
    """Worth another try."""


class ConflictError(TransientError):
    """The object is not the one that was read."""


class GoneError(TransientError):
    """The object to be changed is not there."""


class ExpiredError(TransientError):
    """The resourceVersion is no longer known to the API server."""


class NotLeaderError(TransientError):
    """Another replica may lead."""


class UnavailableError(TransientError):
    """The API server gave no usable answer."""
