"""TensorFlow's files: checkpoints, graph definitions, saved models; and safetensors.

One format a file. What is read is data from a stranger: lengths are checked before memory is
taken, and names in a file never lead out of its folder.
"""
