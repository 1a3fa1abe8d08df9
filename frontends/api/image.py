"""`tf.image`: files of images, and images of another size."""

from tensorkiln.frontends.graph.image.functions import (
    decode_and_crop_jpeg,
    decode_bmp,
    decode_gif,
    decode_image,
    decode_jpeg,
    decode_png,
    encode_jpeg,
    encode_png,
    extract_jpeg_shape,
    is_jpeg,
)  # fmt: skip
from tensorkiln.frontends.graph.image.ops_boxes import (
    crop_and_resize,
    non_max_suppression,
    non_max_suppression_padded,
    non_max_suppression_with_scores,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_patches import extract_image_patches
from tensorkiln.frontends.graph.ops_resize import (
    resize_area,
    resize_bicubic,
    resize_bilinear,
    resize_nearest_neighbor,
)  # fmt: skip
