"""NumPy by hand, and scikit-learn, which is NumPy inside."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from fastmlp.bench.peers.base import LEARNING_RATE, Array, Peer, initial


class Numpy(Peer):
    """A network as it is written by hand in NumPy."""

    title = "NumPy"
    module = "numpy"

    def train(
        self, layers: Sequence[int], X: Array, y: Array, batch: int
    ) -> Callable[[int], object]:
        """Train by the textbook's equations (docs/mathematics.md)."""
        weights, biases = initial(layers, X.dtype)
        rng = np.random.default_rng(0)

        def step(A: Array, Y: Array) -> None:
            activations = [A]
            for W, b in zip(weights[:-1], biases[:-1], strict=True):
                A = np.maximum(A @ W + b, 0)
                activations.append(A)
            Z = A @ weights[-1] + biases[-1]
            dZ = (1 / (1 + np.exp(-Z)) - Y) / len(Y)
            for layer in range(len(weights) - 1, -1, -1):
                dW, db = activations[layer].T @ dZ, dZ.sum(axis=0)
                if layer > 0:
                    dZ = (dZ @ weights[layer].T) * (activations[layer] > 0)
                weights[layer] -= LEARNING_RATE * dW
                biases[layer] -= LEARNING_RATE * db

        def run(epochs: int) -> None:
            for _ in range(epochs):
                order = rng.permutation(len(X))
                for first in range(0, len(X), batch):
                    rows = order[first : first + batch]
                    step(X[rows], y[rows])

        return run

    def predict(self, layers: Sequence[int], X: Array) -> Callable[[], object]:
        """Predict by the same equations."""
        weights, biases = initial(layers, X.dtype)

        def run() -> Array:
            A = X
            for W, b in zip(weights[:-1], biases[:-1], strict=True):
                A = np.maximum(A @ W + b, 0)
            return np.asarray(1 / (1 + np.exp(-(A @ weights[-1] + biases[-1]))))

        return run

    def matmul(self, A: Array, B: Array) -> Callable[[], object]:
        """Return `numpy.matmul` into an array that is there."""
        C = np.empty((A.shape[0], B.shape[1]), A.dtype)
        return lambda: np.matmul(A, B, out=C)


class NumpySkylakeX(Numpy):
    """The same with OpenBLAS told to use its AVX-512 kernels."""

    title = "NumPy, SkylakeX"
    environment: ClassVar = {"OPENBLAS_CORETYPE": "SkylakeX"}

    @classmethod
    def is_installed(cls) -> bool:
        """Whether there are such kernels to use: elsewhere OpenBLAS would crash."""
        import fastmlp

        return "avx512" in fastmlp.available_isas()


class ScikitLearn(Peer):
    """`MLPClassifier` with plain SGD."""

    title = "scikit-learn"
    module = "sklearn"
    packages = "scikit-learn"

    def model(self, layers: Sequence[int], batch: int) -> Any:
        """Return the estimator."""
        from sklearn.neural_network import MLPClassifier

        warnings.filterwarnings("ignore")  # that it has not converged
        return MLPClassifier(
            tuple(layers[1:-1]), solver="sgd", momentum=0, nesterovs_momentum=False, alpha=0,
            batch_size=batch, learning_rate_init=LEARNING_RATE, tol=0, n_iter_no_change=10**9,
            warm_start=True, random_state=0,
        )  # fmt: skip

    def train(
        self, layers: Sequence[int], X: Array, y: Array, batch: int
    ) -> Callable[[int], object]:
        """Return `fit`, continued from call to call."""
        model = self.model(layers, batch)
        labels = y[:, 0].astype(np.int64)
        return lambda epochs: model.set_params(max_iter=epochs).fit(X, labels)

    def predict(self, layers: Sequence[int], X: Array) -> Callable[[], object]:
        """Return `predict_proba`."""
        few = np.resize(X, (4, layers[0]))
        model = self.model(layers, 2).set_params(max_iter=1).fit(few, [0, 1, 0, 1])
        return lambda: model.predict_proba(X)
