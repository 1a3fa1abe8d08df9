"""Compiled code against the interpreter: kernel by kernel, then whole, for targets and threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tensorkiln.compiler.agreement import MODEL_FACTOR, Gap, gap
from tensorkiln.compiler.evaluate import evaluate, evaluate_op
from tensorkiln.compiler.ir.function import UNKNOWN, Array, Function, Op
from tensorkiln.compiler.kernel.program import Call
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.pipeline import PASSES, REQUIRED_PASSES, compile_function
from tensorkiln.compiler.stepping import Stepper
from tensorkiln.frontends.cli.verify_rounding import Rounding, rounded_results
from tensorkiln.runtime.errors import UnsupportedError
from tensorkiln.runtime.executable import Executable
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.open_executable import OpenExecutable
from tensorkiln.runtime.processor import missing_features

AGREES, DIFFERS, SKIPPED = "agrees", "differs", "skipped"
# the last two split small loops unevenly
THREADS = (1, 2, 3, 7)
# Sums of more products may be off by more than the limit of a kernel, in proportion: equal terms
# added up one by one in f32 are off by a tenth of their number.
_USUAL_TERMS = 2048


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison: what was compared, how it came out, and the worst gap.

    `where` names the user's nodes, source places and ops of the first difference.
    """

    name: str
    outcome: str
    text: str
    gap: Gap | None = None
    where: tuple[str, ...] = ()


@dataclass
class _Worst:
    """Keeps the worst gap of many, and the first that is too large, with where they were."""

    gap: Gap | None = None
    name: str = ""
    bad: Gap | None = None
    bad_at: str = ""
    count: int = field(default=0)
    left_out: int = 0

    def add(self, found: Gap, name: str) -> bool:
        """True if `found` is the first difference."""
        self.count += 1
        if self.gap is None or found.units / (found.limit or 1) > self.gap.units / (
            self.gap.limit or 1
        ):
            self.gap, self.name = found, name
        if found.agrees or self.bad is not None:
            return False
        self.bad, self.bad_at = found, name
        return True


def _untold(text: str) -> None:
    """Nobody wants to know."""


def _telling(
    tell: Callable[[str], None], count: int
) -> Callable[[Op, Sequence[Array]], Sequence[Array]]:
    """Evaluates ops and tells how many of `count` are done."""
    done = 0

    def step(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
        nonlocal done
        results = evaluate_op(op, arrays)
        done += 1
        tell(f"{done} of {count} ops")
        return results

    return step


class Verifier:
    """Compares `function`, on `arrays` (one a parameter), in all the ways asked for.

    `tell` hears how far long work is.
    """

    def __init__(
        self,
        function: Function,
        arrays: Sequence[Array],
        tell: Callable[[str], None] = _untold,
    ) -> None:
        self.function = function
        self._tell = tell
        self.arrays = [np.asarray(array) for array in arrays]
        self.expected = [np.array(array) for array in self._interpret(function)]
        names = function.result_names or tuple(v.name for v in function.results)
        self.names = [f"output {name!r}" for name in names]
        self._rounded = rounded_results(function)
        self._rounding = Rounding(function, self.arrays, self.expected, tell)

    def passes(self) -> Check:
        """The interpreter before and after the compiler's passes; names the first wrong pass."""
        function = self.function
        worst = _Worst()
        for step in PASSES:
            self._tell(step.name)
            function = step.run(function)
        if self._whole(self._interpret(function), worst):
            return _differs("passes", worst, (f"pass {self._wrong_pass()}",))
        return _agrees("passes", f"the interpreter after {len(PASSES)} passes", worst)

    def kernels(self, target: Target) -> Check:
        """Each kernel compiled for `target` against the interpreter, on the same operands."""
        name = f"kernels {target.name}"
        if missing := missing_features(target.features):
            return Check(name, SKIPPED, f"this processor lacks {', '.join(missing[:4])}")
        self._tell("compiling")
        stepper = Stepper(self.function, target)
        calls = len(stepper.program.calls)
        worst = _Worst()
        found: list[tuple[Call, list[Array]]] = []

        def watch(call: Call, operands: list[Array], results: list[Array]) -> None:
            assert call.op is not None
            if self._group(call.op, call.nodes, operands, results, worst):
                found.append((call, operands))
            self._tell(f"{worst.count} results of {calls} kernels")

        results = stepper.run(self.arrays, watch)
        if found:
            call, operands = found[0]
            assert call.op is not None
            self._tell("looking for the wrong op")
            return _differs(name, worst, first_wrong(call.op, operands, target))
        if self._whole(results, worst):
            return _differs(name, worst, ("no kernel by itself",))
        return _agrees(name, f"{worst.count} results of kernels and the outputs", worst)

    def threads(self, counts: Sequence[int] = THREADS) -> Check:
        """Bits of the outputs for several numbers of threads, and again for the first."""
        self._tell("compiling")
        executable = load_compiled(compile_function(self.function))
        return same_bits(executable, self.arrays, counts, self._tell)

    def plain(self, target: Target) -> Check:
        """The model compiled with only the passes that kernels need."""
        worst = _Worst()
        self._tell("compiling")
        try:
            stepper = Stepper(self.function, target, REQUIRED_PASSES)
        except UnsupportedError as error:
            return Check("unoptimised", SKIPPED, f"cannot be compiled so: {error}")
        self._tell("running")
        if self._whole(stepper.run(self.arrays, lambda call, operands, results: None), worst):
            return _differs("unoptimised", worst, (worst.bad_at,))
        passes = f"{len(REQUIRED_PASSES)} of {len(PASSES)} passes"
        return _agrees("unoptimised", f"compiled with {passes}", worst)

    def _interpret(self, function: Function) -> list[Array]:
        return evaluate(function, self.arrays, _telling(self._tell, len(function.ops)))

    def _whole(self, results: Iterable[Array], worst: _Worst) -> bool:
        """True if outputs differ from what was expected."""
        for position, got in enumerate(results):
            name, wanted = self.names[position], self.expected[position]
            found = gap(got, wanted, MODEL_FACTOR, self._rounded[position])
            if not found.agrees and self._rounded[position]:
                found, left_out = self._rounding.excuse(position, got, found)
                worst.left_out += left_out
            worst.add(found, name)
        return worst.bad is not None

    def _group(
        self,
        op: Op,
        nodes: Sequence[str],
        operands: Sequence[Array],
        results: Sequence[Array],
        worst: _Worst,
    ) -> bool:
        rounded = any(v.dtype.is_float for v in op.operands)
        factor = max(1.0, _terms(op) / _USUAL_TERMS)
        first = False
        for value, got, wanted in zip(op.results, results, evaluate_op(op, operands), strict=True):
            name = f"%{value.name} ({', '.join(nodes)})" if nodes else f"%{value.name}"
            first |= worst.add(gap(got, wanted, factor, rounded), name)
        return first

    def _wrong_pass(self) -> str:
        function = self.function
        for step in PASSES:
            self._tell(f"looking for the wrong pass, {step.name}")
            before, function = function, step.run(function)
            if function is not before and self._whole(self._interpret(function), _Worst()):
                return step.name
        return "unknown"


def _terms(op: Op) -> float:
    """About how many products the longest sums of a group have."""
    found = [inner for region in op.regions for inner in region.ops if inner.results]
    costs = [(REGISTRY[o.name].cost(o).flops, o.result.type.elements) for o in found]
    return max((flops / (2 * max(1, elements)) for flops, elements in costs), default=0.0)


def same_bits(
    executable: Executable | OpenExecutable,
    arrays: Sequence[Array],
    counts: Sequence[int],
    tell: Callable[[str], None] = _untold,
) -> Check:
    """Whether `executable` gives the same bits for these numbers of threads."""
    names = [spec.name for spec in executable.inputs]
    first: list[bytes] = []
    for count in (*counts, counts[0]):
        tell(str(count))
        results = executable.run(dict(zip(names, arrays, strict=True)), threads=count)
        bits = [array.tobytes() for array in results]
        first = first or bits
        outputs = [spec.name for spec in executable.outputs]
        for name, was, now in zip(outputs, first, bits, strict=True):
            if was != now:
                text = f"output {name!r} has other bits with {count} threads"
                return Check("threads", DIFFERS, text, None, (name,))
    return Check("threads", AGREES, f"equal bits with {', '.join(map(str, counts))} threads")


def first_wrong(op: Op, operands: Sequence[Array], target: Target) -> tuple[str, ...]:
    """The ops of a wrong group, the first that is wrong by itself if there is one.

    Each op is compiled together with those before it, on the operands of the group.
    """
    (region,) = op.regions
    steps = [inner for inner in region.ops if inner.name != "constant"]
    for inner in steps:
        end = region.ops.index(inner) + 1
        part = replace(
            region, ops=region.ops[:end], results=inner.results, result_names=(), aliases={}
        )
        if not _is_right(part, operands, target):
            return (_described(inner),)
    return tuple(dict.fromkeys(map(_described, steps)))


def _is_right(part: Function, operands: Sequence[Array], target: Target) -> bool:
    wanted = evaluate(part, operands)
    try:
        executable = load_compiled(compile_function(part, target), 1)
    except UnsupportedError:
        return True
    got = executable(*operands)
    return all(gap(a, b, rounded=True).agrees for a, b in zip(got, wanted, strict=True))


def _described(op: Op) -> str:
    place = "" if op.location == UNKNOWN else f" of node {op.location}"
    return f"{op.name}{place}"


def _agrees(name: str, text: str, worst: _Worst) -> Check:
    if worst.left_out:
        text += f", but for {worst.left_out} elements that rounding alone moves as far"
    return Check(name, AGREES, text, worst.gap, (worst.name,) if worst.name else ())


def _differs(name: str, worst: _Worst, where: tuple[str, ...]) -> Check:
    return Check(name, DIFFERS, f"{', '.join(where)}: {worst.bad_at} {worst.bad}", worst.bad, where)


__all__ = ["AGREES", "DIFFERS", "SKIPPED", "THREADS", "Check", "Verifier", "same_bits"]
