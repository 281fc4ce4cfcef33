"""Messages of the Open Inference Protocol v2 (gRPC) to arrays, and arrays to messages."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from driftline_serving.errors import RequestError, ServingError
from driftline_serving.server import tensor_binary
from driftline_serving.server.grpc import contents
from driftline_serving.server.grpc.open_inference_pb2 import ModelInferRequest, ModelInferResponse
from driftline_serving.server.grpc.outline import check_outline
from driftline_serving.server.provenance import PARAMETER
from driftline_serving.server.request import (
    LARGE,
    Answered,
    InferRequest,
    check_complete,
    check_input_parameters,
    check_output,
    check_output_parameters,
    check_tensor,
    expected_input,
)
from driftline_serving.server.service import InferenceService
from driftline_serving.server.tensors import Array, Datatype, Signature, TensorSpec, WantedOutput

MessageT = TypeVar("MessageT", bound=Message)


def parse(kind: type[MessageT], data: bytes) -> MessageT:
    """Read a message.

    Raises:
        RequestError: it is none of that kind.
    """
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise RequestError(f"this is not a {kind.__name__}: {error}") from error


class MessageQuestion:
    """An inference call over gRPC; see `request.Question`. The answer is a message's bytes.

    Args:
        data: The bytes of a ModelInferRequest.
        headers: Its metadata.
        service: The model.
    """

    protocol = "grpc"

    def __init__(self, data: bytes, headers: Mapping[str, str], service: InferenceService) -> None:
        self.headers = headers
        self.is_large = len(data) > LARGE
        self.result: asyncio.Future[bytes | ServingError] = (
            asyncio.get_running_loop().create_future()
        )
        self.told: Mapping[str, str] = {}
        self._data = data
        self._service = service

    def read(self, signature: Signature) -> InferRequest:
        """See `decode_request`."""
        data, self._data = self._data, b""
        check_outline(data, self._service.bounds.json_bytes)
        message = parse(ModelInferRequest, data)
        self._service.check_model(message.model_name, message.model_version or None)
        return decode_request(message, signature)

    def answer(self, answered: Answered, signature: Signature) -> bytes:
        """See `encode_response`."""
        request, service = answered.request, self._service
        assert request is not None
        provenance = service.provenance
        self.told = provenance.of(answered, provenance.receipt(answered))
        response = encode_response(request, answered.results, service.about, signature)
        if request.with_provenance:
            for name, value in self.told.items():
                response.parameters[name].string_param = value
        return response.SerializeToString()

    def deliver(self, result: bytes | ServingError) -> None:
        """Wake the call, unless it is over."""
        if not self.result.done():
            self.result.set_result(result)


def decode_request(message: ModelInferRequest, signature: Signature) -> InferRequest:
    """Read a request.

    Raises:
        RequestError: it is not a request that this model can be asked.
    """
    return InferRequest(
        id=message.id or None,
        inputs=_decode_inputs(message, signature),
        outputs=_decode_outputs(message, signature),
        with_provenance=_wants_provenance(message),
    )


def _wants_provenance(message: ModelInferRequest) -> bool:
    if PARAMETER not in message.parameters:
        return False
    given = message.parameters[PARAMETER]
    if given.WhichOneof("parameter_choice") != "bool_param":
        raise RequestError(f"the request: parameters.{PARAMETER} must be true or false")
    return given.bool_param


def encode_response(
    request: InferRequest, results: Sequence[Array], about: Mapping[str, str], signature: Signature
) -> ModelInferResponse:
    """Write the response; see `request.Question.answer`."""
    response = ModelInferResponse(
        model_name=about["model_name"], model_version=about["model_version"], id=request.id
    )
    for wanted, array in zip(request.outputs, results, strict=True):
        datatype = signature.output_specs[wanted.name].datatype
        output = response.outputs.add(name=wanted.name, datatype=datatype, shape=array.shape)
        if wanted.binary:
            response.raw_output_contents.append(tensor_binary.from_array(array))
        else:
            contents.fill(output.contents, datatype, array)
    return response


def _decode_inputs(message: ModelInferRequest, signature: Signature) -> dict[str, Array]:
    specs = signature.input_specs
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise RequestError(
            f"raw_input_contents holds {len(raw)} tensors for {len(message.inputs)} inputs; it "
            "holds all of them, or none"
        )
    arrays: dict[str, Array] = {}
    for index, given in enumerate(message.inputs):
        if not given.name:
            raise RequestError(f"inputs[{index}]: name is missing")
        spec = expected_input(given.name, specs, arrays)
        shape = _checked_shape(given, spec)
        if raw:
            _check_no_contents(given)
            arrays[spec.name] = tensor_binary.to_array(spec, shape, memoryview(raw[index]))
        else:
            arrays[spec.name] = contents.to_array(spec, shape, given.contents)
    check_complete(specs, arrays)
    return arrays


def _checked_shape(given: ModelInferRequest.InferInputTensor, spec: TensorSpec) -> tuple[int, ...]:
    where = f"input {spec.name!r}"
    check_input_parameters(where, given.parameters.__contains__)
    shape = tuple(given.shape)
    if any(axis < 0 for axis in shape):
        raise RequestError(f"{where}: shape must be an array of integers from 0 up")
    check_tensor(spec, given.datatype, shape)
    return shape


def _check_no_contents(given: ModelInferRequest.InferInputTensor) -> None:
    if given.contents.ListFields():
        raise RequestError(
            f"input {given.name!r}: contents is filled, and so is raw_input_contents; one of them "
            "can be"
        )


def _decode_outputs(message: ModelInferRequest, signature: Signature) -> tuple[WantedOutput, ...]:
    """Return what is wanted: as bytes if the inputs came so, or if a datatype has no other form.

    The protocol has all outputs in one form.
    """
    specs = signature.output_specs
    known = list(specs)
    names: list[str] = []
    for index, asked in enumerate(message.outputs):
        if not asked.name:
            raise RequestError(f"outputs[{index}]: name is missing")
        check_output(asked.name, known, names)
        check_output_parameters(f"output {asked.name!r}", asked.parameters.__contains__)
        names.append(asked.name)
    wanted = names or known
    binary = bool(message.raw_input_contents) or any(
        specs[name].datatype is Datatype.FP16 for name in wanted
    )
    return tuple(WantedOutput(name=name, binary=binary) for name in wanted)
