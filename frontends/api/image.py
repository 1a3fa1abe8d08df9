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
