"""`tf.nn.rnn_cell`: cells of recurrent nets."""

from tensorkiln.frontends.graph.rnn_cells import (
    BasicLSTMCell,
    BasicRNNCell,
    GRUCell,
    LSTMCell,
    LSTMStateTuple,
    RNNCell,
)
from tensorkiln.frontends.graph.rnn_wrappers import (
    DeviceWrapper,
    DropoutWrapper,
    MultiRNNCell,
    ResidualWrapper,
)  # fmt: skip
