"""The C header of a training artifact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.compiler.codegen.entry_training import Part
from tensorkiln.compiler.codegen.header import comment_text, status_lines, struct_lines
from tensorkiln.runtime.manifest import TensorSpec


def training_header(
    prefix: str,
    parts: Sequence[Part],
    state: Sequence[TensorSpec],
    offsets: Mapping[str, int],
    size: int,
    triple: str,
) -> str:
    """The header; `size` is that of the state in bytes."""
    upper = prefix.upper()
    step, predict = parts
    workspace = max(part.manifest.workspace_bytes for part in parts)
    tables = {
        "train_input": step.fed(offsets), "train_output": step.given(),
        "predict_input": predict.fed(offsets), "predict_output": predict.given(), "state": state,
    }  # fmt: skip
    return "\n".join(
        [
            f"/* {comment_text(prefix)}, a model that can be trained, compiled by TensorKiln"
            f" {comment_text(step.manifest.compiler)} for {comment_text(triple)}.",
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
            f"#define {upper}_STATE_BYTES {size}",
            f"#define {upper}_STATE_COUNT {len(state)}",
            f"#define {upper}_WORKSPACE_BYTES {workspace}",
            "",
            *status_lines(upper, training=True),
            "",
            *struct_lines(f"{prefix}_train_inputs", step.fed(offsets), "const "),
            "",
            *struct_lines(f"{prefix}_train_outputs", step.given(), ""),
            "",
            *struct_lines(f"{prefix}_predict_inputs", predict.fed(offsets), "const "),
            "",
            *struct_lines(f"{prefix}_predict_outputs", predict.given(), ""),
            "",
            *_functions(prefix, upper),
            "",
            *_info(prefix, tables),
            "",
            "#ifdef __cplusplus",
            "}",
            "#endif",
            "",
            f"#endif /* {upper}_H */",
            "",
        ]
    )


def _functions(prefix: str, upper: str) -> list[str]:
    run = "void *workspace, int32_t threads);"
    return [
        "/* All that training changes: parameters, and what the optimizer keeps of them. It is one",
        f" * block of {upper}_STATE_BYTES bytes of the program's; what is where tells",
        f" * {prefix}_state_info, in its order, each tensor at the next multiple of 64. */",
        f"size_t {prefix}_state_size(void);",
        "",
        "/* Gives the state its initial values; 0 or a status. */",
        f"int32_t {prefix}_init(void *state);",
        "",
        "/* One step of training, which updates the state in place; 0 or a status. `workspace` holds",
        f" * at least {upper}_WORKSPACE_BYTES bytes, starts at a multiple of 64, and is used by one",
        " * call at a time; with NULL the call allocates one. `threads` 0 means one for each processor",
        " * that the process may use; results do not depend on it. */",
        f"int32_t {prefix}_train_step(void *state, const {prefix}_train_inputs *inputs,",
        f"    const {prefix}_train_outputs *outputs, {run}",
        "",
        "/* The model's outputs with the state as it is. Any number of threads may predict at once",
        " * while none trains. */",
        f"int32_t {prefix}_predict(const void *state, const {prefix}_predict_inputs *inputs,",
        f"    const {prefix}_predict_outputs *outputs, {run}",
        "",
        "/* Writes the state to a file, whole or not at all, and reads it back; 0 or a status. Only a",
        " * state of the same tensors is read; after an error the state is as before. */",
        f"int32_t {prefix}_save(const void *state, const char *path);",
        f"int32_t {prefix}_load(void *state, const char *path);",
        "",
        f"/* {upper}_WORKSPACE_BYTES of the library that is linked or loaded. */",
        f"size_t {prefix}_workspace_size(void);",
        "",
        "/* How many threads a call with this `threads` may use. */",
        f"int32_t {prefix}_thread_count(int32_t requested);",
        "",
        "/* What a status means, in English; never NULL. */",
        f"const char *{prefix}_error(int32_t status);",
    ]


def _info(prefix: str, tables: Mapping[str, Sequence[TensorSpec]]) -> list[str]:
    lines = [
        "typedef struct {",
        "  const char *name;     /* the model's own name of the tensor, UTF-8 */",
        '  const char *dtype;    /* "f32", "i64", "bool", ... */',
        "  const int64_t *shape; /* `rank` dimensions */",
        "  size_t bytes;",
        "  int32_t rank;",
        "  int32_t unused;",
        f"}} {prefix}_tensor;",
        "",
    ]
    lines += [
        f"extern const {prefix}_tensor {prefix}_{name}_info[{max(1, len(specs))}];"
        for name, specs in tables.items()
    ]
    return [*lines, "", "/* Everything known of the model, as JSON. */",
            f"extern const char {prefix}_manifest[];"]  # fmt: skip
