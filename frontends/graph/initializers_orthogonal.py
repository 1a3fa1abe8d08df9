"""Orthogonal initial values."""

from __future__ import annotations

import math

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.initializers import Initializer
from tensorkiln.frontends.graph.ops_linalg import qr
from tensorkiln.frontends.graph.ops_matmul import matrix_diag_part
from tensorkiln.frontends.graph.ops_matrix import matrix_transpose
from tensorkiln.frontends.graph.ops_random import random_normal
from tensorkiln.frontends.graph.ops_shape import reshape
from tensorkiln.frontends.graph.tensor import Tensor


class Orthogonal(Initializer):
    """`gain` times a random orthogonal matrix; all dims but the last make up its rows.

    Saxe, McClelland, Ganguli: Exact solutions to the nonlinear dynamics of learning (2014).
    """

    def __init__(
        self, gain: float = 1.0, seed: int | None = None, dtype: object = dtypes.float32
    ) -> None:
        super().__init__(dtype)
        self.gain, self.seed = gain, seed

    def make(self, shape: tuple[int, ...], dtype: DType) -> Tensor:
        """See Initializer."""
        if len(shape) < 2:
            raise ValueError("The tensor to initialize must be at least two-dimensional")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = [max(columns, rows), min(columns, rows)]
        found = qr(random_normal(tall, dtype=dtype, seed=self.seed), full_matrices=False)
        signs = make("Sign", (matrix_diag_part(found.r),))
        q = found.q * signs
        if rows < columns:
            q = matrix_transpose(q)
        return convert_to_tensor(self.gain, dtype) * reshape(q, list(shape))
