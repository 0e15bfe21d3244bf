"""The random numbers of the twin: words of Philox4x64-10, whose raw output NumPy guarantees."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# The purpose of a stream of random words: the last word of the generator's counter.
WEIGHTS, SHUFFLE, DROPOUT = 1, 2, 3


def stream(seed: int, purpose: int, step: int = 0, epoch: int = 0) -> np.random.Philox:
    """Give the random words of one purpose, step and epoch."""
    key = np.array([seed, 0], dtype=np.uint64)
    return np.random.Philox(key=key, counter=np.array([0, step, epoch, purpose], dtype=np.uint64))


def uniform(seed: int, layer: int, shape: tuple[int, int], radius: float) -> Array:
    """W ~ U(-r, r), element k in row-major order from word k."""
    raw = stream(seed, WEIGHTS, step=layer).random_raw(shape[0] * shape[1])
    return np.asarray(radius * (2 * ((raw >> 11) * 2.0**-53) - 1)).reshape(shape)


def permutation(n: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """Order the rows 0 … n - 1 for an epoch, by Fisher and Yates."""
    words = _words(stream(seed, SHUFFLE, epoch=epoch))
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = bounded(words, i + 1)
        order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.int64)


def dropout_mask(
    seed: int, layer: int, step: int, epoch: int, shape: tuple[int, int], rate: float
) -> Array:
    """Draw 32 bits per unit, eight to a block of four words, each row from a block of its own."""
    rows, n = shape
    words = stream(seed, DROPOUT + (layer << 8), step, epoch).random_raw(4 * rows * -(-n // 8))
    draws = np.stack([words & 0xFFFFFFFF, words >> 32], axis=-1).reshape(rows, -1)[:, :n]
    return np.where(draws < int(rate * 2**32), 0, 1 / (1 - rate))


def bounded(words: Iterator[int], n: int) -> int:
    """Draw from 0 … n - 1 without bias, by Lemire's method, doi:10.1145/3230636."""
    product = next(words) * n
    while product % 2**64 < 2**64 % n:
        product = next(words) * n
    return product >> 64


def _words(generator: np.random.Philox) -> Iterator[int]:
    while True:
        yield from generator.random_raw(1024).tolist()
