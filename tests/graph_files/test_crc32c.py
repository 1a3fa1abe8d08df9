import time

import numpy as np
import pytest

from tensorkiln.frontends.graph.files.crc32c import crc32c, mask, masked_crc32c, unmask


@pytest.mark.parametrize(
    ("data", "expected"),
    [  # RFC 3720, appendix B.4, and the check value of catalogues of checksums
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_published_values(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


def one_bit_at_a_time(data: bytes) -> int:
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


@pytest.mark.parametrize("size", [255, 256, 257, 259, 1021, 4096, 65535, 65536, 65537, 131073])
def test_long_messages(size: int) -> None:
    data = np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()
    assert crc32c(data) == one_bit_at_a_time(data)


@pytest.mark.parametrize("cut", [0, 1, 3, 255, 300, 70000, 70001])
def test_the_checksum_of_a_beginning_goes_on(cut: int) -> None:
    data = np.random.default_rng(3).integers(0, 256, 70001, np.uint8).tobytes()
    assert crc32c(data[cut:], crc32c(data[:cut])) == crc32c(data)
    assert crc32c(memoryview(bytearray(data))) == crc32c(data)


def test_masks() -> None:
    assert masked_crc32c(b"123456789") == mask(0xE3069283) != 0xE3069283
    assert unmask(mask(0xE3069283)) == 0xE3069283


def test_ten_megabytes_in_less_than_a_second() -> None:
    data = bytes(10_000_000)
    begin = time.process_time()
    crc32c(data)
    assert time.process_time() - begin < 1
