"""`tf.summary`'s functions that make summary ops."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.graph_keys import GraphKeys
from tensorkiln.frontends.graph.logs import info
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.summary.proto_summary import SummaryMetadata
from tensorkiln.frontends.graph.tensor import Tensor

_NOT_IN_TAGS = re.compile(r"[^-/\w.]")
_BAD_COLOUR = np.array([255, 0, 0, 255], np.uint8)
_IMAGES = 3


def scalar(
    name: str, tensor: object, collections: Sequence[str] | None = None, family: str | None = None
) -> Tensor:
    """A serialised Summary with one number; the tag is the name in its scope."""
    with _scope(name, family, tensor) as (tag, scope):
        return _collected(make("ScalarSummary", (tag, tensor), scope), collections)


def histogram(
    name: str, values: object, collections: Sequence[str] | None = None, family: str | None = None
) -> Tensor:
    """A serialised Summary with the distribution of `values`, which must be finite."""
    with _scope(name, family, values, "HistogramSummary") as (tag, scope):
        return _collected(make("HistogramSummary", (tag, values), scope), collections)


def image(
    name: str,
    tensor: object,
    max_outputs: int = _IMAGES,
    collections: Sequence[str] | None = None,
    family: str | None = None,
) -> Tensor:
    """A serialised Summary with up to `max_outputs` images of [batch, height, width, 1, 3 or 4].

    uint8 as it is; floats scaled so that the largest becomes 255, or centred at 128 if some are
    negative.
    """
    with _scope(name, family, tensor) as (tag, scope):
        made = make(
            "ImageSummary", (tag, tensor), scope, max_images=int(max_outputs),
            bad_color=_BAD_COLOUR,
        )  # fmt: skip
        return _collected(made, collections)


def audio(
    name: str,
    tensor: object,
    sample_rate: object,
    max_outputs: int = _IMAGES,
    collections: Sequence[str] | None = None,
    family: str | None = None,
) -> Tensor:
    """A serialised Summary with up to `max_outputs` clips of [batch, frames(, channels)], float32
    in [-1, 1], `sample_rate` a second."""
    with _scope(name, family, tensor) as (tag, scope):
        rate = convert_to_tensor(sample_rate, dtypes.float32, "sample_rate")
        inputs = (tag, tensor, rate)
        made = make("AudioSummaryV2", inputs, scope, max_outputs=int(max_outputs))
        return _collected(made, collections)


def text(name: str, tensor: object, collections: Sequence[str] | None = None) -> Tensor:
    """A serialised Summary with strings, which TensorBoard shows as Markdown.

    ValueError if `tensor` is not of strings.
    """
    strings = convert_to_tensor(tensor)
    if strings.dtype.base_dtype is not dtypes.string:
        raise ValueError(
            f"Expected tensor {strings.name} to have dtype string, got {strings.dtype}"
        )
    metadata = SummaryMetadata(plugin_data={"plugin_name": "text"})
    return tensor_summary(name, strings, collections=collections, summary_metadata=metadata)


def tensor_summary(
    name: str,
    tensor: object,
    summary_description: str | None = None,
    collections: Sequence[str] | None = None,
    summary_metadata: Proto | None = None,
    family: str | None = None,
    display_name: str | None = None,
) -> Tensor:
    """A serialised Summary with any tensor; `summary_metadata` says which plugin shows it."""
    metadata = SummaryMetadata()
    if summary_metadata is not None:
        metadata.CopyFrom(summary_metadata)
    if display_name is not None:
        metadata.display_name = display_name
    if summary_description is not None:
        metadata.summary_description = summary_description
    with _scope(name, family, tensor) as (tag, scope):
        inputs = (tag, tensor, metadata.SerializeToString())
        return _collected(make("TensorSummaryV2", inputs, scope), collections)


def merge(
    inputs: Sequence[object], collections: Sequence[str] | None = None, name: str | None = None
) -> Tensor:
    """A serialised Summary with the values of all `inputs`; a tag may appear once only."""
    if not inputs:
        raise ValueError(
            "List argument 'inputs' to 'MergeSummary' Op with length 0 shorter than minimum length 1."
        )
    with name_scope(name, "Merge", list(inputs)):
        made = make("MergeSummary", (list(inputs),), name)
    for key in collections or ():
        get_default_graph().add_to_collection(key, made)
    return made


def merge_all(
    key: str = GraphKeys.SUMMARIES, scope: str | None = None, name: str | None = None
) -> Tensor | None:
    """All summaries of the default graph's collection `key` as one; None if there are none."""
    found = get_default_graph().get_collection(key, scope)
    return merge(found, name=name) if found else None


@contextmanager
def _scope(
    name: str, family: str | None, values: object, default: str | None = None
) -> Iterator[tuple[str, str]]:
    """The tag and the name scope of a summary."""
    base = _clean(name)
    if family is not None:
        base = f"{_clean(family)}/{base}"
    with name_scope(base, default, [values]) as scope:
        tag = scope.rstrip("/")
        yield (tag if family is None else f"{_clean(family)}/{tag}"), scope


def _clean(name: str) -> str:
    """`name` with what a tag may not have replaced."""
    cleaned = _NOT_IN_TAGS.sub("_", name).lstrip("/")
    if cleaned != name:
        info("Summary name %s is illegal; using %s instead.", name, cleaned)
    return cleaned


def _collected(summary: Tensor, collections: Sequence[str] | None) -> Tensor:
    for key in (GraphKeys.SUMMARIES,) if collections is None else collections:
        summary.graph.add_to_collection(key, summary)
    return summary
