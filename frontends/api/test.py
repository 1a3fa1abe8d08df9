"""`tf.test`: test cases for programs with graphs."""

# This is the unittest style that programs expect.
# ruff: noqa: PT009, PT027

from __future__ import annotations

import contextlib
import math
import os
import random
import re
import shutil
import tempfile
import unittest
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

import numpy as np

from tensorkiln.frontends.graph.errors import OpError
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.gradient_checker import compute_gradient, compute_gradient_error
from tensorkiln.frontends.graph.graph import Graph, reset_default_graph
from tensorkiln.frontends.graph.ops_random import set_random_seed
from tensorkiln.frontends.graph.session import BaseSession, Session
from tensorkiln.frontends.graph.stack import get_default_graph, get_default_session

_SEED = 87654321
_HALF_TOLERANCE = 1e-3


class TestCase(unittest.TestCase):
    """A test case that starts with an empty default graph and fixed seeds."""

    def setUp(self) -> None:
        """Empties the default graph and sets the seeds."""
        random.seed(_SEED)
        np.random.seed(_SEED)
        reset_default_graph()
        set_random_seed(_SEED)
        self._folder: str | None = None
        self._cached: Session | None = None

    def tearDown(self) -> None:
        """Closes the cached session and deletes the temporary folder."""
        if self._cached is not None:
            self._cached.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def get_temp_dir(self) -> str:
        """A folder for this test alone."""
        if self._folder is None:
            self._folder = tempfile.mkdtemp()
        return self._folder

    @contextlib.contextmanager
    def session(
        self,
        graph: Graph | None = None,
        config: Proto | None = None,
        use_gpu: bool = False,
        force_gpu: bool = False,
    ) -> Iterator[BaseSession]:
        """A new session, the default one inside the block."""
        with Session(graph=graph or get_default_graph(), config=config) as opened:
            yield opened

    @contextlib.contextmanager
    def cached_session(
        self,
        graph: Graph | None = None,
        config: Proto | None = None,
        use_gpu: bool = False,
        force_gpu: bool = False,
    ) -> Iterator[BaseSession]:
        """The test's session, made at the first call and kept until the test ends."""
        if self._cached is None:
            self._cached = Session(graph=graph or get_default_graph(), config=config)
        with self._cached.graph.as_default(), self._cached.as_default() as opened:
            yield opened

    test_session = cached_session

    def evaluate(self, tensors: object) -> Any:
        """The tensors' values in the default session."""
        opened = get_default_session()
        assert opened is not None, "evaluate needs a default session"
        return opened.run(tensors)

    def assertAllEqual(self, a: object, b: object, msg: str | None = None) -> None:
        """Fails unless shapes and all elements are equal; NaN equals NaN."""
        left, right = self._array(a), self._array(b)
        self.assertEqual(left.shape, right.shape, msg)
        np.testing.assert_array_equal(left, right, err_msg=msg or "")

    def assertNotAllEqual(self, a: object, b: object, msg: str | None = None) -> None:
        """Fails if all elements are equal."""
        left, right = self._array(a), self._array(b)
        if left.shape == right.shape and np.array_equal(left, right):
            self.fail(msg or "The two values are equal at all elements")

    def assertAllClose(
        self, a: object, b: object, rtol: float = 1e-6, atol: float = 1e-6, msg: str | None = None
    ) -> None:
        """Fails unless |a - b| <= atol + rtol * |b| everywhere; dicts and lists part by part."""
        if isinstance(a, Mapping):
            assert isinstance(b, Mapping), f"expected a dict, got {b!r}"
            self.assertEqual(set(a), set(b), msg)
            for key, value in a.items():
                self.assertAllClose(value, b[key], rtol, atol, msg)
            return
        left, right = self._array(a), self._array(b)
        self.assertEqual(left.shape, right.shape, msg)
        if rtol < _HALF_TOLERANCE and np.float16 in (left.dtype, right.dtype):
            rtol = atol = max(rtol, atol, _HALF_TOLERANCE)
        np.testing.assert_allclose(
            left.astype(np.float64), right.astype(np.float64), rtol, atol, err_msg=msg or ""
        )

    def assertAllCloseAccordingToType(
        self, a: object, b: object, rtol: float = 1e-6, atol: float = 1e-6, msg: str | None = None
    ) -> None:
        """assertAllClose, with at least 1e-3 for half floats."""
        self.assertAllClose(a, b, rtol, atol, msg)

    def assertNotAllClose(self, a: object, b: object, **options: Any) -> None:
        """Fails if assertAllClose passes."""
        try:
            self.assertAllClose(a, b, **options)
        except AssertionError:
            return
        self.fail("The two values are close at all elements")

    def assertNear(self, f1: float, f2: float, err: float, msg: str | None = None) -> None:
        """Fails unless the numbers differ by at most `err`."""
        close = f1 == f2 or math.fabs(f1 - f2) <= err
        self.assertTrue(close, f"{f1!r} != {f2!r} +/- {err!r}{f' ({msg})' if msg else ''}")

    def assertArrayNear(
        self, farray1: Any, farray2: Any, err: float, msg: str | None = None
    ) -> None:
        """Fails unless the arrays have one length and differ by at most `err`."""
        self.assertEqual(len(farray1), len(farray2), msg)
        for first, second in zip(farray1, farray2, strict=True):
            self.assertNear(float(first), float(second), err, msg)

    def assertNDArrayNear(
        self, ndarray1: Any, ndarray2: Any, err: float, msg: str | None = None
    ) -> None:
        """Fails unless the arrays' difference has a norm below `err`."""
        distance = np.linalg.norm(self._array(ndarray1) - self._array(ndarray2))
        self.assertTrue(bool(distance < err), msg)

    def assertShapeEqual(self, np_array: Any, tf_tensor: Any, msg: str | None = None) -> None:
        """Fails unless the array's shape is the tensor's static shape."""
        self.assertEqual(list(np_array.shape), tf_tensor.get_shape().as_list(), msg)

    def assertStartsWith(self, actual: str, expected_start: str, msg: str | None = None) -> None:
        """Fails unless the text starts so."""
        self.assertTrue(
            actual.startswith(expected_start), msg or f"{actual!r} does not start with "
            f"{expected_start!r}",
        )  # fmt: skip

    def assertAllInRange(self, target: object, lower_bound: float, upper_bound: float) -> None:
        """Fails unless all elements are from the lower to the upper bound."""
        values = self._array(target)
        self.assertTrue(bool(((values >= lower_bound) & (values <= upper_bound)).all()), values)

    def assertAllFinite(self, a: object) -> None:
        """Fails if an element is infinite or not a number."""
        self.assertTrue(bool(np.isfinite(self._array(a)).all()))

    def assertRaisesOpError(self, expected_err_re_or_predicate: str) -> AbstractContextManager[Any]:
        """Fails unless the block raises an OpError whose message matches."""
        return self.assertRaisesRegex(OpError, expected_err_re_or_predicate)

    @contextlib.contextmanager
    def assertRaisesWithPredicateMatch(
        self,
        exception_type: type[BaseException],
        expected_err_re_or_predicate: str | Callable[[Any], object],
    ) -> Iterator[None]:
        """Fails unless the block raises an error that matches a pattern or a predicate."""
        try:
            yield
        except exception_type as error:
            wanted = expected_err_re_or_predicate
            if isinstance(wanted, str):
                self.assertTrue(re.search(wanted, str(error)), f"{error} does not match {wanted}")
            else:
                self.assertTrue(wanted(error), f"{error!r} is not what was expected")
        else:
            self.fail(f"{exception_type.__name__} not raised")

    def assertProtoEquals(
        self, expected_message: Any, message: Any, msg: str | None = None
    ) -> None:
        """Fails unless the messages are equal."""
        self.assertEqual(expected_message, message, msg)

    def _array(self, value: object) -> Any:
        opened = get_default_session()
        if opened is not None and hasattr(value, "graph"):
            return np.asarray(opened.run(value))
        return np.asarray(value)


def main(argv: list[str] | None = None) -> None:
    """Runs the tests of the program's main module."""
    unittest.main(argv=argv)


def get_temp_dir() -> str:
    """A folder for files that a test writes."""
    return tempfile.mkdtemp()


def is_gpu_available(cuda_only: bool = False, min_cuda_compute_capability: object = None) -> bool:
    """False: sessions compute on the processor."""
    return False


def is_built_with_cuda() -> bool:
    """False: sessions compute on the processor."""
    return False


def gpu_device_name() -> str:
    """The empty string: sessions compute on the processor."""
    return ""


def test_src_dir_path(relative_path: str) -> str:
    """The path below the current folder."""
    return os.path.join(os.getcwd(), relative_path)
