"""The top-level names of the graph API, as TensorFlow 1 programs write them."""

from tensorkiln.frontends.graph.apply import make as _make
from tensorkiln.frontends.graph.clipping import (
    clip_by_average_norm,
    clip_by_global_norm,
    clip_by_norm,
    clip_by_value,
    global_norm,
)  # fmt: skip
from tensorkiln.frontends.graph.config import (
    ConfigProto,
    GPUOptions,
    GraphOptions,
    OptimizerOptions,
    RunOptions,
)  # fmt: skip
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dimension import Dimension
from tensorkiln.frontends.graph.dtypes import (
    QUANTIZED_DTYPES,
    DType,
    as_dtype,
    bfloat16,
    boolean,
    complex64,
    complex128,
    double,
    float16,
    float32,
    float64,
    half,
    int8,
    int16,
    int32,
    int64,
    qint8,
    qint16,
    qint32,
    quint8,
    quint16,
    string,
    uint8,
    uint16,
    uint32,
    uint64,
)  # fmt: skip
from tensorkiln.frontends.graph.graph import Graph, reset_default_graph
from tensorkiln.frontends.graph.graph_keys import (
    GraphKeys,
    add_to_collection,
    add_to_collections,
    get_collection,
    get_collection_ref,
    global_variables,
    local_variables,
    model_variables,
    moving_average_variables,
    trainable_variables,
)  # fmt: skip
from tensorkiln.frontends.graph.indexed_slices import (
    IndexedSlices,
    convert_to_tensor_or_indexed_slices,
)  # fmt: skip
from tensorkiln.frontends.graph.initializers import (
    Constant,
    Identity,
    Initializer,
    Ones,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    UniformUnitScaling,
    VarianceScaling,
    Zeros,
    glorot_normal_initializer,
    glorot_uniform_initializer,
)  # fmt: skip
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_constant import (
    constant,
    fill,
    identity,
    linspace,
    no_op,
    ones,
    ones_like,
    placeholder,
    placeholder_with_default,
    range_,
    stop_gradient,
    zeros,
    zeros_like,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_elementwise import (
    abs_,
    acos,
    add,
    add_n,
    asin,
    atan,
    atan2,
    cast,
    ceil,
    cos,
    cosh,
    div,
    divide,
    equal,
    erf,
    erfc,
    exp,
    expm1,
    floor,
    floordiv,
    greater,
    greater_equal,
    is_finite,
    is_inf,
    is_nan,
    less,
    less_equal,
    log,
    log1p,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    mod,
    multiply,
    negative,
    not_equal,
    pow_,
    reciprocal,
    rint,
    round_,
    rsqrt,
    scalar_mul,
    sigmoid,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    squared_difference,
    subtract,
    tan,
    tanh,
    truediv,
    truncatediv,
    truncatemod,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_gather import batch_gather, gather, gather_nd
from tensorkiln.frontends.graph.ops_gradient import gradients
from tensorkiln.frontends.graph.ops_join import concat, split, stack, unstack
from tensorkiln.frontends.graph.ops_matmul import (
    eye,
    matmul,
    matrix_diag,
    matrix_diag_part,
    tensordot,
    trace,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_partition import (
    dynamic_partition,
    dynamic_stitch,
    parallel_stitch,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_random import (
    random_normal,
    random_uniform,
    set_random_seed,
    truncated_normal,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_reduce import (
    argmax,
    argmin,
    reduce_all,
    reduce_any,
    reduce_logsumexp,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_prod,
    reduce_sum,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_scan import cumprod, cumsum
from tensorkiln.frontends.graph.ops_scatter import (
    scatter_add,
    scatter_div,
    scatter_max,
    scatter_min,
    scatter_mul,
    scatter_nd,
    scatter_nd_add,
    scatter_nd_sub,
    scatter_nd_update,
    scatter_sub,
    scatter_update,
    tensor_scatter_add,
    tensor_scatter_sub,
    tensor_scatter_update,
)
from tensorkiln.frontends.graph.ops_scatter import tensor_scatter_max as tensor_scatter_nd_max
from tensorkiln.frontends.graph.ops_scatter import tensor_scatter_min as tensor_scatter_nd_min
from tensorkiln.frontends.graph.ops_segment import (
    segment_max,
    segment_mean,
    segment_min,
    segment_prod,
    segment_sum,
    sparse_segment_mean,
    sparse_segment_sqrt_n,
    sparse_segment_sum,
    unsorted_segment_max,
    unsorted_segment_mean,
    unsorted_segment_min,
    unsorted_segment_prod,
    unsorted_segment_sqrt_n,
    unsorted_segment_sum,
)
from tensorkiln.frontends.graph.ops_select import one_hot, where
from tensorkiln.frontends.graph.ops_shape import (
    broadcast_static_shape,
    broadcast_to,
    expand_dims,
    rank,
    reshape,
    reverse,
    shape,
    size,
    squeeze,
    transpose,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_slice import pad, slice_, strided_slice, tile
from tensorkiln.frontends.graph.ops_state import assign, assign_add, assign_sub
from tensorkiln.frontends.graph.ops_where import (
    boolean_mask,
    setdiff1d,
    unique,
    unique_with_counts,
)  # fmt: skip
from tensorkiln.frontends.graph.scopes import (
    colocate_with,
    control_dependencies,
    device,
    group,
    name_scope,
    tuple_,
)  # fmt: skip
from tensorkiln.frontends.graph.session import InteractiveSession, Session
from tensorkiln.frontends.graph.shapes import TensorShape
from tensorkiln.frontends.graph.stack import get_default_graph, get_default_session
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.variable_scope import (
    AUTO_REUSE,
    VariableScope,
    get_variable,
    get_variable_scope,
    variable_scope,
)  # fmt: skip
from tensorkiln.frontends.graph.variables import (
    Variable,
    global_variables_initializer,
    is_variable_initialized,
    local_variables_initializer,
    variables_initializer,
)  # fmt: skip

newaxis = None


def to_float(x: object, name: str = "ToFloat") -> Tensor:
    """`x` as float32."""
    return cast(x, float32, name)


def to_double(x: object, name: str = "ToDouble") -> Tensor:
    """`x` as float64."""
    return cast(x, float64, name)


def to_int32(x: object, name: str = "ToInt32") -> Tensor:
    """`x` as int32."""
    return cast(x, int32, name)


def to_int64(x: object, name: str = "ToInt64") -> Tensor:
    """`x` as int64."""
    return cast(x, int64, name)


def to_bfloat16(x: object, name: str = "ToBFloat16") -> Tensor:
    """`x` as bfloat16."""
    return cast(x, bfloat16, name)


def logical_xor(x: object, y: object, name: str = "LogicalXor") -> Tensor:
    """Where exactly one of two bools holds."""
    return _make("NotEqual", (x, y), name)


def disable_eager_execution() -> None:
    """Nothing to do: graphs are the only way."""


def disable_v2_behavior() -> None:
    """Nothing to do: this is the interface of version 1."""


# Names that are Python's own, and the names that older programs use.
abs = abs_
bool = boolean
pow = pow_
range = range_
round = round_
slice = slice_
tuple = tuple_
mul, sub, neg = multiply, subtract, negative
floormod, arg_max, arg_min, lin_space = mod, argmax, argmin, linspace
batch_matmul = matmul
tensor_scatter_nd_update, tensor_scatter_nd_add = tensor_scatter_update, tensor_scatter_add
tensor_scatter_nd_sub = tensor_scatter_sub
initialize_all_variables, all_variables = global_variables_initializer, global_variables
initialize_local_variables = local_variables_initializer
initialize_variables = variables_initializer
zeros_initializer, ones_initializer, constant_initializer = Zeros, Ones, Constant
random_normal_initializer, random_uniform_initializer = RandomNormal, RandomUniform
truncated_normal_initializer, variance_scaling_initializer = TruncatedNormal, VarianceScaling
uniform_unit_scaling_initializer = UniformUnitScaling
identity_initializer = Identity
