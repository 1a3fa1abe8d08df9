"""The kernels on a GPU give what the interpreter gives; skipped where there is none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from gpu.device import Device
from gpu.graphs import CASES, Case
from gpu.simulate import assert_close

from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.pipeline import compile_ptx

TOLERANCE = 2e-5  # sums of 100000 numbers in f32, added in another order

pytestmark = pytest.mark.gpu

LARGE = tuple(
    Case(f"{case.name}, large", shapes, case.build, case.dtype)
    for case, shapes in (
        (CASES[0], ((1024, 4099), (4099,))),
        (CASES[7], ((4096, 1024),)),
        (CASES[7], ((3, 100_003),)),
        (CASES[11], ((1000, 768), (768,), (768,))),
        (CASES[17], ((4096, 1030),)),
        (CASES[18], ((100_000, 16),)),
    )
)


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    driver = pytest.importorskip("cuda.bindings.driver", reason="needs the wheel cuda-bindings")
    try:
        found = Device(driver)
    except Exception as error:  # cuda-bindings has its own classes for a missing driver
        pytest.skip(f"no GPU: {error}")
    if found.capability < 80:
        pytest.skip(f"the GPU is sm_{found.capability}, the kernels need sm_80 or later")
    with found.context():
        yield found


@pytest.mark.parametrize("target", ["sm_80", "sm_90"])
@pytest.mark.parametrize("case", [*CASES, *LARGE], ids=lambda case: case.name)
def test_kernels_on_the_device_agree_with_the_interpreter(
    case: Case, target: str, device: Device
) -> None:
    if target == "sm_90" and device.capability < 90:
        pytest.skip(f"the GPU is sm_{device.capability}")
    function, arrays = case.function(), case.arrays()
    expected = [np.array(array) for array in evaluate(function, arrays)]
    found = device.run(compile_ptx(function, target), function, arrays)
    again = device.run(compile_ptx(function, target), function, arrays)
    assert [a.tobytes() for a in found] == [a.tobytes() for a in again]
    assert_close(found, expected, TOLERANCE)
