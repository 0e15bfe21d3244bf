"""PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from fastmlp.bench.peers.base import LEARNING_RATE, Array, Peer


class Torch(Peer):
    """`torch.nn` with the fused SGD."""

    title = "PyTorch"
    module = "torch"
    packages = "torch"

    def __init__(self, threads: int) -> None:
        import torch

        super().__init__(threads)
        torch.set_num_threads(threads)

    def model(self, layers: Sequence[int]) -> Any:
        """Return the network up to the logits."""
        from torch import nn

        parts: list[Any] = []
        for n_in, n_out in pairwise(layers):
            parts += [nn.Linear(n_in, n_out), nn.ReLU()]
        return nn.Sequential(*parts[:-1])

    def train(
        self, layers: Sequence[int], X: Array, y: Array, batch: int
    ) -> Callable[[int], object]:
        """Train on tensors, without a DataLoader."""
        import torch

        model = self.model(layers)
        optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, fused=True)
        loss = torch.nn.BCEWithLogitsLoss()
        x, t = torch.from_numpy(X), torch.from_numpy(y)

        def run(epochs: int) -> None:
            for _ in range(epochs):
                for rows in torch.randperm(len(x)).split(batch):
                    optimizer.zero_grad(set_to_none=True)
                    loss(model(x[rows]), t[rows]).backward()
                    optimizer.step()

        return run

    def predict(self, layers: Sequence[int], X: Array) -> Callable[[], object]:
        """Predict in inference mode, from NumPy to NumPy."""
        import torch

        model = torch.nn.Sequential(self.model(layers), torch.nn.Sigmoid()).eval()

        def run() -> Any:
            with torch.inference_mode():
                return model(torch.from_numpy(X)).numpy()

        return run

    def matmul(self, A: Array, B: Array) -> Callable[[], object]:
        """Return `torch.mm` into a tensor that is there."""
        import torch

        a, b = torch.from_numpy(A), torch.from_numpy(B)
        c = torch.empty((A.shape[0], B.shape[1]), dtype=a.dtype)
        return lambda: torch.mm(a, b, out=c)
