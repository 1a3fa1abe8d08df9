"""Inception-v3 (Szegedy et al., Rethinking the Inception architecture, 2015), without the
auxiliary classifier, in torchvision's form."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import ModelProto

from tensorkiln.benchmarks.models.builder import ModelBuilder

Kernel = int | tuple[int, int]


def inception_v3(batch: int | str = 1, seed: int = 0, size: int = 299) -> ModelProto:
    """input f32[batch, 3, size, size] -> output f32[batch, 1000] (logits)."""
    b = _Inception("inception_v3", batch, (3, size, size), seed)
    x = b.unit("input", "Conv2d_1a_3x3", (3, 32), 3, 2)
    x = b.unit(x, "Conv2d_2a_3x3", (32, 32), 3)
    x = b.max_pool(b.unit(x, "Conv2d_2b_3x3", (32, 64), 3, padding=1), "maxpool1", 3, 2)
    x = b.unit(b.unit(x, "Conv2d_3b_1x1", (64, 80), 1), "Conv2d_4a_3x3", (80, 192), 3)
    x = b.max_pool(x, "maxpool2", 3, 2)
    x = b.block_a(x, "Mixed_5b", 192, 32)
    x = b.block_a(x, "Mixed_5c", 256, 64)
    x = b.block_a(x, "Mixed_5d", 288, 64)
    x = b.block_b(x, "Mixed_6a", 288)
    for name, width in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        x = b.block_c(x, f"Mixed_{name}", 768, width)
    x = b.block_d(x, "Mixed_7a", 768)
    x = b.block_e(x, "Mixed_7b", 1280)
    x = b.block_e(x, "Mixed_7c", 2048)
    return b.finish(b.linear(b.pooled_features(x), "fc", 2048, 1000), 1000)


class _Inception(ModelBuilder):
    def unit(
        self, x: str, path: str, channels: tuple[int, int], kernel: Kernel, stride: int = 1,
        padding: Kernel = 0,
    ) -> str:  # fmt: skip
        """Convolution, batch norm, ReLU."""
        x = self.conv(x, f"{path}/conv", channels, kernel, stride, padding)
        return self.relu(self.batch_norm(x, f"{path}/bn", channels[1], 1e-3), path)

    def chain(
        self, x: str, path: str, inner: int, units: Sequence[tuple[int, Kernel, Kernel]]
    ) -> str:
        """Units one after the other, each (channels, kernel, padding)."""
        for k, (outer, kernel, padding) in enumerate(units, 1):
            x = self.unit(x, f"{path}_{k}", (inner, outer), kernel, padding=padding)
            inner = outer
        return x

    def concat(self, values: Sequence[str], path: str) -> str:
        return self.node("Concat", values, path, axis=1)

    def block_a(self, x: str, path: str, inner: int, pooled: int) -> str:
        """35x35."""
        pool = self.average_pool(x, path, 3, 1, 1)
        parts = (
            self.unit(x, f"{path}/branch1x1", (inner, 64), 1),
            self.chain(x, f"{path}/branch5x5", inner, ((48, 1, 0), (64, 5, 2))),
            self.chain(x, f"{path}/branch3x3dbl", inner, ((64, 1, 0), (96, 3, 1), (96, 3, 1))),
            self.unit(pool, f"{path}/branch_pool", (inner, pooled), 1),
        )
        return self.concat(parts, path)

    def block_b(self, x: str, path: str, inner: int) -> str:
        """35x35 to 17x17."""
        double = self.chain(x, f"{path}/branch3x3dbl", inner, ((64, 1, 0), (96, 3, 1)))
        parts = (
            self.unit(x, f"{path}/branch3x3", (inner, 384), 3, 2),
            self.unit(double, f"{path}/branch3x3dbl_3", (96, 96), 3, 2),
            self.max_pool(x, path, 3, 2),
        )
        return self.concat(parts, path)

    def block_c(self, x: str, path: str, inner: int, c: int) -> str:
        """17x17, with 7x7 as 1x7 and 7x1."""
        row, column = ((1, 7), (0, 3)), ((7, 1), (3, 0))
        double = ((c, 1, 0), (c, *column), (c, *row), (c, *column), (192, *row))
        pool = self.average_pool(x, path, 3, 1, 1)
        parts = (
            self.unit(x, f"{path}/branch1x1", (inner, 192), 1),
            self.chain(x, f"{path}/branch7x7", inner, ((c, 1, 0), (c, *row), (192, *column))),
            self.chain(x, f"{path}/branch7x7dbl", inner, double),
            self.unit(pool, f"{path}/branch_pool", (inner, 192), 1),
        )
        return self.concat(parts, path)

    def block_d(self, x: str, path: str, inner: int) -> str:
        """17x17 to 8x8."""
        narrow = self.unit(x, f"{path}/branch3x3_1", (inner, 192), 1)
        tall = ((192, 1, 0), (192, (1, 7), (0, 3)), (192, (7, 1), (3, 0)))
        seven = self.chain(x, f"{path}/branch7x7x3", inner, tall)
        parts = (
            self.unit(narrow, f"{path}/branch3x3_2", (192, 320), 3, 2),
            self.unit(seven, f"{path}/branch7x7x3_4", (192, 192), 3, 2),
            self.max_pool(x, path, 3, 2),
        )
        return self.concat(parts, path)

    def block_e(self, x: str, path: str, inner: int) -> str:
        """8x8, with branches that split in two."""
        one = self.unit(x, f"{path}/branch3x3_1", (inner, 384), 1)
        two = self.chain(x, f"{path}/branch3x3dbl", inner, ((448, 1, 0), (384, 3, 1)))
        pool = self.average_pool(x, path, 3, 1, 1)
        parts = (
            self.unit(x, f"{path}/branch1x1", (inner, 320), 1),
            self.concat(self.split(one, f"{path}/branch3x3_2"), f"{path}/branch3x3"),
            self.concat(self.split(two, f"{path}/branch3x3dbl_3"), f"{path}/branch3x3dbl"),
            self.unit(pool, f"{path}/branch_pool", (inner, 192), 1),
        )
        return self.concat(parts, path)

    def split(self, x: str, path: str) -> tuple[str, str]:
        """1x3 beside 3x1."""
        return (
            self.unit(x, f"{path}a", (384, 384), (1, 3), padding=(0, 1)),
            self.unit(x, f"{path}b", (384, 384), (3, 1), padding=(1, 0)),
        )
