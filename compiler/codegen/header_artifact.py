"""The C header of an artifact: C99 and C++98, with shapes and dtypes in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tensorkiln.compiler.codegen.entry import TABLES
from tensorkiln.compiler.codegen.header import (
    comment_text,
    status_lines,
    struct_lines,
)
from tensorkiln.compiler.codegen.header_runs import Run, run_lines, size_lines
from tensorkiln.runtime import status
from tensorkiln.runtime.manifest import ArtifactInfo, Manifest, TensorSpec
from tensorkiln.runtime.training_manifest import TrainingManifest

_STEP = (
    "One step of training, which updates the state in place; 0 or a status. One thread at a time"
    " may train a state."
)
_PREDICT = (
    "The model's outputs with the state as it is; 0 or a status. Any number of threads may predict"
    " at once while none trains."
)
_RUN = (
    "Runs the model; 0 or a status. Any number of threads may call at once. No output may overlap"
    " another buffer, except where it is noted that it may be the same as an input's: then it is"
    " updated in place."
)


@dataclass(frozen=True, slots=True)
class _Header:
    """What a header is about."""

    title: str
    manifest: Manifest
    artifact: ArtifactInfo
    runs: tuple[Run, ...]
    workspace_bytes: int
    state: TrainingManifest | None


def model_header(manifest: Manifest) -> str:
    """The header for `manifest`, whose `artifact` gives the prefix and the weights file."""
    assert manifest.artifact is not None
    run = Run("run", TABLES["run"], manifest, "", _RUN)
    return _text(
        _Header(
            comment_text(manifest.model), manifest, manifest.artifact, (run,),
            manifest.workspace_bytes, None,
        )
    )  # fmt: skip


def training_header(manifest: TrainingManifest) -> str:
    """The header of a model that is trained."""
    step = Run(
        "train_step", TABLES["train_step"], manifest.fed(manifest.step), "void *state", _STEP
    )
    predict = Run(
        "predict", TABLES["predict"], manifest.fed(manifest.predict), "const void *state", _PREDICT
    )
    title = f"{comment_text(manifest.artifact.prefix)}, a model that is trained,"
    return _text(
        _Header(
            title, manifest.step, manifest.artifact, (step, predict), manifest.workspace_bytes,
            manifest,
        )
    )  # fmt: skip


def _text(header: _Header) -> str:
    prefix, artifact = header.artifact.prefix, header.artifact
    upper = prefix.upper()
    manifest = header.manifest
    lines = [
        f"/* {header.title} compiled by TensorKiln {comment_text(manifest.compiler)}"
        f" for {comment_text(manifest.triple)}.",
        " * Link with -lm -lpthread. Tensors are dense, row-major, outermost dimension first. */",
        f"#ifndef {upper}_H",
        f"#define {upper}_H",
        "",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
    ]
    if header.state is not None:
        lines += [
            f"#define {upper}_STATE_BYTES {header.state.state_bytes}",
            f"#define {upper}_STATE_COUNT {len(header.state.state)}",
        ]
    for run in header.runs:
        table = f"{upper}_{run.table.upper()}"
        lines += [
            f"#define {table}INPUT_COUNT {len(run.manifest.inputs)}",
            f"#define {table}OUTPUT_COUNT {len(run.manifest.outputs)}",
        ]
    lines += [
        f"#define {upper}_WORKSPACE_BYTES {header.workspace_bytes}",
        "",
        *status_lines(upper, header.state is not None),
    ]
    if any(run.manifest.sizes for run in header.runs):
        lines.append(
            f"#define {upper}_SIZE_OUT_OF_RANGE {status.SIZE_OUT_OF_RANGE}"
            f" /* {status.MESSAGES[status.SIZE_OUT_OF_RANGE]} */"
        )
    lines.append("")
    for run in header.runs:
        inputs, outputs = run.manifest.inputs, run.manifest.outputs
        lines += [
            *struct_lines(f"{prefix}_{run.table}inputs", inputs, "const "),
            "",
            *struct_lines(f"{prefix}_{run.table}outputs", outputs, "", inputs),
            "",
        ]
    lines += [*_state_lines(prefix, upper), ""] if header.state is not None else []
    lines += [*_runtime_lines(prefix), ""]
    for run in header.runs:
        lines += [*run_lines(prefix, run), "", *size_lines(prefix, run)]
    lines += [
        *_common_lines(prefix, upper),
        "",
        *(_weights_lines(prefix, artifact.weights, header.state) if artifact.weights else []),
        *(_version_lines(prefix, artifact) if artifact.versions else []),
        *(_self_test_lines(prefix) if artifact.self_test else []),
        *_info_lines(prefix, header),
        "",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "",
        f"#endif /* {upper}_H */",
        "",
    ]
    return "\n".join(lines)


def _state_lines(prefix: str, upper: str) -> list[str]:
    return [
        "/* All that training changes: parameters, and what the optimizer keeps of them. It is one",
        f" * block of {upper}_STATE_BYTES bytes of the program's, aligned as malloc does;",
        f" * {prefix}_state_info tells what is in it, each tensor at the next multiple of 64. */",
        f"size_t {prefix}_state_size(void);",
        "",
        "/* Gives the state its initial values; 0 or a status. */",
        f"int32_t {prefix}_init(void *state);",
        "",
        "/* Writes the state to a file, whole or not at all, and reads it back; 0 or a status. Only a",
        " * state of the same tensors is read; after an error the state is as before. */",
        f"int32_t {prefix}_save(const void *state, const char *path);",
        f"int32_t {prefix}_load(void *state, const char *path);",
    ]


def _runtime_lines(prefix: str) -> list[str]:
    """The structure of the program's own threads and memory."""
    return [
        "/* The program's own threads and memory for a call; each function may be NULL, which means",
        " * the built-in one. `parallel_for` calls task(context, begin, end) on ranges that do not",
        " * overlap and together are 0 to count, on at most about `threads` threads, and returns when",
        " * all have returned. `allocate` gives `size` bytes at a multiple of `alignment`, or NULL;",
        " * `release` takes them back. Results do not depend on how the ranges are cut. */",
        "typedef struct {",
        "  void *user; /* the first argument of the functions */",
        "  void (*parallel_for)(void *user, void (*task)(void *context, int64_t begin, int64_t end),",
        "      void *context, int64_t count, int32_t threads);",
        "  void *(*allocate)(void *user, size_t size, size_t alignment);",
        "  void (*release)(void *user, void *memory);",
        f"}} {prefix}_runtime;",
    ]


def _common_lines(prefix: str, upper: str) -> list[str]:
    return [
        f"/* {upper}_WORKSPACE_BYTES of the library that is linked or loaded. */",
        f"size_t {prefix}_workspace_size(void);",
        "",
        "/* How many threads a call with this `threads` may use: 0 is resolved by the affinity and",
        " * the control group of the process. */",
        f"int32_t {prefix}_thread_count(int32_t requested);",
        "",
        "/* What a status means, in English; never NULL. */",
        f"const char *{prefix}_error(int32_t status);",
    ]


def _version_lines(prefix: str, artifact: ArtifactInfo) -> list[str]:
    names = ", ".join(version.name for version in artifact.versions)
    return [
        f"/* There is code for {names}; the first call takes the best that",
        " * the processor has. The x86-64 level it takes (1 to 4), 0 if none can run here. */",
        f"int32_t {prefix}_level(void);",
        "",
        "/* Take the code of this level from now on, 0 for the best; 0 or a status. No call may be",
        " * running. */",
        f"int32_t {prefix}_select(int32_t level);",
        "",
    ]


def _self_test_lines(prefix: str) -> list[str]:
    return [
        "/* Runs the model on inputs that it makes and compares samples of the results with those of",
        " * the reference interpreter when this was compiled; 0 or a status. */",
        f"int32_t {prefix}_self_test(int32_t threads);",
        "",
    ]


def _weights_lines(prefix: str, file_name: str, state: TrainingManifest | None) -> list[str]:
    first = "the first run" if state is None else f"{prefix}_init and the first step"
    return [
        f"/* Maps the weights file ({comment_text(file_name)}) into memory; 0 or a status. Call it once",
        f" * before {first}; later calls do nothing. */",
        f"int32_t {prefix}_load_weights(const char *path);",
        "",
        "/* Unmaps the weights; no call may be running. */",
        f"void {prefix}_unload_weights(void);",
        "",
    ]


def _info_lines(prefix: str, header: _Header) -> list[str]:
    tables: dict[str, Sequence[TensorSpec]] = {}
    for run in header.runs:
        tables[f"{run.table}input"] = run.manifest.inputs
        tables[f"{run.table}output"] = run.manifest.outputs
    if header.state is not None:
        tables["state"] = header.state.state
    return [
        "typedef struct {",
        "  const char *name;     /* the model's own name of the tensor, UTF-8 */",
        '  const char *dtype;    /* "f32", "i64", "bool", ... */',
        "  const int64_t *shape; /* `rank` dimensions */",
        "  size_t bytes;",
        "  int32_t rank;",
        "  int32_t alias;        /* an output's input that may be the same buffer, or -1 */",
        f"}} {prefix}_tensor;",
        "",
        *(
            f"extern const {prefix}_tensor {prefix}_{name}_info[{max(1, len(specs))}];"
            for name, specs in tables.items()
        ),
        "",
        "/* Everything known of the model, as JSON. */",
        f"extern const char {prefix}_manifest[];",
    ]
