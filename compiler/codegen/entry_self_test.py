"""`int32_t P_self_test(int32_t threads)` as LLVM IR: a model tried on inputs made on the spot.

Each call of the vectors becomes a function `@test.N(state, threads)`, which fills inputs, calls the
model's C function and compares some elements of each output with the interpreter's (vectors.py).
Over a state, `P_self_test` makes one, runs the calls on it in order, and then looks at it as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tensorkiln.compiler.codegen.literals import double
from tensorkiln.compiler.codegen.part import Part
from tensorkiln.compiler.codegen.vectors import TEST_VALUES_TEXT, kind_of, stream_of
from tensorkiln.runtime import status
from tensorkiln.runtime.compiled import Sample, SelfTest, VectorCall
from tensorkiln.runtime.manifest import TensorSpec


def self_test_functions(
    prefix: str, parts: Sequence[Part], test: SelfTest, state: Sequence[TensorSpec], size: int
) -> str:
    """`P_self_test`, its calls and its data; `size` is that of the state in bytes, 0 for none."""
    named = {part.name: part for part in parts}
    texts = [TEST_VALUES_TEXT]
    for number, call in enumerate(test.calls):
        texts += _call(prefix, number, named[call.function], call, test)
    texts += _whole(prefix, test, state, parts[0].offsets, size)
    return "".join(texts)


@dataclass(frozen=True, slots=True)
class _Check:
    """One tensor's samples: where it is, its dtype's number, and the symbol of the samples."""

    pointer: str
    kind: int
    symbol: str
    sample: Sample


def _data(checks: Sequence[_Check]) -> list[str]:
    texts = []
    for check in checks:
        rows = ", ".join(
            f"{{ i64, double }} {{ i64 {at}, double {double(value)} }}"
            for at, value in zip(check.sample.positions, check.sample.values, strict=True)
        )
        count = len(check.sample.positions)
        body = f"[{rows}]" if count else "zeroinitializer"
        texts.append(f"@{check.symbol} = internal constant [{count} x {{ i64, double }}] {body}\n")
    return texts


def _compare(checks: Sequence[_Check], before: str) -> list[str]:
    """Blocks from `check.0` on that end in `leave` with the status; `before` are its other ways in."""
    lines = []
    for number, check in enumerate(checks):
        lines += [
            f"check.{number}:",
            f"  %bad.{number} = call i1 @test_differs(ptr {check.pointer}, ptr @{check.symbol},"
            f" i64 {len(check.sample.positions)}, i32 {check.kind},"
            f" double {double(check.sample.tolerance)})",
            f"  br i1 %bad.{number}, label %wrong, label %check.{number + 1}",
        ]
    wrong = f", [ {status.SELF_TEST_FAILED}, %wrong ]" if checks else ""
    lines += [f"check.{len(checks)}:\n  br label %leave"]
    lines += ["wrong:\n  br label %leave"] if checks else []
    return [
        *lines,
        "leave:",
        f"  %result = phi i32 {before}, [ 0, %check.{len(checks)} ]{wrong}",
        "  call void @give(ptr null, ptr %memory)",
        "  ret i32 %result",
        "}\n",
    ]


def _memory(size: int) -> list[str]:
    return [
        f"  %memory = call ptr @take(ptr null, i64 {size})",
        "  %none = icmp eq ptr %memory, null",
        "  br i1 %none, label %fail.memory, label %begin",
        f"fail.memory:\n  ret i32 {status.OUT_OF_MEMORY}",
        "begin:",
    ]


def _call(prefix: str, number: int, part: Part, call: VectorCall, test: SelfTest) -> list[str]:
    """`@test.NUMBER` and its data."""
    sized = part.at(call.sizes)
    inputs, outputs = sized.fed, sized.given
    first_size = len(inputs) - len(call.sizes)
    specs = (*inputs, *outputs)
    offsets, size = _offsets(specs)
    state = "ptr %state, " if part.has_state else ""
    lines = [
        f"define internal i32 @test.{number}(ptr %state, i32 %threads) {{",
        "entry:",
        f"  %pointers = alloca [{len(specs) + 1} x ptr], align 16",
        *_memory(size),
    ]
    for index, (spec, offset) in enumerate(zip(specs, offsets, strict=True)):
        lines += [
            f"  %p{index} = getelementptr i8, ptr %memory, i64 {offset}",
            f"  %p{index}.to = getelementptr ptr, ptr %pointers, i64 {index}",
            f"  store ptr %p{index}, ptr %p{index}.to",
        ]
        if index < first_size:
            count = spec.bytes // spec.numpy.itemsize
            lines.append(
                f"  call void @test_fill(ptr %p{index}, i64 {count}, i32 {kind_of(spec)},"
                f" i64 {stream_of(index, test.seed)}, i64 {test.limit})"
            )
        elif index < len(inputs):
            lines.append(f"  store i32 {call.sizes[index - first_size]}, ptr %p{index}, align 4")
    checks = [
        _Check(f"%p{len(inputs) + k}", kind_of(spec), f"sample.{number}.{k}", sample)
        for k, (spec, sample) in enumerate(zip(outputs, call.outputs, strict=True))
    ]
    lines += [
        f"  %outputs = getelementptr ptr, ptr %pointers, i64 {len(inputs)}",
        f"  %status = call i32 @{prefix}_{part.name}({state}ptr %pointers, ptr %outputs, ptr null,"
        " i32 %threads)",
        "  %ran = icmp eq i32 %status, 0",
        "  br i1 %ran, label %check.0, label %leave",
        *_compare(checks, "[ %status, %begin ]"),
    ]
    return [*_data(checks), "\n".join(lines)]


def _whole(
    prefix: str,
    test: SelfTest,
    state: Sequence[TensorSpec],
    offsets: Mapping[str, int],
    size: int,
) -> list[str]:
    """`P_self_test` and the samples of the state after all calls."""
    lines = [f"define i32 @{prefix}_self_test(i32 %threads) {{", "entry:"]
    lines += _memory(max(size, 64))
    ends, before = [], "begin"
    if state:
        lines += [
            f"  %started = call i32 @{prefix}_init(ptr %memory)",
            "  %ready = icmp eq i32 %started, 0",
            "  br i1 %ready, label %train, label %leave",
            "train:",
        ]
        ends, before = ["[ %started, %begin ]"], "train"
    for number in range(len(test.calls)):
        lines += [
            f"  %status.{number} = call i32 @test.{number}(ptr %memory, i32 %threads)",
            f"  %good.{number} = icmp eq i32 %status.{number}, 0",
            f"  br i1 %good.{number}, label %after.{number}, label %leave",
            f"after.{number}:",
        ]
        ends.append(f"[ %status.{number}, %{before} ]")
        before = f"after.{number}"
    checks = []
    for number, (spec, sample) in enumerate(zip(state, test.state, strict=True)):
        lines.append(f"  %s{number} = getelementptr i8, ptr %memory, i64 {offsets[spec.name]}")
        checks.append(_Check(f"%s{number}", kind_of(spec), f"sample.state.{number}", sample))
    lines += ["  br label %check.0", *_compare(checks, ", ".join(ends))]
    return [*_data(checks), "\n".join(lines)]


def _offsets(specs: Sequence[TensorSpec]) -> tuple[list[int], int]:
    offsets, end = [], 0
    for spec in specs:
        offsets.append(end)
        end += -(-max(spec.bytes, 1) // 64) * 64
    return offsets, max(end, 64)
