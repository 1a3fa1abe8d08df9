"""Freezes graphs of the oldest kinds under TensorFlow, with what they compute.  By hand:

python tests/graph_files/record_oldest_kinds.py FOLDER IMAGES

`IMAGES` is what `record_images.py` wrote.
"""

import sys

import numpy as np
import tensorflow as tf2
from tensorflow.python.ops import gen_array_ops

tf = tf2.compat.v1
FOLDER = sys.argv[1]
JPEG = np.load(sys.argv[2])["file/jpeg_420"].tobytes()
RANDOM = np.random.RandomState(3)


def weights(name, *shape):
    scale = np.sqrt(np.prod(shape[:-1]))
    return tf.constant((RANDOM.randn(*shape) / scale).astype(np.float32), name=name)


def freeze(name, session, **arrays):
    tf.train.write_graph(session.graph_def, FOLDER, f"{name}.pb", as_text=False)
    np.savez_compressed(f"{FOLDER}/{name}.npz", **arrays)


def normalised(*inputs):
    """An op that TensorFlow makes no more, but reads in graphs of its time."""
    *tensors, scaled = inputs
    definition = tf.GraphDef()
    definition.versions.producer = 8
    names = "tmvbg"
    for name in names:
        node = definition.node.add(name=name, op="Placeholder")
        node.attr["dtype"].type = 1
    node = definition.node.add(name="batchnorm", op="BatchNormWithGlobalNormalization")
    node.input.extend(names)
    node.attr["T"].type = 1
    node.attr["variance_epsilon"].f = 0.001
    node.attr["scale_after_normalization"].b = scaled
    mapped = dict(zip(names, tensors, strict=True))
    return tf.import_graph_def(definition, mapped, ["batchnorm:0"], name="bn")[0]


def cells(x, name, size, channels, stride=1):
    """A convolution as the graph of December 2015 has it: normalised by one op, then checked."""
    with tf.name_scope(name):
        x = tf.nn.conv2d(x, weights("conv2d_params", size, size, int(x.shape[-1]), channels),
                         [1, stride, stride, 1], "SAME", name="Conv2D")  # fmt: skip
        mean, beta = weights("moving_mean", channels), weights("beta", channels)
        spread, gamma = tf.abs(weights("v", channels)), weights("gamma", channels)
        x = normalised(x, mean, spread, beta, gamma, channels % 2 == 0)
        x = gen_array_ops.check_numerics(x, message="Check numerics", name="CheckNumerics")
        return tf.nn.relu(tf.identity(x, name="control_dependency"))


def classify(session):
    """From the bytes of a JPEG file to probabilities; the decoded image may be fed instead."""
    contents = tf.constant(JPEG, name="DecodeJpeg/contents")
    picture = tf.image.decode_jpeg(contents, channels=3, name="DecodeJpeg")
    x = tf.expand_dims(tf.cast(picture, tf.float32, name="Cast"), 0, name="ExpandDims")
    x = tf.image.resize_bilinear(x, [17, 17], name="ResizeBilinear")
    x = tf.multiply(tf.subtract(x, 128.0, name="Sub"), 0.0078125, name="Mul")
    x = cells(x, "conv", 3, 4, 2)
    x = tf.nn.max_pool(x, [1, 3, 3, 1], [1, 2, 2, 1], "VALID", name="pool")
    towers = [cells(x, "mixed/conv", 1, 3), cells(x, "mixed/tower", 3, 2)]
    x = gen_array_ops.concat(concat_dim=3, values=towers, name="mixed/join")
    x = tf.nn.avg_pool(x, [1, 4, 4, 1], [1, 1, 1, 1], "VALID", name="pool_3")
    x = tf.reshape(x, [-1, 5], name="pool_3/_reshape")
    x = tf.matmul(x, weights("softmax/weights", 5, 3), name="softmax/logits/MatMul")
    y = tf.nn.softmax(x + weights("softmax/biases", 3), name="softmax")
    pixels, found = session.run([picture, y])
    freeze("classify", session, jpeg=np.frombuffer(JPEG, np.uint8), pixels=pixels, softmax=found)


def detect(session):
    """Two images resized in a loop, anchors decoded, and boxes of each class and image kept."""
    images = tf.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor")
    with tf.name_scope("Preprocessor/map"):
        x = tf.map_fn(
            lambda im: tf.squeeze(tf.image.resize_bilinear(im[None], [8, 8]), [0]),
            tf.cast(images, tf.float32), dtype=tf.float32)  # fmt: skip
    x = (2.0 / 255) * x - 1.0
    x = tf.nn.relu6(tf.nn.conv2d(x, weights("k", 3, 3, 3, 5), [1, 2, 2, 1], "SAME"))
    x = tf.nn.depthwise_conv2d(x, weights("d", 3, 3, 5, 1), [1, 1, 1, 1], "SAME")
    shape = tf.shape(x)
    boxes = tf.nn.conv2d(x, weights("box", 1, 1, 5, 8), [1, 1, 1, 1], "SAME")
    boxes = tf.reshape(boxes, tf.stack([shape[0], 32, 4]))
    scores = tf.nn.conv2d(x, weights("cls", 1, 1, 5, 6), [1, 1, 1, 1], "SAME")
    scores = tf.sigmoid(tf.reshape(scores, tf.stack([shape[0], 32, 3])))[:, :, 1:]
    centers = np.stack(np.meshgrid(*[np.linspace(0.1, 0.9, 4)] * 2), -1).repeat(2, 1).reshape(-1, 2)
    cy, cx = tf.unstack(tf.constant(centers.astype(np.float32).T))
    ty, tx, th, tw = tf.unstack(tf.transpose(boxes, [2, 0, 1]))
    height, width = tf.exp(th / 5) * 0.3, tf.exp(tw / 5) * 0.3
    y, x = cy + ty / 10, cx + tx / 10
    corners = tf.stack([y - height / 2, x - width / 2, y + height / 2, x + width / 2], -1)

    def keep(items):
        """The six best boxes of an image, with scores and classes, and how many there are."""
        box, score = items
        lists = []
        for label in range(2):
            own = score[:, label]
            count = tf.minimum(6, tf.shape(box)[0])
            chosen = tf.image.non_max_suppression(box, own, count, 0.4)
            near = tf.gather(box, chosen)
            rated = tf.gather(own, chosen)
            above = tf.reshape(tf.where(tf.greater(rated, 0.45)), [-1])
            lists.append((tf.gather(near, above), tf.gather(rated, above),
                          label * tf.ones_like(tf.gather(rated, above))))  # fmt: skip
        box, rated, label = (tf.concat(parts, 0) for parts in zip(*lists, strict=True))
        box = tf.clip_by_value(box, 0.0, 1.0)
        sizes = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
        real = tf.squeeze(tf.where(sizes > 0), [1])
        box, rated, label = (tf.gather(t, real) for t in (box, rated, label))
        rated, order = tf.nn.top_k(rated, tf.size(rated), sorted=True)
        box, label = tf.gather(box, order), tf.gather(label, order)
        count = tf.minimum(6, tf.size(rated))
        rest = 6 - count
        return (tf.pad(box[:count], [[0, rest], [0, 0]]), tf.pad(rated[:count], [[0, rest]]),
                tf.pad(label[:count], [[0, rest]]), tf.cast(count, tf.float32))  # fmt: skip

    with tf.name_scope("Postprocessor"):
        found = tf.map_fn(keep, (corners, scores), dtype=(tf.float32,) * 4)
    names = ["detection_boxes", "detection_scores", "detection_classes", "num_detections"]
    outputs = [tf.identity(t + (n == names[2]), name=n) for t, n in zip(found, names, strict=True)]
    given = RANDOM.randint(0, 256, (2, 11, 13, 3)).astype(np.uint8)
    values = session.run(outputs, {images: given})
    freeze("detect", session, image_tensor=given, **dict(zip(names, values, strict=True)))


tf.disable_v2_behavior()
tf.disable_control_flow_v2()
for make in (classify, detect):
    with tf.Graph().as_default(), tf.Session() as session:
        make(session)
