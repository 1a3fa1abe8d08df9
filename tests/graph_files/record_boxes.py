"""Boxes, crops and images of another size as TensorFlow computes them.  By hand:

python tests/graph_files/record_boxes.py tests/graph_files/data/boxes.npz
"""

import sys

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_eager_execution()
RANDOM = np.random.RandomState(0)
values = {}


def record(key, made):
    with tf.Session() as session:
        found = session.run(made)
    for k, value in enumerate(found if isinstance(found, tuple | list) else [found]):
        values[f"{key}/{k}"] = value


image = (RANDOM.rand(2, 5, 7, 2) * 255).astype(np.float32)
values["image"] = image
for kind in ("area", "bicubic", "bilinear", "nearest_neighbor"):
    for height, width in ((5, 7), (10, 14), (3, 4), (11, 2), (1, 1)):
        for flag in ("", "align_corners", "half_pixel_centers"):
            if kind == "area" and flag == "half_pixel_centers":
                continue
            made = getattr(tf.image, f"resize_{kind}")(
                image, (height, width), **{f: True for f in [flag] if f}
            )
            record(f"resize_{kind}/{height}x{width}/{flag}", made)
center, half = RANDOM.rand(30, 2), RANDOM.rand(30, 2) * 0.3
boxes = np.concatenate([center - half, center + half], 1).astype(np.float32)
boxes[::3] = boxes[::3][:, [2, 3, 0, 1]]
scores = np.round(RANDOM.rand(30), 1).astype(np.float32)
values |= {"boxes": boxes, "scores": scores}
for limit in (0, 1, 5, 40):
    for threshold in (0.0, 0.3, 0.5, 1.0):
        given = (boxes, scores, limit, threshold)
        record(f"nms/{limit}/{threshold}", tf.image.non_max_suppression(*given))
        record(f"nms_least/{limit}/{threshold}", tf.image.non_max_suppression(*given, 0.4))
        soft = tf.image.non_max_suppression_with_scores(*given, soft_nms_sigma=0.2)
        record(f"nms_soft/{limit}/{threshold}", soft)
parts = RANDOM.rand(6, 4).astype(np.float32) * 1.4 - 0.2
values["parts"] = parts
for method in ("bilinear", "nearest"):
    for height, width in ((3, 4), (1, 1), (1, 5), (9, 9)):
        made = tf.image.crop_and_resize(
            image, parts, [0, 1, 1, 0, 1, 0], (height, width), method, -1
        )
        record(f"crop/{height}x{width}/{method}", made)
np.savez_compressed(sys.argv[1], **values)
