"""Runs a model on arrays. Knows nothing of protocols."""

import mmap
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from driftline_api.conditions import Reason
from driftline_serving.errors import ArtifactError, InferenceError, RequestError
from driftline_serving.server.formats import foreign
from driftline_serving.server.tensors import ANY_LENGTH, Array, Datatype, Signature, TensorSpec

MODEL_FILE = "model.onnx"

_ONNX_TYPES = {
    "tensor(bool)": Datatype.BOOL,
    "tensor(uint8)": Datatype.UINT8,
    "tensor(uint16)": Datatype.UINT16,
    "tensor(uint32)": Datatype.UINT32,
    "tensor(uint64)": Datatype.UINT64,
    "tensor(int8)": Datatype.INT8,
    "tensor(int16)": Datatype.INT16,
    "tensor(int32)": Datatype.INT32,
    "tensor(int64)": Datatype.INT64,
    "tensor(float16)": Datatype.FP16,
    "tensor(float)": Datatype.FP32,
    "tensor(double)": Datatype.FP64,
    "tensor(string)": Datatype.BYTES,
}

#: ONNX Runtime's errors share no base class but `Exception`.
_RUN_ERRORS = (
    ort_errors.Fail,
    ort_errors.RuntimeException,
    ort_errors.NotImplemented,
    ort_errors.EPFail,
)
_LOAD_ERRORS = (
    *_RUN_ERRORS,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.ModelRequiresCompilation,
)
_FATAL_ONLY = 4
_NO_MEMORY = re.compile(r"allocat|bad_alloc|out of memory", re.IGNORECASE)
#: `/file.h:563 void onnxruntime::Function(...) ` or `file.h:133 Function ` at the start of an
#: operator's words.
_SOURCE_LOCATION = re.compile(r"^(/\S+:\d+ .*?\)|\S+\.(h|cc):\d+ \S+) ")


class Engine(Protocol):
    """A loaded model. `run` may be called from several threads at once."""

    @property
    def signature(self) -> Signature:
        """What goes in and comes out."""

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Compute the named outputs, in that order.

        Raises:
            RequestError: the model does not accept these values.
            InferenceError: the model failed.
        """


class OnnxEngine:
    """A model in ONNX Runtime."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        self.signature = Signature(
            inputs=tuple(_spec("input", node) for node in session.get_inputs()),
            outputs=tuple(_spec("output", node) for node in session.get_outputs()),
        )

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """See `Engine`."""
        try:
            return [np.asarray(found) for found in self._session.run(list(outputs), dict(inputs))]
        except (*_RUN_ERRORS, ort_errors.InvalidArgument) as error:
            raise _run_error(str(error)) from error


def load(model_dir: Path, threads: int) -> OnnxEngine:
    """Load `model.onnx` and let it answer once.

    Threads that spin while they wait would eat the CPU quota that the others need.

    Raises:
        ArtifactError: there is no such file, or it is not a model that can be served.
    """
    path = model_dir / MODEL_FILE
    if not path.is_file():
        raise ArtifactError(Reason.ARTIFACT_INVALID, _nothing_to_load(model_dir))
    return load_file(path, threads)


def load_file(path: Path, threads: int) -> OnnxEngine:
    """Load a model, whatever its file is called, and let it answer once.

    Raises:
        ArtifactError: it is not a model that can be served.
    """
    if found := foreign(path):
        raise ArtifactError(Reason.ARTIFACT_INVALID, f"{path.name} {found}")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY  # errors are raised, and told once
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except _LOAD_ERRORS as error:
        raise ArtifactError(
            Reason.ARTIFACT_INVALID,
            f"ONNX Runtime cannot load {path.name} ({_supposition(str(error))}): {error}",
        ) from error
    engine = OnnxEngine(session)
    warm_up(engine)
    return engine


def is_trees(model_dir: Path) -> bool:
    """Whether trees decide, whose answers must not depend on the batch by a single bit.

    Operators' names stand in the file as they are, so nothing need be parsed to find one.
    """
    with (
        (model_dir / MODEL_FILE).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return content.find(b"TreeEnsemble") >= 0


def warm_up(engine: Engine) -> None:
    """Have the model answer one request of its own shapes: dynamic axes 1, values 0 or empty.

    Raises:
        ArtifactError: it does not.
    """
    signature = engine.signature
    try:
        engine.run(
            {spec.name: _warm_up_input(spec) for spec in signature.inputs},
            [spec.name for spec in signature.outputs],
        )
    except (RequestError, InferenceError) as error:
        shapes = ", ".join(f"{s.name} {list(_warm_up_shape(s))}" for s in signature.inputs)
        raise ArtifactError(
            Reason.ARTIFACT_INVALID,
            f"the model loads but does not answer a warm-up request ({shapes}): {error}",
        ) from error


def _run_error(text: str) -> RequestError | InferenceError:
    """Whose fault it is that a run failed.

    Names, types and fixed axes were checked, and the model has answered its warm-up: what an
    operator of the graph then refuses are these values, or lengths of axes that do not go together.
    Memory that ran out is our fault, and so is whatever no operator said.
    """
    _, _, said = text.partition("Status Message: ")
    if not said and "INVALID_ARGUMENT" in text:
        said = text
    if not said or _NO_MEMORY.search(said):
        return InferenceError(f"the model failed on this request: {text}")
    return RequestError(
        f"the model does not accept these values: {_SOURCE_LOCATION.sub('', said).strip()}"
    )


def _warm_up_shape(spec: TensorSpec) -> tuple[int, ...]:
    return tuple(1 if axis == ANY_LENGTH else axis for axis in spec.shape)


def _warm_up_input(spec: TensorSpec) -> Array:
    blank = "" if spec.datatype is Datatype.BYTES else 0
    return np.full(_warm_up_shape(spec), blank, dtype=spec.datatype.dtype)


def _spec(role: str, node: ort.NodeArg) -> TensorSpec:
    datatype = _ONNX_TYPES.get(node.type)
    if datatype is None:
        raise ArtifactError(
            Reason.ARTIFACT_INVALID,
            f"{role} {node.name!r} is of type {node.type}, and only plain tensors can be served "
            "(for a classifier of skl2onnx: convert with options={'zipmap': False})",
        )
    shape = tuple(
        axis if isinstance(axis, int) and axis >= 0 else ANY_LENGTH for axis in node.shape
    )
    return TensorSpec(name=node.name, datatype=datatype, shape=shape)


def _supposition(said: str) -> str:
    """Return what to look at first.

    ONNX Runtime reads no tensor from outside the model's directory, and says so in many words.
    """
    if "external" in said.lower() or "Data of TensorProto" in said:
        return (
            "tensors in files of their own must lie beside it, in the artifact's directory, and "
            "be named without .., / at the start and links"
        )
    return "is it whole, and ONNX?"


def _nothing_to_load(model_dir: Path) -> str:
    paths = sorted(model_dir.iterdir()) if model_dir.is_dir() else []
    shown = [path for path in paths if not path.name.startswith(".")]
    for path in shown:
        if path.is_file() and (told := foreign(path)):
            return f"the artifact holds no {MODEL_FILE}, and {path.name} {told}"
    listing = ", ".join(path.name for path in shown[:10]) or "nothing"
    return (
        f"the artifact holds no {MODEL_FILE} (found: {listing}); only ONNX is loaded: give the URI "
        f"of one .onnx file, or of a directory with {MODEL_FILE} in it"
    )
