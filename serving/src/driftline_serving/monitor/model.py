"""What the monitor knows of the model: by its signature, and where that is silent by the server."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from driftline_api.names import SIGNATURE_FILE
from driftline_api.note import SignatureError, read_note, read_signature
from driftline_api.signature import ModelSignature
from driftline_serving.server.tensors import Datatype, Signature, TensorSpec
from driftline_serving.watched.watched import Watched, watched_of

#: Bytes of a `driftline.json` and of what a server says of its model.
_MOST_BYTES: Final = 4 * 1024 * 1024
_FIRST_RETRY, _LONGEST_RETRY, _REQUEST_SECONDS = 0.2, 5.0, 10.0

log = logging.getLogger(__name__)


class ModelUnknownError(Exception):
    """What there is to watch cannot be known; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the model is to be found.

    Attributes:
        name: in requests.
        directory: where it lies.
        signature: the Model's own, as JSON, which takes the place of the file's; or empty.
        server: URL of the model server beside us.
    """

    name: str
    directory: Path
    signature: str
    server: str


def read_signature_of(place: Place) -> ModelSignature | None:
    """Return the model's signature; None if it has none.

    Raises:
        ModelUnknownError: it cannot be read.
    """
    try:
        if place.signature:
            return read_signature(place.signature)
        with (place.directory / SIGNATURE_FILE).open("rb") as file:
            return read_note(file.read(_MOST_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelUnknownError(f"cannot read {SIGNATURE_FILE}: {error.strerror}") from error
    except SignatureError as error:
        where = "spec.signature" if place.signature else SIGNATURE_FILE
        raise ModelUnknownError(f"{where}: {error}") from error


class Model:
    """What is watched of the model, as soon as it is known.

    Attributes:
        signature: of the model.
        watched: what there is to watch; empty until `known`, and where there is a problem.
        known: set once it is.
        problem: why nothing is watched, for people.
    """

    def __init__(self, place: Place) -> None:
        self.signature: ModelSignature | None = None
        self.watched = Watched()
        self.known = asyncio.Event()
        self.problem = ""
        self._place = place
        try:
            self.signature = read_signature_of(place)
        except ModelUnknownError as error:
            log.warning("nothing is watched: %s", error)
            self.problem = str(error)
            self.known.set()
            return
        if self.signature and self.signature.features and self.signature.prediction:
            self._know(None)

    async def learn(self) -> None:
        """Ask the server for what the signature leaves out, until it answers."""
        pause, told = _FIRST_RETRY, ""
        while not self.known.is_set():
            try:
                self._know(await _asked(self._place))
            except (aiohttp.ClientError, TimeoutError, ModelUnknownError) as error:
                if (why := str(error) or type(error).__name__) != told:
                    log.info("the server does not say yet what its model is: %s", why)
                told = why
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_RETRY)

    def _know(self, tensors: Signature | None) -> None:
        self.watched = watched_of(self.signature, tensors)
        log.info("%d features are watched", len(self.watched.features))
        for each in self.watched.unwatched:
            log.warning("%r is not watched: %s", each.name, each.why)
        self.known.set()


async def _asked(place: Place) -> Signature:
    """Return what the server says of the model's tensors."""
    timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(f"{place.server}/v2/models/{place.name}") as answer,
    ):
        if answer.status != 200:
            raise ModelUnknownError(f"it answers {answer.status}")
        text = await answer.content.read(_MOST_BYTES)
    return tensors_of(text)


class _Tensor(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str
    datatype: Datatype
    shape: Annotated[list[Annotated[int, Field(ge=-1)]], Field(max_length=32)]


class _Metadata(BaseModel):
    model_config = ConfigDict(extra="ignore")

    inputs: list[_Tensor]
    outputs: list[_Tensor]


def tensors_of(text: bytes) -> Signature:
    """Return the tensors in a server's answer to `GET /v2/models/<model>`.

    Raises:
        ModelUnknownError: it is no such answer.
    """
    try:
        found = _Metadata.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ModelUnknownError(f"its metadata are not as they should be: {where}") from error
    return Signature(inputs=_specs(found.inputs), outputs=_specs(found.outputs))


def _specs(found: Sequence[_Tensor]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name=each.name, datatype=each.datatype, shape=tuple(each.shape))
        for each in found
    )
