"""The body of a model for a range of sizes: it chooses among the bodies of the parts.

    i32 tk_body(args, constants, workspace, threads):
        sizes are read from the i32 scalars that lie between inputs and outputs
        the first part that holds them all runs; SIZE_OUT_OF_RANGE if none does

A part takes the sizes that are open in it only, so its list of arguments may be shorter. All parts
read the same constants.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import llvmlite.binding as llvm

from tensorkiln.compiler.codegen.objects import RenamedObject, join_objects
from tensorkiln.compiler.codegen.target import emit_object, machine
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.runtime import status

_SIGNATURE = "ptr %args, ptr %constants, ptr %workspace, i32 %threads"


@dataclass(frozen=True, slots=True, eq=False)
class PartCode:
    """A part's object code and its sizes (least and greatest).

    `arguments` are the names of the sizes that it takes.
    """

    code: bytes
    sizes: Mapping[str, tuple[int, int]]
    arguments: tuple[str, ...]


def open_body(
    parts: Sequence[PartCode], symbols: Sequence[str], inputs: int, outputs: int, target: Target
) -> bytes:
    """One object that defines `tk_body` for all parts.

    `inputs` and `outputs` count the model's own; `symbols` are the sizes in their order.
    """
    module = llvm.parse_assembly(_text(parts, symbols, inputs, outputs))
    module.triple = target.triple
    module.data_layout = str(machine(target).target_data)
    module.verify()
    objects: list[bytes | RenamedObject] = [
        RenamedObject(part.code, {"tk_body": f"tk_body_{number}"}, f".part{number}")
        for number, part in enumerate(parts)
    ]
    joined = join_objects([*objects, emit_object(module, target)], ["tk_body"])
    file = io.BytesIO()
    joined.write(file)
    return file.getvalue()


def _text(parts: Sequence[PartCode], symbols: Sequence[str], inputs: int, outputs: int) -> str:
    lines = [f"declare hidden i32 @tk_body_{k}(ptr, ptr, ptr, i32)" for k in range(len(parts))]
    lines += [f"define i32 @tk_body({_SIGNATURE}) {{", "entry:"]
    most = inputs + len(symbols) + outputs
    lines.append(f"  %own = alloca [{most} x ptr], align 16")
    for number in range(len(symbols)):
        lines += [
            f"  %at.{number} = getelementptr ptr, ptr %args, i64 {inputs + number}",
            f"  %from.{number} = load ptr, ptr %at.{number}",
            f"  %size.{number} = load i32, ptr %from.{number}, align 4",
        ]
    lines.append("  br label %test.0")
    for number, part in enumerate(parts):
        lines += _test(number, part, symbols)
        lines += _run(number, part, symbols, inputs, outputs)
    lines += [f"test.{len(parts)}:", f"  ret i32 {status.SIZE_OUT_OF_RANGE}", "}"]
    return "\n".join(lines) + "\n"


def _test(number: int, part: PartCode, symbols: Sequence[str]) -> list[str]:
    lines = [f"test.{number}:"]
    holds = "true"
    for k, name in enumerate(symbols):
        low, high = part.sizes[name]
        key = f"%t{number}.{k}"
        lines += [
            f"  {key}.low = icmp sge i32 %size.{k}, {low}",
            f"  {key}.high = icmp sle i32 %size.{k}, {high}",
            f"  {key}.both = and i1 {key}.low, {key}.high",
            f"  {key} = and i1 {key}.both, {holds}",
        ]
        holds = key
    return [*lines, f"  br i1 {holds}, label %run.{number}, label %test.{number + 1}"]


def _run(
    number: int, part: PartCode, symbols: Sequence[str], inputs: int, outputs: int
) -> list[str]:
    lines = [f"run.{number}:"]
    arguments = "%args"
    if list(part.arguments) != list(symbols):
        kept = [
            *range(inputs),
            *(inputs + k for k, name in enumerate(symbols) if name in part.arguments),
            *range(inputs + len(symbols), inputs + len(symbols) + outputs),
        ]
        arguments = "%own"
        for to, source in enumerate(kept):
            key = f"%a{number}.{to}"
            lines += [
                f"  {key}.from = getelementptr ptr, ptr %args, i64 {source}",
                f"  {key} = load ptr, ptr {key}.from",
                f"  {key}.to = getelementptr ptr, ptr %own, i64 {to}",
                f"  store ptr {key}, ptr {key}.to",
            ]
    return [
        *lines,
        f"  %status.{number} = call i32 @tk_body_{number}(ptr {arguments},"
        " ptr %constants, ptr %workspace, i32 %threads)",
        f"  ret i32 %status.{number}",
    ]
