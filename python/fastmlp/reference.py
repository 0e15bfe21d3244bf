"""The twin: the mathematics of `docs/mathematics.md` in plain NumPy, one line per equation.

It is naive on purpose and checks nothing. `fit` and `predict` are those of the native class, in
`training.py`. Start at `Network._mean_gradients`.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp.reference_optimizers import State, update
from fastmlp.training import TrainingMixin, resolve_seed

Array = npt.NDArray[Any]

# What a stream of random words is for: the last word of the generator's counter.
WEIGHTS, SHUFFLE = 1, 2

# Operations, under the names of `fastmlp.ops`, forward beside backward.


def matmul(A: Array, B: Array) -> Array:
    """C = A · B."""
    return A @ B


def relu(Z: Array) -> Array:
    """ReLU(z) = 0 if z ≤ 0 else z; NaN stays NaN."""
    return np.where(Z <= 0, np.zeros_like(Z), Z)


def relu_backward(dA: Array, Z: Array) -> Array:
    """Return dZ = dA ⊙ ReLU'(Z), where ReLU' = 1 if z > 0 else 0."""
    return np.where(Z > 0, dA, np.zeros_like(dA))


def sigmoid(Z: Array) -> Array:
    """σ(z) = 1 / (1 + e^-z), and e^z / (1 + e^z) for z < 0: e^-|z| never overflows."""
    E = np.exp(-np.abs(Z))
    return np.where(Z >= 0, 1 / (1 + E), E / (1 + E))


def sigmoid_backward(dA: Array, A: Array) -> Array:
    """Return dZ = dA ⊙ σ'(Z), where σ' = A ⊙ (1 - A)."""
    return np.asarray(dA * (A * (1 - A)))


def softmax(Z: Array) -> Array:
    """softmax(z)_j = e^z_j / Σ e^z, shifted by the largest z."""
    E = np.exp(Z - Z.max(axis=-1, keepdims=True))
    return np.asarray(E / E.sum(axis=-1, keepdims=True))


def sigmoid_loss(Z: Array, Y: Array) -> Array:
    """ℓ_i = Σ_j max(z, 0) - z y + log1p(e^-|z|): binary cross-entropy of σ(Z) per row."""
    return np.asarray(np.sum(np.maximum(Z, 0) - Z * Y + np.log1p(np.exp(-np.abs(Z))), axis=1))


def softmax_loss(Z: Array, Y: Array) -> Array:
    """ℓ_i = log Σ e^(z - max) - (z_class - max): cross-entropy of softmax(Z) per row."""
    shifted = Z - Z.max(axis=1, keepdims=True)
    return np.asarray(np.log(np.sum(np.exp(shifted), axis=1)) - np.sum(Y * shifted, axis=1))


def identity_loss(Z: Array, Y: Array) -> Array:
    """ℓ_i = ½ Σ_j (z - y)²: half the squared error per row."""
    return np.asarray(np.sum((Z - Y) ** 2, axis=1) / 2)


def binary_cross_entropy(Z: Array, y: Array) -> float:
    """Loss = 1/m Σ_i ℓ_i from the logits Z, (m,) or (m, n_out); 0 without rows."""
    rows = (len(Z), Z.size // max(len(Z), 1))
    return float(np.sum(sigmoid_loss(Z.reshape(rows), y.reshape(rows))) / max(len(Z), 1))


def sgd_update(parameter: Array, gradient: Array, learning_rate: float) -> None:
    """θ := θ - α dθ, in place."""
    parameter -= learning_rate * gradient


Elementwise = Callable[[Array], Array]
Pairwise = Callable[[Array, Array], Array]

# A = g(Z), and dZ = dA ⊙ g'(Z) from the layer's output A.
ACTIVATIONS: dict[str, tuple[Elementwise, Pairwise]] = {
    "relu": (relu, relu_backward),  # A > 0 exactly where Z > 0
    "sigmoid": (sigmoid, sigmoid_backward),
    "tanh": (np.tanh, lambda dA, A: dA * (1 - A**2)),
    "identity": (lambda Z: Z, lambda dA, A: dA),
}

# Ŷ = g(Z), and the loss per row from Z and Y; dZ = Ŷ - Y for all of them.
OUTPUTS: dict[str, tuple[Elementwise, Pairwise]] = {
    "sigmoid": (sigmoid, sigmoid_loss),
    "softmax": (softmax, softmax_loss),
    "identity": (lambda Z: Z, identity_loss),
}


# Random numbers: words of Philox4x64-10, whose raw output NumPy guarantees.


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


def bounded(words: Iterator[int], n: int) -> int:
    """Draw from 0 … n - 1 without bias, by Lemire's method, doi:10.1145/3230636."""
    product = next(words) * n
    while product % 2**64 < 2**64 % n:
        product = next(words) * n
    return product >> 64


def _words(generator: np.random.Philox) -> Iterator[int]:
    while True:
        yield from generator.random_raw(1024).tolist()


class Network(TrainingMixin):
    """The twin of `fastmlp.Network`: same constructor, same results to rounding, nothing checked.

    It trains and predicts; files, copies and gradients in parts are the native class's only.

    Examples
    --------
    >>> from fastmlp.reference import Network
    >>> Network([2, 8, 1], seed=0).forward([[0.0, 0.0]]).tolist()
    [[0.5]]
    """

    def __init__(
        self,
        layers: Sequence[int],
        *,
        hidden: str | Sequence[str] = "relu",
        output: str = "sigmoid",
        dtype: npt.DTypeLike = "float32",
        seed: int | np.random.Generator | None = None,
    ) -> None:
        self.layers = tuple(int(n) for n in layers)
        n_hidden = len(self.layers) - 2
        self.hidden = (hidden,) * n_hidden if isinstance(hidden, str) else tuple(hidden)
        self.output = output
        self.dtype = np.dtype(dtype)
        self.seed = resolve_seed(seed)
        self.epochs_trained = 0
        self.n_parameters = sum((n_in + 1) * n_out for n_in, n_out in self._shapes())
        self.parameters = np.zeros(self.n_parameters, self.dtype)
        self.gradients = np.zeros(self.n_parameters, self.dtype)
        self._decays = np.zeros(self.n_parameters, self.dtype)
        self._states: dict[int, tuple[Any, State]] = {}
        for W, _ in self._views(self._decays):
            W[:] = 1
        names = (*self.hidden, self.output)
        for layer, (W, (n_in, n_out)) in enumerate(zip(self.weights, self._shapes(), strict=True)):
            he = names[layer] == "relu"
            radius = np.sqrt(6 / n_in) if he else np.sqrt(6 / (n_in + n_out))
            W[:] = uniform(self.seed, layer, (n_in, n_out), radius)

    @property
    def weights(self) -> tuple[Array, ...]:
        """W_1 … W_L, views of `parameters`."""
        return tuple(W for W, _ in self._views(self.parameters))

    @property
    def biases(self) -> tuple[Array, ...]:
        """b_1 … b_L, views of `parameters`."""
        return tuple(b for _, b in self._views(self.parameters))

    def forward(self, X: npt.ArrayLike) -> Array:
        """Ŷ = A_L."""
        output, _ = OUTPUTS[self.output]
        return output(self._forward(X)[1])

    def loss(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> float:
        """Loss = 1/S Σ_i s_i ℓ_i."""
        _, Z = self._forward(X)
        _, row_loss = OUTPUTS[self.output]
        s = self._weights_of_rows(len(Z), sample_weight)
        return _mean(s @ row_loss(Z, self._targets(y, len(Z))), s.sum())

    def loss_and_gradients(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> float:
        """Return the mean loss; its gradient is in `gradients`."""
        loss_sum, S, self.gradients[:] = self._mean_gradients(X, y, sample_weight)
        return _mean(loss_sum, S)

    def step(self, X: npt.ArrayLike, y: npt.ArrayLike, learning_rate: float) -> float:
        """θ := θ - α dθ on one batch; the loss before it."""
        loss_sum, S, gradients = self._mean_gradients(X, y, None)
        sgd_update(self.parameters, gradients, learning_rate)
        return _mean(loss_sum, S)

    def train_epoch(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        order: npt.NDArray[np.int64],
        *,
        batch_size: int,
        optimizer: Any,
        sample_weight: npt.ArrayLike | None = None,
    ) -> float:
        """One step per batch of the rows in `order`; the mean of the batches' losses."""
        X, y = np.asarray(X), np.asarray(y)
        loss_sum = S_sum = 0.0
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            s = None if sample_weight is None else np.asarray(sample_weight)[rows]
            batch_loss, S, gradients = self._mean_gradients(X[rows], y[rows], s)
            if S > 0:
                update(optimizer, self._state(optimizer), self.parameters, gradients, self._decays)
            loss_sum, S_sum = loss_sum + batch_loss, S_sum + S
        self.epochs_trained += 1
        return _mean(loss_sum, S_sum)

    def _state(self, optimizer: Any) -> State:
        """What `optimizer`, kept with it so that its id stays its own, remembers of this network."""
        zeros = np.zeros_like(self.parameters)
        fresh = (optimizer, State(0, zeros, zeros.copy()))
        return self._states.setdefault(id(optimizer), fresh)[1]

    def _mean_gradients(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None
    ) -> tuple[float, float, Array]:
        """Σ s_i ℓ_i, S, and dθ flat; dθ is 0 where S is."""
        A, Z = self._forward(X)
        Y = self._targets(y, len(Z))
        s = self._weights_of_rows(len(Z), sample_weight)
        S, gradients = s.sum(), np.zeros_like(self.parameters)
        if S == 0:
            return 0.0, 0.0, gradients
        output, row_loss = OUTPUTS[self.output]
        dZ = s[:, np.newaxis] * (output(Z) - Y) / S
        weights, views = self.weights, self._views(gradients)
        for layer in reversed(range(len(weights))):
            dW, db = views[layer]
            dW[:] = A[layer].T @ dZ
            db[:] = dZ.sum(axis=0)
            if layer > 0:
                _, backward = ACTIVATIONS[self.hidden[layer - 1]]
                dZ = backward(dZ @ weights[layer].T, A[layer])
        return float(s @ row_loss(Z, Y)), float(S), gradients

    def _forward(self, X: npt.ArrayLike) -> tuple[list[Array], Array]:
        """A_0 … A_{L-1}, and Z_L."""
        A = [np.asarray(X, self.dtype)]
        weights, biases = self.weights, self.biases
        for name, W, b in zip(self.hidden, weights, biases, strict=False):
            activation, _ = ACTIVATIONS[name]
            A.append(activation(A[-1] @ W + b))
        return A, A[-1] @ weights[-1] + biases[-1]

    def _targets(self, y: npt.ArrayLike, rows: int) -> Array:
        """Y of shape (m, n_out); class indices become one-hot."""
        y = np.asarray(y)
        if self.output == "softmax" and y.size == rows:
            return np.eye(self.layers[-1], dtype=self.dtype)[y.astype(np.int64).ravel()]
        return y.astype(self.dtype).reshape(rows, self.layers[-1])

    def _weights_of_rows(self, rows: int, sample_weight: npt.ArrayLike | None) -> Array:
        """s, which is 1 for every row unless given."""
        return np.asarray(np.ones(rows) if sample_weight is None else sample_weight, self.dtype)

    def _shapes(self) -> list[tuple[int, int]]:
        """(n_in, n_out) of each layer of weights."""
        return list(itertools.pairwise(self.layers))

    def _views(self, flat: Array) -> list[tuple[Array, Array]]:
        """(W, b) of each layer in a buffer `W_1 b_1 W_2 b_2 …`."""
        views, start = [], 0
        for n_in, n_out in self._shapes():
            middle, stop = start + n_in * n_out, start + (n_in + 1) * n_out
            views.append((flat[start:middle].reshape(n_in, n_out), flat[middle:stop]))
            start = stop
        return views

    def _validate(self, function_name: str, X: Any, y: Any, sample_weight: Any) -> None:
        """Check nothing."""

    def _permutation(self, rows: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
        return permutation(rows, seed, epoch)


def _mean(total: Any, S: Any) -> float:
    """Total / S, and 0 where S is."""
    return float(total / S) if S else 0.0
