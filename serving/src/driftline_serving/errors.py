"""Everything that can go wrong here and is not a bug.

    ServingError
    |-- RequestError          the client's mistake: a 4xx that says what was expected
    |-- UnavailableError      not just now: the queue is full, or the model is still loading
    |-- InferenceError        the model itself failed on a request that was well formed
    |-- ArtifactError         terminal: a person must change the artifact, its place or the rights
    |   `-- TransientError    retried until the time is up; then it is told like its parent
    |-- BaselineError         the profile cannot be had, or is not of this model
    |   `-- BaselineAwayError it cannot be had just now: it may be asked for again
    |-- ListenError           the server's port is not to be had
    `-- WorkerError           a worker ended, and with it the server must

An `ArtifactError` carries the reason that the operator shows on the Model.
"""

from driftline_api.conditions import Reason


class ServingError(Exception):
    """Root of the tree.

    Attributes:
        status: by which a client is told over HTTP.
    """

    status: int = 500


class RequestError(ServingError):
    """The client asked for something that this model cannot be asked."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class UnavailableError(ServingError):
    """Try again, here or elsewhere."""

    status = 503


class InferenceError(ServingError):
    """ONNX Runtime gave up on a valid request."""


class ArtifactError(ServingError):
    """The artifact cannot be had or used as it is."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class TransientError(ArtifactError):
    """The artifact cannot be had just now."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.ARTIFACT_UNREACHABLE, message)


class BaselineError(ServingError):
    """There is no baseline to be had from this profile; says why, and who must do what."""


class BaselineAwayError(BaselineError):
    """The profile cannot be fetched just now."""


class ListenError(ServingError):
    """Somebody else listens there, or we may not."""


class WorkerError(ServingError):
    """A worker ended in a way that ends the server.

    Attributes:
        code: to end with.
        left: what the worker left as its reason, as for `termination`; may be empty.
    """

    def __init__(self, message: str, code: int, left: bytes) -> None:
        super().__init__(message)
        self.code = code
        self.left = left
