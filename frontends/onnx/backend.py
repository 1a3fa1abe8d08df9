"""The onnx package's backend interface (onnx.backend.base.Backend).

    import onnx.backend.test
    import tensorkiln.frontends.onnx.backend as backend
    tests = onnx.backend.test.BackendTest(backend, __name__)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from onnx import IR_VERSION, ModelProto, NodeProto, TensorProto, helper
from onnx.backend.base import Backend, BackendRep, Device, DeviceType
from onnx.defs import onnx_opset_version

from tensorkiln.compiler.evaluate.evaluate import evaluate
from tensorkiln.compiler.ir.function import Array, Function
from tensorkiln.frontends.onnx.elements import ELEMENT_OF_DTYPE
from tensorkiln.frontends.onnx.importer import import_model
from tensorkiln.compiler.ir.dtypes import dtype_of
from tensorkiln.runtime.errors import FeedError

Runner: TypeAlias = Callable[[Sequence[Array]], Sequence[Array]]
Compile: TypeAlias = Callable[[Function], Runner]


def interpreted(function: Function) -> Runner:
    """Runs the function by the interpreter of tensor IR."""

    def run(arrays: Sequence[Array]) -> Sequence[Array]:
        return evaluate(function, arrays)

    return run


class Prepared(BackendRep):
    """A model ready to run."""

    def __init__(self, function: Function, runner: Runner) -> None:
        self.function = function
        self._runner = runner

    def run(self, inputs: Sequence[Any] | Mapping[str, Any], **_: Any) -> tuple[Array, ...]:
        """The outputs for inputs in the model's order or by name; arrays of the right dtypes."""
        names = [value.name for value in self.function.parameters]
        if isinstance(inputs, Mapping):
            missing = [name for name in names if name not in inputs]
            if missing:
                raise FeedError(f"inputs {', '.join(map(repr, missing))} are missing")
            inputs = [inputs[name] for name in names]
        return tuple(self._runner([np.asarray(x) for x in inputs]))


class TensorKilnBackend(Backend):
    """Runs ONNX models and nodes; `compile_function` says how a function is run."""

    compile_function: Compile = staticmethod(interpreted)

    @classmethod
    def prepare(cls, model: ModelProto, device: str = "CPU", **kwargs: Any) -> Prepared:
        """The model, imported and ready to run; `dims` gives sizes to open dims."""
        function = import_model(model, dims=kwargs.get("dims"))
        return Prepared(function, cls.compile_function(function))

    @classmethod
    def run_node(
        cls,
        node: NodeProto,
        inputs: Sequence[Any],
        device: str = "CPU",
        outputs_info: Sequence[tuple[np.dtype[Any], tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[Array, ...]:
        """The outputs of one node; `opset_version` is the newest unless given."""
        arrays = [np.asarray(x) for x in inputs]
        given = [name for name in node.input if name]
        parameters = [
            helper.make_tensor_value_info(name, _element(array), array.shape)
            for name, array in zip(given, arrays, strict=True)
        ]
        results = [
            helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None)
            for name in node.output
            if name
        ]
        version = kwargs.get("opset_version", onnx_opset_version())
        model = helper.make_model(
            helper.make_graph([node], "node", parameters, results),
            opset_imports=[helper.make_opsetid(node.domain, version)],
            ir_version=IR_VERSION,
        )
        return cls.prepare(model, device).run(arrays)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """True for the CPU."""
        return bool(Device(device).type == DeviceType.CPU)


def _element(array: Array) -> int:
    return ELEMENT_OF_DTYPE[dtype_of(array.dtype)]


prepare = TensorKilnBackend.prepare
run_model = TensorKilnBackend.run_model
run_node = TensorKilnBackend.run_node
supports_device = TensorKilnBackend.supports_device
is_compatible = TensorKilnBackend.is_compatible
