"""The C++ class around a compiled function: C++11, with the methods of tfcompile's classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tensorkiln.runtime.elements import ELEMENTS
from tensorkiln.runtime.manifest import TensorSpec


@dataclass(frozen=True)
class ClassName:
    """A class in namespaces, from `a::b::Name`."""

    namespaces: tuple[str, ...]
    name: str


_CPP_TYPES = {"bool": "bool", "c64": "std::complex<float>", "c128": "std::complex<double>"}


@dataclass(frozen=True)
class Buffer:
    """An argument, a variable or a result; variables are numbered behind the arguments."""

    role: str
    number: int
    spec: TensorSpec
    name: str
    readonly: bool = False

    @property
    def c_type(self) -> str:
        """The element type of the C functions."""
        return ELEMENTS[self.spec.dtype].c_type

    @property
    def type(self) -> str:
        """The element type of the class's methods."""
        return _CPP_TYPES.get(self.spec.dtype, self.c_type)

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the dims."""
        return tuple(int(size) for size in self.spec.shape)

    @property
    def count(self) -> int:
        """The number of elements."""
        total = 1
        for size in self.shape:
            total *= size
        return total

    @property
    def place(self) -> str:
        """The member that points to the memory."""
        return f"{'results' if self.role == 'result' else 'args'}_[{self.number}]"

    def accessors(self) -> list[str]:
        """Methods by number, and by name if there is one; of variables by name only."""
        labels = [] if self.role == "var" else [f"{self.role}{self.number}"]
        if self.name:
            labels.append(f"{self.role}_{self.name}")
        return [line for label in labels for line in self._methods(label)]

    def _methods(self, label: str) -> list[str]:
        shape = "".join(f"[{size}]" for size in self.shape)
        parameters = ", ".join(f"size_t dim{k}" for k in range(len(self.shape)))
        index = "0"
        for k, size in enumerate(self.shape):
            index = f"dim{k}" if k == 0 else f"({index}) * {size} + dim{k}"
        own = f"const {self.type}" if self.readonly else self.type
        lines = [
            f"  // {self.type}{shape}",
            f"  {own} *{label}_data() {{ return static_cast<{own} *>({self.place}); }}",
            f"  const {self.type} *{label}_data() const {{",
            f"    return static_cast<const {self.type} *>({self.place});",
            "  }",
            f"  {own} &{label}({parameters}) {{ return {label}_data()[{index}]; }}",
            f"  const {self.type} &{label}({parameters}) const {{",
            f"    return {label}_data()[{index}];",
            "  }",
            f"  static constexpr size_t {label}_size() {{ return {self.spec.bytes}; }}",
            f"  static constexpr size_t {label}_count() {{ return {self.count}; }}",
        ]
        if self.role != "result":
            given = "const void" if self.role == "arg" else own
            lines += [
                f"  void set_{label}_data({given} *data) {{",
                f"    set_arg_data({self.number}, data);",
                "  }",
            ]
        return [*lines, ""]


@dataclass(frozen=True)
class Buffers:
    """All memory that callers see."""

    args: Sequence[Buffer]
    variables: Sequence[Buffer]
    results: Sequence[Buffer]


def cpp_header(
    c_header: str, prefix: str, name: ClassName, buffers: Buffers, written: Sequence[int]
) -> str:
    """The C header of the functions called `prefix`_..., then the class.

    The functions have the variables numbered in `written` as further results.
    """
    guard = "_".join((*name.namespaces, name.name, "TFCOMPILE_H_")).upper()
    lines = [
        f"#ifndef {guard}", f"#define {guard}", "", c_header.rstrip(), "",
        "#include <complex>", "#include <cstddef>", "#include <cstdint>", "#include <string>",
        "#include <vector>", "",
        *(f"namespace {part} {{" for part in name.namespaces), "",
        *_class(name.name, prefix, buffers, written), "",
        *(f"}}  // namespace {part}" for part in reversed(name.namespaces)), "",
        f"#endif  // {guard}", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _class(name: str, prefix: str, buffers: Buffers, written: Sequence[int]) -> list[str]:
    args, variables, results = buffers.args, buffers.variables, buffers.results
    held = [*args, *variables]
    stored = [*results, *(variables[number] for number in written)]
    inputs = [f"        static_cast<const {b.c_type} *>({b.place})," for b in held]
    outputs = [f"        static_cast<{b.c_type} *>({b.place})," for b in stored]
    return [
        "// One call at a time; several objects may run at once. Tensors are dense and row-major.",
        f"class {name} {{",
        " public:",
        "  // Variables are the last arguments; Run changes them where they are.",
        f"  static constexpr size_t kNumArgs = {len(held)};",
        f"  static constexpr size_t kNumResults = {len(results)};",
        f"  static constexpr size_t kNumVariables = {len(variables)};",
        "",
        *_size("Arg", held),
        *_number("Arg", args),
        *_number("Variable", variables),
        *_size("Result", results),
        *_number("Result", results),
        "  // Whether the object holds memory for the arguments, or set_argN_data says where they are.",
        "  // The names are those of several releases.",
        "  enum class AllocMode {",
        "    ARGS_VARIABLES_RESULTS_PROFILES_AND_TEMPS,",
        "    RESULTS_PROFILES_AND_TEMPS_ONLY,",
        "    ARGS_RESULTS_PROFILES_AND_TEMPS = ARGS_VARIABLES_RESULTS_PROFILES_AND_TEMPS,",
        "    ARGS_RESULTS_AND_TEMPS = ARGS_VARIABLES_RESULTS_PROFILES_AND_TEMPS,",
        "    RESULTS_AND_TEMPS_ONLY = RESULTS_PROFILES_AND_TEMPS_ONLY,",
        "  };",
        "",
        f"  explicit {name}(",
        "      AllocMode mode = AllocMode::ARGS_VARIABLES_RESULTS_PROFILES_AND_TEMPS)",
        "      : args_(), results_(), workspace_(nullptr), threads_(1) {",
        "    if (mode == AllocMode::ARGS_VARIABLES_RESULTS_PROFILES_AND_TEMPS) {",
        *(f"      {b.place} = Allocate({b.spec.bytes});" for b in held),
        "    }",
        *(f"    {b.place} = Allocate({b.spec.bytes});" for b in results),
        f"    workspace_ = Allocate({prefix}_workspace_size());",
        "  }",
        "",
        f"  {name}(const {name} &) = delete;",
        f"  {name} &operator=(const {name} &) = delete;",
        "",
        "  // Computes the results; false, with a text in error_msg(), if that failed.",
        "  bool Run() {",
        "    error_msg_.clear();",
        "    for (size_t k = 0; k < kNumArgs; ++k) {",
        "      if (args_[k] == nullptr) {",
        '        error_msg_ = "argument " + std::to_string(k) + " has no data";',
        "        return false;",
        "      }",
        "    }",
        f"    const {prefix}_inputs inputs = {{",
        *(inputs or ["        nullptr,"]),
        "    };",
        f"    const {prefix}_outputs outputs = {{",
        *outputs,
        "    };",
        f"    const int32_t status = {prefix}_run(&inputs, &outputs, workspace_, threads_);",
        f"    if (status != 0) error_msg_ = {prefix}_error(status);",
        "    return status == 0;",
        "  }",
        "",
        "  // What the last Run failed of, empty if it did not.",
        "  const std::string &error_msg() const { return error_msg_; }",
        "",
        "  // How many threads Run may use; 0 means one for each processor. It starts with 1.",
        "  void set_thread_count(int count) { threads_ = count; }",
        "",
        "  // Run uses as many threads as the pool has (numThreads()); they are the model's own. With",
        "  // a pool that does not say how many it has: one for each processor; without a pool: one.",
        "  template <class Pool>",
        "  auto set_thread_pool(const Pool *pool) -> decltype(pool->numThreads(), void()) {",
        "    threads_ = pool ? pool->numThreads() : 1;",
        "  }",
        "  void set_thread_pool(const void *pool) { threads_ = pool ? 0 : 1; }",
        "",
        "  void *arg_data(size_t index) { return args_[index]; }",
        "  const void *arg_data(size_t index) const { return args_[index]; }",
        "  void set_arg_data(size_t index, const void *data) {",
        "    args_[index] = const_cast<void *>(data);",
        "  }",
        "  void **args() { return args_; }",
        "  const void *const *args() const { return args_; }",
        "  static constexpr size_t num_args() { return kNumArgs; }",
        "  static constexpr size_t num_variables() { return kNumVariables; }",
        "",
        "  void *result_data(size_t index) { return results_[index]; }",
        "  const void *result_data(size_t index) const { return results_[index]; }",
        "  void **results() { return results_; }",
        "  const void *const *results() const { return results_; }",
        "  static constexpr size_t num_results() { return kNumResults; }",
        "",
        *(line for buffer in (*args, *results, *variables) for line in buffer.accessors()),
        " private:",
        "  // Memory at a multiple of 64 that lives as long as the object.",
        "  void *Allocate(size_t bytes) {",
        "    memory_.emplace_back(bytes + 64);",
        "    char *start = memory_.back().data();",
        "    return start + (64 - reinterpret_cast<uintptr_t>(start) % 64) % 64;",
        "  }",
        "",
        "  std::vector<std::vector<char>> memory_;",
        f"  void *args_[{max(len(held), 1)}];",
        f"  void *results_[{len(results)}];",
        "  void *workspace_;",
        "  int32_t threads_;",
        "  std::string error_msg_;",
        "};",
    ]


def _size(role: str, buffers: Sequence[Buffer]) -> list[str]:
    """The method with the bytes of a buffer."""
    sizes = [f"    if (index == {b.number}) return {b.spec.bytes};" for b in buffers]
    return [
        f"  // The bytes of {role.lower()} `index`, -1 if there is none.",
        f"  static int64_t {role}Size(size_t index) {{",
        *(sizes or ["    (void)index;"]),
        "    return -1;",
        "  }",
    ]


def _number(role: str, buffers: Sequence[Buffer]) -> list[str]:
    """The method with the number of the buffer that goes by a name."""
    names = [f'    if (name == "{b.name}") return {b.number};' for b in buffers if b.name]
    return [
        f"  // The number of the {role.lower()} that the config names so, -1 if it names none.",
        f"  static int Lookup{role}Index(const std::string &name) {{",
        *(names or ["    (void)name;"]),
        "    return -1;",
        "  }",
        "",
    ]
