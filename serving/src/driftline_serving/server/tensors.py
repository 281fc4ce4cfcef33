"""Tensors as the protocol names them, and as numpy holds them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: Stands in a shape for an axis of any length.
ANY_LENGTH = -1


class Datatype(StrEnum):
    """Datatypes of the Open Inference Protocol v2."""

    BOOL = "BOOL"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"
    UINT64 = "UINT64"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FP16 = "FP16"
    FP32 = "FP32"
    FP64 = "FP64"
    BYTES = "BYTES"

    @property
    def dtype(self) -> np.dtype[Any]:
        """How numpy holds it, little-endian as on the wire; BYTES as objects of type `str`.

        ONNX strings are UTF-8, so a BYTES element that is not UTF-8 is refused at the door.
        """
        return _DTYPES[self]

    @property
    def is_float(self) -> bool:
        """Whether NaN and the infinities are among its values."""
        return self.dtype.kind == "f"


_DTYPES: dict[Datatype, np.dtype[Any]] = {
    Datatype.BOOL: np.dtype(np.bool_),
    Datatype.UINT8: np.dtype("<u1"),
    Datatype.UINT16: np.dtype("<u2"),
    Datatype.UINT32: np.dtype("<u4"),
    Datatype.UINT64: np.dtype("<u8"),
    Datatype.INT8: np.dtype("<i1"),
    Datatype.INT16: np.dtype("<i2"),
    Datatype.INT32: np.dtype("<i4"),
    Datatype.INT64: np.dtype("<i8"),
    Datatype.FP16: np.dtype("<f2"),
    Datatype.FP32: np.dtype("<f4"),
    Datatype.FP64: np.dtype("<f8"),
    Datatype.BYTES: np.dtype(object),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One input or output of a model; `ANY_LENGTH` where an axis is dynamic."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]

    def admits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of that shape fits."""
        return len(shape) == len(self.shape) and all(
            wanted in (ANY_LENGTH, given) for wanted, given in zip(self.shape, shape, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedOutput:
    """An output that the client asked for, and whether it wants its bytes or its values."""

    name: str
    binary: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Signature:
    """What goes into a model and what comes out, in the model's order. Each is like no other."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @cached_property
    def input_specs(self) -> Mapping[str, TensorSpec]:
        """The inputs by name."""
        return {spec.name: spec for spec in self.inputs}

    @cached_property
    def output_specs(self) -> Mapping[str, TensorSpec]:
        """The outputs by name."""
        return {spec.name: spec for spec in self.outputs}

    @cached_property
    def output_datatypes(self) -> Mapping[str, str]:
        """The outputs' datatypes by name, as they are written."""
        return {spec.name: spec.datatype.value for spec in self.outputs}

    @cached_property
    def all_values(self) -> tuple[WantedOutput, ...]:
        """What is wanted where nothing is said: every output, and its values."""
        return tuple(WantedOutput(name=spec.name, binary=False) for spec in self.outputs)

    @cached_property
    def output_names(self) -> tuple[str, ...]:
        """The names of the outputs."""
        return tuple(spec.name for spec in self.outputs)

    def names_of(self, wanted: tuple[WantedOutput, ...]) -> tuple[str, ...]:
        """Return the names of outputs that are wanted."""
        if wanted is self.all_values:
            return self.output_names
        return tuple([output.name for output in wanted])
