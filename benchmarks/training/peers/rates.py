"""Learning rates of the rows: of gradient descent, or of Adam."""

DESCENT = {"softmax_regression_b100": 0.5}
ADAM = {"mlp_b128": 1e-3, "cnn_b128": 1e-4, "lstm_b128": 1e-3, "transformer_b8": 1e-4}
