"""What an inference call is, however it was sent, and the checks that all forms of it share."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Final, Protocol, TypeVar

from driftline_serving.errors import RequestError, ServingError
from driftline_serving.server.tensors import Array, Signature, TensorSpec, WantedOutput

#: Bytes of a body, and of results, above which they are read and written on a thread: a few
#: milliseconds of JSON would hold up everybody else who is connected.
LARGE: Final = 64 * 1024

#: JSON takes up to thirty times its size while it is read, and holds up the process.
MOST_JSON_BYTES: Final = 16 * 1024 * 1024

#: An empty axis does not make the others small: numpy refuses shapes beyond its address space.
_MOST_ELEMENTS: Final = 2**40

AnswerT = TypeVar("AnswerT")


@dataclass(slots=True, init=False)
class InferRequest:
    """One inference call, checked against the model's signature.

    It is not changed once it is made; it is not frozen because that makes it three times as dear.
    It has an `__init__` for the reason that `http.messages` gives.
    """

    id: str | None
    inputs: Mapping[str, Array]
    outputs: tuple[WantedOutput, ...]
    #: Whether the answer says of itself in its parameters what it says in its headers.
    with_provenance: bool

    def __init__(
        self,
        *,
        id: str | None,  # noqa: A002 - the protocol's name
        inputs: Mapping[str, Array],
        outputs: tuple[WantedOutput, ...],
        with_provenance: bool = False,
    ) -> None:
        self.id = id
        self.inputs = inputs
        self.outputs = outputs
        self.with_provenance = with_provenance


class Answered(Protocol):
    """A call that the model has answered; see `observation.Finished`."""

    headers: Mapping[str, str]
    request: InferRequest | None
    results: Sequence[Array]
    prediction_id: str


class Question(Protocol[AnswerT]):
    """An inference call as a transport carries it: how it is read, and its answer written."""

    @property
    def protocol(self) -> str:
        """`http` or `grpc`."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What came with it; names in lower case."""

    @property
    def is_large(self) -> bool:
        """Whether it is read on a thread; see `LARGE`."""

    def read(self, signature: Signature) -> InferRequest:
        """Read it, once, and let go of what was read; on whatever thread.

        Raises:
            RequestError: it is not a request that this model can be asked.
        """

    def answer(self, answered: Answered, signature: Signature) -> AnswerT:
        """Write the answer; on whatever thread."""

    def deliver(self, result: AnswerT | ServingError) -> None:
        """Send the answer, or why there is none; called once at most, in the loop."""


def expected_input(
    name: str, specs: Mapping[str, TensorSpec], before: Container[str]
) -> TensorSpec:
    """Return what the model takes under a name.

    Raises:
        RequestError: nothing, or it is among those given before.
    """
    spec = specs.get(name)
    if spec is None:
        raise RequestError(f"unknown input {name!r}; the model takes {_names(specs)}")
    if name in before:
        raise RequestError(f"input {name!r} is given twice")
    return spec


def check_tensor(spec: TensorSpec, datatype: str, shape: tuple[int, ...]) -> None:
    """Check what a client says of an input.

    Raises:
        RequestError: it is not what the model takes.
    """
    where = f"input {spec.name!r}"
    if not datatype:
        raise RequestError(f"{where}: datatype is missing")
    if datatype != spec.datatype.value:
        raise RequestError(f"{where}: datatype is {datatype}, the model takes {spec.datatype}")
    if len(shape) != len(spec.shape):
        raise RequestError(
            f"{where}: shape has {len(shape)} axes, the model takes {list(spec.shape)}"
            " (-1: any length)"
        )
    if prod(max(axis, 1) for axis in shape) > _MOST_ELEMENTS:
        raise RequestError(f"{where}: shape {list(shape)} is larger than any request")
    if not spec.admits(shape):
        raise RequestError(
            f"{where}: shape is {list(shape)}, the model takes {list(spec.shape)} (-1: any length)"
        )


def check_complete(specs: Mapping[str, TensorSpec], given: Container[str]) -> None:
    """Check that no input is missing.

    Raises:
        RequestError: one is.
    """
    missing = [name for name in specs if name not in given]
    if missing:
        raise RequestError(f"missing input {_names(missing)}; the model takes {_names(specs)}")


def check_output(name: str, known: Sequence[str], before: Container[str]) -> None:
    """Check that an output can be asked for.

    Raises:
        RequestError: the model has none of that name, or it is among those asked for before.
    """
    if name not in known:
        raise RequestError(f"unknown output {name!r}; the model gives {_names(known)}")
    if name in before:
        raise RequestError(f"output {name!r} is asked for twice")


def check_input_parameters(where: str, has: Callable[[str], bool]) -> None:
    """Check that an input asks for nothing that would be ignored; `has` tells its parameters.

    Raises:
        RequestError: it does.
    """
    if has("shared_memory_region"):
        raise RequestError(f"{where}: shared memory is not supported; send the data")


def check_output_parameters(where: str, has: Callable[[str], bool]) -> None:
    """Do the same for an output that is asked for.

    Raises:
        RequestError: it asks for what would be ignored.
    """
    for unsupported in ("shared_memory_region", "classification"):
        if has(unsupported):
            raise RequestError(f"{where}: the parameter {unsupported} is not supported")


def out_of_range(spec: TensorSpec) -> RequestError:
    """Return the error for an input that holds a value which its datatype has not."""
    return RequestError(f"input {spec.name!r}: a value is out of range for {spec.datatype}")


def _names(names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(repr(name) for name in names)
