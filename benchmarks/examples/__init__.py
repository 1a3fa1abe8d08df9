"""The example programs beside the same programs under TensorFlow."""
