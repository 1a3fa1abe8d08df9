"""Image files of the common kinds and the pixels that TensorFlow decodes.  By hand, with Pillow:

python tests/graph_files/record_images.py images.npz
"""

import io
import sys

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image

HEIGHT, WIDTH = 19, 21
RANDOM = np.random.RandomState(0)
FILES = {}


def save(name, image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    FILES[name] = file.getvalue()


y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
waves = [127 + 100 * np.sin(x / 5 + y / 7), 127 + 90 * np.cos(x / 6 - y / 4), (x * 9 + y) % 256]
noisy = np.stack(waves, -1) + RANDOM.randn(HEIGHT, WIDTH, 3) * 6
picture = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
clear = picture.convert("RGBA")
clear.putalpha(Image.fromarray((x * 12 % 256).astype(np.uint8)))
for halved, number in (("444", 0), ("422", 1), ("420", 2)):
    save(f"jpeg_{halved}", picture, "JPEG", quality=85, subsampling=number)
save("jpeg_progressive", picture, "JPEG", quality=80, progressive=True)
save("jpeg_grey", picture.convert("L"), "JPEG", quality=80)
save("jpeg_cmyk", picture.convert("CMYK"), "JPEG", quality=80)
save("jpeg_tiny", picture.crop((0, 0, 3, 5)), "JPEG", quality=90)
save("png_rgb", picture, "PNG")
save("png_grey", picture.convert("L"), "PNG")
save("png_palette", picture.convert("P"), "PNG")
save("png_palette_clear", picture.convert("P"), "PNG", transparency=5)
save("png_rgba", clear, "PNG")
save("png_grey_alpha", clear.convert("LA"), "PNG")
save("png_bits", picture.convert("1"), "PNG")
save("png_16", Image.fromarray((x * 3001 + y).astype(np.uint16)), "PNG")
save("bmp_24", picture, "BMP")
save("bmp_8", picture.convert("L"), "BMP")
save("bmp_32", clear, "BMP")
frames = [picture.rotate(90 * k).convert("P") for k in range(3)]
save("gif", frames[0], "GIF", save_all=True, append_images=frames[1:])
save("gif_one", frames[0], "GIF")

tf.disable_eager_execution()
values = {}


def record(key, made):
    with tf.Session() as session:
        values[key] = session.run(made)


for name, data in FILES.items():
    kind = name.partition("_")[0]
    values[f"file/{name}"] = np.frombuffer(data, np.uint8)
    if kind == "jpeg":
        for channels in (0, 1, 3):
            if (name, channels) != ("jpeg_cmyk", 1):
                record(f"decode_jpeg/{name}/channels={channels}",
                       tf.image.decode_jpeg(data, channels))  # fmt: skip
        for ratio in (2, 4, 8):
            record(f"decode_jpeg/{name}/ratio={ratio}", tf.image.decode_jpeg(data, ratio=ratio))
        record(f"decode_jpeg/{name}/dct_method=INTEGER_ACCURATE",
               tf.image.decode_jpeg(data, dct_method="INTEGER_ACCURATE"))  # fmt: skip
        record(f"decode_jpeg/{name}/fancy_upscaling=0",
               tf.image.decode_jpeg(data, fancy_upscaling=False))  # fmt: skip
        record(f"extract_jpeg_shape/{name}/", tf.image.extract_jpeg_shape(data))
    elif kind == "png":
        for channels in (0, 1, 3) if name == "png_bits" else (0, 1, 3, 4):
            record(f"decode_png/{name}/channels={channels}", tf.image.decode_png(data, channels))
        record(f"decode_png/{name}/dtype=uint16", tf.image.decode_png(data, dtype=tf.uint16))
        record(f"decode_image/{name}/dtype=float32", tf.image.decode_image(data, dtype=tf.float32))
    elif kind == "bmp":
        record(f"decode_bmp/{name}/", tf.image.decode_bmp(data))
    record(f"decode_gif/{name}/" if kind == "gif" else f"decode_image/{name}/",
           (tf.image.decode_gif if kind == "gif" else tf.image.decode_image)(data))  # fmt: skip
np.savez_compressed(sys.argv[1], **values)
