"""Runs PTX modules on a GPU through the driver API of cuda-bindings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from tensorkiln.compiler.codegen.nvptx import PtxModule
from tensorkiln.compiler.ir.function import Array, Function
from tensorkiln.compiler.kernel.program import Slot


class Device:
    """The first GPU, with its primary context; `driver` is the module cuda.bindings.driver."""

    def __init__(self, driver: ModuleType) -> None:
        self.driver = driver
        self.call("cuInit", 0)
        self.handle = self.call("cuDeviceGet", 0)

    def call(self, name: str, *arguments: object) -> Any:
        """A driver function's result; RuntimeError with the driver's name of an error."""
        error, *results = getattr(self.driver, name)(*arguments)
        if error != self.driver.CUresult.CUDA_SUCCESS:
            raise RuntimeError(f"{name}: {error.name}")
        return results[0] if results else None

    @property
    def capability(self) -> int:
        """The architecture's number: 80 for sm_80."""
        attributes = self.driver.CUdevice_attribute
        major = attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
        minor = attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR
        numbers = [self.call("cuDeviceGetAttribute", a, self.handle) for a in (major, minor)]
        return 10 * int(numbers[0]) + int(numbers[1])

    @contextmanager
    def context(self) -> Iterator[None]:
        """The primary context is current inside."""
        self.call("cuCtxSetCurrent", self.call("cuDevicePrimaryCtxRetain", self.handle))
        try:
            yield
        finally:
            self.call("cuDevicePrimaryCtxRelease", self.handle)

    def run(self, module: PtxModule, function: Function, arrays: Sequence[Array]) -> list[Array]:
        """The function's results for its parameters' arrays; inside of `context`."""
        results = [np.zeros(v.shape, v.dtype.numpy) for v in function.results]
        program = module.program
        hosts = [np.ascontiguousarray(a) for a in (*arrays, *results)]
        addresses = [self._upload(host) for host in hosts]
        constants = self._upload(program.constants)
        workspace = self._upload(np.zeros(program.workspace_bytes, np.uint8))
        bases = {"constants": constants, "workspace": workspace}
        image = np.frombuffer(module.text.encode() + b"\0", np.uint8)
        loaded = self.call("cuModuleLoadData", image.ctypes.data)

        def address(slot: Slot) -> int:
            if slot.space == "argument":
                return addresses[slot.position]
            return bases[slot.space] + slot.position

        for step in program.calls:
            self._launch(loaded, module, step.kernel, [address(slot) for slot in step.slots])
        self.call("cuCtxSynchronize")
        for position, result in enumerate(results):
            # Donated state is in its parameter's memory.
            source = function.aliases.get(position, len(arrays) + position)
            if result.nbytes:
                place = result.ctypes.data
                self.call("cuMemcpyDtoH", place, addresses[source], result.nbytes)
        self.call("cuModuleUnload", loaded)
        for pointer in (*addresses, constants, workspace):
            self.call("cuMemFree", pointer)
        return results

    def _upload(self, host: Array) -> int:
        pointer = self.call("cuMemAlloc", max(host.nbytes, 1))
        if host.nbytes:
            self.call("cuMemcpyHtoD", pointer, host.ctypes.data, host.nbytes)
        return int(pointer)

    def _launch(self, loaded: object, module: PtxModule, number: int, pointers: list[int]) -> None:
        launch = module.launches[number]
        if not launch.blocks:
            return
        kernel = self.call("cuModuleGetFunction", loaded, launch.entry.encode())
        values = np.array(pointers, np.uint64)
        places = np.array([values[k:].ctypes.data for k in range(len(pointers))], np.uint64)
        grid, block = (launch.blocks, 1, 1), (launch.threads, 1, 1)
        self.call("cuLaunchKernel", kernel, *grid, *block, 0, 0, places.ctypes.data, 0)
