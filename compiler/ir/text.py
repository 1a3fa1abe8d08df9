"""The text form of functions; compiler/ir/parse.py reads it back.

    func @main<batch: 1..64>(%x: f32[batch,3]) -> (f32[batch,3] "y") alias {0: 0} {
      %0: f32[] = constant() {value = f32[] 2.0}
      %1: f32[batch,3] = broadcast_in_dim(%0) {shape = (batch, 3), dimensions = ()} loc("a", "m.py", 7)
      return %1
    }

A name with characters other than letters, digits, `_` and `.` is quoted (`%"conv/w:0"`); a symbolic
size whose name would read as something else is written `$"N+1"`.  Arrays are decimal up to 16
elements, complex and larger ones hexadecimal bytes, little-endian.
"""

from __future__ import annotations

import numpy as np

from tensorkiln.compiler.ir.dims import Affine, Symbol
from tensorkiln.compiler.ir.dtypes import DType, dtype_of
from tensorkiln.compiler.ir.function import (
    UNKNOWN,
    Array,
    Attribute,
    Function,
    Module,
    Op,
    Value,
)
from tensorkiln.compiler.ir.names import is_identifier, quote, spell, spell_symbol

READABLE = 16  # elements up to which an array is written in decimal


def print_module(module: Module) -> str:
    """All functions, a blank line between."""
    return "\n".join(print_function(function) for function in module)


def print_function(function: Function, elide: int | None = None, indent: str = "") -> str:
    """The function's text; arrays of more than `elide` elements are shortened (then it is only
    for reading and does not parse)."""
    symbols = ", ".join(map(_symbol, function.symbols))
    generics = f"<{symbols}>" if symbols else ""
    parameters = ", ".join(map(_declared, function.parameters))
    names = function.result_names or ("",) * len(function.results)
    results = ", ".join(
        f"{v.type} {quote(n)}" if n else str(v.type)
        for v, n in zip(function.results, names, strict=True)
    )
    aliases = ", ".join(f"{k}: {v}" for k, v in sorted(function.aliases.items()))
    suffix = f" alias {{{aliases}}}" if aliases else ""
    name = spell("@", function.name)
    lines = [f"{indent}func {name}{generics}({parameters}) -> ({results}){suffix} {{"]
    lines += [print_op(op, elide, indent + "  ") for op in function.ops]
    returned = ", ".join(spell("%", v.name) for v in function.results)
    lines += [f"{indent}  return {returned}".rstrip(), f"{indent}}}", ""]
    return "\n".join(lines)


def print_op(op: Op, elide: int | None = None, indent: str = "") -> str:
    """One op; its regions follow it in parentheses."""
    results = f"{', '.join(map(_declared, op.results))} = " if op.results else ""
    operands = ", ".join(spell("%", v.name) for v in op.operands)
    pairs = ", ".join(
        f"{k if is_identifier(k) else quote(k)} = {print_attribute(v, elide)}"
        for k, v in op.attributes.items()
    )
    attributes = f" {{{pairs}}}" if pairs else ""
    location = ""
    if op.location != UNKNOWN:
        here = op.location
        location = f" loc({quote(here.node)}, {quote(here.file)}, {here.line})"
    regions = ""
    if op.regions:
        inner = "".join(print_function(r, elide, indent + "  ") for r in op.regions)
        regions = f" (\n{inner}{indent})"
    return f"{indent}{results}{op.name}({operands}){attributes}{regions}{location}"


def print_attribute(value: Attribute, elide: int | None = None) -> str:
    """An attribute's text; a string is quoted, an array starts with its type."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | DType() | Affine():
            return str(value)
        case float():
            return print_float(value)
        case str():
            return quote(value)
        case tuple():
            return f"({', '.join(print_attribute(v, elide) for v in value)})"
        case np.ndarray():
            return _array(value, elide)


def print_float(value: float) -> str:
    """Shortest text that reads back as the same double; nan, inf and -inf by name."""
    return repr(float(value))


def _symbol(symbol: Symbol) -> str:
    top = "" if symbol.maximum is None else symbol.maximum
    return f"{spell_symbol(symbol.name)}: {symbol.minimum}..{top}"


def _declared(value: Value) -> str:
    return f"{spell('%', value.name)}: {value.type}"


def _array(array: Array, elide: int | None) -> str:
    head = f"{dtype_of(array.dtype)}[{','.join(map(str, array.shape))}]"
    if elide is not None and array.size > elide:
        return f"{head} ..."
    if 0 < array.size <= READABLE and array.dtype.kind != "c":
        numbers = [_number(array.dtype.type(v)) for v in array.ravel()]
        if all(text is not None for text in numbers):
            return f"{head} {' '.join(text for text in numbers if text is not None)}"
    little = array.astype(array.dtype.newbyteorder("<"))
    return f"{head} 0x{little.tobytes().hex()}"


def _number(value: np.generic) -> str | None:
    """Decimal text that reads back as the same bits, or None (a NaN with a payload)."""
    if dtype_of(value.dtype).kind != "float":
        return str(int(value))
    for text in (str(value), print_float(float(value))):
        if np.array(float(text)).astype(value.dtype).tobytes() == value.tobytes():
            return text
    return None
