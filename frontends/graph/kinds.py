"""What the front end knows of one op type: the entry that every op type must have in the table.

`inputs` is written like an op definition: `"x:T y:T"`, `"values:T* axis:index"`, `"ref:&T"`.
A capital letter stands for a type that all inputs with that letter share; `index` is int32 or
int64; `any` is every dtype, in a list each item its own; other words are names of dtypes; `*` marks
a list, `&` a mutable (variable's) tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from tensorkiln.compiler.ir.function import Value
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.shapes import Sizes

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.host import HostContext
    from tensorkiln.frontends.graph.lowering import Lowering
    from tensorkiln.frontends.graph.operation import Operation

Result: TypeAlias = tuple[DType, Sizes]
Infer: TypeAlias = "Callable[[Operation], Sequence[Result]]"
Lower: TypeAlias = "Callable[[Lowering, Operation, Sequence[Value]], Sequence[Value]]"
Host: TypeAlias = "Callable[[HostContext, Operation, Sequence[Array]], Sequence[object]]"


GRADIENT_OVERRIDE = "_gradient_op_type"
"""The attribute that names the gradient function that an op takes in place of its own."""


@dataclass(frozen=True)
class Argument:
    """One input of an op type."""

    name: str
    type: str
    is_list: bool = False
    is_ref: bool = False

    @property
    def is_variable_type(self) -> bool:
        """True if the type is a letter that several inputs share."""
        return len(self.type) == 1


@dataclass(frozen=True)
class OpKind:
    """One op type.

    `infer(op)` gives the dtype and what is known of the shape of each output, or raises
    ShapeError or TypeError.  `lower(lowering, op, values)` appends tensor IR ops that compute
    the outputs from the values of the inputs that are not mutable, and returns one value an
    output (none for mutable outputs).  `types` limits the
    letters of `inputs`.  `writes` marks ops that change the variable in their first input;
    `differentiable` is false where no gradient flows from any output to any input.

    `host(context, op, arrays)` computes the outputs on the host, from arrays that it must not
    change: always if `lower` is `host.host_only`, else where an input or output is a string.
    `effects` marks ops whose lowering lets the host look at values, which it cannot in a loop.
    `texts` marks ops whose lowering takes string constants from the inputs' ops: they are no
    values.
    """

    name: str
    inputs: str
    infer: Infer
    lower: Lower
    types: Mapping[str, tuple[DType, ...]] = field(default_factory=dict)
    writes: bool = False
    differentiable: bool = True
    host: Host | None = None
    texts: bool = False
    effects: bool = False

    @cached_property
    def arguments(self) -> tuple[Argument, ...]:
        """The inputs, parsed."""
        return tuple(_argument(text) for text in self.inputs.split())


def _argument(text: str) -> Argument:
    name, kind = text.split(":")
    is_list, is_ref = kind.endswith("*"), kind.startswith("&")
    return Argument(name, kind.strip("*&"), is_list, is_ref)


TABLE: dict[str, OpKind] = {}
"""Every op type by name; the `ops_*` modules fill it when they are imported."""


def register(*kinds: OpKind) -> None:
    """Adds op types to the table; ValueError if a name is taken."""
    for kind in kinds:
        if kind.name in TABLE:
            raise ValueError(f"two entries for op type {kind.name}")
        TABLE[kind.name] = kind
