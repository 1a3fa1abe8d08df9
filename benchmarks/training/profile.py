"""Times of the kernels of training steps: python -m tensorkiln.benchmarks.training.profile cnn_b128

Every kernel of a step's program is compiled alone and timed on buffers of its own: seconds
of processor time on one thread, the least of a few, times the number of its calls.  With
`--threads 2` the same is timed on two threads in turns with one, by the clock on the wall, and
the ratio is shown: which kernels do not share out well.  Others' work on the machine shows then.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from dataclasses import dataclass

import llvmlite.binding as llvm
import numpy as np

import tensorkiln as tf
from tensorkiln.benchmarks.training.networks import ROWS, Row
from tensorkiln.compiler.codegen.module import emit_program
from tensorkiln.compiler.codegen.target import emit_object, optimize, target_named
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.kernel.program import Call, Program, Slot, aligned_bytes
from tensorkiln.compiler.pipeline import finish_kernel, optimize_function
from tensorkiln.compiler.schedules.program import lower_function
from tensorkiln.frontends.cli.arrays import Array, draw
from tensorkiln.runtime.compiled import Compiled
from tensorkiln.runtime.feeds import address
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.manifest import Manifest, TensorSpec

_SCALE = 1 / 16


@dataclass(frozen=True)
class Timing:
    """A kernel of the program: how often it is called, the least time of a call, and its work.

    `seconds` are those of one thread, `shared` those of as many threads as were asked for.
    """

    name: str
    calls: int
    seconds: float
    shared: float
    flops: int
    bytes: int
    shapes: tuple[tuple[int, ...], ...]

    def __str__(self) -> str:
        rates = f"{self.flops / self.seconds / 1e9:7.1f} GF/s {self.bytes / self.seconds / 1e9:6.1f} GB/s"
        sizes = " ".join("x".join(map(str, shape)) or "1" for shape in self.shapes)
        shared = f" / {self.seconds / self.shared:4.2f}" if self.shared != self.seconds else ""
        return f"{self.total * 1e6:9.0f} us{shared} {self.calls:3} x {rates}  {self.name}  {sizes}"

    @property
    def total(self) -> float:
        """Seconds of all calls."""
        return self.calls * self.seconds


def function_of(row: Row) -> Function:
    """The tensor IR of the row's training step."""
    with tf.Graph().as_default():
        training = row.build(tf)
        with tf.Session() as session:
            images, labels = row.data()
            feeds = {training.images: images, training.labels: labels}
            function: Function = session.lower([training.train, training.loss], feeds)
            return function


def timings(program: Program, repeats: int, threads: int = 1) -> list[Timing]:
    """The program's kernels, each timed alone, on one thread and on `threads`."""
    numbers = Counter(call.kernel for call in program.calls)
    firsts = {call.kernel: call for call in reversed(program.calls)}
    return [
        _timing(program, call, numbers[kernel], repeats, threads) for kernel, call in firsts.items()
    ]


def _timing(program: Program, call: Call, calls: int, repeats: int, threads: int) -> Timing:
    target = target_named("host")
    kernel = finish_kernel(target)(program.kernels[call.kernel])
    # Slots that are one stay one: an update in place is timed in place.
    places = {slot: position for position, slot in enumerate(dict.fromkeys(call.slots))}
    slots = tuple(Slot("argument", places[slot]) for slot in call.slots)
    alone = Program(kernel.name, (kernel,), (Call(0, slots),), len(places), aligned_bytes(0), 0)
    module = llvm.parse_assembly(str(emit_program(alone, target.triple)))
    optimize(module, target)
    buffers = dict(zip(slots, kernel.parameters, strict=True))
    specs = tuple(TensorSpec(b.name, b.shape, b.dtype.name) for b in buffers.values())
    manifest = Manifest(
        kernel.name, specs, (), 0, 0, target.triple, target.cpu, target.features, 0, 0, 0, (), ""
    )
    compiled = Compiled(manifest, emit_object(module, target), aligned_bytes(0))
    generator = np.random.default_rng(0)
    arrays = [_small(draw(spec, generator)) for spec in specs]
    clock = time.thread_time if threads == 1 else time.perf_counter
    frames = {count: load_compiled(compiled, count).frame(count) for count in {1, threads}}
    for frame in frames.values():
        frame.set_pointers([address(array) for array in arrays])
        frame.call()
    least = dict.fromkeys(frames, math.inf)
    for _ in range(repeats):
        for count, frame in frames.items():
            start = clock()
            frame.call()
            least[count] = min(least[count], clock() - start)
    shapes = tuple(buffer.shape for buffer in kernel.parameters)
    return Timing(kernel.name, calls, least[1], least[threads], call.flops, call.bytes, shapes)


def _small(array: Array) -> Array:
    """Numbers as a step has them: of sums of many large products, powers would underflow, which
    takes processors several times as long."""
    scaled = array * array.dtype.type(_SCALE) if array.dtype.kind == "f" else array
    return np.ascontiguousarray(scaled)


def main() -> None:
    """Prints the kernels of the rows named, or of all, that hold most of the time."""
    parser = argparse.ArgumentParser(description="Times of the kernels of a training step.")
    parser.add_argument("rows", nargs="*", help="rows of networks.py; all by default")
    parser.add_argument("--repeats", type=int, default=7, help="calls timed of each kernel")
    parser.add_argument("--threads", type=int, default=1, help="timed beside one thread")
    parser.add_argument("--most", type=int, default=25, help="kernels shown")
    arguments = parser.parse_args()
    if arguments.threads < 1:
        parser.error(f"--threads {arguments.threads}: takes at least one")
    for row in ROWS:
        if arguments.rows and row.name not in arguments.rows:
            continue
        program = lower_function(optimize_function(function_of(row)), target_named("host"))
        found = timings(program, arguments.repeats, arguments.threads)
        total = sum(timing.total for timing in found)
        size = program.workspace_bytes / 1e6
        ratio = ""
        if arguments.threads != 1:
            shared = sum(timing.calls * timing.shared for timing in found)
            ratio = f" / {total / shared:.2f} on {arguments.threads} threads"
        head = f"{row.name}: {len(found)} kernels, {total * 1e3:.2f} ms{ratio}"
        print(f"{head}, workspace {size:.1f} MB")
        for timing in sorted(found, key=lambda t: -t.total)[: arguments.most]:
            print(timing)


if __name__ == "__main__":
    main()
