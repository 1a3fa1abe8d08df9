"""The machines that code is made for: instruction sets, vector widths, and LLVM's view of them.

A `Target` (compiler/kernel/target.py) is plain data, so that tests can name machines that
are not there. That of the host is made from the feature flags that the processor reports, because the
processor's name as LLVM guesses it is often that of an older relative in virtual machines.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

import llvmlite.binding as llvm

from tensorkiln.compiler.kernel.target import Target
from tensorkiln.runtime.errors import UnsupportedError

_V2 = ("cx16", "sahf", "popcnt", "sse3", "ssse3", "sse4.1", "sse4.2", "crc32")
_V3 = (*_V2, "avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave")
_V4 = (*_V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")
# LLVM tunes some AVX-512 processors to split 512-bit vectors in two; our kernels mean what they say.
_FULL_WIDTH = "-prefer-256-bit"


def _x86(name: str, cpu: str, wanted: tuple[str, ...], triple: str) -> Target:
    wide = "avx512f" in wanted
    features = ",".join([*(f"+{feature}" for feature in wanted), *([_FULL_WIDTH] if wide else [])])
    bits = 512 if wide else 256 if "avx2" in wanted else 128
    return Target(name, triple, cpu, features, bits, "fma" in wanted, wide, 32 if wide else 16)


_LINUX_X86 = "x86_64-unknown-linux-gnu"

NAMES: tuple[str, ...] = (
    "host",
    "x86-64",
    "x86-64-v2",
    "x86-64-v3",
    "x86-64-v4",
    "aarch64",
    "riscv64",
    "wasm32",
)


def isa_names(levels: Iterable[str]) -> list[str]:
    """Targets of x86-64 levels ("v1" to "v4"), the lowest first; UnsupportedError for others."""
    known = {"v1": "x86-64", "v2": "x86-64-v2", "v3": "x86-64-v3", "v4": "x86-64-v4"}
    names = {level.removeprefix("x86-64-") for level in levels}
    if unknown := names - known.keys():
        raise UnsupportedError(
            f"{', '.join(sorted(unknown))}: no level of x86-64; choose of {', '.join(known)}"
        )
    return [known[name] for name in sorted(names)]


@functools.cache
def target_named(name: str) -> Target:
    """The target called `name` (one of `NAMES`); UnsupportedError if there is none."""
    match name:
        case "host":
            return _host()
        case "x86-64":
            return _x86(name, "x86-64", ("sse2",), _LINUX_X86)
        case "x86-64-v2":
            return _x86(name, "x86-64-v2", _V2, _LINUX_X86)
        case "x86-64-v3":
            return _x86(name, "x86-64-v3", _V3, _LINUX_X86)
        case "x86-64-v4":
            return _x86(name, "x86-64-v4", _V4, _LINUX_X86)
        case "aarch64":
            return Target(name, "aarch64-unknown-linux-gnu", "generic", "+neon,+fp-armv8",
                          128, True, False, 32)  # fmt: skip
        case "riscv64":  # RV64GC; its vectors of open length are not used
            return Target(name, "riscv64-unknown-linux-gnu", "generic-rv64", "+m,+a,+f,+d,+c",
                          128, True, False, 32)  # fmt: skip
        case "wasm32":
            features = "+simd128,+bulk-memory,+sign-ext,+nontrapping-fptoint,+mutable-globals"
            return Target(name, "wasm32-unknown-unknown", "generic", features,
                          128, False, False, 16)  # fmt: skip
    raise UnsupportedError(f"there is no target {name!r}; choose one of {', '.join(NAMES)}")


def _host() -> Target:
    _initialize_own()
    triple = llvm.get_process_triple()
    architecture = triple.split("-")[0]
    flags = dict(llvm.get_host_cpu_features())
    if architecture == "x86_64":
        return _host_x86(triple, flags)
    if architecture in ("aarch64", "arm64"):
        features = _flatten(flags) or "+neon"
        return Target("host", triple, llvm.get_host_cpu_name(), features, 128, True, False, 32)
    # A machine without kernels of its own: 128-bit vectors, which LLVM splits where it must.
    return Target("host", triple, llvm.get_host_cpu_name(), _flatten(flags), 128, False, False, 16)


def _host_x86(triple: str, flags: dict[str, bool]) -> Target:
    def has(*names: str) -> bool:
        return all(flags.get(name, False) for name in names)

    wide = has("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx2", "fma")
    cpu = llvm.get_host_cpu_name()
    if has("avx512fp16", "amx-tile") and cpu in ("rocketlake", "icelake-server", "x86-64-v4"):
        cpu = "sapphirerapids"  # the name only tunes: every feature is given beside it
    features = _flatten(flags) + (f",{_FULL_WIDTH}" if wide else "")
    bits = 512 if wide else 256 if has("avx2") else 128
    return Target("host", triple, cpu, features, bits, has("fma"), wide, 32 if wide else 16)


def _flatten(flags: dict[str, bool]) -> str:
    return ",".join(("+" if on else "-") + name for name, on in sorted(flags.items()))


@functools.cache
def _initialize_own() -> None:
    """Lets LLVM make code for this machine's architecture."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()


@functools.cache
def _initialize_all() -> None:
    """Lets LLVM make code for all architectures, whose tables are 10 MB."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


def machine(target: Target) -> llvm.TargetMachine:
    """LLVM's code generator for `target`: position-independent code, optimisation level 3.

    UnsupportedError if this LLVM has no back end for the triple.
    """
    _initialize_own()
    if target.architecture != llvm.get_process_triple().split("-")[0]:
        _initialize_all()
    try:
        back_end = llvm.Target.from_triple(target.triple)
    except RuntimeError as error:
        raise UnsupportedError(f"LLVM cannot make code for {target.triple}: {error}") from error
    # objects of Linux distributions pass floats in registers; without the name LLVM would not
    abi = "lp64d" if target.architecture == "riscv64" else ""
    return back_end.create_target_machine(
        cpu=target.cpu, features=target.features, opt=3, codemodel="default",
        reloc="static" if target.architecture == "wasm32" else "pic",
        abiname=abi,
    )  # fmt: skip


def data_layout(target: Target) -> str:
    """What modules say of sizes and alignments; "" where LLVM's own assumption holds (64 bits)."""
    return str(machine(target).target_data) if target.architecture == "wasm32" else ""


def optimize(module: llvm.ModuleRef, target: Target) -> None:
    """Clean `module` up in place: SROA, instcombine, GVN, LICM, simplifycfg and their like.

    Loops come from schedules, which already chose their vectors and their unrolling, so LLVM's own
    vectorisers and unrollers stay off.
    """
    optimize_for(module, machine(target), pipeline_options())


def pipeline_options() -> llvm.PipelineTuningOptions:
    """Level 2 without vectorisers and unrollers."""
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = False
    options.loop_interleaving = False
    options.slp_vectorization = False
    options.loop_unrolling = False
    return options


def optimize_for(
    module: llvm.ModuleRef, made_for: llvm.TargetMachine, options: llvm.PipelineTuningOptions
) -> None:
    """`optimize` with parts that serve for many modules."""
    builder = llvm.create_pass_builder(made_for, options)
    builder.getModulePassManager().run(module, builder)


def emit_object(module: llvm.ModuleRef, target: Target) -> bytes:
    """`module` as a relocatable object file (ELF) for `target`; for wasm32 as LLVM bitcode."""
    if target.architecture == "wasm32":
        return bytes(module.as_bitcode())
    return bytes(machine(target).emit_object(module))


def emit_assembly(module: llvm.ModuleRef, target: Target) -> str:
    """`module` as assembly text for `target`."""
    return str(machine(target).emit_assembly(module))
