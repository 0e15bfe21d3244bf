"""What is measured: networks, matrix products, and the goals that come with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

Kind = Literal["train", "predict", "matmul"]


@dataclass(frozen=True)
class Task:
    """One thing to time; every number of a table is the time of one task in one library.

    Parameters
    ----------
    name : str
        The name of the network, or of the product's shape.
    kind : {"train", "predict", "matmul"}
        The time is per SGD step, per row predicted, or per product.
    sizes : tuple of int
        The layers of a network, or (m, n, k) of an (m, k) times (k, n) product.
    rows : int
        Rows of a batch, or rows predicted at a time.
    epoch_rows : int
        Rows of an epoch, for "train".
    dtype : {"float32", "float64"}
    transposed : str
        Which operands of a product are transposed views: "", "A", "B" or "AB".
    """

    name: str
    kind: Kind
    sizes: tuple[int, ...]
    rows: int = 1
    epoch_rows: int = 0
    dtype: str = "float32"
    transposed: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Task:
        """Return the task of `to_json`, also after a way through JSON."""
        return cls(**{**fields, "sizes": tuple(fields["sizes"])})

    @property
    def units(self) -> float:
        """How many steps, rows or products one call of the library is."""
        return {"train": self.epoch_rows / self.rows, "predict": self.rows, "matmul": 1}[self.kind]

    @property
    def flops(self) -> float:
        """Floating-point operations of one step, one row or one product, without padding.

        2 m n k for a product; training has two of them for the first layer (forward, gradient) and
        three for each of the others.
        """
        if self.kind == "matmul":
            m, n, k = self.sizes
            return 2.0 * m * n * k
        products = [a * b for a, b in pairwise(self.sizes)]
        if self.kind == "predict":
            return 2.0 * sum(products)
        return 2.0 * self.rows * (3 * sum(products) - products[0])

    @property
    def bytes_read(self) -> int:
        """Bytes of all parameters, or of both operands: what has to be read at least once."""
        size = 4 if self.dtype == "float32" else 8
        if self.kind == "matmul":
            m, n, k = self.sizes
            return size * (m * k + k * n)
        return size * sum((a + 1) * b for a, b in pairwise(self.sizes))


@dataclass(frozen=True)
class Goal:
    """What a network's training step should reach, on one thread and on two.

    Parameters
    ----------
    ratio : tuple of float
        Times faster than the best peer.
    share : tuple of float or None
        Share of the peak of fused multiply-adds; None where none is set.
    speedup : float
        Times faster on two threads than on one.
    """

    ratio: tuple[float, float]
    share: tuple[float | None, float | None] = (None, None)
    speedup: float = 0.97


NETWORKS: dict[str, tuple[tuple[int, ...], int, int]] = {
    # layers, batch, rows of an epoch
    "tiny": ((30, 16, 8, 1), 32, 2048),
    "small": ((30, 64, 32, 1), 32, 2048),
    "medium": ((784, 256, 128, 1), 128, 2048),
    "large": ((1024, 1024, 1024, 1), 256, 2048),
    "wide": ((2048, 2048, 2048, 1), 1024, 4096),
}
GOALS = {
    "tiny": Goal((5, 5)),
    "small": Goal((3, 3), (0.75, None)),
    "medium": Goal((1.15, 1.5), (0.85, 0.80)),
    "large": Goal((1.25, 1.25), (0.92, 0.90), 1.9),
    "wide": Goal((1.2, 1.25), (0.93, 0.92), 1.9),
}
# Times faster than the best peer in one-row and bulk prediction; at large and wide a row is held
# against reading the weights once instead, of which it may take so many times as long.
ROW_GOALS = {"tiny": 5.0, "small": 5.0, "medium": 1.5}
READ_GOALS = {"large": 1.3, "wide": 1.3}
BULK_GOALS = {"tiny": 2.0, "small": 1.4, "medium": 1.05, "large": 1.05, "wide": 1.05}
BULK_ROWS = 4096
# Share of the peak in products of squares from so many rows on, on one thread and on two.
PRODUCT_SHARES = (0.95, 0.92)
PRODUCT_SIDE = 512

SQUARES = (32, 64, 128, 256, 512, 1024, 2048)
# (m, n, k)
SHAPES = {
    "tall": (8192, 64, 256),
    "flat": (64, 8192, 256),
    "deep": (128, 128, 8192),
    "shallow": (2048, 2048, 32),
}
TRANSPOSES = ("", "A", "B", "AB")
WIDTHS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)


def training(names: Sequence[str]) -> list[Task]:
    """Return the training steps of the networks called so."""
    return [
        Task(name, "train", layers, rows=batch, epoch_rows=rows)
        for name, (layers, batch, rows) in NETWORKS.items()
        if name in names
    ]


def prediction(names: Sequence[str], rows: int) -> list[Task]:
    """Return the predictions, so many rows at a time, of the networks called so."""
    return [
        Task(name, "predict", layers, rows=rows)
        for name, (layers, _, _) in NETWORKS.items()
        if name in names
    ]


def products(
    dtypes: Sequence[str], squares: Sequence[int], shapes: Sequence[str], transposes: Sequence[str]
) -> list[Task]:
    """Return matrix products of the given sides, shapes, types and transposes."""
    sizes = {str(side): (side, side, side) for side in squares}
    sizes |= {name: SHAPES[name] for name in shapes}
    return [
        Task(name, "matmul", size, dtype=dtype, transposed=transposed)
        for dtype in dtypes
        for name, size in sizes.items()
        for transposed in transposes
    ]


def widths() -> list[Task]:
    """Return training steps of networks of one width throughout, for the plot."""
    return [
        Task(str(width), "train", (width, width, width, 1), rows=128, epoch_rows=1024)
        for width in WIDTHS
    ]
