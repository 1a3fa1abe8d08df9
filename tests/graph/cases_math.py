"""Elementwise mathematics."""

from __future__ import annotations

import numpy as np
from graph.like_tensorflow import Case

R = np.random.RandomState(11)
X = (R.randn(3, 5) * 1.5).astype(np.float32)
Y = (R.randn(3, 5) * 1.5).astype(np.float32)
P = (np.abs(X) * 3 + 0.1).astype(np.float32)
Q = (np.abs(Y) + 0.2).astype(np.float32)
U = np.tanh(X * 0.7).astype(np.float32)
D = np.array([-2.5, -0.3, 0.2, 0.9, 1.5, 4.0, 11.0, 40.0])
N = np.array([[7, -7, 3], [0, 5, -4]], np.int32)
M = np.array([[2, 2, -2], [3, -3, -3]], np.int32)
Z = np.array([0.0, 1.0, -2.0, 0.0], np.float32)
W = np.array([3.0, 0.0, 2.0, np.inf], np.float32)

CASES: dict[str, Case] = {
    "lgamma": (lambda tf, x: tf.lgamma(x), (P,)),
    "lgamma64": (lambda tf, x: tf.lgamma(x), (D,)),
    "digamma": (lambda tf, x: tf.digamma(x), (P,)),
    "digamma64": (lambda tf, x: tf.digamma(x), (D,)),
    "!zeta": (lambda tf, x, q: tf.zeta(x + 1.1, q), (P, Q)),
    "!polygamma": (
        lambda tf, x: tf.polygamma(tf.constant([1.0, 2.0, 3.0, 1.0, 2.0]), x), (P,)
    ),
    "lbeta": (lambda tf, x: tf.lbeta(x), (P,)),
    "erfinv": (lambda tf, x: tf.math.erfinv(x), (U,)),
    "ndtri": (lambda tf, x: tf.math.ndtri(x * 0.49 + 0.5), (U,)),
    "i0e i1e": (lambda tf, x: [tf.math.bessel_i0e(x * 4), tf.math.bessel_i1e(x * 4)], (X,)),
    "i0 i1": (lambda tf, x: [tf.math.bessel_i0(x), tf.math.bessel_i1(x)], (X,)),
    "asinh acosh atanh": (
        lambda tf, x, p, u: [tf.asinh(x), tf.acosh(p + 1.0), tf.atanh(u)], (X, P, U)
    ),
    "xlogy xdivy": (
        lambda tf, x, y: [tf.math.xlogy(x, y), tf.math.xdivy(x, y)], (Q, P)
    ),
    "xlogy zero": (
        lambda tf, x, y: [tf.math.xlogy(x, y), tf.math.xdivy(x, y)],
        (Z, np.array([0.0, 2.0, 3.0, 1.0], np.float32)),
    ),
    "xlog1py": (lambda tf, x, y: tf.math.xlog1py(x, y), (Q, P)),
    "div_no_nan": (lambda tf, x, y: tf.div_no_nan(x, y), (W[:3], Z[:3])),
    "!multiply_no_nan": (lambda tf, x, y: tf.math.multiply_no_nan(x, y), (W, Z)),
    "reciprocal_no_nan": (lambda tf, x: tf.math.reciprocal_no_nan(x), (Z,)),
    "floormod": (lambda tf, x, y: [tf.floormod(x, y), tf.mod(x, y)], (N, M)),
    "floats mod": (lambda tf, x, y: [tf.floormod(x, y), tf.floor_div(x, y)], (X, Y)),
    "truncate": (lambda tf, x, y: [tf.truncatediv(x, y), tf.truncatemod(x, y)], (N, M)),
    "realdiv": (lambda tf, x, y: tf.realdiv(x, y), (X, Y)),
    "log_sigmoid": (lambda tf, x: [tf.log_sigmoid(x), tf.math.softplus(x)], (X,)),
    "!nextafter": (lambda tf, x, y: tf.math.nextafter(x, y), (X, Y)),
    "polyval": (lambda tf, x: tf.math.polyval([1.0, x * 2.0, 3.0], x), (X,)),
    "accumulate_n": (lambda tf, x, y: tf.accumulate_n([x, y, x]), (X, Y)),
    "cross": (lambda tf, x, y: tf.cross(x[:, :3], y[:, 1:4]), (X, Y)),
    "bitwise": (
        lambda tf, x, y: [
            tf.bitwise.bitwise_and(x, y), tf.bitwise.bitwise_or(x, y),
            tf.bitwise.bitwise_xor(x, y), tf.bitwise.invert(x),
            tf.bitwise.left_shift(x, abs(y)), tf.bitwise.right_shift(x, abs(y)),
        ],
        (N, M),
    ),
    "population_count": (lambda tf, x: tf.bitwise.invert(x) - x, (N,)),
    "saturate_cast": (lambda tf, x: tf.saturate_cast(x * 300.0, tf.uint8), (X,)),
    "saturate_cast ints": (lambda tf, x: tf.saturate_cast(x * 100, tf.int8), (N,)),
    "bitcast": (lambda tf, x: tf.bitcast(x, tf.int32), (X,)),
    "bitcast narrower": (lambda tf, x: tf.bitcast(x, tf.uint8), (X,)),
    "bitcast wider": (lambda tf, x: tf.bitcast(x[:, :2], tf.int64), (N,)),
    "quantised": (
        lambda tf, x: [
            tf.fake_quant_with_min_max_args(x, -1.5, 1.0),
            tf.fake_quant_with_min_max_args(x, 0.5, 2.0, num_bits=4),
        ],
        (X,),
    ),
    "quantised vars": (
        lambda tf, x, a, b: tf.fake_quant_with_min_max_vars(x, a, b, num_bits=6),
        (X, np.float32(-1.0), np.float32(0.7)),
    ),
    "quantised channels": (
        lambda tf, x, a, b: tf.fake_quant_with_min_max_vars_per_channel(x, a, b),
        (X, -Q[0], Q[1]),
    ),
    "!quantised gradients": (
        lambda tf, x, a, b: [
            tf.fake_quant_with_min_max_args_gradient(x * 2.0, x, -1.5, 1.0),
            *tf.fake_quant_with_min_max_vars_gradient(x * 3.0, x, -1.0, 0.7, 6),
            *tf.fake_quant_with_min_max_vars_per_channel_gradient(x, x, a, b),
        ],
        (X, -Q[0], Q[1]),
    ),
    "logical_xor": (lambda tf, x: tf.logical_xor(x > 0, x > 1), (X,)),
    "is_strictly_increasing": (
        lambda tf, x: [tf.is_strictly_increasing(x), tf.is_non_decreasing(x * 0.0)], (X,)
    ),
    "norms": (
        lambda tf, x: [
            tf.norm(x), tf.norm(x, 1, axis=1), tf.norm(x, np.inf, 0, keepdims=True),
            tf.norm(x, axis=[0, 1]), tf.norm(x, 3, axis=1),
        ],
        (X,),
    ),
    "scalar_mul": (lambda tf, x: tf.scalar_mul(3.0, x), (X,)),
    "to casts": (
        lambda tf, x: [tf.to_int32(x), tf.to_double(x), tf.to_int64(x), tf.to_float(x)], (X,)
    ),
}  # fmt: skip

# TensorFlow 1's names, which compat.v1 has changed.
OTHER_NAMES = {
    "accumulate_n": ["AccumulateNV2:0"],
    "!quantised gradients": [
        f"FakeQuantWithMinMax{kind}Gradient/gradients/SymbolicGradient:{k}"
        for kind, count in (("Args", 1), ("Vars", 3), ("VarsPerChannel", 3))
        for k in range(count)
    ],
}
