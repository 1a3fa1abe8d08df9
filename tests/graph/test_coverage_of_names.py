"""Which names of TensorFlow 1 are there, and which are not yet and why.

`NAMES` lists the functions and classes that programs use, by module.  `MISSING` says what is not
there; a name that has come must leave that list, and a name that vanishes fails the test.
"""

from __future__ import annotations

from typing import Any

import pytest

import tensorkiln as tf

NAMES: dict[str, str] = {
    "": (
        "AUTO_REUSE AggregationMethod Assert AttrValue COMPILER_VERSION CXX11_ABI_FLAG "
        "ConditionalAccumulator ConditionalAccumulatorBase ConfigProto CriticalSection DType "
        "DeviceSpec Dimension Event FIFOQueue FixedLenFeature FixedLenSequenceFeature "
        "FixedLengthRecordReader GIT_VERSION GPUOptions GRAPH_DEF_VERSION "
        "GRAPH_DEF_VERSION_MIN_CONSUMER GRAPH_DEF_VERSION_MIN_PRODUCER Graph GraphDef GraphKeys "
        "GraphOptions HistogramProto IdentityReader IndexedSlices InteractiveSession LMDBReader "
        "LogMessage MONOLITHIC_BUILD MetaGraphDef NoGradient NodeDef NotDifferentiable OpError "
        "Operation OptimizerOptions PaddingFIFOQueue Print PriorityQueue QueueBase "
        "RandomShuffleQueue ReaderBase RegisterGradient RunMetadata RunOptions Session SessionLog "
        "SparseConditionalAccumulator SparseFeature SparseTensor SparseTensorValue Summary "
        "SummaryMetadata TFRecordReader Tensor TensorArray TensorInfo TensorShape TextLineReader "
        "UnconnectedGradients VERSION VarLenFeature Variable VariableAggregation VariableScope "
        "VariableSynchronization WholeFileReader abs accumulate_n acos acosh add "
        "add_check_numerics_ops add_n add_to_collection add_to_collections all_variables angle "
        "arg_max arg_min argmax argmin argsort as_dtype as_string asin asinh assert_equal "
        "assert_greater assert_greater_equal assert_integer assert_less assert_less_equal "
        "assert_near assert_negative assert_non_negative assert_non_positive assert_none_equal "
        "assert_positive assert_proper_iterable assert_rank assert_rank_at_least assert_rank_in "
        "assert_same_float_dtype assert_scalar assert_type assert_variables_initialized assign "
        "assign_add assign_sub atan atan2 atanh batch_gather batch_matmul batch_to_space "
        "batch_to_space_nd betainc bfloat16 bincount bitcast bool boolean_mask "
        "broadcast_dynamic_shape broadcast_static_shape broadcast_to case cast ceil check_numerics "
        "cholesky cholesky_solve clip_by_average_norm clip_by_global_norm clip_by_norm "
        "clip_by_value colocate_with complex complex128 complex64 concat cond confusion_matrix "
        "conj constant constant_initializer container control_dependencies control_flow_v2_enabled "
        "convert_to_tensor convert_to_tensor_or_indexed_slices convert_to_tensor_or_sparse_tensor "
        "cos cosh count_nonzero count_up_to create_partitioned_variables cross cumprod cumsum "
        "custom_gradient decode_base64 decode_compressed decode_csv decode_json_example decode_raw "
        "delete_session_tensor depth_to_space dequantize deserialize_many_sparse device diag "
        "diag_part digamma dimension_at_index dimension_value disable_control_flow_v2 "
        "disable_eager_execution disable_resource_variables disable_tensor_equality "
        "disable_v2_behavior disable_v2_tensorshape div div_no_nan divide double dynamic_partition "
        "dynamic_stitch edit_distance einsum enable_control_flow_v2 enable_eager_execution "
        "enable_resource_variables enable_tensor_equality enable_v2_behavior enable_v2_tensorshape "
        "encode_base64 ensure_shape equal erf erfc executing_eagerly "
        "executing_eagerly_outside_functions exp expand_dims expm1 extract_image_patches "
        "extract_volume_patches eye fake_quant_with_min_max_args "
        "fake_quant_with_min_max_args_gradient fake_quant_with_min_max_vars "
        "fake_quant_with_min_max_vars_gradient fake_quant_with_min_max_vars_per_channel "
        "fake_quant_with_min_max_vars_per_channel_gradient fft fft2d fft3d fill fingerprint "
        "fixed_size_partitioner float16 float32 float64 floor floor_div floordiv floormod foldl "
        "foldr gather gather_nd get_collection get_collection_ref get_default_graph "
        "get_default_session get_local_variable get_logger get_seed get_session_handle "
        "get_session_tensor get_static_value get_variable get_variable_scope global_norm "
        "global_variables global_variables_initializer glorot_normal_initializer "
        "glorot_uniform_initializer gradients greater greater_equal group guarantee_const half "
        "hessians histogram_fixed_width histogram_fixed_width_bins identity identity_n ifft ifft2d "
        "ifft3d igamma igammac imag import_graph_def init_scope initialize_all_tables "
        "initialize_all_variables initialize_local_variables initialize_variables int16 int32 "
        "int64 int8 invert_permutation is_finite is_inf is_nan is_non_decreasing is_numeric_tensor "
        "is_strictly_increasing is_symbolic_tensor is_tensor is_variable_initialized lbeta less "
        "less_equal lgamma lin_space linspace load_file_system_library load_library "
        "load_op_library local_variables local_variables_initializer log log1p log_sigmoid "
        "logical_and logical_not logical_or logical_xor make_ndarray make_template "
        "make_tensor_proto map_fn matching_files matmul matrix_band_part matrix_determinant "
        "matrix_diag matrix_diag_part matrix_inverse matrix_set_diag matrix_solve matrix_solve_ls "
        "matrix_transpose matrix_triangular_solve maximum meshgrid min_max_variable_partitioner "
        "minimum mod model_variables moving_average_variables mul multinomial multiply name_scope "
        "neg negative newaxis no_op no_regularizer norm not_equal numpy_function one_hot ones "
        "ones_initializer ones_like op_scope orthogonal_initializer pad parallel_stack "
        "parse_example parse_single_example parse_single_sequence_example parse_tensor placeholder "
        "placeholder_with_default polygamma pow print py_func qint16 qint32 qint8 qr quantize "
        "quantize_v2 quantized_concat quint16 quint8 random_crop random_gamma random_normal "
        "random_normal_initializer random_poisson random_shuffle random_uniform "
        "random_uniform_initializer range rank read_file real realdiv reciprocal reduce_all "
        "reduce_any reduce_join reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod "
        "reduce_sum regex_replace register_tensor_conversion_function repeat "
        "report_uninitialized_variables required_space_to_batch_paddings reset_default_graph "
        "reshape resource resource_variables_enabled reverse reverse_sequence reverse_v2 rint roll "
        "round rsqrt saturate_cast scalar_mul scan scatter_add scatter_div scatter_max scatter_min "
        "scatter_mul scatter_nd scatter_nd_add scatter_nd_sub scatter_nd_update scatter_sub "
        "scatter_update searchsorted segment_max segment_mean segment_min segment_prod segment_sum "
        "self_adjoint_eig self_adjoint_eigvals sequence_mask serialize_many_sparse "
        "serialize_sparse serialize_tensor set_random_seed setdiff1d shape shape_n sigmoid sign "
        "sin sinh size slice sort space_to_batch space_to_batch_nd space_to_depth sparse_add "
        "sparse_concat sparse_fill_empty_rows sparse_mask sparse_matmul sparse_maximum "
        "sparse_merge sparse_minimum sparse_placeholder sparse_reduce_max sparse_reduce_max_sparse "
        "sparse_reduce_sum sparse_reduce_sum_sparse sparse_reorder sparse_reset_shape "
        "sparse_reshape sparse_retain sparse_segment_mean sparse_segment_sqrt_n sparse_segment_sum "
        "sparse_slice sparse_softmax sparse_split sparse_tensor_dense_matmul "
        "sparse_tensor_to_dense sparse_to_dense sparse_to_indicator sparse_transpose sqrt square "
        "squared_difference squeeze stack stop_gradient strided_slice string string_join "
        "string_split string_strip string_to_hash_bucket string_to_hash_bucket_fast "
        "string_to_hash_bucket_strong string_to_number sub substr subtract svd switch_case "
        "tables_initializer tan tanh tensor_scatter_add tensor_scatter_nd_add "
        "tensor_scatter_nd_max tensor_scatter_nd_min tensor_scatter_nd_sub "
        "tensor_scatter_nd_update tensor_scatter_sub tensor_scatter_update tensordot tile "
        "timestamp to_bfloat16 to_complex128 to_complex64 to_double to_float to_int32 to_int64 "
        "trace trainable_variables transpose truediv truncated_normal truncated_normal_initializer "
        "truncatediv truncatemod tuple uint16 uint32 uint64 uint8 uniform_unit_scaling_initializer "
        "unique unique_with_counts unravel_index unsorted_segment_max unsorted_segment_mean "
        "unsorted_segment_min unsorted_segment_prod unsorted_segment_sqrt_n unsorted_segment_sum "
        "unstack variable_axis_size_partitioner variable_creator_scope variable_op_scope "
        "variable_scope variables_initializer variance_scaling_initializer "
        "verify_tensor_all_finite where where_v2 while_loop write_file zeros zeros_initializer "
        "zeros_like zeta "
    ),
    "nn": (
        "all_candidate_sampler atrous_conv2d atrous_conv2d_transpose avg_pool avg_pool1d "
        "avg_pool2d avg_pool3d avg_pool_v2 batch_norm_with_global_normalization "
        "batch_normalization bias_add bidirectional_dynamic_rnn compute_accidental_hits conv1d "
        "conv1d_transpose conv2d conv2d_backprop_filter conv2d_backprop_input conv2d_transpose "
        "conv3d conv3d_backprop_filter conv3d_backprop_filter_v2 conv3d_transpose conv_transpose "
        "convolution crelu ctc_beam_search_decoder ctc_greedy_decoder ctc_loss depth_to_space "
        "depthwise_conv2d depthwise_conv2d_backprop_filter depthwise_conv2d_backprop_input "
        "depthwise_conv2d_native depthwise_conv2d_native_backprop_filter "
        "depthwise_conv2d_native_backprop_input dilation2d dropout dynamic_rnn elu "
        "embedding_lookup embedding_lookup_sparse erosion2d fixed_unigram_candidate_sampler "
        "fractional_avg_pool fractional_max_pool fused_batch_norm in_top_k l2_loss l2_normalize "
        "leaky_relu learned_unigram_candidate_sampler local_response_normalization "
        "log_poisson_loss log_softmax log_uniform_candidate_sampler lrn max_pool max_pool1d "
        "max_pool2d max_pool3d max_pool_v2 max_pool_with_argmax moments nce_loss normalize_moments "
        "pool quantized_avg_pool quantized_conv2d quantized_max_pool quantized_relu_x raw_rnn relu "
        "relu6 relu_layer safe_embedding_lookup_sparse sampled_softmax_loss selu separable_conv2d "
        "sigmoid sigmoid_cross_entropy_with_logits silu softmax softmax_cross_entropy_with_logits "
        "softmax_cross_entropy_with_logits_v2 softplus softsign space_to_batch space_to_depth "
        "sparse_softmax_cross_entropy_with_logits static_bidirectional_rnn static_rnn "
        "static_state_saving_rnn sufficient_statistics swish tanh top_k uniform_candidate_sampler "
        "weighted_cross_entropy_with_logits weighted_moments with_space_to_batch xw_plus_b "
        "zero_fraction "
    ),
    "math": (
        "abs accumulate_n acos acosh add add_n angle argmax argmin asin asinh atan atan2 atanh "
        "bessel_i0 bessel_i0e bessel_i1 bessel_i1e betainc bincount ceil confusion_matrix conj cos "
        "cosh count_nonzero cumprod cumsum cumulative_logsumexp digamma divide divide_no_nan equal "
        "erf erfc erfcinv erfinv exp expm1 floor floordiv floormod greater greater_equal igamma "
        "igammac imag in_top_k invert_permutation is_finite is_inf is_nan is_non_decreasing "
        "is_strictly_increasing l2_normalize lbeta less less_equal lgamma log log1p log_sigmoid "
        "log_softmax logical_and logical_not logical_or logical_xor maximum minimum mod multiply "
        "multiply_no_nan ndtri negative nextafter not_equal polygamma polyval pow real reciprocal "
        "reciprocal_no_nan reduce_all reduce_any reduce_euclidean_norm reduce_logsumexp reduce_max "
        "reduce_mean reduce_min reduce_prod reduce_std reduce_sum reduce_variance rint round rsqrt "
        "scalar_mul segment_max segment_mean segment_min segment_prod segment_sum sigmoid sign sin "
        "sinh softmax softplus softsign sqrt square squared_difference subtract tan tanh top_k "
        "truediv unsorted_segment_max unsorted_segment_mean unsorted_segment_min "
        "unsorted_segment_prod unsorted_segment_sqrt_n unsorted_segment_sum xdivy xlog1py xlogy "
        "zero_fraction zeta "
    ),
    "train": (
        "AdadeltaOptimizer AdagradDAOptimizer AdagradOptimizer AdamOptimizer BytesList Checkpoint "
        "CheckpointManager CheckpointSaverHook CheckpointSaverListener ChiefSessionCreator "
        "ClusterDef ClusterSpec Coordinator Example ExponentialMovingAverage Feature FeatureList "
        "FeatureLists Features FeedFnHook FinalOpsHook FloatList FtrlOptimizer "
        "GlobalStepWaiterHook GradientDescentOptimizer Int64List JobDef LoggingTensorHook "
        "LooperThread MomentumOptimizer MonitoredSession MonitoredTrainingSession "
        "NanLossDuringTrainingError NanTensorHook NewCheckpointReader Optimizer ProfilerHook "
        "ProximalAdagradOptimizer ProximalGradientDescentOptimizer QueueRunner RMSPropOptimizer "
        "Saver SaverDef Scaffold SecondOrStepTimer SequenceExample Server ServerDef SessionCreator "
        "SessionManager SessionRunArgs SessionRunContext SessionRunHook SessionRunValues "
        "SingularMonitoredSession StepCounterHook StopAtStepHook SummarySaverHook Supervisor "
        "SyncReplicasOptimizer VocabInfo WorkerSessionCreator add_queue_runner assert_global_step "
        "basic_train_loop batch batch_join checkpoint_exists checkpoints_iterator cosine_decay "
        "cosine_decay_restarts create_global_step do_quantize_training_on_graphdef "
        "exponential_decay export_meta_graph generate_checkpoint_state_proto get_checkpoint_mtimes "
        "get_checkpoint_state get_global_step get_or_create_global_step global_step "
        "import_meta_graph init_from_checkpoint input_producer inverse_time_decay "
        "latest_checkpoint limit_epochs linear_cosine_decay list_variables load_checkpoint "
        "load_variable match_filenames_once maybe_batch maybe_batch_join maybe_shuffle_batch "
        "maybe_shuffle_batch_join natural_exp_decay noisy_linear_cosine_decay piecewise_constant "
        "piecewise_constant_decay polynomial_decay range_input_producer remove_checkpoint "
        "replica_device_setter sdca_fprint sdca_optimizer sdca_shrink_l1 shuffle_batch "
        "shuffle_batch_join slice_input_producer start_queue_runners string_input_producer "
        "summary_iterator update_checkpoint_state warm_start write_graph "
    ),
    "random": (
        "all_candidate_sampler categorical fixed_unigram_candidate_sampler gamma get_seed "
        "learned_unigram_candidate_sampler log_uniform_candidate_sampler multinomial normal "
        "poisson set_random_seed shuffle stateless_categorical stateless_gamma "
        "stateless_multinomial stateless_normal stateless_poisson stateless_truncated_normal "
        "stateless_uniform truncated_normal uniform uniform_candidate_sampler "
    ),
    "losses": (
        "Reduction absolute_difference add_loss compute_weighted_loss cosine_distance get_losses "
        "get_regularization_loss get_regularization_losses get_total_loss hinge_loss huber_loss "
        "log_loss mean_pairwise_squared_error mean_squared_error sigmoid_cross_entropy "
        "softmax_cross_entropy sparse_softmax_cross_entropy "
    ),
    "initializers": (
        "constant global_variables glorot_normal glorot_uniform he_normal he_uniform identity "
        "lecun_normal lecun_uniform local_variables ones orthogonal random_normal random_uniform "
        "tables_initializer truncated_normal uniform_unit_scaling variables variance_scaling zeros "
    ),
    "bitwise": ("bitwise_and bitwise_or bitwise_xor invert left_shift right_shift "),
    "nn.rnn_cell": (
        "BasicLSTMCell BasicRNNCell DeviceWrapper DropoutWrapper GRUCell LSTMCell LSTMStateTuple "
        "MultiRNNCell RNNCell ResidualWrapper "
    ),
    "strings": (
        "as_string join length lower reduce_join regex_full_match regex_replace strip substr "
        "to_hash_bucket to_hash_bucket_fast to_number upper unicode_decode "
    ),
    "contrib.layers": (
        "l1_regularizer l2_regularizer l1_l2_regularizer sum_regularizer apply_regularization "
        "xavier_initializer variance_scaling_initializer flatten fully_connected conv2d max_pool2d "
        "batch_norm dropout summarize_tensor "
    ),
    "contrib.seq2seq": (
        "AttentionWrapper BahdanauAttention BasicDecoder BeamSearchDecoder GreedyEmbeddingHelper "
        "LuongAttention SampleEmbeddingHelper ScheduledEmbeddingTrainingHelper TrainingHelper "
        "dynamic_decode sequence_loss tile_batch "
    ),
    "contrib.rnn": (
        "BasicLSTMCell GRUCell LSTMBlockCell LSTMCell LSTMStateTuple LayerNormBasicLSTMCell "
        "MultiRNNCell static_rnn "
    ),
    "layers": (
        "Dense average_pooling2d batch_normalization conv1d conv2d conv3d dense dropout flatten "
        "max_pooling2d separable_conv2d "
    ),
    "app": ("flags run "),
    "summary": ("FileWriter audio histogram image merge merge_all scalar text "),
    "gfile": ("Exists FastGFile GFile Glob ListDirectory MakeDirs Remove Stat Walk "),
}

# Why a name is not there.
PIPELINE = "queues, readers and example parsers: input pipelines are an issue of their own"
SESSIONS = "checkpoints of objects, warm starts, dual coordinate ascent"
SPARSE = "sparse tensors as strings"
QUANTIZED = "quantised kernels of version 1"
LAYERS = "layer libraries are an issue of their own"
RAGGED = "rows of different lengths: there are no ragged tensors"
OPEN = "not done yet"
INTERNAL = "hooks into machinery that is not here: libraries of ops, handles, loggers"
MISSING: dict[str, dict[str, str]] = {
    "": {
        PIPELINE: (
            "ConditionalAccumulator ConditionalAccumulatorBase CriticalSection FIFOQueue "
            "FixedLengthRecordReader IdentityReader LMDBReader "
            "PaddingFIFOQueue PriorityQueue QueueBase RandomShuffleQueue ReaderBase "
            "SparseConditionalAccumulator TFRecordReader TextLineReader "
            "WholeFileReader decode_compressed decode_csv decode_json_example "
            "matching_files parse_single_sequence_example parse_tensor serialize_tensor "
        ),
        INTERNAL: ("TensorInfo load_file_system_library load_library load_op_library resource "),
        QUANTIZED: "dequantize quantize quantize_v2 quantized_concat ",
        SPARSE: "deserialize_many_sparse serialize_many_sparse serialize_sparse ",
    },
    "nn": {
        OPEN: "fractional_avg_pool fractional_max_pool ",
        QUANTIZED: "quantized_avg_pool quantized_conv2d quantized_max_pool quantized_relu_x ",
    },
    "train": {
        SESSIONS: (
            "Checkpoint CheckpointManager VocabInfo do_quantize_training_on_graphdef "
            "sdca_fprint sdca_optimizer sdca_shrink_l1 warm_start "
        ),
        PIPELINE: (
            "QueueRunner add_queue_runner batch batch_join input_producer limit_epochs "
            "match_filenames_once maybe_batch maybe_batch_join maybe_shuffle_batch "
            "maybe_shuffle_batch_join range_input_producer shuffle_batch shuffle_batch_join "
            "slice_input_producer start_queue_runners string_input_producer "
        ),
    },
    "random": {OPEN: "stateless_gamma stateless_poisson "},
    "strings": {RAGGED: "unicode_decode "},
    "contrib.layers": {
        LAYERS: "fully_connected conv2d max_pool2d batch_norm dropout summarize_tensor ",
    },
    "layers": {LAYERS: "conv1d conv3d separable_conv2d "},
}


def module(name: str) -> Any:
    found: Any = tf
    for part in name.split(".") if name else ():
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_names(name: str) -> None:
    owner = module(name)
    absent = {item for item in NAMES[name].split() if not hasattr(owner, item)}
    expected = {item for names in MISSING.get(name, {}).values() for item in names.split()}
    assert absent - expected == set(), "names that are not there"
    assert expected - absent == set(), "names that are there now: take them off the list"
