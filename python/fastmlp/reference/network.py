"""The twin: the mathematics of `docs/mathematics.md` in plain NumPy, one line per equation.

It is naive on purpose and checks nothing. The operations on elements are in `reference/ops.py`;
`fit` and `predict` are those of the native class, in `training.py`. Start at
`Network._mean_gradients`.
"""

import contextlib
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp._own_loss import evaluate
from fastmlp._trainable import OwnLoss
from fastmlp.optimizers import State
from fastmlp.reference.ops import ACTIVATIONS, LOSSES, OUTPUTS, Array, glorot, sgd_update
from fastmlp.reference.random import dropout_mask, permutation, uniform
from fastmlp.training import TrainingMixin, resolve_seed


class Network(TrainingMixin):
    """The twin of `fastmlp.Network`: same constructor, same results up to rounding.

    It trains and predicts, and checks nothing. Only the native class has files, copies and
    gradients in parts.

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
        loss: str | None = None,
        delta: float = 1.0,
        quantiles: Sequence[float] | None = None,
    ) -> None:
        self.layers = tuple(int(n) for n in layers)
        n_hidden = len(self.layers) - 2
        self.hidden = (hidden,) * n_hidden if isinstance(hidden, str) else tuple(hidden)
        self.output = output
        self.loss_name, self.delta = loss, delta
        self.quantiles = () if quantiles is None else tuple(quantiles)
        self.dtype = np.dtype(dtype)
        self.seed = resolve_seed(seed)
        self.epochs_trained = 0
        self.n_parameters = sum((n_in + 1) * n_out for n_in, n_out in self._shapes())
        self.parameters = np.zeros(self.n_parameters, self.dtype)
        self.gradients = np.zeros(self.n_parameters, self.dtype)
        self.scaling: dict[str, Array] | None = None
        self._unfolded = False  # the parameters are for scaled rows
        self._decays = np.zeros(self.n_parameters, self.dtype)
        self._states: dict[int, tuple[Any, State]] = {}
        for W, _ in self._views(self._decays):
            W[:] = 1
        radii = [*(ACTIVATIONS[name].radius for name in self.hidden), glorot]
        for layer, (W, radius) in enumerate(zip(self.weights, radii, strict=True)):
            W[:] = uniform(self.seed, layer, W.shape, radius(*W.shape))

    @property
    def _labels(self) -> str | None:
        return OUTPUTS[self.output].labels

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
        return self._outputs(self._forward(X)[1][-1])

    def loss(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> float:
        """Loss = 1/S Σ_i s_i ℓ_i."""
        Z = self._forward(X)[1][-1]
        s = self._weights_of_rows(len(Z), sample_weight)
        return _mean(s @ self._row_loss(Z, self._targets(y, len(Z))), s.sum())

    def loss_and_gradients(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> float:
        """Return the mean loss; its gradient is in `gradients`."""
        loss_sum, S, self.gradients[:] = self._mean_gradients(X, y, sample_weight)
        return _mean(loss_sum, S)

    def backward(self, X: npt.ArrayLike, dY: npt.ArrayLike) -> Array:
        """Return dX from dY, the gradient of any loss with respect to Ŷ; dθ is in `gradients`."""
        dX, self.gradients[:] = self._from_outputs(X, dY)
        return dX

    def input_gradients(self, X: npt.ArrayLike, dY: npt.ArrayLike) -> Array:
        """Return dX from dY."""
        return self._from_outputs(X, dY)[0]

    def jacobian(self, X: npt.ArrayLike) -> Array:
        """∂ŷ_j / ∂x_k of each row, (m, n_out, n_in)."""
        rows, n_out = len(np.asarray(X)), self.layers[-1]
        units = [np.broadcast_to(unit, (rows, n_out)) for unit in np.eye(n_out)]
        return np.stack([self.input_gradients(X, dY) for dY in units], axis=1)

    def activations(self, X: npt.ArrayLike) -> list[Array]:
        """A_1, …, A_L = Ŷ."""
        return [*self._forward(X)[0][1:], self.forward(X)]

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
        dropout: float | Sequence[float] | None = None,
        seed: int | None = None,
        loss: OwnLoss | None = None,
    ) -> float:
        """One step per batch of the rows in `order`; the mean of the batches' losses."""
        X, y = np.asarray(X), np.asarray(y)
        rates = np.broadcast_to(0.0 if dropout is None else dropout, len(self.hidden))
        seed = self.seed if seed is None else seed
        loss_sum = S_sum = 0.0
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            s = None if sample_weight is None else np.asarray(sample_weight)[rows]
            masks = self._masks(len(rows), rates, seed, start // batch_size)
            batch_loss, S, gradients = (
                self._mean_gradients(X[rows], y[rows], s, masks)
                if loss is None
                else self._gradients_of(loss, X[rows], y, rows, masks)
            )
            if S > 0:
                state = self._state(optimizer)
                optimizer._update_in_numpy(state, self.parameters, gradients, self._decays)
            loss_sum, S_sum = loss_sum + batch_loss, S_sum + S
        self.epochs_trained += 1
        return _mean(loss_sum, S_sum)

    def _state(self, optimizer: Any) -> State:
        """Return the optimizer's state for this network.

        The entry keeps the optimizer alive, so that no other object can get its id.
        """
        zeros = np.zeros_like(self.parameters)
        fresh = (optimizer, State(0, zeros, zeros.copy()))
        return self._states.setdefault(id(optimizer), fresh)[1]

    def _mean_gradients(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None,
        masks: Sequence[Array] | None = None,
    ) -> tuple[float, float, Array]:
        """Σ s_i ℓ_i, S, and dθ flat; dθ is 0 if S is 0."""
        A, Z = self._forward(X, masks)
        M: list[Any] = [1, *([1] * len(self.hidden) if masks is None else masks)]
        Y = self._targets(y, len(Z[-1]))
        s = self._weights_of_rows(len(Z[-1]), sample_weight)
        S = s.sum()
        if S == 0:
            return 0.0, 0.0, np.zeros_like(self.parameters)
        dZ = (s / S).astype(self.dtype)[:, np.newaxis] * self._slope(Z[-1], Y)
        _, gradients = self._backward(A, Z, dZ, M)
        return float(s @ self._row_loss(Z[-1], Y)), float(S), gradients

    def _backward(
        self, A: list[Array], Z: list[Array], dZ: Array, M: Sequence[Any]
    ) -> tuple[Array, Array]:
        """Return dA_0 and dθ flat, from dZ_L."""
        gradients = np.zeros_like(self.parameters)
        weights, views = self.weights, self._views(gradients)
        for layer in reversed(range(len(weights))):
            dW, db = views[layer]
            dW[:] = (A[layer] * M[layer]).T @ dZ
            db[:] = dZ.sum(axis=0)
            if layer > 0:
                backward = ACTIVATIONS[self.hidden[layer - 1]].backward
                dZ = M[layer] * backward(dZ @ weights[layer].T, Z[layer - 1], A[layer])
        return dZ @ weights[0].T, gradients

    def _gradients_of(
        self, loss: OwnLoss, X: Array, y: Array, rows: Array, masks: list[Array]
    ) -> tuple[float, float, Array]:
        """Return m times a loss of the user, m, and dθ flat."""
        A, Z = self._forward(X, masks)
        value, dY = evaluate(loss, y, rows, self._outputs(Z[-1]))
        _, gradients = self._backward(A, Z, self._output_delta(Z[-1], dY), [1, *masks])
        return len(rows) * value, float(len(rows)), gradients

    def _from_outputs(self, X: npt.ArrayLike, dY: npt.ArrayLike) -> tuple[Array, Array]:
        """Return dX and dθ from dY, the gradient of any loss with respect to Ŷ."""
        A, Z = self._forward(X)
        given = np.asarray(dY, self.dtype).reshape(Z[-1].shape)
        dA, gradients = self._backward(A, Z, self._output_delta(Z[-1], given), [1] * len(A))
        dX: Array = (dA / self._part("input_scale", 1)).astype(self.dtype)
        return dX, gradients

    def _output_delta(self, Z: Array, dY: Array) -> Array:
        """Return dZ_L from dY."""
        output = OUTPUTS[self.output]
        dZ = output.backward(dY * self._part("output_scale", 1), output.forward(Z))
        return np.asarray(dZ, self.dtype)

    def _outputs(self, Z: Array) -> Array:
        """Return Ŷ of raw rows from Z_L."""
        outputs = OUTPUTS[self.output].forward(Z) * self._part("output_scale", 1)
        raw: Array = (outputs + self._part("output_mean", 0)).astype(self.dtype)
        return raw

    def _forward(
        self, X: npt.ArrayLike, masks: Sequence[Array] | None = None
    ) -> tuple[list[Array], list[Array]]:
        """A_0 … A_{L-1}, and Z_1 … Z_L; each layer's input is A times its mask."""
        mean, scale = self._part("input_mean", 0), self._part("input_scale", 1)
        A, Z = [((np.asarray(X, self.dtype) - mean) / scale).astype(self.dtype)], []
        M: list[Any] = [1, *([1] * len(self.hidden) if masks is None else masks)]
        weights, biases = self.weights, self.biases
        for name, W, b, m in zip(self.hidden, weights, biases, M, strict=False):
            Z.append((A[-1] * m) @ W + b)
            A.append(ACTIVATIONS[name].forward(Z[-1]))
        return A, [*Z, (A[-1] * M[-1]) @ weights[-1] + biases[-1]]

    def _masks(self, rows: int, rates: Array, seed: int, step: int) -> list[Array]:
        """Per hidden layer 1 / (1 - rate) for the units that stay in this step, 0 for others."""
        return [
            dropout_mask(seed, layer, step, self.epochs_trained, (rows, n), rate).astype(self.dtype)
            for layer, (n, rate) in enumerate(zip(self.layers[1:-1], rates, strict=True), start=1)
        ]

    def _targets(self, y: npt.ArrayLike, rows: int) -> Array:
        """Y of shape (m, n_out), or (m, 1) for pinball; class indices become one-hot."""
        y = np.asarray(y)
        if self.output == "softmax" and y.size == rows:
            return np.eye(self.layers[-1], dtype=self.dtype)[y.astype(np.int64).ravel()]
        Y = y.astype(self.dtype).reshape(rows, self._n_targets())
        mean, scale = self._part("output_mean", 0), self._part("output_scale", 1)
        scaled: Array = ((Y - mean) / scale).astype(self.dtype)
        return scaled

    def _weights_of_rows(self, rows: int, sample_weight: npt.ArrayLike | None) -> Array:
        """s, in float64; it is 1 for every row unless given."""
        return np.ones(rows) if sample_weight is None else np.asarray(sample_weight, np.float64)

    def fold_scaling(self, **parts: Any) -> None:
        """W_1 = W_1 / s, b_1 = b_1 - μ W_1; W_L = W_L · s, b_L = b_L · s + μ."""
        sizes = {"input": self.layers[0], "output": self.layers[-1]}
        sides = ("input", "output") if self.output == "identity" else ("input",)
        scaling: dict[str, Array] = {}
        for side in sides:
            for part, neutral in (("mean", 0.0), ("scale", 1.0)):
                given = parts.get(f"{side}_{part}", neutral)
                scaling[f"{side}_{part}"] = np.broadcast_to(np.asarray(given, float), sizes[side])
        before, self.scaling, self._unfolded = self.scaling, scaling, True
        self._refold_scaling()
        if before is not None:
            for side in sides:
                scale = scaling[f"{side}_scale"]
                scaling[f"{side}_mean"] = before[f"{side}_mean"] * scale + scaling[f"{side}_mean"]
                scaling[f"{side}_scale"] = before[f"{side}_scale"] * scale

    def _refold_scaling(self) -> None:
        if not self._unfolded:
            return
        W_1, b_1, W_L, b_L = self._ends()
        W_1[:] = W_1 / np.reshape(self._part("input_scale", 1), (-1, 1))
        b_1[:] = b_1 - self._shift()
        W_L[:] = W_L * self._part("output_scale", 1)
        b_L[:] = b_L * self._part("output_scale", 1) + self._part("output_mean", 0)
        self._unfolded = False

    def _unfold_scaling(self) -> None:
        if self._unfolded or self.scaling is None:
            return
        self._unfolded = True
        W_1, b_1, W_L, b_L = self._ends()
        W_L[:] = W_L / self._part("output_scale", 1)
        b_L[:] = (b_L - self._part("output_mean", 0)) / self._part("output_scale", 1)
        b_1[:] = b_1 + self._shift()
        W_1[:] = W_1 * np.reshape(self._part("input_scale", 1), (-1, 1))

    def _ends(self) -> tuple[Array, Array, Array, Array]:
        """W_1, b_1, W_L, b_L."""
        weights, biases = self.weights, self.biases
        return weights[0], biases[0], weights[-1], biases[-1]

    def _row_loss(self, Z: Array, Y: Array) -> Array:
        """ℓ_i of raw targets, also while Z and Y are scaled."""
        scale = self._part("output_scale", 1)
        Z, Y = Z * scale, Y * scale
        if self.loss_name is None:
            return OUTPUTS[self.output].row_loss(Z, Y)
        return LOSSES[self.loss_name].row_loss(Z, Y, self._loss_parameter(1))

    def _slope(self, Z: Array, Y: Array) -> Array:
        """∂ℓ_i/∂z of each unit, of scaled targets if Z and Y are scaled."""
        if self.loss_name is None:
            return OUTPUTS[self.output].forward(Z) - Y
        parameter = self._loss_parameter(self._part("output_scale", 1))
        return LOSSES[self.loss_name].slope(Z, Y, parameter)

    def _loss_parameter(self, scale: Any) -> Array:
        """δ / s, or τ of each output."""
        parameter = {"huber": self.delta / scale, "pinball": self.quantiles}
        return np.asarray(parameter.get(self.loss_name or "", 0), self.dtype)

    def _n_targets(self) -> int:
        """Columns of y: with pinball, one target is compared with every output."""
        return 1 if self.loss_name == "pinball" else self.layers[-1]

    def _shift(self) -> Any:
        """Σ_i μ_i W_1i."""
        return np.asarray(self._part("input_mean", np.zeros(self.layers[0]))) @ self.weights[0]

    def _part(self, name: str, neutral: Any) -> Any:
        """Return what rows are scaled by while the parameters are for scaled rows."""
        return (self.scaling or {}).get(name, neutral) if self._unfolded else neutral

    def _measure_scaling(
        self, X: npt.ArrayLike, y: npt.ArrayLike | None, sample_weight: npt.ArrayLike | None
    ) -> dict[str, Array]:
        """μ and s of each column, weighted; s of a constant column is 1, or |μ| above 2^16."""
        s = self._weights_of_rows(len(np.asarray(X)), sample_weight)
        tables = {"input": np.asarray(X)}
        if self.output == "identity" and y is not None:
            Y = np.asarray(y).reshape(len(s), self._n_targets())
            tables["output"] = np.broadcast_to(Y, (len(s), self.layers[-1]))
        scaling = {}
        for side, table in tables.items():
            rows = table.astype(self.dtype).astype(float)[s > 0]
            mean = np.average(rows, axis=0, weights=s[s > 0])
            deviation = np.sqrt(np.average((rows - mean) ** 2, axis=0, weights=s[s > 0]))
            constant = rows.min(axis=0) == rows.max(axis=0)
            neutral = np.where(np.abs(rows[0]) > 2**16, np.abs(rows[0]), 1.0)
            scaling[f"{side}_mean"] = np.where(constant, rows[0], mean)
            scaling[f"{side}_scale"] = np.where(constant, neutral, deviation)
        return scaling

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

    def _own(self) -> contextlib.AbstractContextManager[None]:
        """Guard nothing."""
        return contextlib.nullcontext()

    def _permutation(self, rows: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
        return permutation(rows, seed, epoch)

    def _restore(self, parameters: Array, epochs_trained: int, seed: int | None = None) -> None:
        self.parameters[:], self.epochs_trained = parameters, epochs_trained
        self.seed = self.seed if seed is None else seed

    def _optimizer_state(self, optimizer: Any) -> tuple[Any, ...]:
        """As the native optimizer's: the number of updates, two powers, the vectors."""
        state = self._state(optimizer)
        return state.t, 1.0, 1.0, (state.m, state.v)

    def _set_optimizer_state(self, optimizer: Any, state: tuple[Any, ...]) -> None:
        t, _, _, (m, v) = state
        self._states[id(optimizer)] = (optimizer, State(t, m, v))

    def _dot(self, a: Array, b: Array) -> float:
        """Σ a b, in float64."""
        return float(a.astype(np.float64) @ b)


def _mean(total: Any, S: Any) -> float:
    """Total / S, or 0 if S is 0."""
    return float(total / S) if S else 0.0
