"""Random tensors drawn on the host: shuffles, gamma and Poisson numbers; TensorFlow's numbers.

Methods: Fisher and Yates' shuffle; Marsaglia, Tsang: A simple method for generating gamma
variables (2000); Knuth's method below rate 10 and Hormann: The transformed rejection method for
generating Poisson random variables (1993) above.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import FLOATS
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_checks import Assert
from tensorkiln.frontends.graph.ops_elementwise import maximum
from tensorkiln.frontends.graph.ops_random import get_seed, random_uniform
from tensorkiln.frontends.graph.ops_slice import slice_
from tensorkiln.frontends.graph.rules import like_input
from tensorkiln.frontends.graph.scopes import control_dependencies
from tensorkiln.frontends.graph.statics import static_shape
from tensorkiln.frontends.graph.streams import (
    RESERVED,
    Floats,
    Integers,
    Streams,
    advance,
    each,
    words,
)
from tensorkiln.frontends.graph.tensor import Tensor

_lgamma = np.vectorize(math.lgamma, otypes=[np.float64])


def random_shuffle(value: object, seed: int | None = None, name: str | None = None) -> Tensor:
    """The rows (elements along the first dim) in a random order."""
    first, second = get_seed(seed)
    return make("RandomShuffle", (value,), name, seed=first, seed2=second)


def _shuffle(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    (rows,) = arrays
    if rows.ndim == 0 or rows.size <= 1 or rows.shape[0] <= 1:
        return [rows]
    state, count = context.store.random_state(op), rows.shape[0]
    order = np.arange(count)
    for k, word in enumerate(words(state, count - 1).tolist()):
        other = k + word % (count - k)
        order[k], order[other] = order[other], order[k]
    advance(state, (count + 2) // 4)  # blocks that hold count - 1 words
    return [rows[order]]


def random_crop(
    value: object, size: object, seed: int | None = None, name: str | None = None
) -> Tensor:
    """A box of `size` at a random place of a tensor."""
    with graph_of([value, size]).name_scope(name or "random_crop") as scope:
        tensor = convert_to_tensor(value, name="value")
        wanted = convert_to_tensor(size, dtypes.int32, "size")
        whole = make("Shape", (tensor,), out_type=dtypes.int32)
        fits = make("All", (whole >= wanted, [0]), keep_dims=False)
        check = Assert(fits, ["Need value.shape >= size, got ", whole, wanted], summarize=1000)
        # What is known to fit needs no check, which a loop around this could not compile.
        known = zip(static_shape(whole) or (None,), static_shape(wanted) or (None,), strict=False)
        fits_surely = all(w is not None and s is not None and w >= s for w, s in known)
        with control_dependencies([] if fits_surely else [check]):
            whole = make("Identity", (whole,), "control_dependency")
        limit = whole - wanted + 1
        drawn = random_uniform(
            make("Shape", (whole,), out_type=dtypes.int32), maxval=dtypes.int32.max,
            dtype=dtypes.int32, seed=seed,
        )  # fmt: skip
        return slice_(tensor, drawn % limit, wanted, name=scope)


def random_gamma(
    shape: object, alpha: object, beta: object = None, dtype: object = dtypes.float32,
    seed: int | None = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """For each alpha (and rate beta) `shape` numbers from the gamma distribution."""
    kind = dtypes.as_dtype(dtype)
    with graph_of([shape, alpha, beta]).name_scope(name or "random_gamma"):
        dims = convert_to_tensor(shape, name="shape", preferred_dtype=dtypes.int32)
        shapes = convert_to_tensor(alpha, kind, "alpha")
        rates = convert_to_tensor(1 if beta is None else beta, kind, "beta")
        spread = shapes + make("ZerosLike", (rates,), dtype=kind)
        drawn = _draw("RandomGamma", dims, spread, kind, seed)
        least = convert_to_tensor(np.finfo(kind.as_numpy_dtype).tiny, kind)
        return maximum(least, drawn / rates)


def random_poisson(
    lam: object, shape: object, dtype: object = dtypes.float32, seed: int | None = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """For each rate `shape` numbers from the Poisson distribution."""
    with graph_of([shape, lam]).name_scope(name or "random_poisson"):
        dims = convert_to_tensor(shape, name="shape", preferred_dtype=dtypes.int32)
        rates = convert_to_tensor(lam, name="rate")
        return _draw("RandomPoissonV2", dims, rates, dtypes.as_dtype(dtype), seed)


def _draw(kind: str, shape: Tensor, parameter: Tensor, dtype: object, seed: int | None) -> Tensor:
    first, second = get_seed(seed)
    return make(kind, (shape, parameter), seed=first, seed2=second, dtype=dtype)


def _infer(op: Operation) -> Sequence[Result]:
    dtype = op.attributes["dtype"]
    assert isinstance(dtype, dtypes.DType)
    lead, tail = static_shape(op.inputs[0]), op.inputs[1].sizes
    return [(dtype, None if lead is None or tail is None else (*lead, *tail))]


Sampler = Callable[[Streams, Integers, Floats], Floats]


def _sampled(sampler: Sampler) -> Callable[..., Sequence[Array]]:
    """One stream an output, counted parameter by parameter; samples of a parameter lie apart."""

    def host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
        shape, parameters = tuple(arrays[0].astype(np.int64).tolist()), arrays[1]
        drawn, many = math.prod(shape), parameters.size
        state, count = context.store.random_state(op), drawn * many
        streams = Streams(state, count)
        owner = parameters.reshape(-1).astype(np.float64).repeat(drawn)
        found = sampler(streams, np.arange(count), owner)
        advance(state, count * RESERVED)
        placed = found.reshape(many, drawn).T.reshape((*shape, *parameters.shape))
        kind = op.outputs[0].dtype
        if kind in (dtypes.float16, dtypes.bfloat16):
            placed = placed.astype(np.float32)  # rounded twice, as TensorFlow's are
        return [placed.astype(kind.numpy)]

    return host


def _gamma(streams: Streams, which: Integers, alpha: Floats) -> Floats:
    found = np.empty(alpha.shape)
    exponential = alpha == 1.0
    if exponential.any():
        found[exponential] = -each(math.log1p, -streams.uniform(which[exponential]))
    small = alpha < 1
    d = alpha + np.where(small, 2.0 / 3, -1.0 / 3)
    c = 1.0 / 3 / np.sqrt(d)
    open_ = which[~exponential]
    while open_.size:
        x = streams.normal(open_)
        v = 1 + c[open_] * x
        while (bad := v <= 0).any():
            x[bad] = streams.normal(open_[bad])
            v[bad] = 1 + c[open_[bad]] * x[bad]
        v = v * v * v
        u = streams.uniform(open_)
        with np.errstate(divide="ignore"):
            inside = u < 1 - 0.0331 * (x * x) * (x * x)
            inside |= np.log(u) < 0.5 * x * x + d[open_] * (1 - v + np.log(v))
        done = open_[inside]
        found[done] = d[done] * v[inside]
        fewer = done[small[done]]
        if fewer.size:
            found[fewer] *= each(math.pow, streams.uniform(fewer), 1 / alpha[fewer])
        open_ = open_[~inside]
    return found


def _poisson(streams: Streams, which: Integers, rate: Floats) -> Floats:
    found = np.zeros(rate.shape)
    usable = np.isfinite(rate) & (rate >= 0)
    found[~usable] = np.nan
    _knuth(streams, which[usable & (rate < 10)], rate, found)
    _hormann(streams, which[usable & (rate >= 10)], rate, found)
    return found


def _knuth(streams: Streams, open_: Integers, rate: Floats, found: Floats) -> None:
    """How many uniform numbers can be multiplied before the product is below exp(-rate)."""
    product = np.ones(rate.shape)
    while open_.size:
        product[open_] *= streams.uniform(open_)
        above = product[open_] > np.exp(-rate[open_])
        open_ = open_[above]
        found[open_] += 1


def _hormann(streams: Streams, open_: Integers, rate: Floats, found: Floats) -> None:
    b = 0.931 + 2.53 * np.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse = 1.1239 + 1.1328 / (b - 3.4)
    while open_.size:
        mu, wide, scale = rate[open_], b[open_], a[open_]
        u = streams.uniform(open_) - 0.5
        v = streams.uniform(open_)
        edge = 0.5 - np.abs(u)
        k = np.floor((2 * scale / edge + wide) * u + mu + 0.43)
        quick = (edge >= 0.07) & (v <= 0.9277 - 3.6224 / (wide - 2))
        out = ~quick & ((k < 0) | ((edge < 0.013) & (v > edge)))
        with np.errstate(divide="ignore"):
            s = np.log(v * inverse[open_] / (scale / (edge * edge) + wide))
        t = -mu + k * np.log(mu) - _lgamma(np.maximum(k, 0) + 1)
        accepted = quick | (~out & (s <= t))
        found[open_[accepted]] = k[accepted]
        open_ = open_[~accepted]


register(
    OpKind("RandomShuffle", "value:T", like_input, host_only, host=_shuffle,
           differentiable=False),
    OpKind("RandomGamma", "shape:index alpha:T", _infer, host_only, {"T": FLOATS},
           host=_sampled(_gamma), differentiable=False),
    OpKind("RandomPoissonV2", "shape:index rate:T", _infer, host_only,
           {"T": (*FLOATS, *dtypes.INDEXES)}, host=_sampled(_poisson), differentiable=False),
)  # fmt: skip
