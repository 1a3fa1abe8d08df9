"""The quantized element types, which have names, sizes and numbers in files and nothing else.

What TensorFlow 2.21 prints for each was recorded.
"""

import numpy as np
import pytest

import tensorkiln as tf
from tensorkiln.runtime.errors import UnsupportedError

NAMES = {
    "qint8": (11, 1, "i1"),
    "quint8": (12, 1, "u1"),
    "qint32": (13, 4, "<i4"),
    "qint16": (15, 2, "<i2"),
    "quint16": (16, 2, "<u2"),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_and_sizes(name: str) -> None:
    _, size, element = NAMES[name]
    dtype = getattr(tf, name)
    assert (str(dtype), repr(dtype)) == (f"<dtype: '{name}'>", f"tf.{name}")
    assert repr(dtype.as_ref) == f"tf.{name}_ref"
    assert tf.as_dtype(name) is dtype
    assert tf.as_dtype(dtype.as_numpy_dtype) is dtype
    assert dtype.as_numpy_dtype == np.dtype([(name, element)])
    assert (dtype.size, dtype.is_quantized) == (size, True)
    for other in ("integer", "unsigned", "floating", "bool", "complex", "numpy_compatible"):
        assert getattr(dtype, f"is_{other}") is False
    assert tf.int8.is_quantized is False
    with pytest.raises(TypeError, match="no smallest and largest value"):
        _ = dtype.min
    assert tf.placeholder(dtype, [2]).dtype is dtype


def test_the_set_of_them() -> None:
    both = {getattr(tf, name) for name in NAMES}
    assert both | {dtype.as_ref for dtype in both} == tf.QUANTIZED_DTYPES


@pytest.mark.parametrize("name", NAMES)
def test_placeholders_are_printed_written_and_read(name: str) -> None:
    with tf.Graph().as_default() as graph:
        held = tf.placeholder(getattr(tf, name), [2], name="held")
        assert str(held) == f'Tensor("held:0", shape=(2,), dtype={name})'
    definition = graph.as_graph_def()
    assert definition.node[0].attr["dtype"].type == NAMES[name][0]
    with tf.Graph().as_default():
        (again,) = tf.import_graph_def(definition, return_elements=["held:0"], name="")
        assert again.dtype is getattr(tf, name)


def test_nothing_computes_with_them() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        held = tf.placeholder(tf.qint8, [2])
        with pytest.raises(TypeError, match="DataType qint8 not in list of allowed values"):
            held + held
        with pytest.raises(UnsupportedError, match="tensors of dtype qint8 cannot be compiled"):
            session.run(tf.identity(held), {held: [1, 2]})
