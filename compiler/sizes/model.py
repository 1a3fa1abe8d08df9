"""What `Bounded` says of sizes in the runtime's words."""

from __future__ import annotations

from tensorkiln.compiler.ir.dims import Affine, Dim
from tensorkiln.compiler.sizes.bound import Bounded
from tensorkiln.compiler.sizes.factors import Dims
from tensorkiln.compiler.sizes.ranges import Part
from tensorkiln.runtime.errors import UnsupportedError
from tensorkiln.runtime.open_sizes import Extent, OpenShape, OpenSizes, Product, Quotient, SizeRange


def open_sizes(bounded: Bounded, part: Part) -> OpenSizes:
    """The open sizes of a function that is compiled for `part`."""
    ranges = tuple(SizeRange(s.name, *part[s.name]) for s in bounded.symbols)
    return OpenSizes(
        ranges,
        tuple(map(_shape, bounded.inputs)),
        tuple(map(_shape, bounded.outputs)),
    )


def _shape(dims: Dims) -> OpenShape:
    return OpenShape(tuple(tuple(_extent(f.extent) for f in dim) for dim in dims))


def _extent(dim: Dim) -> Extent:
    if not isinstance(dim, Affine):
        return Extent((), dim)
    plain = tuple((s.name, c) for s, c in dim.terms if s.is_told)
    quotients = tuple(
        Quotient(c, _extent(s.quotient[0]), s.quotient[1])
        for s, c in dim.terms
        if s.quotient is not None
    )
    products = tuple(Product(c, tuple(map(_extent, s.factors))) for s, c in dim.terms if s.factors)
    if any(q.over.quotients or q.over.products for q in quotients):
        raise UnsupportedError(
            f"the size of a result, {dim}, is a quotient of quotients or products of sizes"
        )
    return Extent(plain, dim.constant, quotients, products)
