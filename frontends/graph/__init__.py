"""TensorKiln."""
