"""The coefficients in the sources are those that fit.py finds."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from tensorkiln.compiler.ir.dtypes import F32, F64
from tensorkiln.compiler.kernel.math import atan2, cbrt, erf, exp, log, pow, sigmoid, trig

TABLES = {
    "exp": exp._EXP,
    "expm1": exp._EXPM1,
    "exp2": sigmoid.EXP2,
    "log": {F32: log._LOG},
    "atanh": {F64: log._ATANH},
    "log_short": {F64: pow._LOG},
    "exp_short": {F64: pow._EXP},
    "atanh_tail": {F64: pow._ATANH},
    "tanh": sigmoid._TANH,
    "sin": trig._SIN,
    "cos": {F32: trig._COS[F32][2:], F64: trig._COS[F64][2:]},
    "erf": erf._ERF,
    "erfc": {F32: erf._LOG2_ERFC[F32]},
    "erfc_long": {F64: erf._LOG2_ERFC[F64]},
    "atan": {F32: atan2._ATAN_F32},
    "atan_eighth": {F64: atan2._ATAN_F64},
    "cbrt": cbrt._CBRT,
}


@pytest.fixture(scope="module")
def fit():
    pytest.importorskip("mpmath")
    spec = importlib.util.spec_from_file_location("math_fit", Path(__file__).with_name("fit.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_fit_is_used_and_every_table_has_a_fit(fit):
    assert {(n, d) for n, f in fit.FITS.items() for d in f.degrees} == {
        (n, d.name) for n, table in TABLES.items() for d in table
    }


@pytest.mark.parametrize("name", TABLES)
def test_coefficients_are_reproduced(name, fit):
    for dtype, table in TABLES[name].items():
        found, _ = fit.rounded(fit.FITS[name], dtype.name)
        np.testing.assert_allclose(table, found, rtol=1e-12)
