"""Calls of compiled code from Python without ctypes: builtin functions that are made at run time.

`direct.ll` has functions of the interpreter's C API. One calls a frame as it stands, one notes an
array's address in it, and one takes arrays, looks whether they are what the model computes with,
makes the results' arrays, and calls. What it does not take (lists, views that are not dense, wrong
shapes) is left to the caller, who converts or complains. They need a third of the time of ctypes.

Where the interpreter is not CPython, or numpy's arrays do not lie in memory as its C API says for
its versions 1 and 2, there are no such functions, and calls go through ctypes.
"""

from __future__ import annotations

import ctypes
import functools
import platform
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from tensorkiln.runtime.feeds import Array
from tensorkiln.runtime.manifest import Manifest
from tensorkiln.runtime.pool import linker

_SOURCE = Path(__file__).with_name("direct.ll")
_LOCK = threading.RLock()
_API = (
    "PyErr_Occurred", "PyTuple_GetItem", "PyLong_AsVoidPtr", "PyLong_FromLong", "PyList_New", "PyList_SetItem",
    "Py_IncRef", "Py_DecRef", "PyEval_SaveThread", "PyEval_RestoreThread",
)  # fmt: skip
# Places in the table of numpy's C API, and its versions of the binary interface (1.x and 2.x)
_ABI_VERSION, _ARRAY_TYPE, _NEW_FROM_DESCR = 0, 2, 94
_KNOWN = (0x01000009, 0x02000000)
_NOARGS, _FASTCALL = 0x04, 0x80  # methodobject.h
_FUNCTIONS = {"tk_call_frame": _NOARGS, "tk_bind_array": _FASTCALL, "tk_call_arrays": _FASTCALL}

StatusCall = Callable[[], int]
ArraysCall = Callable[..., "list[Array] | int | None"]
BindCall = Callable[[int, object], int]


class _Method(ctypes.Structure):
    """PyMethodDef of Python's C API."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


class _Spec(ctypes.Structure):
    _fields_ = (
        ("dtype", ctypes.c_void_p),
        ("rank", ctypes.c_int64),
        ("dims", ctypes.c_void_p),
        ("bytes", ctypes.c_int64),
    )


class _Model(ctypes.Structure):
    _fields_ = (
        ("inputs", ctypes.c_int64),
        ("outputs", ctypes.c_int64),
        ("specs", ctypes.c_void_p),
    )


class _Frame(ctypes.Structure):
    _fields_ = (
        ("function", ctypes.c_void_p),
        ("first", ctypes.c_void_p),
        ("second", ctypes.c_void_p),
        ("third", ctypes.c_void_p),
        ("threads", ctypes.c_void_p),
        ("pointers", ctypes.c_void_p),
        ("model", ctypes.c_void_p),
    )


@dataclass(frozen=True, slots=True)
class _Methods:
    frame: _Method
    bind: _Method
    arrays: _Method


@dataclass(frozen=True, slots=True)
class DirectCalls:
    """Builtin functions of one frame.

    `call()` gives the status. `bind(position, array)` gives 1, or 0 where `array` is none of
    numpy's own kind. `arrays(*inputs)` gives a list of new results, `arrays(*inputs, *outputs)`
    gives 0; both give None where nothing was called as some array does not fit, and another status
    where the call failed.
    """

    call: StatusCall
    bind: BindCall
    arrays: ArraysCall


@dataclass(frozen=True, slots=True)
class DirectModel:
    """What the arrays of a model must be, as `direct.ll` reads it."""

    record: ctypes.Structure
    owners: tuple[object, ...]


def direct_model(manifest: Manifest) -> DirectModel:
    """The record for a model's inputs and outputs."""
    tensors = (*manifest.inputs, *manifest.outputs)
    dtypes = [spec.numpy for spec in tensors]
    dims = [(ctypes.c_int64 * max(1, len(spec.shape)))(*spec.shape) for spec in tensors]
    rows = (_Spec * max(1, len(tensors)))()
    for row, spec, dtype, shape in zip(rows, tensors, dtypes, dims, strict=False):
        row.dtype, row.rank = id(dtype), len(spec.shape)
        row.dims, row.bytes = ctypes.addressof(shape), spec.bytes
    record = _Model(len(manifest.inputs), len(manifest.outputs), ctypes.addressof(rows))
    return DirectModel(record, (rows, dtypes, dims))


def direct_calls(
    function: int,
    arguments: Sequence[int],
    threads: ctypes.c_int32,
    pointers: ctypes.Array[ctypes.c_void_p],
    model: DirectModel,
    owners: tuple[object, ...],
) -> DirectCalls | None:
    """Functions that call `function(*arguments, threads)`; None if this Python has none.

    `function` is the address of a C function of three pointers and an int32, and `owners` keeps
    it and the arguments alive.
    """
    methods = _methods()
    if methods is None:
        return None
    record = _Frame(
        function, *arguments, ctypes.addressof(threads), ctypes.addressof(pointers),
        ctypes.addressof(model.record),
    )  # fmt: skip
    bound = (ctypes.addressof(record), record, threads, pointers, model, owners)
    return DirectCalls(*(_builtin(m, bound) for m in (methods.frame, methods.bind, methods.arrays)))


def _builtin(method: _Method, bound: tuple[object, ...]) -> Any:
    make = ctypes.pythonapi.PyCFunction_NewEx
    return make(ctypes.byref(method), ctypes.py_object(bound), None)


def _methods() -> _Methods | None:
    with _LOCK:
        return _load()


@functools.cache
def _load() -> _Methods | None:
    table = _numpy_table()
    if table is None:
        return None
    text = _SOURCE.read_text(encoding="ascii").replace("HEADER", str(object.__basicsize__))
    jit = linker()
    module = llvm.parse_assembly(text)
    module.verify()
    machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        opt=2, reloc="pic", codemodel="default"
    )
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=1))
    builder.getModulePassManager().run(module, builder)
    library = llvm.JITLibraryBuilder().add_object_img(machine.emit_object(module))
    for name in _API:
        library.import_symbol(name, _address(getattr(ctypes.pythonapi, name)))
    library.import_symbol("array_type", table[_ARRAY_TYPE])
    library.import_symbol("new_array", table[_NEW_FROM_DESCR])
    library.import_symbol("none", id(None))
    for name in _FUNCTIONS:
        library.export_symbol(name)
    tracker = library.link(jit, "tensorkiln.direct")
    tracker.detach()
    ctypes.pythonapi.PyCFunction_NewEx.restype = ctypes.py_object
    return _Methods(
        *(_Method(b"call", tracker[name], flags, None) for name, flags in _FUNCTIONS.items())
    )


def _numpy_table() -> ctypes.Array[ctypes.c_void_p] | None:
    """The functions of numpy's C API; None where it is not one that `direct.ll` was written for."""
    core = sys.modules.get("numpy._core._multiarray_umath") or sys.modules.get(
        "numpy.core._multiarray_umath"
    )
    capsule = getattr(core, "_ARRAY_API", None)
    if platform.python_implementation() != "CPython" or capsule is None:
        return None
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    table = (ctypes.c_void_p * (_NEW_FROM_DESCR + 1)).from_address(pointer(capsule, None))
    version = ctypes.CFUNCTYPE(ctypes.c_uint)(table[_ABI_VERSION] or 0)()
    known = version in _KNOWN and table[_ARRAY_TYPE] == id(np.ndarray)
    return table if known else None


def _address(function: object) -> int:
    found = ctypes.cast(function, ctypes.c_void_p).value  # type: ignore[arg-type]
    assert found is not None
    return found
