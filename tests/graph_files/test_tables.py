import random

import pytest

from tensorkiln.frontends.graph.files.ordered_code import slice_key
from tensorkiln.frontends.graph.files.snappy import decompress
from tensorkiln.frontends.graph.files.table import read_table, write_table
from tensorkiln.frontends.graph.files.varint import read_varint, varint


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**32, 2**63])
def test_varints(number: int) -> None:
    assert read_varint(b"xy" + varint(number) + b"z", 2) == (number, 2 + len(varint(number)))


def test_varints_that_do_not_end() -> None:
    with pytest.raises(ValueError, match="does not end"):
        read_varint(b"\x80\x80", 0)
    with pytest.raises(ValueError, match="does not end"):
        read_varint(b"\x80" * 11 + b"\x01", 0)


@pytest.mark.parametrize("count", [0, 1, 16, 17, 3000])
def test_tables_give_back_what_they_got(count: int) -> None:
    draw = random.Random(count)
    entries = {f"scope/{k:05d}".encode(): draw.randbytes(draw.randrange(90)) for k in range(count)}
    found = read_table(write_table(entries))
    assert found == entries
    assert list(found) == sorted(found)


def test_every_broken_byte_of_a_block_is_found() -> None:
    table = write_table({b"a": b"1", b"ab": b"2", b"": b"head"})
    assert read_table(table) == {b"": b"head", b"a": b"1", b"ab": b"2"}
    found = 0
    for place in range(len(table)):
        broken = bytearray(table)
        broken[place] ^= 0x55
        try:
            same = read_table(bytes(broken)) == read_table(table)
        except ValueError:
            found += 1
        else:
            assert same, f"byte {place}"  # the filling of the footer, the unused meta block
    assert found > len(table) - 65
    for size in range(len(table)):
        with pytest.raises(ValueError, match=r"\w"):
            read_table(table[:size])


@pytest.mark.parametrize(
    ("block", "text"),
    [
        (b"\x00", b""),
        (b"\x05\x10hello", b"hello"),
        (b"\x0a\x04ab\x11\x02", b"ababababab"),
        (b"\x0a\x04ab\x1e\x02\x00", b"ababababab"),
        (b"\x0a\x04ab\x1f\x02\x00\x00\x00", b"ababababab"),
        (b"\x64\xf0\x63" + b"q" * 100, b"q" * 100),
    ],
)
def test_snappy(block: bytes, text: bytes) -> None:
    assert decompress(block) == text


@pytest.mark.parametrize(
    "block",
    [
        b"\x05\x10hel",
        b"\x05\x01\x01",
        b"\xff\xff\xff\xff\x0f\x00a",
        b"\x03\x04ab",
        b"\x02\x10hello",
    ],
)
def test_broken_snappy(block: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decompress(block)


def test_keys_of_slices_sort_like_their_extents() -> None:
    extents = [(0, 3), (3, 2), (5, 2), (64, 64), (100, 1), (8192, 1), (2**40, 2**35)]
    keys = [slice_key("w", [extent]) for extent in extents]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
    assert slice_key("w", [(0, -1)]) == b"\x00w\x00\x01\x01\x01\x80\x7f"
