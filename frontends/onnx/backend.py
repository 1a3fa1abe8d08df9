"""The onnx package's backend interface (onnx.backend.base.Backend).

    import onnx.backend.test
    import tensorkiln.frontends.onnx.backend as backend
    tests = onnx.backend.test.BackendTest(backend, __name__)

Models are compiled to machine code. `prepare(model, interpreted=True)` runs one by the interpreter
of tensor IR instead, and `InterpretedBackend` does so for whole suites; nothing else does: what
cannot be compiled raises UnsupportedError, which names the node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
from onnx import IR_VERSION, ModelProto, NodeProto, TensorProto, helper
from onnx.backend.base import Backend, BackendRep, Device, DeviceType
from onnx.defs import onnx_opset_version

from tensorkiln.compiler.evaluate.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import dtype_of
from tensorkiln.compiler.ir.function import Array, Function
from tensorkiln.compiler.pipeline import jit
from tensorkiln.frontends.onnx.elements import ELEMENT_OF_DTYPE
from tensorkiln.frontends.onnx.host import HostedModel, is_hosted
from tensorkiln.frontends.onnx.importer import import_with_outputs
from tensorkiln.frontends.onnx.inputs import Fed, arrays_of, fed_value, is_open, type_of
from tensorkiln.frontends.onnx.operand import ConstantNeeded
from tensorkiln.frontends.onnx.results import Imported
from tensorkiln.runtime.errors import FeedError

Runner: TypeAlias = Callable[[Sequence[Array]], Sequence[Any]]
Compile: TypeAlias = Callable[[Function], Runner]


def compiled(function: Function) -> Runner:
    """Runs the function as machine code, on all processors."""
    executable = jit(function)

    def run(arrays: Sequence[Array]) -> Sequence[Array]:
        return executable(*arrays)

    return run


def interpreted(function: Function) -> Runner:
    """Runs the function by the interpreter of tensor IR."""

    def run(arrays: Sequence[Array]) -> Sequence[Array]:
        return evaluate(function, arrays)

    return run


class Prepared(BackendRep):
    """A model ready to run.

    Where shapes depend on the values of inputs, the model is imported anew for each set of these
    values, which are then constants of it.  Where the declared types leave something open that
    `dims` does not settle, it is imported for the types of the inputs.
    """

    def __init__(
        self, model: ModelProto, compile_function: Compile, dims: Mapping[str, int] | None
    ) -> None:
        self._model = model
        self._compile = compile_function
        self._dims = dims
        self._fixed: frozenset[str] = frozenset()
        initialized = {tensor.name for tensor in model.graph.initializer}
        values = [value for value in model.graph.input if value.name not in initialized]
        self._values = {str(value.name): value for value in values}
        self.inputs = list(self._values)
        self._open = {name for name, v in self._values.items() if is_open(v, dims or {})}
        self._runners: dict[object, Runner] = {}
        if self._open:
            return
        try:
            self._runner({})
        except ConstantNeeded:
            self._fixed = frozenset()  # known when there are inputs

    def run(self, inputs: Sequence[Any] | Mapping[str, Any], **_: Any) -> tuple[Any, ...]:
        """The outputs for inputs in the model's order or by name; arrays of the right dtypes.

        A sequence is a list of arrays, an optional that holds nothing is None.
        """
        if not isinstance(inputs, Mapping):
            if len(inputs) > len(self.inputs):
                raise FeedError(f"{len(inputs)} inputs for {len(self.inputs)}")
            inputs = dict(zip(self.inputs, inputs, strict=False))
        missing = [name for name in self.inputs if name not in inputs]
        if missing:
            raise FeedError(f"inputs {', '.join(map(repr, missing))} are missing")
        fed = {name: fed_value(value, inputs[name]) for name, value in self._values.items()}
        runner = self._runner(fed)
        return tuple(runner([a for n in fed if n not in self._fixed for a in arrays_of(fed[n])]))

    def _runner(self, fed: Mapping[str, Fed]) -> Runner:
        """The runner for the values that shapes depend on; more of them may be found on the way."""
        while True:
            constants = {name: fed[name] for name in self.inputs if name in self._fixed}
            types = {name: type_of(v) for name, v in fed.items() if name in self._open}
            types = {name: kind for name, kind in types.items() if name not in constants}
            contents = [
                (a.shape, a.dtype, a.tobytes()) for v in constants.values() for a in arrays_of(v)
            ]
            key = (str(types), tuple(contents))
            try:
                if key not in self._runners:
                    imported = import_with_outputs(
                        self._model, dims=self._dims, constants=constants, types=types
                    )
                    self._runners[key] = self._assembling(imported)
                return self._runners[key]
            except ConstantNeeded as error:
                if not fed or error.inputs <= self._fixed:
                    raise
                self._fixed |= error.inputs
                self._runners.clear()

    def _assembling(self, imported: Imported) -> Runner:
        """A runner that gives the model's outputs, sequences and open sizes included."""
        run = self._compile(imported.function)
        return lambda arrays: imported.assemble(run(arrays))


class TensorKilnBackend(Backend):
    """Runs ONNX models and nodes as machine code."""

    interpreted: ClassVar[bool] = False

    @classmethod
    def prepare(
        cls,
        model: ModelProto,
        device: str = "CPU",  # noqa: ARG003
        **kwargs: Any,
    ) -> Prepared | HostedModel:
        """The model, imported and ready to run.

        `dims` gives sizes to open dims; `interpreted` chooses the interpreter (True) or machine
        code (False) where the backend's own choice is not wanted.  Nodes that look into texts or
        decode images are run by Python; a model with such is a HostedModel, which names them and
        has the same `run`.  ModelError and UnsupportedError name the node, value or file.
        """
        by_interpreter = kwargs.get("interpreted", cls.interpreted)
        runner = interpreted if by_interpreter else compiled
        if is_hosted(model):
            return HostedModel(model, lambda part: Prepared(part, runner, None))
        return Prepared(model, runner, kwargs.get("dims"))

    @classmethod
    def run_node(
        cls,
        node: NodeProto,
        inputs: Sequence[Any],
        device: str = "CPU",
        outputs_info: Sequence[tuple[np.dtype[Any], tuple[int, ...]]] | None = None,  # noqa: ARG003
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """The outputs of one node; `opset_version` is the newest unless given.

        The other keyword arguments are those of `prepare`.
        """
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
        return cls.prepare(model, device, **kwargs).run(arrays)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """True for the CPU."""
        return bool(Device(device).type == DeviceType.CPU)


class InterpretedBackend(TensorKilnBackend):
    """Runs ONNX models and nodes by the interpreter of tensor IR."""

    interpreted = True


def _element(array: Array) -> int:
    if array.dtype.kind in "OUST":
        return int(TensorProto.STRING)
    return ELEMENT_OF_DTYPE[dtype_of(array.dtype)]


prepare = TensorKilnBackend.prepare
run_model = TensorKilnBackend.run_model
run_node = TensorKilnBackend.run_node
supports_device = TensorKilnBackend.supports_device
is_compatible = TensorKilnBackend.is_compatible
