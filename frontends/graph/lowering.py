"""From a pruned graph to one tensor IR function.

Ops are lowered in an order that respects data and control inputs, ops that write variables as
late as possible.  A variable's tensor stands for its current value: whoever reads it sees the
value at the reader's place, so ops without a dependency on an assignment see the old value and
ops after it the new one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tensorkiln.compiler.evaluate import evaluate_op
from tensorkiln.compiler.ir.dtypes import BOOL, U64
from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder, shorthand
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.dtypes import string
from tensorkiln.frontends.graph.effects import Effect, React
from tensorkiln.frontends.graph.errors import InvalidArgumentError, OpError
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.store import uninitialized
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.runtime.errors import TensorKilnError

_LARGEST_KNOWN = 4096
_LARGEST_FIXED = 64
STATE_SHAPE = (3,)


class UnknownValueError(InvalidArgumentError):
    """An op needs a value before the run that only the run knows.

    `tensors` are the small integer parameters it follows from; empty if it needs other values.
    """

    def __init__(self, op: Operation, message: str, tensors: Sequence[Tensor]) -> None:
        super().__init__(op.name, op, message)
        self.tensors = tuple(tensors)


class Lowering:
    """A function under construction and what is known about its values.

    `variables` lists the variables that are parameters, in order; `written` maps each variable
    that the function changes to its new value; `counters` lists the random ops whose counters
    are parameters, `flags` the variables whose initialised flag is one.  `frozen`, where given,
    gives the values that variables have as constants; `names` are names for parameters.  `fixed`
    gives the values of parameters that shapes depend on.  `effects` is what the host does after
    the function ran, `watched` whether it can: nothing looks into a running loop.  `counted` is
    true inside of a loop whose growing arrays have the sizes that they will need.

    `conditional` lists the variables that only branches read or write.  Those in `lenient` have
    no value yet: that a branch has one to read is checked, and `readies` says which have one now.
    """

    watched = True
    counted = False
    lenient: frozenset[Operation] = frozenset()

    def __init__(
        self,
        fed: Mapping[Tensor, TensorType],
        shape_of: Callable[[Operation], tuple[int, ...]],
        frozen: Callable[[Operation], Array] | None = None,
        name: str = "main",
        names: Mapping[Tensor, str] | None = None,
        fixed: Mapping[Tensor, Array] | None = None,
    ) -> None:
        self.builder = Builder(REGISTRY, name)
        self.values: dict[Tensor, Value] = {}
        self.variables: dict[Operation, Value] = {}
        self.written: dict[Operation, Value] = {}
        self.counters: dict[Operation, Value] = {}
        self.next_counters: dict[Operation, Value] = {}
        self.flags: dict[Operation, Value] = {}
        self.unchecked: set[Operation] = set()
        self.conditional: set[Operation] = set()
        self.readies: dict[Operation, Value] = {}
        self.effects: list[Effect] = []
        self._shape_of = shape_of
        self._frozen = frozen
        self._known: dict[Value, Array | None] = {}
        self._producers: dict[Value, Op] = {}
        self._scanned = 0
        for tensor, kind in fed.items():
            label = (names or {}).get(tensor, tensor.name)
            self.values[tensor] = self.builder.parameter(label, kind)
        self._fed = {self.values[tensor]: tensor for tensor in fed}
        for tensor, array in (fixed or {}).items():
            self._known[self.values[tensor]] = array

    # -- values ----------------------------------------------------------------------------

    def value(self, tensor: Tensor) -> Value:
        """The tensor's value at this place; a variable's tensor gives its current value."""
        if tensor not in self.values:
            variable = variable_of(tensor)
            if variable is not None:
                return self.read(variable)
        return self.values[tensor]

    def identity(self, value: Value) -> Value:
        """A new value equal to `value`: tensors of a graph are distinct values."""
        return self.builder.one("identity", (value,))

    def known(self, value: Value) -> Array | None:
        """The value if it follows from constants and shapes alone, else None.

        Computed by the ops' own reference evaluation.
        """
        if value in self._known:
            return self._known[value]
        for op in self.builder.ops[self._scanned :]:
            self._producers.update(dict.fromkeys(op.results, op))
        self._scanned = len(self.builder.ops)
        found: Array | None = None
        maker = self._producers.get(value)
        if maker is not None and not maker.regions and value.type.elements <= _LARGEST_KNOWN:
            operands = [self.known(operand) for operand in maker.operands]
            arrays = [operand for operand in operands if operand is not None]
            if len(arrays) == len(operands):
                results = evaluate_op(maker, arrays)
                self._known.update(zip(maker.results, results, strict=True))
                found = self._known[value]
        self._known[value] = found
        return found

    def integers(self, op: Operation, position: int, values: Sequence[Value]) -> tuple[int, ...]:
        """Input `position` of `op` as integers; UnknownValueError if only a run knows it."""
        array = self.known(values[position])
        if array is None:
            raise UnknownValueError(
                op,
                f"'{op.name}' ({op.location}) needs a shape or index in input {position} "
                f"('{op.inputs[position].name}') that does not depend on variables or on tensors "
                "other than small integers",
                self._causes(values[position]),
            )
        return tuple(int(item) for item in array.reshape(-1))

    def _causes(self, value: Value) -> list[Tensor]:
        """The parameters that a value follows from, if all are small integers."""
        found: dict[Tensor, None] = {}
        waiting, seen = [value], {value}
        while waiting:
            current = waiting.pop()
            if self.known(current) is not None:
                continue
            maker, tensor = self._producers.get(current), self._fed.get(current)
            if tensor is not None and tensor.dtype.is_integer:
                if current.type.elements > _LARGEST_FIXED:
                    return []
                found[tensor] = None
                continue
            if maker is None or maker.regions:
                return []
            waiting += [operand for operand in maker.operands if operand not in seen]
            seen.update(maker.operands)
        return list(found)

    def integer(self, op: Operation, position: int, values: Sequence[Value]) -> int:
        """Input `position` of `op` as one integer."""
        (number,) = self.integers(op, position, values)
        return number

    # -- variables -------------------------------------------------------------------------

    def read(self, variable: Operation, checked: bool = True) -> Value:
        """The variable's current value; a run checks that it is initialised if `checked`."""
        if variable in self.written:
            return self.written[variable]
        if variable.outputs[0] in self.values:
            return self.values[variable.outputs[0]]
        if checked:
            self.unchecked.discard(variable)
        if variable not in self.variables and self._frozen is not None:
            array = self._frozen(variable)
            self.variables[variable] = self.builder.one("constant", value=array)
        if variable not in self.variables:
            kind = TensorType(self._shape_of(variable), variable.outputs[0].dtype.ir)
            self.variables[variable] = self.builder.parameter(variable.name, kind)
            if not checked:
                self.unchecked.add(variable)
        return self.variables[variable]

    def read_in_branch(self, variable: Operation) -> None:
        """Notes that a branch reads the variable: it needs a value where that branch is taken."""
        if variable not in self.written:
            self.read(variable, checked=False)
            self.conditional.add(variable)

    def write(self, variable: Operation, value: Value) -> None:
        """Makes `value` the variable's current value."""
        self.written[variable] = value
        self.readies.pop(variable, None)

    def ready(self, variable: Operation) -> Value:
        """A bool scalar: whether the variable has a value at this place."""
        if variable in self.readies:
            return self.readies[variable]
        if variable in self.written:
            return shorthand.scalar(self.builder, True, BOOL)
        return self.flag(variable)

    def require(self, op: Operation, variable: Operation, holds: Value) -> None:
        """Fails the run, as one that reads a variable without a value, unless `holds`."""

        def react(arrays: Sequence[Array]) -> None:
            raise uninitialized(variable)

        self.check(op, holds, (), react)

    def flag(self, variable: Operation) -> Value:
        """A bool scalar: whether the variable is initialised when the run starts."""
        if variable not in self.flags:
            name = f"{variable.name}/is_initialized"
            self.flags[variable] = self.builder.parameter(name, TensorType((), BOOL))
        return self.flags[variable]

    def random_state(self, op: Operation) -> Value:
        """The state that the random op draws from; the run leaves the next one behind."""
        kind = TensorType(STATE_SHAPE, U64)
        self.counters[op] = self.builder.parameter(f"{op.name}/state", kind)
        return self.counters[op]

    # -- effects ---------------------------------------------------------------------------

    def after(self, op: Operation, values: Sequence[Value], react: React) -> None:
        """Lets the host call `react` with the values' arrays after the function ran."""
        self.effects.append(Effect(op, tuple(values), react))

    def check(self, op: Operation, holds: Value, values: Sequence[Value], react: React) -> None:
        """Lets the host call `react`, which raises, unless the bool scalar `holds`.

        The function then changes no variable.
        """
        self.effects.append(Effect(op, tuple(values), react, holds))

    # -- ops -------------------------------------------------------------------------------

    def lower(self, order: Sequence[Sequence[Operation]]) -> None:
        """Lowers the ops of each batch; all ops of a batch read before any of them writes."""
        for batch in order:
            # A variable's hidden read is not an op of its own: readers see the current value.
            ops = [op for op in batch if not (op.outputs and is_read(op.outputs[0]))]
            inputs = [self._inputs(op) for op in ops]
            for op, values in zip(ops, inputs, strict=True):
                self._lower_op(op, values)

    def _inputs(self, op: Operation) -> list[Value]:
        """The values of all inputs that are neither mutable arguments nor texts."""
        mutable = {k for k, argument in enumerate(op.kind.arguments) if argument.is_ref}
        return [
            self.value(tensor)
            for k, tensor in enumerate(op.inputs)
            if k not in mutable and not (op.kind.texts and tensor.dtype.base_dtype is string)
        ]

    def _lower_op(self, op: Operation, values: Sequence[Value]) -> None:
        try:
            with self.builder.at(op.location):
                results = op.kind.lower(self, op, values)
        except OpError:
            raise
        except TensorKilnError as error:
            raise InvalidArgumentError(op.name, op, f"{error}\n\t {op.node_text}") from error
        for tensor, value in zip(op.outputs, results, strict=False):
            if variable_of(tensor) is None and tensor not in self.values:
                distinct = self.identity(value) if value in values else value
                self.values[tensor] = distinct


def variable_of(tensor: Tensor) -> Operation | None:
    """The VariableV2 op whose current value `tensor` stands for, or None.

    That is so for mutable tensors and for the hidden `<variable>/read` of a variable.
    """
    op = tensor.op
    if tensor.dtype.is_ref:
        while op.type != "VariableV2":
            op = op.inputs[0].op
        return op
    return op.inputs[0].op if is_read(tensor) else None


def is_read(tensor: Tensor) -> bool:
    """True for the hidden tensor through which a program reads a variable."""
    return tensor.op.type == "Identity" and tensor.op.flag("_read")
