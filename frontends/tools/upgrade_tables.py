"""What changed from TensorFlow 0.x to 1.0, after the public notes of that release."""

from __future__ import annotations

RENAMED = {
    "tf.inv": "tf.reciprocal",
    "tf.mul": "tf.multiply",
    "tf.sub": "tf.subtract",
    "tf.neg": "tf.negative",
    "tf.pack": "tf.stack",
    "tf.unpack": "tf.unstack",
    "tf.select": "tf.where",
    "tf.listdiff": "tf.setdiff1d",
    "tf.list_diff": "tf.setdiff1d",
    "tf.complex_abs": "tf.abs",
    "tf.op_scope": "tf.name_scope",
    "tf.scalar_summary": "tf.summary.scalar",
    "tf.histogram_summary": "tf.summary.histogram",
    "tf.audio_summary": "tf.summary.audio",
    "tf.image_summary": "tf.summary.image",
    "tf.merge_summary": "tf.summary.merge",
    "tf.merge_all_summaries": "tf.summary.merge_all",
    "tf.contrib.deprecated.scalar_summary": "tf.summary.scalar",
    "tf.contrib.deprecated.histogram_summary": "tf.summary.histogram",
    "tf.train.SummaryWriter": "tf.summary.FileWriter",
    "tf.image.per_image_whitening": "tf.image.per_image_standardization",
    "tf.all_variables": "tf.global_variables",
    "tf.VARIABLES": "tf.GLOBAL_VARIABLES",
    "tf.GraphKeys.VARIABLES": "tf.GraphKeys.GLOBAL_VARIABLES",
    "tf.initialize_all_variables": "tf.global_variables_initializer",
    "tf.initialize_local_variables": "tf.local_variables_initializer",
    "tf.initialize_variables": "tf.variables_initializer",
    "tf.initialize_all_tables": "tf.tables_initializer",
    "tf.nn.rnn": "tf.nn.static_rnn",
    "tf.nn.bidirectional_rnn": "tf.nn.static_bidirectional_rnn",
    "tf.nn.state_saving_rnn": "tf.nn.static_state_saving_rnn",
    "tf.batch_matmul": "tf.matmul",
    "tf.batch_matrix_diag": "tf.matrix_diag",
    "tf.batch_matrix_diag_part": "tf.matrix_diag_part",
    "tf.batch_matrix_band_part": "tf.matrix_band_part",
    "tf.batch_matrix_set_diag": "tf.matrix_set_diag",
    "tf.batch_matrix_transpose": "tf.matrix_transpose",
    "tf.batch_matrix_determinant": "tf.matrix_determinant",
    "tf.batch_matrix_inverse": "tf.matrix_inverse",
    "tf.batch_matrix_solve": "tf.matrix_solve",
    "tf.batch_matrix_solve_ls": "tf.matrix_solve_ls",
    "tf.batch_matrix_triangular_solve": "tf.matrix_triangular_solve",
    "tf.batch_cholesky": "tf.cholesky",
    "tf.batch_cholesky_solve": "tf.cholesky_solve",
    "tf.batch_self_adjoint_eig": "tf.self_adjoint_eig",
    "tf.batch_self_adjoint_eigvals": "tf.self_adjoint_eigvals",
    "tf.batch_svd": "tf.svd",
    "tf.batch_fft": "tf.fft",
    "tf.batch_ifft": "tf.ifft",
    "tf.batch_fft2d": "tf.fft2d",
    "tf.batch_ifft2d": "tf.ifft2d",
    "tf.batch_fft3d": "tf.fft3d",
    "tf.batch_ifft3d": "tf.ifft3d",
}
"""New names by old ones."""

_REDUCED = {"reduction_indices": "axis"}
KEYWORDS = {
    **{
        f"tf.{name}": _REDUCED
        for name in (
            "count_nonzero", "reduce_all", "reduce_any", "reduce_logsumexp", "reduce_max",
            "reduce_mean", "reduce_min", "reduce_prod", "reduce_sum",
        )
    },
    "tf.argmax": {"dimension": "axis"},
    "tf.argmin": {"dimension": "axis"},
    "tf.arg_max": {"dimension": "axis"},
    "tf.arg_min": {"dimension": "axis"},
    "tf.expand_dims": {"dim": "axis"},
    "tf.squeeze": {"squeeze_dims": "axis"},
    "tf.concat": {"concat_dim": "axis"},
    "tf.split": {"split_dim": "axis", "num_split": "num_or_size_splits"},
    "tf.reverse_sequence": {"seq_dim": "seq_axis", "batch_dim": "batch_axis"},
    "tf.reduce_join": _REDUCED,
    "tf.sparse_concat": {"concat_dim": "axis"},
    "tf.sparse_split": {"split_dim": "axis"},
    "tf.sparse_reduce_sum": {"reduction_axes": "axis"},
    "tf.sparse_reduce_sum_sparse": {"reduction_axes": "axis"},
    "tf.nn.sigmoid_cross_entropy_with_logits": {"targets": "labels"},
    "tf.batch_matmul": {"adj_x": "adjoint_a", "adj_y": "adjoint_b"},
    "tf.scalar_summary": {"tags": "name", "values": "tensor"},
    "tf.histogram_summary": {"tag": "name"},
    "tf.image_summary": {"tag": "name", "max_images": "max_outputs"},
    "tf.audio_summary": {"tag": "name"},
}  # fmt: skip
"""New names of arguments by old ones, by the function's old name."""

_SAMPLED = (
    "weights", "biases", "inputs", "labels", "num_sampled", "num_classes", "num_true",
    "sampled_values", "remove_accidental_hits", "partition_strategy", "name",
)  # fmt: skip
REORDERED = {
    "tf.nn.nce_loss": _SAMPLED,
    "tf.nn.sampled_softmax_loss": _SAMPLED,
    "tf.concat": ("axis", "values", "name"),
    "tf.split": ("axis", "num_or_size_splits", "value", "name"),
    "tf.svd": ("tensor", "compute_uv", "full_matrices", "name"),
    "tf.batch_svd": ("tensor", "compute_uv", "full_matrices", "name"),
    "tf.op_scope": ("values", "name", "default_name"),
    "tf.nn.softmax_cross_entropy_with_logits": ("logits", "labels", "dim", "name"),
    "tf.nn.sparse_softmax_cross_entropy_with_logits": ("logits", "labels", "name"),
    "tf.nn.sigmoid_cross_entropy_with_logits": ("logits", "labels", "name"),
}
"""Functions whose arguments stand in another order now: the names, as of now, in the old order."""

CALLED_NOW = frozenset({"tf.zeros_initializer", "tf.ones_initializer"})
"""Functions that have become classes: where they are handed on they must be called."""

BY_HAND = {
    "tf.reverse": "tf.reverse now takes the axes to turn around, no longer a bool for each axis; "
    "only you know which was meant",
}
"""Changes that nothing but a reader of the program can make."""

REUSE = (
    "tf.get_variable_scope().reuse_variables() is better written as "
    "`with tf.variable_scope(tf.get_variable_scope(), reuse=True):` around what shares variables"
)
