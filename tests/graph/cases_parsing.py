"""Examples whose features vary in length."""

from __future__ import annotations

from typing import Any

from graph.like_tensorflow import Case


def example(tf: Any, **features: Any) -> bytes:
    made = {}
    for key, values in features.items():
        if isinstance(values[0], float):
            made[key] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
        elif isinstance(values[0], int):
            made[key] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        else:
            made[key] = tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    message = tf.train.Example(features=tf.train.Features(feature=made))
    return bytes(message.SerializeToString())


def data(tf: Any) -> list[bytes]:
    return [
        example(tf, a=[1.0, 2.0], b=[3, 4], c=[b"x"], d=[9.0]),
        example(tf, b=[4, 5, 6, 7], c=[b"y", b"zz"]),
        example(tf, a=[7.0], i=[5, 0], j=[1, 2], v=[1.5, 2.5]),
    ]


def features(tf: Any) -> dict[str, Any]:
    return {
        "a": tf.VarLenFeature(tf.float32),
        "b": tf.FixedLenSequenceFeature([2], tf.int64, allow_missing=True, default_value=-1),
        "c": tf.VarLenFeature(tf.string),
        "d": tf.FixedLenFeature([1], tf.float32, 0.5),
        "e": tf.FixedLenSequenceFeature([], tf.string, allow_missing=True),
        "s": tf.SparseFeature("i", "v", tf.float32, 8),
        "t": tf.SparseFeature(["i", "j"], "v", tf.float32, [8, 3]),
    }


def flat(tf: Any, found: Any) -> list[Any]:
    outputs = []
    for key in sorted(found):
        value = found[key]
        sparse = isinstance(value, tf.SparseTensor)
        outputs += [value.indices, value.values, value.dense_shape] if sparse else [value]
    return outputs


CASES: dict[str, Case] = {
    "!batch": (lambda tf: flat(tf, tf.parse_example(data(tf), features(tf))), ()),
    "!one": (lambda tf: flat(tf, tf.parse_single_example(data(tf)[2], features(tf))), ()),
}
OWN_NAMES = True
