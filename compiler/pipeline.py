"""The compiler on one screen: every pass in order, then kernels, then machine code."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from llvmlite import ir

from tensorkiln.compiler.cache import Cache
from tensorkiln.compiler.cache_key import function_key
from tensorkiln.compiler.codegen.machine_code import machine_code
from tensorkiln.compiler.codegen.module import emit_parts, emit_program
from tensorkiln.compiler.codegen.nvptx import PtxModule, emit_ptx
from tensorkiln.compiler.codegen.nvptx_target import gpu_target
from tensorkiln.compiler.codegen.target import data_layout, target_named
from tensorkiln.compiler.dump import Dump
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.text import print_function
from tensorkiln.compiler.ir.verify import verify_function
from tensorkiln.compiler.kernel.math.expand import expand_math
from tensorkiln.compiler.kernel.math.narrow import expand_narrow
from tensorkiln.compiler.kernel.math.rounding import expand_rounding
from tensorkiln.compiler.kernel.math.separate import separate_fma
from tensorkiln.compiler.kernel.program import Program, print_program, step_cost
from tensorkiln.compiler.kernel.stmt import Kernel
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.constants import Constants
from tensorkiln.compiler.memory import constant_bytes, free_cycles, give_back
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.passes.algebra import algebra
from tensorkiln.compiler.passes.broadcast_reshapes import broadcast_reshapes
from tensorkiln.compiler.passes.canonicalize import canonicalize
from tensorkiln.compiler.passes.common_subexpressions import common_subexpressions
from tensorkiln.compiler.passes.dead_code import dead_code
from tensorkiln.compiler.passes.epilogue_reshapes import epilogue_reshapes
from tensorkiln.compiler.passes.expand_composites import expand_composites
from tensorkiln.compiler.passes.factor_cotangents import factor_cotangents
from tensorkiln.compiler.passes.fold_batch_norm import fold_batch_norm
from tensorkiln.compiler.passes.fold_constants import fold_constants
from tensorkiln.compiler.passes.fuse import fuse
from tensorkiln.compiler.passes.integer_products import integer_products
from tensorkiln.compiler.passes.legalize_convolution import legalize_convolution
from tensorkiln.compiler.passes.legalize_dot import legalize_dot
from tensorkiln.compiler.passes.legalize_windows import legalize_windows
from tensorkiln.compiler.passes.match_attention import match_attention
from tensorkiln.compiler.passes.over_regions import everywhere
from tensorkiln.compiler.passes.own_fills import own_fills
from tensorkiln.compiler.passes.pooling_gradients import pooling_gradients
from tensorkiln.compiler.passes.push_movement import push_movement
from tensorkiln.compiler.passes.quantized_products import quantized_products
from tensorkiln.compiler.passes.rectifier_masks import rectifier_masks
from tensorkiln.compiler.passes.simplify_control import simplify_control
from tensorkiln.compiler.passes.split_complex import split_complex
from tensorkiln.compiler.passes.winograd import winograd
from tensorkiln.compiler.passes.winograd_blocks import winograd_blocks
from tensorkiln.compiler.schedules.gpu import lower_to_gpu
from tensorkiln.compiler.schedules.program import lower_function
from tensorkiln.compiler.sizes.bound import Bounded
from tensorkiln.runtime.compiled import Compiled
from tensorkiln.runtime.executable import Executable
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.manifest import KernelInfo, Manifest, TensorSpec

VERSION = "0.1.0"


@dataclass(frozen=True, slots=True)
class Pass:
    """A named rewrite of tensor IR."""

    name: str
    run: Callable[[Function], Function]


KERNELS = ("attention",)  # composites that have a kernel of their own

PASSES: tuple[Pass, ...] = (
    # Complex numbers as pairs: no later pass and no kernel knows them.
    Pass("split_complex", split_complex),
    # What the user wrote, without detours; batch norms need to see their constants.
    Pass("canonicalize", canonicalize),
    # Before constants fold: dequantized weights would be floats.
    Pass("quantized_products", quantized_products),
    Pass("fold_constants", fold_constants),
    Pass("control", simplify_control),
    Pass("match_attention", match_attention),
    Pass("fold_batch_norm", fold_batch_norm),
    # Primitives only, from here on; bodies bring new detours with them.
    Pass("expand_composites", partial(expand_composites, keep=KERNELS)),
    Pass("canonicalize_bodies", canonicalize),
    Pass("fold_bodies", fold_constants),
    Pass("algebra", algebra),
    Pass("common_subexpressions", common_subexpressions),
    Pass("rectifier_masks", everywhere(rectifier_masks)),
    # Once masks ask what was pooled.
    Pass("pooling_gradients", everywhere(pooling_gradients)),
    # What trips have in common is computed before them; constants go where they are read.
    Pass("control_bodies", simplify_control),
    Pass("push_movement", everywhere(push_movement)),
    # The forms that kernels take; what they need of padding and transposes is simplified again.
    Pass("winograd", winograd),
    Pass("winograd_blocks", winograd_blocks),
    # While products still have their padding: that of bytes is their zero point.
    Pass("integer_products", integer_products),
    Pass("legalize_convolution", legalize_convolution),
    Pass("legalize_windows", legalize_windows),
    Pass("legalize_dot", legalize_dot),
    # Products of matrices again have the ops that follow them next to them.
    Pass("epilogue_reshapes", epilogue_reshapes),
    Pass("canonicalize_legal", canonicalize),
    Pass("fold_legal", fold_constants),
    Pass("common_legal", common_subexpressions),
    # Against the simplest form, so after everything that makes it.
    Pass("broadcast_reshapes", broadcast_reshapes),
    # Where activations and their gradients are next to their products, as kernels see them.
    Pass("factor_cotangents", everywhere(factor_cotangents)),
    Pass("dead_code", dead_code),
    Pass("own_fills", own_fills),
    Pass("fuse", fuse),
)

# What kernels cannot do without; everything else only makes them faster.
_NEEDED = (
    "split_complex", "expand_composites", "legalize_convolution", "legalize_windows",
    "legalize_dot", "dead_code", "fuse",
)  # fmt: skip
# What makes kernels with scratch memory, of which the size must be known.
_STATIC = ("winograd_blocks",)
REQUIRED_PASSES: tuple[Pass, ...] = tuple(step for step in PASSES if step.name in _NEEDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """A model's kernels, ready to be emitted.

    `traced` and `checked` are `emit_program`'s.
    """

    program: Program
    target: Target
    traced: bool = False
    checked: bool = False

    @property
    def llvm(self) -> str:
        """The text before LLVM's own passes, made anew each time."""
        target = self.target
        return str(
            emit_program(
                self.program, target.triple, data_layout(target),
                traced=self.traced, checked=self.checked,
            )
        )  # fmt: skip

    def modules(self) -> Iterable[ir.Module]:
        """The same, made one by one, in modules of some kernels each where objects can be joined."""
        target, how = self.target, {"traced": self.traced, "checked": self.checked}
        if target.architecture == "wasm32":
            return [emit_program(self.program, target.triple, data_layout(target), **how)]
        return emit_parts(self.program, target.triple, **how)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages(Lowered):
    """What a model is at each stage."""

    fused: Function


def optimize_function(
    function: Function, dump: Dump | None = None, passes: Sequence[Pass] = PASSES
) -> Function:
    """Runs `passes` in order, verifying what each of them changed."""
    return _optimized(lambda: function, dump or Dump(), passes)[1]


def _optimized(
    make: Callable[[], Function], dump: Dump, passes: Sequence[Pass]
) -> tuple[Function, Function]:
    """The function that `make` gives without its ops, and after `passes`.

    Nothing here keeps what a pass was given, so constants that it replaced are freed.
    """
    function = make()
    signature = replace(function, ops=())
    weight = constant_bytes(function)
    give_back(weight)
    dump.write("ir", "txt", partial(print_function, function, elide=64))
    for step in passes:
        made = step.run(function)
        changed, function = made is not function, made
        del made
        if changed:
            verify_function(function, REGISTRY.types)
            give_back(weight)
        dump.write(step.name, "txt", partial(print_function, function, elide=64))
    return signature, function


def lower(
    function: Function,
    target: Target,
    dump: Dump | None = None,
    passes: Sequence[Pass] = PASSES,
    traced: bool = False,
    checked: bool = False,
    bounded: Bounded | None = None,
    shared: Constants | None = None,
) -> Stages:
    """The function's fused form and its kernels, from which LLVM IR is made when it is asked for.

    `traced` and `checked` are `emit_program`'s; `bounded` is what `function` is the function of, if
    it is for a range of sizes; `shared` is `lower_function`'s.
    """
    dump = dump or Dump()
    if bounded is not None:
        passes = [step for step in passes if step.name not in _STATIC]
    fused = optimize_function(function, dump, passes)
    program = lower_function(fused, target, bounded, shared)
    stages = Stages(
        program=_finished(program, target, dump), target=target, traced=traced, checked=checked,
        fused=fused,
    )  # fmt: skip
    dump.write("llvm", "ll", lambda: stages.llvm)
    return stages


def _finished(program: Program, target: Target, dump: Dump) -> Program:
    """The program as it is emitted."""
    dump.write("kernels", "txt", lambda: print_program(program))
    return replace(program, kernels=tuple(map(finish_kernel(target), program.kernels)))


def finish_kernel(target: Target) -> Callable[[Kernel], Kernel]:
    """What is done to every kernel between scheduling and emission."""

    def finish(kernel: Kernel) -> Kernel:
        kernel = expand_math(kernel, fma=target.has_fma)
        kernel = expand_narrow(kernel, half=target.has_half)
        kernel = kernel if target.has_fma else separate_fma(kernel)
        return kernel if target.has_rounding else expand_rounding(kernel)

    return finish


def compile_function(
    function: Function,
    target: Target | str = "host",
    dump: Dump | None = None,
    cache: Cache | None = None,
    without: Collection[str] = (),
) -> Compiled:
    """Machine code for `function`, taken from `cache` if it is there and nobody wants dumps.

    Passes named in `without` are not run. UnsupportedError names what cannot be compiled.
    """
    target = target_named(target) if isinstance(target, str) else target
    dump = dump or Dump.from_environment(function.name)
    if cache is None or dump.folder is not None:
        return compile_made(lambda: function, target, dump, without)
    key = function_key(function, target, without)
    compiled = cache.load(key)
    if compiled is None:
        compiled = compile_made(lambda: function, target, dump, without)
        cache.store(key, compiled)
    return compiled


def compile_made(
    make: Callable[[], Function], target: Target, dump: Dump, without: Collection[str] = ()
) -> Compiled:
    """Machine code for the function that `make` gives.

    If nobody else keeps that function, its constants are in memory once: those of each stage go
    when the next one's are made. The rest is as in `compile_function`.
    """
    signature, lowered = _lowered(make, target, dump, without)
    return generate(signature, lowered, target, dump)


def _lowered(
    make: Callable[[], Function], target: Target, dump: Dump, without: Collection[str]
) -> tuple[Function, Lowered]:
    """What `lower` makes, but for the fused function, and the signature of what `make` gives."""
    signature, fused = _optimized(make, dump, passes_without(without))
    constants = Constants()
    program = lower_function(fused, target, shared=constants)
    # The blob takes the function's constants one by one; closures of passes and schedules that call
    # themselves may still hold it.
    del fused
    free_cycles(constants.nbytes)
    program = replace(program, constants=constants.blob())
    lowered = Lowered(program=_finished(program, target, dump), target=target)
    dump.write("llvm", "ll", lambda: lowered.llvm)
    return signature, lowered


def passes_without(names: Collection[str]) -> tuple[Pass, ...]:
    """PASSES but for those named; ValueError for a name that is none or cannot be left out."""
    for name in names:
        if name in _NEEDED or name not in {step.name for step in PASSES}:
            raise ValueError(f"{name} is no pass that can be left out")
    return tuple(step for step in PASSES if step.name not in names)


def generate(
    function: Function, stages: Lowered, target: Target, dump: Dump | None = None
) -> Compiled:
    """Machine code for the kernels of `function`, of which only the signature counts."""
    dump = dump or Dump()
    give_back(len(stages.program.constants))
    code = machine_code(stages.modules(), target, texts=dump.folder is not None)
    dump.write("optimized", "ll", lambda: code.optimized)
    manifest = manifest_of(function, stages.program, target)
    return Compiled(manifest, code.object_code, stages.program.constants)


def compile_ptx(
    function: Function, target: Target | str = "sm_80", dump: Dump | None = None
) -> PtxModule:
    """PTX for `function` with the launches that run it; UnsupportedError names what has no kernel."""
    target = gpu_target(target) if isinstance(target, str) else target
    dump = dump or Dump.from_environment(function.name)
    # No composite has a GPU kernel of its own.
    program = lower_to_gpu(optimize_function(expand_composites(function), dump), target)
    dump.write("kernels", "txt", lambda: print_program(program))
    program = replace(program, kernels=tuple(map(finish_kernel(target), program.kernels)))
    module = emit_ptx(program, target)
    dump.write("ptx", "ptx", lambda: module.text)
    return module


def ptx(function: Function, sm: int = 80) -> str:
    """The PTX text of `function` for architecture sm_80, sm_90, ..."""
    return compile_ptx(function, f"sm_{sm}").text


def jit(function: Function, threads: int = 0, cache: Cache | None = None) -> Executable:
    """`function` compiled for this machine, or found in `cache`, and loaded."""
    return load_compiled(compile_function(function, cache=cache), threads)


def manifest_of(function: Function, program: Program, target: Target) -> Manifest:
    """What a compiled model says of itself."""
    inputs = tuple(TensorSpec(v.name, v.shape, v.dtype.name) for v in function.parameters)
    names = function.result_names or tuple(v.name for v in function.results)
    outputs = tuple(
        TensorSpec(name, v.shape, v.dtype.name, function.aliases.get(position))
        for position, (name, v) in enumerate(zip(names, function.results, strict=True))
    )
    kernels = tuple(
        KernelInfo(program.kernels[c.kernel].name, c.nodes, c.flops, c.bytes) for c in program.calls
    )
    flops, moved = step_cost(program.steps)
    arguments = sum(s.bytes for s in (*inputs, *(o for o in outputs if o.alias is None)))
    return Manifest(
        model=function.name,
        inputs=inputs,
        outputs=outputs,
        workspace_bytes=program.workspace_bytes,
        constants_bytes=program.constants.nbytes,
        triple=target.triple,
        cpu=target.cpu,
        features=target.features,
        flops=flops,
        bytes=moved,
        peak_bytes=arguments + program.constants.nbytes + program.workspace_bytes,
        kernels=kernels,
        compiler=VERSION,
    )
