"""What the benchmark measures: generated networks and microkernels, each an ONNX model."""
