"""The twin's element by element part: operations, activations, outputs with their losses.

One line per equation of `docs/mathematics.md`.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

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
    """σ(z) = 1 / (1 + e^-z), and e^z / (1 + e^z) for z < 0: ``e^-|z|`` never overflows."""
    E = np.exp(-np.abs(Z))
    return np.where(Z >= 0, 1 / (1 + E), E / (1 + E))


def sigmoid_backward(dA: Array, A: Array) -> Array:
    """Return dZ = dA ⊙ σ'(Z), where σ' = A ⊙ (1 - A)."""
    return np.asarray(dA * (A * (1 - A)))


def softmax(Z: Array) -> Array:
    """softmax(z)_j = e^z_j / Σ e^z, shifted by the largest z."""
    E = np.exp(Z - Z.max(axis=-1, keepdims=True))
    return np.asarray(E / E.sum(axis=-1, keepdims=True))


def softmax_backward(dA: Array, A: Array) -> Array:
    """dz_j = a_j (da_j - Σ_k da_k a_k)."""
    return np.asarray(A * (dA - np.sum(dA * A, axis=-1, keepdims=True)))


def sigmoid_loss(Z: Array, Y: Array) -> Array:
    """ℓ_i = Σ_j max(z, 0) - z y + ``log1p(e^-|z|)``: binary cross-entropy of σ(Z) per row."""
    return np.asarray(np.sum(np.maximum(Z, 0) - Z * Y + np.log1p(np.exp(-np.abs(Z))), axis=1))


def softmax_loss(Z: Array, Y: Array) -> Array:
    """ℓ_i = log Σ e^(z - max) - (z_class - max): cross-entropy of softmax(Z) per row."""
    shifted = Z - Z.max(axis=1, keepdims=True)
    return np.asarray(np.log(np.sum(np.exp(shifted), axis=1)) - np.sum(Y * shifted, axis=1))


def identity_loss(Z: Array, Y: Array) -> Array:
    """ℓ_i = ½ Σ_j (z - y)²: half the squared error per row."""
    return np.asarray(np.sum((Z - Y) ** 2, axis=1) / 2)


def exp_loss(Z: Array, Y: Array) -> Array:
    """ℓ_i = Σ_j y (log y - z - 1) + e^z: half the Poisson deviance of e^Z per row; 0 log 0 = 0."""
    log_Y = np.log(np.where(Y > 0, Y, 1))
    return np.asarray(np.sum(Y * (log_Y - Z - 1) + np.exp(Z), axis=1))


# The losses that an identity output can have instead of its own: the loss per row beside its slope
# dZ, from Z, Y and a parameter for each output.


def huber_loss(Z: Array, Y: Array, delta: Array) -> Array:
    """ℓ_i = Σ_j ``½ r² if |r| ≤ δ else δ (|r| - ½ δ)``, r = z - y: Huber, 1964."""
    R = Z - Y
    line = delta * (np.abs(R) - delta / 2)
    return np.asarray(np.sum(np.where(np.abs(R) <= delta, R**2 / 2, line), axis=1))


def huber_slope(Z: Array, Y: Array, delta: Array) -> Array:
    """∂ℓ/∂z = r, limited to [-δ, δ]."""
    return np.asarray(np.clip(Z - Y, -delta, delta))


def absolute_error_loss(Z: Array, Y: Array, _: Array) -> Array:
    """ℓ_i = Σ_j ``|z - y|``."""
    return np.asarray(np.sum(np.abs(Z - Y), axis=1))


def absolute_error_slope(Z: Array, Y: Array, _: Array) -> Array:
    """∂ℓ/∂z = the sign of z - y; 0 if they are equal."""
    return np.asarray(np.sign(Z - Y))


def pinball_loss(Z: Array, Y: Array, tau: Array) -> Array:
    """ℓ_i = Σ_j max(τ (y - z), (τ - 1) (y - z)): Koenker and Bassett, 1978."""
    return np.asarray(np.sum(np.maximum(tau * (Y - Z), (tau - 1) * (Y - Z)), axis=1))


def pinball_slope(Z: Array, Y: Array, tau: Array) -> Array:
    """∂ℓ/∂z = -τ if y > z, 1 - τ if y < z, 0 if they are equal; a NaN stays NaN."""
    return np.where(Y > Z, -tau, np.where(Y < Z, 1 - tau, Y - Z))


def binary_cross_entropy(Z: Array, y: Array) -> float:
    """Loss = 1/m Σ_i ℓ_i from the logits Z, (m,) or (m, n_out); 0 without rows."""
    rows = (len(Z), Z.size // max(len(Z), 1))
    return float(np.sum(sigmoid_loss(Z.reshape(rows), y.reshape(rows))) / max(len(Z), 1))


def sgd_update(parameter: Array, gradient: Array, learning_rate: float) -> None:
    """θ := θ - α dθ, in place."""
    parameter -= learning_rate * gradient


# The activations that `fastmlp.ops` does not have, forward beside backward.

LEAK = 0.01  # the slope of leaky_relu for z ≤ 0
SELU_SCALE = 1.0507009873554804934193349852946  # λ, Klambauer et al., 2017, arXiv:1706.02515
SELU_ALPHA = 1.6732632423543772848170429916717  # α


def tanh_backward(dA: Array, A: Array) -> Array:
    """Return dZ = dA ⊙ (1 - A²)."""
    return np.asarray(dA * (1 - A**2))


def leaky_relu(Z: Array) -> Array:
    """Return z if z > 0 else z / 100."""
    return np.where(Z > 0, Z, Z * LEAK)


def leaky_relu_backward(dA: Array, Z: Array) -> Array:
    """Return dZ = dA ⊙ (1 if z > 0 else 1 / 100)."""
    return np.where(Z > 0, dA, dA * LEAK)


def elu(Z: Array) -> Array:
    """Return z if z > 0 else e^z - 1."""
    return np.where(Z > 0, Z, np.expm1(np.minimum(Z, 0)))


def elu_backward(dA: Array, A: Array) -> Array:
    """Return dZ = dA ⊙ (1 if a > 0 else a + 1), which is e^z."""
    return np.where(A > 0, dA, dA * (A + 1))


def softplus(Z: Array) -> Array:
    """log(1 + e^z) = max(z, 0) + log1p(e^-|z|)."""
    return np.asarray(np.maximum(Z, 0) + np.log1p(np.exp(-np.abs(Z))))


def softplus_backward(dA: Array, A: Array) -> Array:
    """Return dZ = dA ⊙ (1 - e^-a), which is σ(z)."""
    return np.asarray(dA * -np.expm1(-A))


def gelu(Z: Array) -> Array:
    """Return z Φ(z), where Φ is the standard normal distribution."""
    return np.asarray(Z * normal_distribution(Z))


def gelu_backward(dA: Array, Z: Array) -> Array:
    """Return dZ = dA ⊙ (Φ(z) + z φ(z)), where φ = Φ' = e^(-z²/2) / √(2π)."""
    density = np.exp(-(Z**2) / 2) / math.sqrt(2 * math.pi)
    return np.asarray(dA * (normal_distribution(Z) + Z * density))


def normal_distribution(Z: Array) -> Array:
    """Φ(z) = (1 + erf(z / √2)) / 2."""
    return np.asarray((1 + _erf(Z / math.sqrt(2))) / 2, Z.dtype)


_erf = np.vectorize(math.erf, otypes=[np.float64])


def silu(Z: Array) -> Array:
    """Return z σ(z)."""
    return np.asarray(Z * sigmoid(Z))


def silu_backward(dA: Array, Z: Array) -> Array:
    """Return dZ = dA ⊙ σ(z) (1 + z σ(-z)), where σ(-z) = 1 - σ(z)."""
    return np.asarray(dA * (sigmoid(Z) * (1 + Z * sigmoid(-Z))))


def mish(Z: Array) -> Array:
    """Return z tanh(softplus(z)) (Misra, 2019, arXiv:1908.08681)."""
    return np.asarray(Z * np.tanh(softplus(Z)))


def mish_backward(dA: Array, Z: Array) -> Array:
    """Return dZ = dA ⊙ (t + z σ(z) (1 - t²)), where t = tanh(softplus(z))."""
    T = np.tanh(softplus(Z))
    return np.asarray(dA * (T + Z * sigmoid(Z) * (1 - T**2)))


def selu(Z: Array) -> Array:
    """Return λ z if z > 0 else λ α (e^z - 1)."""
    negative = SELU_SCALE * SELU_ALPHA * np.expm1(np.minimum(Z, 0))
    return np.where(Z > 0, SELU_SCALE * Z, negative)


def selu_backward(dA: Array, A: Array) -> Array:
    """Return dZ = dA ⊙ (λ if a > 0 else a + λ α), which is λ α e^z."""
    return np.where(A > 0, dA * SELU_SCALE, dA * (A + SELU_SCALE * SELU_ALPHA))


def hard_sigmoid(Z: Array) -> Array:
    """Return z / 6 + 1/2, cut off below 0 and above 1."""
    return np.clip(Z / 6 + 0.5, 0, 1)


def hard_sigmoid_backward(dA: Array, A: Array) -> Array:
    """Return dZ = dA ⊙ (1/6 if 0 < a < 1 else 0)."""
    return np.where((A > 0) & (A < 1), dA / 6, np.zeros_like(dA))


# The radius r of a layer's initial weights, which are uniform on [-r, r).


def glorot(n_in: int, n_out: int) -> float:
    """R = √(6 / (n_in + n_out)), Glorot and Bengio, 2010."""
    return math.sqrt(6 / (n_in + n_out))


def he(n_in: int, n_out: int) -> float:
    """R = √(6 / n_in), He et al., 2015, arXiv:1502.01852."""
    return math.sqrt(6 / n_in)


def lecun(n_in: int, n_out: int) -> float:
    """R = √(3 / n_in), LeCun et al., 1998."""
    return math.sqrt(3 / n_in)


Elementwise = Callable[[Array], Array]
Pairwise = Callable[[Array, Array], Array]


class Activation(NamedTuple):
    """A = g(Z), dZ = dA ⊙ g'(Z) from dA, Z and A, and the radius of the weights before it."""

    forward: Elementwise
    backward: Callable[[Array, Array, Array], Array]
    radius: Callable[[int, int], float]


class Output(NamedTuple):
    """Ŷ = g(Z), and its own loss per row from Z and Y, whose dZ is Ŷ - Y for every output.

    `backward` gives dZ for another loss, from dY and Ŷ. `labels` says how `predict` turns Ŷ into
    labels; None if it returns Ŷ.
    """

    forward: Elementwise
    row_loss: Pairwise
    backward: Pairwise
    labels: str | None = None


class Loss(NamedTuple):
    """The loss per row, and its slope dZ, from Z, Y and one parameter for each output."""

    row_loss: Callable[[Array, Array, Array], Array]
    slope: Callable[[Array, Array, Array], Array]


ACTIVATIONS = {
    "relu": Activation(relu, lambda dA, Z, A: relu_backward(dA, Z), he),
    "sigmoid": Activation(sigmoid, lambda dA, Z, A: sigmoid_backward(dA, A), glorot),
    "tanh": Activation(np.tanh, lambda dA, Z, A: tanh_backward(dA, A), glorot),
    "identity": Activation(lambda Z: Z, lambda dA, Z, A: dA, glorot),
    "leaky_relu": Activation(leaky_relu, lambda dA, Z, A: leaky_relu_backward(dA, Z), he),
    "elu": Activation(elu, lambda dA, Z, A: elu_backward(dA, A), he),
    "softplus": Activation(softplus, lambda dA, Z, A: softplus_backward(dA, A), he),
    "gelu": Activation(gelu, lambda dA, Z, A: gelu_backward(dA, Z), he),
    "silu": Activation(silu, lambda dA, Z, A: silu_backward(dA, Z), he),
    "mish": Activation(mish, lambda dA, Z, A: mish_backward(dA, Z), he),
    "selu": Activation(selu, lambda dA, Z, A: selu_backward(dA, A), lecun),
    "hard_sigmoid": Activation(hard_sigmoid, lambda dA, Z, A: hard_sigmoid_backward(dA, A), glorot),
}

OUTPUTS = {
    "sigmoid": Output(sigmoid, sigmoid_loss, sigmoid_backward, labels="threshold"),
    "softmax": Output(softmax, softmax_loss, softmax_backward, labels="largest"),
    "identity": Output(lambda Z: Z, identity_loss, lambda dY, Y: dY),
    "exp": Output(np.exp, exp_loss, lambda dY, Y: dY * Y),
}

LOSSES = {
    "huber": Loss(huber_loss, huber_slope),
    "absolute_error": Loss(absolute_error_loss, absolute_error_slope),
    "pinball": Loss(pinball_loss, pinball_slope),
}
