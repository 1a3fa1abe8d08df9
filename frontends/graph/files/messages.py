"""Protocol buffer messages of TensorFlow, made at run time from a short notation.

A message is a line `Name: field type number, ...`.  `type*` repeats, `{type}` is a map from
strings, `{key:type}` one from keys of another type, `group/field` is a member of the oneof `group`;
`Outer.Inner` is nested in `Outer`, whose line stands before its own.  An enum is `enum Name: VALUE
number, ...`.  The messages live in a pool of their own, so that TensorFlow may be imported into the
same process.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Proto: TypeAlias = Any
"""A message: its fields are known at run time only."""

_POOL = descriptor_pool.DescriptorPool()
_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "double": _FIELD.TYPE_DOUBLE,
    "float": _FIELD.TYPE_FLOAT,
    "int64": _FIELD.TYPE_INT64,
    "uint64": _FIELD.TYPE_UINT64,
    "int32": _FIELD.TYPE_INT32,
    "fixed32": _FIELD.TYPE_FIXED32,
    "bool": _FIELD.TYPE_BOOL,
    "string": _FIELD.TYPE_STRING,
    "bytes": _FIELD.TYPE_BYTES,
    "uint32": _FIELD.TYPE_UINT32,
}


def define(
    file: str, text: str, imports: tuple[str, ...] = (), package: str = "tensorflow"
) -> None:
    """Adds the messages of `text` to the pool as `<package>.<Name>`, proto3.

    Types are scalars, enums or messages of `text` and of the files `imports`, by their name in
    the package `tensorflow` unless they start with a dot.
    """
    described = descriptor_pb2.FileDescriptorProto(
        name=file, package=package, syntax="proto3", dependency=imports
    )
    lines = [line for line in text.strip().splitlines() if line.strip()]
    heads = [line.partition(":") for line in lines]
    known: dict[str, Any] = {}
    for head, _, _ in heads:
        name = head.strip()
        if not name.startswith("enum "):
            outer, inner = _split(known, name)
            adder = described.message_type if outer is None else outer.nested_type
            known[name] = adder.add(name=inner)
    for head, _, body in heads:
        if head.startswith("enum "):
            outer, inner = _split(known, head.removeprefix("enum ").strip())
            enum = (described if outer is None else outer).enum_type.add(name=inner)
            for item in body.split(","):
                value, number = item.split()
                enum.value.add(name=value, number=int(number))
    for head, _, body in heads:
        if not head.startswith("enum "):
            for item in filter(None, (part.strip() for part in body.split(","))):
                _add_field(known[head.strip()], f".{package}.{head.strip()}", item)
    _POOL.Add(described)


def add_file(serialized: bytes) -> None:
    """Adds a serialized file description, such as that of google.protobuf.Any, to the pool."""
    _POOL.AddSerializedFile(serialized)


def _split(known: dict[str, Any], name: str) -> tuple[Any, str]:
    outer, _, inner = name.rpartition(".")
    return (known[outer] if outer else None), inner


def _add_field(message: Any, full_name: str, text: str) -> None:
    label, kind, number = text.split()
    group, _, name = label.rpartition("/")
    field = message.field.add(name=name, number=int(number), label=_FIELD.LABEL_OPTIONAL)
    if kind.endswith("*") or kind.startswith("{"):
        field.label = _FIELD.LABEL_REPEATED
    if kind.startswith("{"):
        title = "".join(part.capitalize() for part in name.split("_")) + "Entry"
        entry = message.nested_type.add(name=title)
        entry.options.map_entry = True
        keys, _, values = kind.strip("{}").rpartition(":")
        _add_field(entry, f"{full_name}.{title}", f"key {keys or 'string'} 1")
        _add_field(entry, f"{full_name}.{title}", f"value {values} 2")
        field.type, field.type_name = _FIELD.TYPE_MESSAGE, f"{full_name}.{title}"
    else:
        plain = kind.rstrip("*")
        if plain in _SCALARS:
            field.type = _SCALARS[plain]
        else:
            # Without a type the pool finds out itself whether this is a message or an enum.
            field.type_name = plain if plain.startswith(".") else f".tensorflow.{plain}"
    if group:
        groups = [item.name for item in message.oneof_decl]
        if group not in groups:
            message.oneof_decl.add(name=group)
            groups.append(group)
        field.oneof_index = groups.index(group)


@cache
def message(name: str) -> Any:
    """The class of the message `tensorflow.<name>` (with a dot in front: the full name)."""
    full = name[1:] if name.startswith(".") else f"tensorflow.{name}"
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(full))


@cache
def enum_values(name: str) -> dict[str, int]:
    """The numbers of the enum `tensorflow.<name>` by their names."""
    described = _POOL.FindEnumTypeByName(f"tensorflow.{name}")
    return {value.name: value.number for value in described.values}
