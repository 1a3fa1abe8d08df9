"""`tf.audio`: WAV files and what speech programs make of sound."""

from tensorkiln.frontends.graph.ops_audio import (
    audio_spectrogram,
    decode_wav,
    encode_wav,
    mfcc,
)  # fmt: skip
