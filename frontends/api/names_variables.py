"""Top-level names: functions of variables, and switches of later versions."""

from tensorkiln.frontends.graph.convert import register_tensor_conversion_function
from tensorkiln.frontends.graph.creators import variable_creator_scope
from tensorkiln.frontends.graph.dtype_checks import assert_same_float_dtype
from tensorkiln.frontends.graph.errors import OpError
from tensorkiln.frontends.graph.modes import (
    AggregationMethod,
    UnconnectedGradients,
    VariableAggregation,
    VariableSynchronization,
    container,
    enable_eager_execution,
    enable_v2_behavior,
    executing_eagerly,
    init_scope,
    is_numeric_tensor,
    is_tensor,
    nothing_to_do,
    resource_variables_enabled,
)
from tensorkiln.frontends.graph.ops_hash import (
    fingerprint,
    string_to_hash_bucket,
    string_to_hash_bucket_fast,
    string_to_hash_bucket_strong,
)
from tensorkiln.frontends.graph.ops_select import where_v2
from tensorkiln.frontends.graph.ops_state import count_up_to
from tensorkiln.frontends.graph.ops_string import (
    as_string,
    decode_base64,
    encode_base64,
    read_file,
    reduce_join,
    regex_replace,
    string_join,
    string_split,
    string_strip,
    string_to_number,
    substr,
    write_file,
)
from tensorkiln.frontends.graph.partitioners import (
    fixed_size_partitioner,
    min_max_variable_partitioner,
    variable_axis_size_partitioner,
)
from tensorkiln.frontends.graph.session_handles import (
    delete_session_tensor,
    get_session_handle,
    get_session_tensor,
)
from tensorkiln.frontends.graph.sparse_dense import (
    edit_distance,
    sparse_merge,
    sparse_reduce_max,
    sparse_reduce_max_sparse,
    sparse_reduce_sum,
    sparse_reduce_sum_sparse,
    sparse_softmax,
    sparse_to_indicator,
)
from tensorkiln.frontends.graph.sparse_ops import (
    sparse_add,
    sparse_concat,
    sparse_fill_empty_rows,
    sparse_mask,
    sparse_matmul,
    sparse_maximum,
    sparse_minimum,
    sparse_reorder,
    sparse_reset_shape,
    sparse_reshape,
    sparse_retain,
    sparse_slice,
    sparse_split,
    sparse_transpose,
)
from tensorkiln.frontends.graph.sparse_tensor import (
    SparseTensor,
    SparseTensorValue,
    convert_to_tensor_or_sparse_tensor,
    sparse_placeholder,
    sparse_tensor_dense_matmul,
    sparse_tensor_to_dense,
    sparse_to_dense,
)
from tensorkiln.frontends.graph.variable_functions import (
    assert_variables_initialized,
    create_partitioned_variables,
    get_local_variable,
    make_template,
    op_scope,
    report_uninitialized_variables,
    tables_initializer,
    timestamp,
    variable_op_scope,
)

initialize_all_tables = tables_initializer
is_symbolic_tensor = is_tensor
executing_eagerly_outside_functions = control_flow_v2_enabled = executing_eagerly
disable_control_flow_v2 = disable_resource_variables = nothing_to_do
disable_tensor_equality = disable_v2_tensorshape = nothing_to_do
enable_control_flow_v2 = enable_resource_variables = nothing_to_do
enable_tensor_equality = enable_v2_tensorshape = enable_v2_behavior
