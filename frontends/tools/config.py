"""What tfcompile compiles: tensors fed and fetched, and variables (tf2xla.Config), by public numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tensorkiln.compiler.codegen.header import c_identifier
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.files import data_types, proto_graph
from tensorkiln.frontends.graph.files.messages import Proto, define, message
from tensorkiln.frontends.graph.files.meta_graph import parse_binary_or_text
from tensorkiln.runtime.errors import ModelError

define(
    "tensorkiln/tf2xla.proto",
    """
TensorId: node_name string 1, output_index int64 2
Feed: id .tensorflow.tf2xla.TensorId 1, shape TensorShapeProto 2, name string 3, type DataType 4
Fetch: id .tensorflow.tf2xla.TensorId 1, name string 2, shape TensorShapeProto 3, type DataType 4
Variable: node_name string 1, name string 2, shape TensorShapeProto 3, type DataType 4, readonly bool 5
Config: feed .tensorflow.tf2xla.Feed* 1, fetch .tensorflow.tf2xla.Fetch* 2, variable .tensorflow.tf2xla.Variable* 3
""",
    (proto_graph.FILE,),
    "tensorflow.tf2xla",
)
Config = message(".tensorflow.tf2xla.Config")


@dataclass(frozen=True)
class Feed:
    """An argument of the compiled function; `name` is empty where it goes by its number only."""

    node: str
    output: int
    name: str
    shape: tuple[int, ...]
    dtype: DType | None

    @property
    def tensor(self) -> str:
        """The tensor's name."""
        return f"{self.node}:{self.output}"


@dataclass(frozen=True)
class Fetch:
    """A result of the compiled function."""

    node: str
    output: int
    name: str

    @property
    def tensor(self) -> str:
        """The tensor's name."""
        return f"{self.node}:{self.output}"


@dataclass(frozen=True)
class Variable:
    """State that the caller keeps; `shape` and `dtype` are None where the node says them."""

    node: str
    name: str
    shape: tuple[int, ...] | None
    dtype: DType | None
    readonly: bool


@dataclass(frozen=True)
class Interface:
    """What a config lists, in its order."""

    feeds: tuple[Feed, ...]
    fetches: tuple[Fetch, ...]
    variables: tuple[Variable, ...]


def read_config(data: bytes, path: str) -> Interface:
    """A config, binary or text; ModelError says what is wrong with it."""
    config = parse_binary_or_text(data, Config, path)
    if not config.fetch:
        raise ModelError(f"{path} fetches nothing: add fetch {{ id {{ node_name: ... }} }}")
    feeds = [_feed(item, path) for item in config.feed]
    fetches = [Fetch(*_place(item, "fetch", path), _name(item.name, path)) for item in config.fetch]
    _check_distinct([feed.tensor for feed in feeds], "is fed twice", path)
    _check_distinct([feed.name for feed in feeds if feed.name], "names two feeds", path)
    _check_distinct([fetch.name for fetch in fetches if fetch.name], "names two fetches", path)
    variables = [_variable(item, path) for item in config.variable]
    _check_distinct([variable.node for variable in variables], "is listed twice", path)
    _check_distinct([variable.name for variable in variables], "names two variables", path)
    return Interface(tuple(feeds), tuple(fetches), tuple(variables))


def _feed(item: Proto, path: str) -> Feed:
    node, output = _place(item, "feed", path)
    sizes = data_types.sizes_of(item.shape)
    if sizes is None or None in sizes:
        raise ModelError(f"{path}: the feed {node!r} needs a shape whose sizes are all known")
    shape = tuple(size for size in sizes if size is not None)
    return Feed(node, output, _name(item.name, path), shape, data_types.dtype_of(item.type))


def _variable(item: Proto, path: str) -> Variable:
    node = str(item.node_name)
    if not node:
        raise ModelError(f"{path}: a variable has no node_name")
    name = item.name or node
    if c_identifier(name) != name:
        raise ModelError(
            f"{path}: the variable {node!r} needs a name that is usable as a C++ identifier"
        )
    sizes = data_types.sizes_of(item.shape) if item.HasField("shape") else None
    if sizes is not None and None in sizes:
        raise ModelError(f"{path}: the variable {node!r} needs a shape whose sizes are all known")
    shape = None if sizes is None else tuple(size for size in sizes if size is not None)
    return Variable(node, name, shape, data_types.dtype_of(item.type), bool(item.readonly))


def _place(item: Proto, what: str, path: str) -> tuple[str, int]:
    if not item.id.node_name or item.id.output_index < 0:
        raise ModelError(f"{path}: a {what} has no id {{ node_name: ... }}")
    return str(item.id.node_name), int(item.id.output_index)


def _name(name: str, path: str) -> str:
    if name and c_identifier(name) != name:
        raise ModelError(f"{path}: {name!r} is not usable as a C++ identifier")
    return name


def _check_distinct(names: Sequence[str], text: str, path: str) -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            raise ModelError(f"{path}: {name!r} {text}")
