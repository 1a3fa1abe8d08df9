"""Summary functions by the names they had before TensorFlow 1.0: the tag is given as it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.graph_keys import GraphKeys
from tensorkiln.frontends.graph.tensor import Tensor

_BAD_COLOUR = np.array([255, 0, 0, 255], np.uint8)


def scalar_summary(
    tags: object, values: object, collections: Sequence[str] | None = None, name: str | None = None
) -> Tensor:
    """A serialised Summary with a number for each tag."""
    return _collected(make("ScalarSummary", (tags, values), name), collections)


def histogram_summary(
    tag: object, values: object, collections: Sequence[str] | None = None, name: str | None = None
) -> Tensor:
    """A serialised Summary with the distribution of `values`."""
    return _collected(make("HistogramSummary", (tag, values), name), collections)


def image_summary(
    tag: object,
    tensor: object,
    max_images: int = 3,
    collections: Sequence[str] | None = None,
    name: str | None = None,
) -> Tensor:
    """A serialised Summary with up to `max_images` images."""
    attributes = {"max_images": int(max_images), "bad_color": _BAD_COLOUR}
    return _collected(make("ImageSummary", (tag, tensor), name, **attributes), collections)


def audio_summary(
    tag: object,
    tensor: object,
    sample_rate: object,
    max_outputs: int = 3,
    collections: Sequence[str] | None = None,
    name: str | None = None,
) -> Tensor:
    """A serialised Summary with up to `max_outputs` clips."""
    inputs = (tag, tensor, sample_rate)
    made = make("AudioSummaryV2", inputs, name, max_outputs=int(max_outputs))
    return _collected(made, collections)


def _collected(summary: Tensor, collections: Sequence[str] | None) -> Tensor:
    for key in (GraphKeys.SUMMARIES,) if collections is None else collections:
        summary.graph.add_to_collection(key, summary)
    return summary
