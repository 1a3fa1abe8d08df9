"""The messages of training examples, by TensorFlow's public field numbers."""

from __future__ import annotations

from tensorkiln.frontends.graph.files.messages import define, message

define(
    "tensorkiln/example.proto",
    """
BytesList: value bytes* 1
FloatList: value float* 1
Int64List: value int64* 1
Feature: kind/bytes_list BytesList 1, kind/float_list FloatList 2, kind/int64_list Int64List 3
Features: feature {Feature} 1
FeatureList: feature Feature* 1
FeatureLists: feature_list {FeatureList} 1
Example: features Features 1
SequenceExample: context Features 1, feature_lists FeatureLists 2
""",
)

BytesList = message("BytesList")
FloatList = message("FloatList")
Int64List = message("Int64List")
Feature = message("Feature")
Features = message("Features")
FeatureList = message("FeatureList")
FeatureLists = message("FeatureLists")
Example = message("Example")
SequenceExample = message("SequenceExample")
