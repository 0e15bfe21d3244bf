"""The library itself, and what bounds all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fastmlp.bench.peers.base import LEARNING_RATE, Array, Peer


class Floor(Peer):
    """No library: the fused multiply-adds alone, or one read of the weights."""

    title = "floor"
    module = "fastmlp"

    def __init__(self, threads: int) -> None:
        import fastmlp

        super().__init__(threads)
        fastmlp.set_num_threads(threads)

    def train(
        self, layers: Sequence[int], X: Array, y: Array, batch: int
    ) -> Callable[[int], object]:
        """Do the flops of the epochs (`Task.flops`) in registers."""
        from fastmlp._core import do_flops
        from fastmlp.bench.works import Task

        flops = len(X) / batch * Task("", "train", tuple(layers), rows=batch).flops
        return lambda epochs: do_flops(epochs * flops, X.dtype == np.float32)

    def predict(self, layers: Sequence[int], X: Array) -> Callable[[], object]:
        """Read the weights once for one row; do the flops for many."""
        from fastmlp._core import do_flops, read_once
        from fastmlp.bench.works import Task

        task = Task("", "predict", tuple(layers), dtype=str(X.dtype))
        if len(X) > 1:
            return lambda: do_flops(len(X) * task.flops, X.dtype == np.float32)
        weights = np.ones(task.bytes_read // X.itemsize, X.dtype)
        return lambda: read_once(weights)

    def matmul(self, A: Array, B: Array) -> Callable[[], object]:
        """Do the flops in registers."""
        from fastmlp._core import do_flops

        flops = 2.0 * A.shape[0] * A.shape[1] * B.shape[1]
        return lambda: do_flops(flops, A.dtype == np.float32)


class Fastmlp(Peer):
    """The library itself."""

    title = "fastmlp"
    module = "fastmlp"

    def __init__(self, threads: int) -> None:
        import fastmlp

        super().__init__(threads)
        fastmlp.set_num_threads(threads)

    def train(
        self, layers: Sequence[int], X: Array, y: Array, batch: int
    ) -> Callable[[int], object]:
        """Return `Network.fit`."""
        import fastmlp

        net = fastmlp.Network(layers, seed=0, dtype=X.dtype)
        return lambda epochs: net.fit(
            X, y, epochs=epochs, batch_size=batch, learning_rate=LEARNING_RATE
        )

    def predict(self, layers: Sequence[int], X: Array) -> Callable[[], object]:
        """Return `Network.forward`; one row is a vector."""
        import fastmlp

        forward = fastmlp.Network(layers, seed=0, dtype=X.dtype).forward
        rows = X[0] if len(X) == 1 else X
        return lambda: forward(rows)

    def matmul(self, A: Array, B: Array) -> Callable[[], object]:
        """Return `ops.matmul` into an array that is there."""
        from fastmlp.ops import matmul

        C = np.empty((A.shape[0], B.shape[1]), A.dtype)
        return lambda: matmul(A, B, C)
