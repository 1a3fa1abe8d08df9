"""The C header of an artifact: C99 and C++98, with shapes and dtypes in words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tensorkiln.runtime import status
from tensorkiln.runtime.elements import ELEMENTS
from tensorkiln.runtime.manifest import Manifest, TensorSpec
from tensorkiln.runtime.open_sizes import OpenShape, OpenSizes

# Words that cannot name a field or function in C99 to C23 or in C++.
_KEYWORDS = frozenset(
    """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t
    char8_t class co_await co_return co_yield compl concept const const_cast consteval constexpr
    constinit continue decltype default delete do double dynamic_cast else enum explicit export
    extern false float for friend goto if inline int linux long mutable namespace new noexcept not
    not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires
    restrict return short signed sizeof static static_assert static_cast struct switch template
    this thread_local throw true try typedef typeid typename typeof typeof_unqual union unix
    unsigned using virtual void volatile wchar_t while xor xor_eq
    """.split()  # noqa: SIM905
)


def c_identifier(name: str, fallback: str = "tensor") -> str:
    """`name` as a C identifier: other characters become "_", keywords get one at their end."""
    text = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:60]
    if not text or text[0].isdigit():
        text = f"{fallback}_{text}".rstrip("_")
    return f"{text}_" if text in _KEYWORDS else text


def field_names(specs: Sequence[TensorSpec]) -> list[str]:
    """A C field name for each tensor, all different."""
    names: list[str] = []
    for spec in specs:
        name = plain = c_identifier(spec.name)
        number = 2
        while name in names:
            name, number = f"{plain}_{number}", number + 1
        names.append(name)
    return names


def header_text(manifest: Manifest) -> str:
    """The header for `manifest`, whose `artifact` gives the prefix and the weights file."""
    assert manifest.artifact is not None
    prefix = manifest.artifact.prefix
    upper = prefix.upper()
    side_file = manifest.artifact.weights
    return "\n".join(
        [
            f"/* {comment_text(manifest.model)}, compiled by TensorKiln {comment_text(manifest.compiler)}"
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
            f"#define {upper}_INPUT_COUNT {len(manifest.inputs)}",
            f"#define {upper}_OUTPUT_COUNT {len(manifest.outputs)}",
            f"#define {upper}_WORKSPACE_BYTES {manifest.workspace_bytes}",
            "",
            *status_lines(upper),
            "",
            *struct_lines(f"{prefix}_inputs", manifest.inputs, "const "),
            "",
            *struct_lines(f"{prefix}_outputs", manifest.outputs, "", manifest.inputs),
            "",
            *_run_lines(prefix, upper),
            "",
            *runtime_lines(prefix),
            "",
            *(_size_lines(prefix, upper, manifest.sizes) if manifest.sizes else []),
            *(_weights_lines(prefix, side_file) if side_file else []),
            *(_version_lines(prefix, manifest) if manifest.artifact.versions else []),
            *(_self_test_lines(prefix) if manifest.artifact.self_test else []),
            *_info_lines(prefix, upper, manifest),
            "",
            "#ifdef __cplusplus",
            "}",
            "#endif",
            "",
            f"#endif /* {upper}_H */",
            "",
        ]
    )


def comment_text(text: str) -> str:
    """`text` without anything that could end a comment, start one, or be a trigraph."""
    return re.sub(r"[^A-Za-z0-9_:;,./+=()\[\] -]", "_", text)[:200]


def status_lines(upper: str, training: bool = False) -> list[str]:
    """The statuses as macros."""
    names = {
        "OK": status.OK,
        "NULL_ARGUMENT": status.NULL_ARGUMENT,
        "MISALIGNED_WORKSPACE": status.MISALIGNED_WORKSPACE,
        "OUT_OF_MEMORY": status.OUT_OF_MEMORY,
        "WEIGHTS_NOT_LOADED": status.WEIGHTS_NOT_LOADED,
        "WEIGHTS_UNREADABLE": status.WEIGHTS_UNREADABLE,
        "WEIGHTS_MISMATCH": status.WEIGHTS_MISMATCH,
        "UNSUPPORTED_PROCESSOR": status.UNSUPPORTED_PROCESSOR,
        "SELF_TEST_FAILED": status.SELF_TEST_FAILED,
    }
    if training:
        names |= {
            "STATE_UNWRITABLE": status.STATE_UNWRITABLE,
            "STATE_UNREADABLE": status.STATE_UNREADABLE,
            "STATE_MISMATCH": status.STATE_MISMATCH,
        }
    return [
        f"#define {upper}_{name} {code} /* {status.MESSAGES[code]} */"
        for name, code in names.items()
    ]


def struct_lines(
    name: str,
    specs: Sequence[TensorSpec],
    qualifier: str,
    inputs: Sequence[TensorSpec] = (),
) -> list[str]:
    """A structure of pointers, one a tensor."""
    input_fields = field_names(inputs)
    lines = ["typedef struct {"]
    for field, spec in zip(field_names(specs), specs, strict=True):
        element = ELEMENTS[spec.dtype]
        notes = f"{comment_text(spec.name)}: {spec}, {spec.bytes} bytes"
        if spec.alias is not None:
            notes += f"; may be the same buffer as input {input_fields[spec.alias]}"
        lines.append(f"  {qualifier}{element.c_type} *{field}; /* {notes} */")
    if not specs:
        lines.append("  const void *unused;")
    return [*lines, f"}} {name};"]


def _run_lines(prefix: str, upper: str) -> list[str]:
    return [
        "/* Runs the model; 0 or a status. `workspace` holds at least",
        f" * {upper}_WORKSPACE_BYTES bytes, starts at a multiple of 64, and is used by one call at",
        " * a time; with NULL the call allocates one and frees it. With a workspace a call allocates",
        " * nothing, except that threads are made when they are first used. `threads` 0 means one for each",
        " * processor that the process may use. Results do not depend on it. Any number of threads",
        " * may call at once. No output may overlap another buffer, except where it is noted that it",
        " * may be the same as an input's: then it is updated in place. */",
        f"int32_t {prefix}_run(const {prefix}_inputs *inputs, const {prefix}_outputs *outputs,",
        "    void *workspace, int32_t threads);",
        "",
        f"/* {upper}_WORKSPACE_BYTES of the library that is linked or loaded. */",
        f"size_t {prefix}_workspace_size(void);",
        "",
        "/* How many threads a run with this `threads` may use: 0 is resolved by the affinity and",
        " * the control group of the process. */",
        f"int32_t {prefix}_thread_count(int32_t requested);",
        "",
        "/* What a status means, in English; never NULL. */",
        f"const char *{prefix}_error(int32_t status);",
    ]


def runtime_lines(prefix: str) -> list[str]:
    """The structure of the program's own threads and memory, and the run that takes it."""
    return [
        "/* The program's own threads and memory for a run; each function may be NULL, which means",
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
        "",
        f"/* {prefix}_run with the program's own threads and memory; NULL for the built-in ones. */",
        f"int32_t {prefix}_run_with(const {prefix}_inputs *inputs, const {prefix}_outputs *outputs,",
        f"    void *workspace, int32_t threads, const {prefix}_runtime *runtime);",
    ]


def _size_lines(prefix: str, upper: str, sizes: OpenSizes) -> list[str]:
    """The ranges of sizes, the shapes by them, and the workspace by them."""
    names = [c_identifier(size.name, "size") for size in sizes.ranges]
    shapes = [f" *   {upper} inputs: {'; '.join(map(_shape_text, sizes.inputs))}",
              f" *   {upper} outputs: {'; '.join(map(_shape_text, sizes.outputs))}"]  # fmt: skip
    lines = [
        "/* Sizes are chosen at each call: the size_ inputs point to one int32_t each, and arrays are",
        " * dense at these sizes, not at the largest ones, which are what is noted above.",
        *(f" *   {comment_text(str(size))}" for size in sizes.ranges),
        *(comment_line for comment_line in shapes),
        f" * A size out of its range gives the status {upper}_SIZE_OUT_OF_RANGE. */",
        f"#define {upper}_SIZE_OUT_OF_RANGE {status.SIZE_OUT_OF_RANGE}",
        "",
        f"/* The workspace that a run with these sizes needs; {upper}_WORKSPACE_BYTES at most. */",
        f"static inline size_t {prefix}_workspace_for({', '.join(f'int32_t {n}' for n in names)}) {{",
    ]
    for part in sizes.parts:
        holds = " && ".join(
            f"{name} <= {size.maximum}" for name, size in zip(names, part.ranges, strict=True)
        )
        lines.append(f"  if ({holds}) return {part.workspace_bytes};")
    return [*lines, f"  return {upper}_WORKSPACE_BYTES;", "}", ""]


def _shape_text(shape: OpenShape) -> str:
    return comment_text(f"[{shape}]")


def _version_lines(prefix: str, manifest: Manifest) -> list[str]:
    assert manifest.artifact is not None
    names = ", ".join(version.name for version in manifest.artifact.versions)
    return [
        f"/* There is code for {names}; the first run takes the best that the",
        " * processor has. The x86-64 level it takes (1 to 4), 0 if none can run here. */",
        f"int32_t {prefix}_level(void);",
        "",
        "/* Take the code of this level from now on, 0 for the best; 0 or a status. No call may be",
        " * running. */",
        f"int32_t {prefix}_select(int32_t level);",
        "",
    ]


def _self_test_lines(prefix: str) -> list[str]:
    return [
        "/* Runs the model on inputs that it makes and compares samples of the outputs with those of",
        " * the reference interpreter when this was compiled; 0 or a status. */",
        f"int32_t {prefix}_self_test(int32_t threads);",
        "",
    ]


def _weights_lines(prefix: str, file_name: str) -> list[str]:
    return [
        f"/* Maps the weights file ({comment_text(file_name)}) into memory; 0 or a status. Call it once",
        " * before the first run; later calls do nothing. */",
        f"int32_t {prefix}_load_weights(const char *path);",
        "",
        "/* Unmaps the weights; no call may be running. */",
        f"void {prefix}_unload_weights(void);",
        "",
    ]


def _info_lines(prefix: str, upper: str, manifest: Manifest) -> list[str]:
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
        f"extern const {prefix}_tensor {prefix}_input_info[{max(1, len(manifest.inputs))}];",
        f"extern const {prefix}_tensor {prefix}_output_info[{max(1, len(manifest.outputs))}];",
        "",
        "/* Everything known of the model, as JSON. */",
        f"extern const char {prefix}_manifest[];",
    ]
