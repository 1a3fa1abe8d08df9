"""Sound: WAV files, spectrograms and mel-frequency cepstral coefficients.

The ops are those that TensorFlow's speech-command programs use.  The coefficients are the classic
ones (Davis and Mermelstein 1980): magnitudes in triangles of equal width on the mel scale
1127 log(1 + f/700), their logarithms, and a cosine transform of these.
"""

from __future__ import annotations

import io
import math
import wave
from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.complex_parts import parts
from tensorkiln.compiler.ops.fft import fft
from tensorkiln.frontends.graph.apply import apply_op, make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.dtypes import float32, int32, string
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.index_checks import invalid
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.shapes import ShapeError
from tensorkiln.frontends.graph.tensor import Tensor

_FLOOR = 1e-12


def decode_wav(
    contents: object, desired_channels: int = -1, desired_samples: int = -1, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """The samples [samples, channels] of a 16-bit WAV file, in -1 to 1, and its sample rate.

    With `desired_samples` the sound is cut, or zeros follow; more `desired_channels` than the file
    has repeat its last one.
    """
    wanted = {"desired_channels": desired_channels, "desired_samples": desired_samples}
    audio, rate = apply_op("DecodeWav", (contents,), name, wanted).outputs
    return audio, rate


def encode_wav(audio: object, sample_rate: object, name: str | None = None) -> Tensor:
    """The WAV file of samples [samples, channels]; what lies outside of -1 to 1 is cut."""
    return make("EncodeWav", (audio, sample_rate), name)


def audio_spectrogram(
    input: object,
    window_size: int,
    stride: int,
    magnitude_squared: bool = False,
    name: str | None = None,
) -> Tensor:
    """The magnitudes [channels, frames, bins] of the Fourier transforms of windows of samples.

    The window is Hann's, periodic; transforms have the next power of two as their length.
    """
    wanted = {"window_size": window_size, "stride": stride, "magnitude_squared": magnitude_squared}
    return make("AudioSpectrogram", (input,), name, **wanted)


def mfcc(
    spectrogram: object,
    sample_rate: object,
    upper_frequency_limit: float = 4000,
    lower_frequency_limit: float = 20,
    filterbank_channel_count: int = 40,
    dct_coefficient_count: int = 13,
    name: str | None = None,
) -> Tensor:
    """The coefficients [channels, frames, coefficients] of a spectrogram of squared magnitudes."""
    return make(
        "Mfcc", (spectrogram, sample_rate), name,
        upper_frequency_limit=float(upper_frequency_limit),
        lower_frequency_limit=float(lower_frequency_limit),
        filterbank_channel_count=filterbank_channel_count,
        dct_coefficient_count=dct_coefficient_count,
    )  # fmt: skip


def _decode_infer(op: Operation) -> Sequence[Result]:
    channels, samples = op.integer("desired_channels"), op.integer("desired_samples")
    sizes = (None if samples < 0 else samples, None if channels < 0 else channels)
    return [(float32, sizes), (int32, ())]


def _decode_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    try:
        with wave.open(io.BytesIO(arrays[0].item()), "rb") as file:
            if file.getsampwidth() != 2:
                raise invalid(op, f"WAV data has {8 * file.getsampwidth()} bits a sample, not 16")
            data, rate = file.readframes(file.getnframes()), file.getframerate()
            channels = file.getnchannels()
    except (wave.Error, EOFError) as error:
        raise invalid(op, f"the data is no WAV file: {error}") from None
    data = data[: len(data) // (2 * channels) * 2 * channels]
    sound = np.frombuffer(data, "<i2").reshape(-1, channels).astype(np.float32) / 32768
    wanted, length = op.integer("desired_channels"), op.integer("desired_samples")
    if wanted > 0:
        sound = sound[:, np.minimum(np.arange(wanted), channels - 1)]
    if length >= 0:
        rest = max(0, length - len(sound))
        sound = np.pad(sound[:length], ((0, rest), (0, 0)))
    return [sound, np.int32(rate)]


def _encode_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    sound, rate = arrays
    if sound.ndim != 2 or not sound.shape[1]:
        raise invalid(op, f"audio must be 2-dimensional but got shape {sound.shape}")
    numbers = np.clip(np.rint(sound * 32768), -32768, 32767).astype("<i2")
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(sound.shape[1])
        file.setsampwidth(2)
        file.setframerate(int(rate))
        file.writeframes(numbers.tobytes())
    return [data.getvalue()]


def _spectrogram_infer(op: Operation) -> Sequence[Result]:
    sizes, window, stride = op.inputs[0].sizes, op.integer("window_size"), op.integer("stride")
    if window < 2 or stride < 1:
        raise ShapeError(f"window_size {window} must be at least 2 and stride {stride} at least 1")
    if sizes is None:
        return [(float32, (None, None, _length(window) // 2 + 1))]
    if len(sizes) != 2:
        raise ShapeError(f"Shape must be rank 2 but is rank {len(sizes)}")
    frames = None if sizes[0] is None else _frames(sizes[0], window, stride)
    return [(float32, (sizes[1], frames, _length(window) // 2 + 1))]


def _length(window: int) -> int:
    """The length of the transforms."""
    return 1 << (window - 1).bit_length()


def _frames(samples: int, window: int, stride: int) -> int:
    return 0 if samples < window else 1 + (samples - window) // stride


def _spectrogram_lower(
    lowering: Lowering, op: Operation, values: Sequence[Value]
) -> Sequence[Value]:
    builder, window, stride = lowering.builder, op.integer("window_size"), op.integer("stride")
    count, length = _frames(int(values[0].shape[0]), window, stride), _length(window)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    places = stride * np.arange(count)[:, None] + np.arange(window)
    frames = shorthand.take(
        builder, shorthand.transpose(builder, values[0]), builder.constant(places.astype(np.int32)),
        axis=1,
    )  # fmt: skip
    weights = builder.constant(hann.astype(np.float32))
    windows = shorthand.binary(builder, "multiply", frames, weights)
    padded = shorthand.pad(builder, windows, (0, 0, 0), (0, 0, length - window))
    real, imaginary = parts(builder, fft(builder, padded, "RFFT", (length,)))
    squares = [shorthand.binary(builder, "multiply", part, part) for part in (real, imaginary)]
    total = shorthand.binary(builder, "add", *squares)
    return [total if op.flag("magnitude_squared") else builder.one("sqrt", (total,))]


def _mfcc_infer(op: Operation) -> Sequence[Result]:
    sizes = op.inputs[0].sizes
    count = op.integer("dct_coefficient_count")
    if sizes is not None and len(sizes) != 3:
        raise ShapeError(f"Shape must be rank 3 but is rank {len(sizes)}")
    return [(float32, (*((None, None) if sizes is None else sizes[:2]), count))]


def _mfcc_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, bins = lowering.builder, int(values[0].shape[2])
    rate = lowering.integer(op, 1, values)
    low, high = (op.attributes[f"{end}_frequency_limit"] for end in ("lower", "upper"))
    assert isinstance(low, float)
    assert isinstance(high, float)
    channels, count = op.integer("filterbank_channel_count"), op.integer("dct_coefficient_count")
    if rate <= 0 or bins < 2 or not 0 <= low < high:
        raise invalid(op, f"no filters lie between {low} and {high} Hz at {rate} samples a second")
    filters = builder.constant(mel_filters(bins, rate, low, high, channels))
    energies = shorthand.matmul(builder, builder.one("sqrt", (values[0],)), filters)
    floor = shorthand.full_like(builder, energies, _FLOOR)
    logs = builder.one("log", (shorthand.binary(builder, "maximum", energies, floor),))
    angles = np.pi / channels * np.outer(np.arange(channels) + 0.5, np.arange(count))
    cosines = (np.sqrt(2 / channels) * np.cos(angles)).astype(np.float32)
    return [shorthand.matmul(builder, logs, builder.constant(cosines))]


def mel_filters(bins: int, rate: int, low: float, high: float, channels: int) -> Array:
    """The weight of each bin in each of the triangles between `low` and `high` hertz."""

    def mel(hertz: float) -> float:
        return 1127 * math.log1p(hertz / 700)

    width = 0.5 * rate / (bins - 1)
    bottom, top = mel(low), mel(high)
    centers = bottom + (top - bottom) / (channels + 1) * np.arange(1, channels + 2)
    weights = np.zeros((bins, channels))
    for k in range(int(1.5 + low / width), min(bins - 1, int(high / width)) + 1):
        place = mel(k * width)
        below = min(int(np.searchsorted(centers, place)), channels) - 1
        left = bottom if below < 0 else centers[below]
        falling = (centers[below + 1] - place) / (centers[below + 1] - left)
        if below >= 0:
            weights[k, below] += falling
        if below + 1 < channels:
            weights[k, below + 1] += 1 - falling
    result: Array = weights.astype(np.float32)
    return result


def _text_infer(op: Operation) -> Sequence[Result]:
    return [(string, ())]


register(
    OpKind("DecodeWav", "contents:string", _decode_infer, host_only, differentiable=False,
           host=_decode_host),
    OpKind("EncodeWav", "audio:float32 sample_rate:int32", _text_infer, host_only,
           differentiable=False, host=_encode_host),
    OpKind("AudioSpectrogram", "input:float32", _spectrogram_infer, _spectrogram_lower),
    OpKind("Mfcc", "spectrogram:float32 sample_rate:int32", _mfcc_infer, _mfcc_lower),
)  # fmt: skip
