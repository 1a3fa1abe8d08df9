"""The C functions of an artifact, as LLVM IR around the compiled bodies.

For a model with prefix P:

    int32_t P_run(...), P_run_with(...)           entry_run.py; P_train_step, P_predict over a state
    size_t P_workspace_size(void)
    const char *P_error(int32_t status)
    int32_t P_thread_count(int32_t requested)
    const P_tensor P_input_info[], P_output_info[]
    const char P_manifest[]
    P_load_weights, P_unload_weights              entry_weights.py; only with a side file
    P_select, P_level                             entry_cpu.py; only with several versions
    P_self_test                                   entry_self_test.py; only with test vectors
    P_init, P_save, P_load, P_state_size          entry_state.py; only over a state
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import llvmlite.binding as llvm

from tensorkiln.compiler.codegen.entry_cpu import dispatch_text
from tensorkiln.compiler.codegen.entry_run import body_declarations, run_functions
from tensorkiln.compiler.codegen.entry_runtime import RUNTIME_TEXT
from tensorkiln.compiler.codegen.entry_self_test import self_test_functions
from tensorkiln.compiler.codegen.entry_state import State, state_functions
from tensorkiln.compiler.codegen.entry_weights import SideFile, weights_functions
from tensorkiln.compiler.codegen.literals import literal
from tensorkiln.compiler.codegen.part import Part
from tensorkiln.compiler.codegen.target import emit_object, machine, optimize
from tensorkiln.runtime import status
from tensorkiln.runtime.compiled import SelfTest
from tensorkiln.runtime.errors import UnsupportedError
from tensorkiln.runtime.manifest import TensorSpec
from tensorkiln.runtime.processor import architecture

# The section that holds the manifest, of a plain artifact and of one that trains.
MANIFEST_SECTION = ".tensorkiln"
TRAINING_SECTION = ".tensorkiln.training"
# What the structures and tables of a function are called, before "inputs", "output_info", ...
TABLES = {"run": "", "train_step": "train_", "predict": "predict_"}


@dataclass(frozen=True, slots=True)
class Entry:
    """The entry's object code and the names in it that stay visible."""

    object_code: bytes
    public: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """What an artifact's C functions are made for.

    `prefix` begins their names, `manifest` is the JSON text. `side` is the file that has the weights,
    None where they are embedded; `state` is what the parts are functions over.
    """

    prefix: str
    manifest: str
    parts: tuple[Part, ...]
    side: SideFile | None = None
    self_test: SelfTest | None = None
    state: State | None = None

    @property
    def levels(self) -> tuple[int, ...]:
        """The levels of x86-64 that there is code for, if for several."""
        versions = self.parts[0].versions
        return tuple(v.level for v in versions) if len(versions) > 1 else ()


def entry_object(contents: Contents) -> Entry:
    """The C functions as object code for the lowest target of the parts."""
    if contents.levels and architecture() != "x86_64":
        raise UnsupportedError(
            "an artifact with several instruction sets needs LLVM's assembler for x86-64, which"
            f" llvmlite has on such machines only, not on {architecture()}"
        )
    target = contents.parts[0].target
    module = llvm.parse_assembly(entry_text(contents))
    module.triple = target.triple
    module.data_layout = str(machine(target).target_data)
    module.verify()
    optimize(module, target)
    names = tuple(f"{contents.prefix}_{name}" for name in _public(contents))
    return Entry(emit_object(module, target), names)


def _public(contents: Contents) -> list[str]:
    names = ["workspace_size", "thread_count", "error", "manifest"]
    for part in contents.parts:
        table = TABLES[part.name]
        names += [part.name, f"{part.name}_with", f"{table}input_info", f"{table}output_info"]
    if contents.state is not None:
        names += ["init", "save", "load", "state_size", "state_info"]
    if contents.side is not None:
        names += ["load_weights", "unload_weights"]
    if contents.levels:
        names += ["select", "level"]
    if contents.self_test is not None:
        names += ["self_test"]
    return names


def entry_text(contents: Contents) -> str:
    """The LLVM IR of the entry, without triple and data layout."""
    prefix, side, state = contents.prefix, contents.side, contents.state
    workspace = max(part.manifest.workspace_bytes for part in contents.parts)
    section = MANIFEST_SECTION if state is None else TRAINING_SECTION
    texts = [
        _DECLARATIONS,
        f'@{prefix}_manifest = constant {literal(contents.manifest)}, section "{section}", align 1\n',
        _error_function(prefix),
        f"define i64 @{prefix}_workspace_size() {{\n  ret i64 {workspace}\n}}\n",
        f"define i32 @{prefix}_thread_count(i32 %requested) {{\n"
        "  %count = call i32 @tk_thread_count(i32 %requested)\n  ret i32 %count\n}\n",
        RUNTIME_TEXT,
    ]
    for part in contents.parts:
        table = TABLES[part.name]
        texts += [
            _tensor_table(prefix, f"{table}input", part.fed),
            _tensor_table(prefix, f"{table}output", part.given),
            body_declarations(part),
            run_functions(prefix, part, side),
        ]
        if side is None and part.manifest.constants_bytes:
            texts.append(f"@{part.constants_symbol} = external hidden constant i8, align 64\n")
    if state is not None:
        texts += [_tensor_table(prefix, "state", state.specs), state_functions(prefix, state, side)]
    if contents.levels:
        texts.append(dispatch_text(prefix, contents.levels))
    if contents.self_test is not None:
        specs, size = ((), 0) if state is None else (state.specs, state.initial.nbytes)
        test = contents.self_test
        texts.append(self_test_functions(prefix, contents.parts, test, specs, size))
    if side is not None:
        texts.append(weights_functions(prefix, side))
    return "\n".join(texts)


# %tensor: name, dtype, shape, bytes, rank, position of the input whose buffer an output uses or -1
_DECLARATIONS = """
%tensor = type { ptr, ptr, ptr, i64, i32, i32 }
@llvm.global_dtors = appending global [2 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @tk_pool_shutdown, ptr null }, { i32, ptr, ptr } { i32 65534, ptr @drop_key, ptr null }]
declare hidden i32 @tk_thread_count(i32)
declare hidden void @tk_pool_shutdown()
declare i32 @posix_memalign(ptr, i64, i64)
declare void @free(ptr)
declare i32 @memcmp(ptr, ptr, i64)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
"""


def _tensor_table(prefix: str, kind: str, specs: Sequence[TensorSpec]) -> str:
    """`P_KIND_info`, a table of `%tensor`."""
    lines, rows = [], []
    for index, spec in enumerate(specs):
        part = f"tensor.{kind}.{index}"
        shape = ", ".join(f"i64 {dim}" for dim in spec.shape or (1,))
        lines += [
            f"@{part}.name = private unnamed_addr constant {literal(spec.name)}",
            f"@{part}.dtype = private unnamed_addr constant {literal(spec.dtype)}",
            f"@{part}.shape = private unnamed_addr constant [{max(1, len(spec.shape))} x i64]"
            f" [{shape}]",
        ]
        alias = -1 if spec.alias is None else spec.alias
        rows.append(
            f"%tensor {{ ptr @{part}.name, ptr @{part}.dtype, ptr @{part}.shape,"
            f" i64 {spec.bytes}, i32 {len(spec.shape)}, i32 {alias} }}"
        )
    if not rows:
        rows.append("%tensor zeroinitializer")
    lines.append(f"@{prefix}_{kind}_info = constant [{len(rows)} x %tensor] [{', '.join(rows)}]")
    return "\n".join(lines) + "\n"


def _error_function(prefix: str) -> str:
    """`P_error`."""
    lines = [
        f"@error.{code} = private unnamed_addr constant {literal(text)}"
        for code, text in status.MESSAGES.items()
    ]
    unknown = literal("the model's code reported an error of its own")
    lines.append(f"@error.other = private unnamed_addr constant {unknown}")
    lines.append(f"define ptr @{prefix}_error(i32 %status) {{\nentry:")
    cases = " ".join(f"i32 {code}, label %is.{code}" for code in status.MESSAGES)
    lines.append(f"  switch i32 %status, label %is.other [ {cases} ]")
    for name in [*map(str, status.MESSAGES), "other"]:
        lines.append(f"is.{name}:\n  ret ptr @error.{name}")
    return "\n".join(lines) + "\n}\n"
