"""What the full benchmark times beyond `fastmlp bench`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from fastmlp.bench import workloads
from fastmlp.bench.workloads import Task, prediction

__all__ = ["Product", "Task", "prediction"]

TRAINING = [
    *workloads.TRAINING,
    Task("wide", "train", (2048, 2048, 2048, 1), rows=1024, epoch_rows=4096),
]
NETWORKS = [task.name for task in TRAINING]
BULK_ROWS = 4096

SQUARES = (32, 64, 128, 256, 512, 1024, 2048)
SHAPES = {  # (m, n, k)
    "tall": (8192, 64, 256),
    "flat": (64, 8192, 256),
    "deep": (128, 128, 8192),
    "shallow": (2048, 2048, 32),
}
TRANSPOSES = ("", "A", "B", "AB")
WIDTHS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)


@dataclass(frozen=True)
class Product(Task):
    """A matrix product (m, k) times (k, n); its sizes are (m, n, k)."""

    transposed: str = ""  # which operands are transposed views: "", "A", "B" or "AB"


def products(
    dtypes: Sequence[str], squares: Sequence[int], shapes: Sequence[str], transposes: Sequence[str]
) -> list[Product]:
    """Return matrix products of the given sides, shapes, types and transposes."""
    sizes = {str(side): (side, side, side) for side in squares}
    sizes |= {name: SHAPES[name] for name in shapes}
    return [
        Product(name, "matmul", size, dtype=dtype, transposed=transposed)
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


def flops(task: Task) -> float:
    """Return the floating-point operations of one step, one row or one product, without padding.

    A product has 2 m n k. Training has two products for the first layer (forward, gradient) and
    three for each of the others.
    """
    if isinstance(task, Product):
        m, n, k = task.sizes
        return 2.0 * m * n * k
    layers = [a * b for a, b in pairwise(task.sizes)]
    if task.kind == "predict":
        return 2.0 * sum(layers)
    return 2.0 * task.rows * (3 * sum(layers) - layers[0])


def parameter_bytes(task: Task) -> int:
    """Return the bytes of all weights and biases, which a prediction reads at least once."""
    size = 4 if task.dtype == "float32" else 8
    return size * sum((a + 1) * b for a, b in pairwise(task.sizes))
