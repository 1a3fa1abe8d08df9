"""Functions that make the initial values of variables.

Scales are those of Glorot, Bengio: Understanding the difficulty of training deep feedforward
neural networks (2010), and He et al.: Delving deep into rectifiers (2015).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.ops_constant import constant, ones, zeros
from tensorkiln.frontends.graph.ops_matmul import eye
from tensorkiln.frontends.graph.ops_random import random_normal, random_uniform, truncated_normal
from tensorkiln.frontends.graph.shapes import as_sizes
from tensorkiln.frontends.graph.tensor import Tensor

# The standard deviation of a normal distribution cut off at two standard deviations.
_TRUNCATED_DEVIATION = 0.87962566103423978


class Initializer(ABC):
    """Called with a shape and a dtype, makes the tensor of initial values."""

    def __init__(self, dtype: object = dtypes.float32) -> None:
        self.dtype = dtypes.as_dtype(dtype)

    def __call__(
        self, shape: object, dtype: object = None, partition_info: object = None
    ) -> Tensor:
        """The initial values; `partition_info.full_shape` is that of the variable this is part of."""
        kind = self.dtype if dtype is None else dtypes.as_dtype(dtype)
        whole = getattr(partition_info, "full_shape", None)
        return self.make_part(known(shape), known(shape if whole is None else whole), kind)

    def make_part(self, shape: tuple[int, ...], whole: tuple[int, ...], dtype: DType) -> Tensor:
        """The initial values of a part of a variable of shape `whole`."""
        return self.make(shape, dtype)

    @abstractmethod
    def make(self, shape: tuple[int, ...], dtype: DType) -> Tensor:
        """The initial values of a shape and a dtype."""


def known(shape: object) -> tuple[int, ...]:
    """A shape as integers; ValueError if a size is unknown."""
    sizes = as_sizes(shape)
    if sizes is None or None in sizes:
        raise ValueError(f"a variable's initial value needs a fully known shape, not {shape}")
    return tuple(size for size in sizes if size is not None)


class Zeros(Initializer):
    """Zeros."""

    def make(self, shape: tuple[int, ...], dtype: DType) -> Tensor:
        """See Initializer."""
        return zeros(shape, dtype)


class Ones(Initializer):
    """Ones."""

    def make(self, shape: tuple[int, ...], dtype: DType) -> Tensor:
        """See Initializer."""
        return ones(shape, dtype)


class Constant(Initializer):
    """A given value; the last element of a list fills the rest."""

    def __init__(
        self, value: object = 0, dtype: object = dtypes.float32, verify_shape: bool = False
    ) -> None:
        super().__init__(dtype)
        self.value = value
        self.verify_shape = verify_shape

    def make(self, shape: tuple[int, ...], dtype: DType) -> Tensor:
        """See Initializer."""
        return constant(self.value, dtype, shape, verify_shape=self.verify_shape)


class RandomNormal(Initializer):
    """Numbers from a normal distribution."""

    def __init__(
        self, mean: float = 0.0, stddev: float = 1.0, seed: int | None = None,
        dtype: object = dtypes.float32,
    ) -> None:  # fmt: skip
        super().__init__(dtype)
        self.mean, self.stddev, self.seed = mean, stddev, seed

    def make(self, shape: tuple[int, ...], dtype: DType) -> Tensor:
        """See Initializer."""
        return random_normal(shape, self.mean, self.stddev, dtype, self.seed)


class TruncatedNormal(RandomNormal):
    """Numbers from a normal distribution, cut off at two standard deviations."""

    def make(self, shape: tuple[int, ...], dtype: DType) -> Tensor:
        """See Initializer."""
        return truncated_normal(shape, self.mean, self.stddev, dtype, self.seed)


class RandomUniform(Initializer):
    """Numbers spread evenly over a range."""

    def __init__(
        self, minval: object = 0, maxval: object = None, seed: int | None = None,
        dtype: object = dtypes.float32,
    ) -> None:  # fmt: skip
        super().__init__(dtype)
        self.minval, self.maxval, self.seed = minval, maxval, seed

    def make(self, shape: tuple[int, ...], dtype: DType) -> Tensor:
        """See Initializer."""
        return random_uniform(shape, self.minval, self.maxval, dtype, self.seed)


class VarianceScaling(Initializer):
    """Random numbers whose variance is `scale` / n, n by `mode`: fan_in, fan_out or fan_avg."""

    def __init__(
        self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal",
        seed: int | None = None, dtype: object = dtypes.float32,
    ) -> None:  # fmt: skip
        super().__init__(dtype)
        if scale <= 0.0:
            raise ValueError("`scale` must be positive float.")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"Invalid `mode` argument: {mode}")
        names = ("normal", "uniform", "truncated_normal", "untruncated_normal")
        if distribution not in names:
            raise ValueError(f"Invalid `distribution` argument: {distribution}")
        self.scale, self.mode, self.distribution, self.seed = scale, mode, distribution, seed

    def make(self, shape: tuple[int, ...], dtype: DType) -> Tensor:
        """See Initializer."""
        return self.make_part(shape, shape, dtype)

    def make_part(self, shape: tuple[int, ...], whole: tuple[int, ...], dtype: DType) -> Tensor:
        """See Initializer; the whole variable gives the scale."""
        fan_in, fan_out = fans(whole)
        count = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}
        variance = self.scale / max(1.0, count[self.mode])
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return random_uniform(shape, -limit, limit, dtype, seed=self.seed)
        if self.distribution == "untruncated_normal":
            return random_normal(shape, 0.0, math.sqrt(variance), dtype, seed=self.seed)
        deviation = math.sqrt(variance) / _TRUNCATED_DEVIATION
        return truncated_normal(shape, 0.0, deviation, dtype, seed=self.seed)


class UniformUnitScaling(Initializer):
    """Uniform numbers that keep the scale of inputs: within factor * sqrt(3 / inputs)."""

    def __init__(
        self, factor: float = 1.0, seed: int | None = None, dtype: object = dtypes.float32
    ) -> None:
        super().__init__(dtype)
        self.factor, self.seed = factor, seed

    def make(self, shape: tuple[int, ...], dtype: DType) -> Tensor:
        """See Initializer."""
        return self.make_part(shape, shape, dtype)

    def make_part(self, shape: tuple[int, ...], whole: tuple[int, ...], dtype: DType) -> Tensor:
        """See Initializer; the whole variable gives the scale."""
        inputs = max(math.prod(whole[:-1]), 1)
        limit = math.sqrt(3.0 / inputs) * self.factor
        return random_uniform(shape, -limit, limit, dtype, seed=self.seed)


class Identity(Initializer):
    """`gain` on the diagonal of a matrix."""

    def __init__(self, gain: float = 1.0, dtype: object = dtypes.float32) -> None:
        super().__init__(dtype)
        self.gain = gain

    def make(self, shape: tuple[int, ...], dtype: DType) -> Tensor:
        """See Initializer."""
        if len(shape) != 2:
            raise ValueError("Identity matrix initializer can only be used for 2D matrices.")
        return eye(*shape, dtype=dtype) * self.gain


def fans(shape: Sequence[int]) -> tuple[float, float]:
    """The numbers of inputs and outputs of one unit of a layer with weights of this shape."""
    if len(shape) < 2:
        size = float(shape[0]) if shape else 1.0
        return size, size
    field = float(np.prod(shape[:-2]))
    return shape[-2] * field, shape[-1] * field


def glorot_uniform_initializer(
    seed: int | None = None, dtype: object = dtypes.float32
) -> VarianceScaling:
    """Uniform within sqrt(6 / (fan_in + fan_out))."""
    return VarianceScaling(1.0, "fan_avg", "uniform", seed, dtype)


def glorot_normal_initializer(
    seed: int | None = None, dtype: object = dtypes.float32
) -> VarianceScaling:
    """Truncated normal of deviation sqrt(2 / (fan_in + fan_out))."""
    return VarianceScaling(1.0, "fan_avg", "truncated_normal", seed, dtype)


def xavier_initializer(
    uniform: bool = True, seed: int | None = None, dtype: object = dtypes.float32
) -> VarianceScaling:
    """The Glorot initializers under their other name."""
    make = glorot_uniform_initializer if uniform else glorot_normal_initializer
    return make(seed, dtype)


def he_normal(seed: int | None = None) -> VarianceScaling:
    """Truncated normal of deviation sqrt(2 / fan_in)."""
    return VarianceScaling(2.0, "fan_in", "truncated_normal", seed)


def he_uniform(seed: int | None = None) -> VarianceScaling:
    """Uniform within sqrt(6 / fan_in)."""
    return VarianceScaling(2.0, "fan_in", "uniform", seed)


def lecun_normal(seed: int | None = None) -> VarianceScaling:
    """Truncated normal of deviation sqrt(1 / fan_in)."""
    return VarianceScaling(1.0, "fan_in", "truncated_normal", seed)


def lecun_uniform(seed: int | None = None) -> VarianceScaling:
    """Uniform within sqrt(3 / fan_in)."""
    return VarianceScaling(1.0, "fan_in", "uniform", seed)
