"""Tile sizes of matrix multiplies, from the target's registers and caches.

The register tile holds `rows * vectors` accumulators, `vectors` vectors of the right operand and
one broadcast of the left: it must fit the register file.  A block of the left operand
(`block_rows * depth`) stays in the second-level cache while panels of the right one stream past.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tensorkiln.compiler.ir.dtypes import F32, F64, I32
from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.kernel.expr import Expr
from tensorkiln.compiler.kernel.target import Target

L2_BYTES = 1 << 19  # a part of any current core's second-level cache; panels stream past it
LARGE_BYTES = 8 << 20
NEAR_BYTES = 1 << 20
NEAR_COLUMNS = 2048
DEPTH = 512
PANEL = 2  # vectors, of a right operand that is packed for tiles of any height
STAGED_DEPTH = 256  # a panel of so many rows stays in the first-level cache
STAGED_BYTES = 5 << 18  # a task's left rows: the more they are, the less often panels are packed
STAGED_TILES = 8  # of rows, the fewest that packing the panels of a task pays for
STAGED_LANES = 4  # of a vector, from which turning squares in registers pays
STAGED_ROWS = 768  # of a product, from which on there are such tasks for all usual threads
SLACK = 1.1  # times a block's part of the second-level cache, for blocks that share out well
TASKS = 8  # that share out well over two or four threads
SMALL_ROWS = 8  # below this the right operand is streamed once and packing it would not pay
WAY_BYTES = 4096  # lines this far apart share a set of any usual first-level cache
ALIASED_ROWS = 4  # with the other operand's lines, more than such a set has room for

WIDE = (F32, F64, I32)  # narrower numbers are converted as they are packed


@dataclass(frozen=True, slots=True)
class MatmulShape:
    """The sizes of a dot_general with one row dim, one column dim and one contracted dim."""

    batch: tuple[int, ...]
    m: int
    n: int
    k: int


@dataclass(frozen=True, slots=True)
class Turns:
    """Tiles of rows that are sure to be computed: the first `used` of the `size` of each round, in
    the first `rounds` of them."""

    rounds: int
    size: int
    used: int


@dataclass(frozen=True, slots=True)
class FewRows:
    """The register tiles for calls of few rows, where a call has `count`.

    `tiles` are rows, the most that one is for, and vectors, with fewer rows first.
    """

    count: Expr
    tiles: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Tiling:
    """How a matrix multiply is cut up; `depth` is the block of the contracted dim.

    `panel` is the width in vectors of the panels that the right operand is packed into; a register
    tile may be several panels wide. For a range of sizes `tiles` is how many tiles of rows a call
    has, or `turns` tells which there are at any size (both None: all); calls of `few` rows have
    another tile.
    """

    rows: int
    vectors: int
    lanes: int
    depth: int
    block_tiles: int
    column_blocks: int
    pack_left: bool
    pack_right: bool
    panel: int
    turns: Turns | None = None
    tiles: Expr | None = None
    few: FewRows | None = None
    staged: bool = False  # both operands are packed by the tasks that use them
    panels_staged: bool = False  # the right one only

    def sure_rounds(self, row_blocks: int) -> int:
        """Rounds of `turns` that every one of `row_blocks` blocks of rows begins with."""
        if self.turns is None or (row_blocks > 1 and self.block_tiles % self.turns.size):
            return 0
        if row_blocks == 1:
            return self.turns.rounds
        return min(self.turns.rounds, self.block_tiles // self.turns.size)

    @property
    def columns(self) -> int:
        """Columns of a register tile."""
        return self.vectors * self.lanes


def matmul_shape(op: Op) -> MatmulShape | None:
    """The sizes of a dot_general, or None if it is not of the plain form."""
    if op.name != "dot_general" or op.result.dtype not in WIDE:
        return None
    lhs, rhs = op.operands
    batch = op.ints("lhs_batch")
    plain = len(op.ints("lhs_contracting")) == 1
    if not plain or lhs.type.rank != len(batch) + 2 or rhs.type.rank != len(batch) + 2:
        return None
    (k,) = op.ints("lhs_contracting")
    m, n = op.result.shape[-2:]
    return MatmulShape(op.result.shape[:-2], m, n, lhs.shape[k])


def column_dim(op: Op) -> int:
    """The dim of the right operand that becomes the result's columns."""
    taken = (*op.ints("rhs_batch"), *op.ints("rhs_contracting"))
    (dim,) = (d for d in range(op.operands[1].type.rank) if d not in taken)
    return dim


def row_dim(op: Op) -> int:
    """The dim of the left operand that becomes the result's rows."""
    taken = (*op.ints("lhs_batch"), *op.ints("lhs_contracting"))
    (dim,) = (d for d in range(op.operands[0].type.rank) if d not in taken)
    return dim


def choose_tiling(op: Op, target: Target, constant_right: bool) -> Tiling | None:
    """The tiling of a dot_general, None if the matrix-multiply family does not take it.

    The panels of a constant are the same whatever the number of rows: programs for several numbers
    share them, and few rows read several panels side by side, which memory serves faster.
    """
    shape = matmul_shape(op)
    if shape is None or 0 in (shape.m, shape.n, shape.k):
        return None
    lanes = target.lanes(op.result.dtype.bits)
    most = most_rows(target, 2)
    if shape.m < most:
        rows = shape.m
        vectors = _vectors_for(rows, target.registers, -(-shape.n // lanes))
    else:
        vectors = 2
        rows = _balanced(shape.m, most)
    panel = vectors
    if constant_right:
        panel = min(PANEL, -(-shape.n // lanes))
        vectors = max(1, vectors // panel) * panel
    right_is_rows = column_dim(op) == op.operands[1].type.rank - 1
    pack_right = constant_right or shape.m > SMALL_ROWS or not right_is_rows
    bytes_ = op.result.dtype.bytes
    depth = shape.k if shape.k <= 2 * DEPTH else _split(shape.k, DEPTH)
    large = shape.m >= 2 * rows and shape.m * shape.k >= 1 << 16
    pack_left = shape.n >= 8 * lanes and (large or _aliases(rows, shape.k * bytes_))
    # A right operand that only memory holds is streamed past fewer, larger blocks.
    budget = L2_BYTES * (2 if shape.n * shape.k * bytes_ >= LARGE_BYTES else 1)
    tiles = max(1, min(-(-shape.m // rows), budget // (rows * depth * bytes_)))
    all_tiles = -(-shape.m // rows)
    row_blocks = _even(-(-all_tiles // tiles), budget / (all_tiles * rows * depth * bytes_))
    # Blocks of even sizes: one that is nearly empty would leave a thread without work.
    tiles = -(-all_tiles // row_blocks)
    panels = -(-shape.n // (vectors * lanes))
    column_blocks = min(panels, _column_blocks(math.prod(shape.batch) * row_blocks))
    if not constant_right and panels == 1 and not shape.batch:
        # One panel is no work to share out: tiles of rows are.
        tiles = -(-all_tiles // max(row_blocks, TASKS))
    elif not constant_right and _shares_rows(op, shape, all_tiles):
        tiles = column_blocks = 1
    return Tiling(rows, vectors, lanes, depth, tiles, column_blocks, pack_left, pack_right, panel)


def few_rows_tiles(
    op: Op, tiling: Tiling, target: Target, least: int
) -> tuple[tuple[int, int], ...]:
    """Rows and vectors of the tiles for `least` rows and more that are wider than the tiling's.

    Each has as many rows as leave registers for its panels side by side; fewer rows come first.
    """
    shape = matmul_shape(op)
    assert shape is not None
    found: dict[int, int] = {}  # from vectors to the most rows
    for rows in range(max(1, least), tiling.rows):
        vectors = _vectors_for(rows, target.registers, -(-shape.n // tiling.lanes))
        vectors = vectors // tiling.panel * tiling.panel
        if vectors > tiling.vectors:
            found[vectors] = rows
    return tuple((rows, vectors) for vectors, rows in found.items())


def staged_tiling(op: Op, tiling: Tiling) -> Tiling | None:
    """The tiling with both operands packed by the tasks themselves, None for small products.

    A task packs its rows of the left operand for some depth, then the right one panel by panel,
    each right before its tiles use it: neither copy goes out to memory and comes back.
    """
    shape = matmul_shape(op)
    assert shape is not None
    large = shape.m >= STAGED_ROWS and min(shape.n, shape.k) >= STAGED_DEPTH
    if shape.batch or not large or tiling.lanes < STAGED_LANES:
        return None
    depth = _split(shape.k, STAGED_DEPTH)
    tiles = -(-shape.m // tiling.rows)
    most = max(1, STAGED_BYTES // (tiling.rows * depth * op.result.dtype.bytes))
    return replace(
        tiling,
        depth=depth,
        block_tiles=min(tiles, most),
        column_blocks=1,
        pack_left=True,
        pack_right=True,
        staged=True,
    )


def panel_tiling(op: Op, tiling: Tiling) -> Tiling:
    """The tiling with panels of the right operand packed by the tasks that use them.

    As it was where the operand is so small that a copy stays near, or rows are not one block.
    """
    shape = matmul_shape(op)
    assert shape is not None
    bytes_ = op.result.dtype.bytes
    large = shape.n * shape.k * bytes_ >= NEAR_BYTES and min(shape.n, shape.k) >= STAGED_DEPTH
    tiles = -(-shape.m // tiling.rows)
    depth = _split(shape.k, STAGED_DEPTH)
    near = shape.m * depth * bytes_ <= L2_BYTES
    few = shape.batch or tiles < STAGED_TILES or tiling.lanes < STAGED_LANES
    if not large or not near or few or not tiling.pack_right or tiling.panel != tiling.vectors:
        return tiling
    panels = -(-shape.n // tiling.columns)
    blocks = range(TASKS, 2 * TASKS + 1, 2)
    even = min(blocks, key=lambda count: (-(-panels // count) * count - panels, count))
    return replace(
        tiling, depth=depth, block_tiles=tiles, column_blocks=min(panels, even), panels_staged=True
    )


def _shares_rows(op: Op, shape: MatmulShape, tiles: int) -> bool:
    """True if threads share out tiles of rows, not columns, of a product of two near operands.

    A thread then finds rows where it wrote them in its own cache, and so do the kernels that
    follow row by row, as the cells of a recurrent net's steps do; each reads the whole right
    operand.  Only an even number of tiles is shared out evenly.
    """
    bytes_ = op.result.dtype.bytes
    in_rows = op.ints("lhs_contracting")[0] == op.operands[0].type.rank - 1
    near = max(shape.m, shape.n) * shape.k * bytes_ <= L2_BYTES
    return not shape.batch and in_rows and near and tiles >= TASKS and tiles % 2 == 0


def rows_serve(op: Op, tiling: Tiling) -> bool:
    """True if a left operand in rows is read in its place as fast as a packed copy of it.

    It must stay in a near cache between the panels, each of its tiles in the first-level one;
    where very many panels read it, a copy costs next to nothing.
    """
    shape = matmul_shape(op)
    assert shape is not None
    row_bytes = shape.k * op.result.dtype.bytes
    in_rows = op.ints("lhs_contracting")[0] == op.operands[0].type.rank - 1
    near = shape.m * row_bytes <= NEAR_BYTES and shape.n <= NEAR_COLUMNS
    return in_rows and near and not _aliases(tiling.rows, row_bytes)


def _column_blocks(others: int) -> int:
    """Parts of the columns, so that with `others` there are enough tasks and an even number."""
    wanted = -(-TASKS // others)
    return max(1 << (wanted - 1).bit_length(), 1 + others % 2)


def _aliases(rows: int, row_bytes: int) -> bool:
    """True if so many rows of a matrix lie in one set of the first-level cache."""
    return rows >= ALIASED_ROWS and row_bytes % WAY_BYTES == 0


def _even(blocks: int, budget: float) -> int:
    """One block less, if two threads share that evenly and blocks become little larger.

    `budget` is the share of the matrix that a block should have at most.
    """
    odd = blocks % 2 == 1 and 1 < blocks < TASKS
    return blocks - 1 if odd and 1 / (blocks - 1) <= SLACK * budget else blocks


def most_rows(target: Target, vectors: int) -> int:
    """The rows of the largest register tile that is so many vectors wide."""
    spare = vectors + (1 if target.has_fma else 2)
    return min(14, max(1, (target.registers - spare) // vectors))


def _vectors_for(rows: int, registers: int, needed: int) -> int:
    most = max(1, (registers - 2) // (rows + 1))
    return max(1, min(8, most, needed))


def _balanced(extent: int, most: int) -> int:
    """The largest tile of at most `most` that wastes least at the edge."""
    tiles = -(-extent // most)
    return -(-extent // tiles)


def _split(extent: int, block: int) -> int:
    parts = -(-extent // block)
    return -(-extent // parts)
