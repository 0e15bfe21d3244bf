"""How far a result may be from the twin's in float64: bounds that follow from the rounding.

The operations have closed forms. For networks the bound is carried along with the computation, a
running error analysis (Higham, Accuracy and Stability of Numerical Algorithms, 2002, chapter 3):
every quantity has a value and a bound on its error, and each rule below says what an equation of
docs/mathematics.md makes of the errors that enter it, plus what its own rounding adds. With
u = eps / 2, one sum of K products errs by at most K u Σ|a||b|; K eps Σ|a||b| allows that for the
network and for the twin, which rounds too.

What is special to an activation is in activation_cases.py.
"""

from typing import NamedTuple

import numpy as np

from activation_cases import CASES, ELEMENTARY
from fastmlp.reference import ops as reference_ops


class Inexact(NamedTuple):
    """A value in float64 and how far another computation of it may be off."""

    value: np.ndarray
    error: np.ndarray

    @property
    def most(self):
        return np.abs(self.value) + self.error

    @property
    def T(self):  # noqa: N802
        return Inexact(self.value.T, self.error.T)


class Bounds(NamedTuple):
    """Largest errors of what a network gives, in the shapes of what it gives."""

    outputs: np.ndarray
    loss: float
    gradients: np.ndarray


def exact(value):
    value = np.asarray(value, np.float64)
    return Inexact(value, np.zeros_like(value))


# Operations


def matmul(A, B, dtype):
    """Bound of the error of A · B: K eps Σ|a||b|, and what underflow adds."""
    K = A.shape[1]
    A, B = np.abs(A.astype(np.float64)), np.abs(B.astype(np.float64))
    return K * (np.finfo(dtype).eps * (A @ B) + np.finfo(dtype).tiny)


def elementary(expected, dtype):
    """Bound of the error of a sigmoid or tanh, or of a few products of such."""
    info = np.finfo(dtype)
    return ELEMENTARY * (info.eps * np.abs(expected) + info.smallest_subnormal)


def binary_cross_entropy(Z, dtype):
    """Bound of the error of the mean loss; the largest term in it is |z|."""
    terms = np.abs(np.asarray(Z, np.float64)) + np.log(2.0)
    return ELEMENTARY * np.finfo(dtype).eps * float(terms.sum()) / max(len(terms), 1)


def sgd_update(parameter, gradient, learning_rate, dtype):
    """Bound of the error of θ - α dθ: α and the result are rounded."""
    change = np.abs(learning_rate * gradient.astype(np.float64))
    info = np.finfo(dtype)
    return info.eps * (np.abs(parameter.astype(np.float64)) + 2 * change) + info.smallest_subnormal


# Networks


def network(twin, X, y, sample_weight=None, *, dtype, parameter_error=None):
    """Bounds for one pass of a network of `dtype` that has the parameters of the float64 twin.

    `parameter_error`, flat, says how far the network's parameters may be from the twin's.
    """
    eps = np.finfo(dtype).eps
    layers = _layers(twin, parameter_error)
    A, Z = [exact(np.atleast_2d(X))], []
    for layer, (W, b) in enumerate(layers):
        Z.append(_affine(A[-1], W, b, dtype))
        if layer + 1 < len(layers):
            A.append(_activate(twin.hidden[layer], Z[-1], eps))
    rows, n_out = len(A[0].value), twin.layers[-1]
    outputs = _output(twin.output, Z[-1], eps)
    if y is None:
        return Bounds(outputs.error, np.nan, np.empty(0))

    Y = twin._targets(y, rows)
    s = np.ones(rows) if sample_weight is None else np.asarray(sample_weight, np.float64)
    S = s.sum()
    if S == 0:
        return Bounds(outputs.error, 0.0, np.zeros(twin.n_parameters))
    row_losses = _row_losses(twin, Z[-1], Y, eps)
    # The rows are summed in double.
    loss = float(s @ (row_losses.error + rows * np.finfo(np.float64).eps * row_losses.most)) / S

    # dZ_L = s ⊙ slope / S
    share = (s / S)[:, np.newaxis]
    slope = _slope(twin, Z[-1], outputs, Y, eps)
    dZ = Inexact(share * slope.value, share * slope.error)
    gradients = []
    for layer in reversed(range(len(layers))):
        dW = _product(A[layer].T, dZ, dtype)
        db = _product(exact(np.ones((1, rows))), dZ, dtype)
        gradients = [dW.error.ravel(), db.error.ravel(), *gradients]
        if layer > 0:
            name = twin.hidden[layer - 1]
            slope = _derivative(name, Z[layer - 1], A[layer], eps)
            dA = _product(dZ, layers[layer][0].T, dtype)
            error = dA.error * slope.most + np.abs(dA.value) * slope.error
            value = dA.value * slope.value
            dZ = Inexact(value, error + eps * (np.abs(value) + error))
    assert outputs.error.shape == (rows, n_out)
    return Bounds(outputs.error, loss, np.concatenate(gradients))


def updated(twin, gradient_error, learning_rate, *, dtype, parameter_error=None):
    """Bound on the errors of θ - α dθ; the twin has its new θ and the dθ that led to it."""
    before = 0.0 if parameter_error is None else parameter_error
    change = learning_rate * np.abs(twin.gradients)
    error = before + learning_rate * gradient_error
    return error + np.finfo(dtype).eps * (np.abs(twin.parameters) + 2 * change + error)


def _layers(twin, parameter_error):
    """(W, b) of each layer."""
    errors = np.zeros(twin.n_parameters) if parameter_error is None else parameter_error
    return [
        (Inexact(W, W_error), Inexact(b, b_error))
        for W, b, (W_error, b_error) in zip(
            twin.weights, twin.biases, twin._views(errors), strict=True
        )
    ]


def _product(A, B, dtype):
    """A · B, of errors E: E_A |B| + |A| E_B + E_A E_B, and the rounding."""
    K, info = A.value.shape[1], np.finfo(dtype)
    carried = A.error @ np.abs(B.value) + A.most @ B.error
    return Inexact(A.value @ B.value, carried + K * (info.eps * (A.most @ B.most) + info.tiny))


def _affine(A, W, b, dtype):
    """Z = A · W + b."""
    product = _product(A, W, dtype)
    error = product.error + b.error
    value = product.value + b.value
    return Inexact(value, error + np.finfo(dtype).eps * (product.most + b.most))


def _activate(name, Z, eps):
    case, value = CASES[name], reference_ops.ACTIVATIONS[name].forward(Z.value)
    scale = case.scale(Z.value, value)
    return Inexact(value, case.steepest * Z.error + case.rounds * ELEMENTARY * eps * scale)


def _derivative(name, Z, A, eps):
    """g'(Z), computed from Z or A."""
    return Inexact(*CASES[name].inexact_slope(Z.value, A.value, Z.error, A.error, eps))


def _output(name, Z, eps):
    """Ŷ."""
    if name == "exp":
        value = np.exp(Z.value)
        return Inexact(value, value * np.expm1(Z.error) + ELEMENTARY * eps * value)
    if name != "softmax":
        return _activate(name, Z, eps)
    E = np.exp(Z.value - Z.value.max(axis=1, keepdims=True))
    value = E / E.sum(axis=1, keepdims=True)
    # A shift of every z by at most d changes each ŷ by a factor of at most e^(2d).
    d = Z.error.max(axis=1, keepdims=True)
    spread = np.abs(Z.value - Z.value.max(axis=1, keepdims=True))  # the exponent is rounded, too
    rounding = (ELEMENTARY + value.shape[1] + spread) * eps * value
    change = value * np.expm1(2 * np.minimum(d, 0.5)) + rounding
    return Inexact(value, np.where(d < 0.5, change, 1.0))  # no ŷ can be off by more than 1


def _slope(twin, Z, outputs, Y, eps):
    """∂ℓ/∂z, Ŷ - Y unless the loss is another than the output's own."""
    value = twin._slope(Z.value, Y)
    error = outputs.error + 4 * eps * (outputs.most + np.abs(Y))
    if twin.loss_name in ("absolute_error", "pinball"):  # it jumps by 1 or 2 where z = y
        error = np.where(np.abs(Z.value - Y) <= error, 2.0, 4 * eps)
    return Inexact(value, error)


def _row_losses(twin, Z, Y, eps):
    z, name = Z.value, twin.output
    if twin.loss_name is not None:
        steepest = np.abs(z - Y) + Z.error
        steepest = np.minimum(steepest, twin.delta) if twin.loss_name == "huber" else 1.0
        error = steepest * (Z.error + ELEMENTARY * eps * (Z.most + np.abs(Y)))
        return Inexact(twin._row_loss(z, Y), error.sum(axis=1))
    if name == "sigmoid":  # the slope by z is ŷ - y, in [-1, 1]
        value = np.maximum(z, 0) - z * Y + np.log1p(np.exp(-np.abs(z)))
        error = Z.error + ELEMENTARY * eps * (Z.most + np.log(2.0))
    elif name == "softmax":
        shifted = z - z.max(axis=1, keepdims=True)
        value = np.log(np.exp(shifted).sum(axis=1, keepdims=True)) - (Y * shifted).sum(
            axis=1, keepdims=True
        )
        classes = z.shape[1]
        spread = np.abs(shifted).max(axis=1, keepdims=True) + np.log(classes) + 1
        largest = Z.most.max(axis=1, keepdims=True)
        error = 2 * Z.error.max(axis=1, keepdims=True)
        error = error + eps * ((ELEMENTARY + classes) * spread + 2 * largest)
    elif name == "exp":  # the slope by z is ŷ - y
        outputs, log_y = np.exp(z), np.log(np.where(Y > 0, Y, 1))
        value = Y * (log_y - z - 1) + outputs
        error = outputs * np.expm1(Z.error) + Y * Z.error
        error = error + ELEMENTARY * eps * (outputs + Y * (np.abs(log_y) + Z.most + 1))
    else:
        value = (z - Y) ** 2 / 2
        error = Z.error * (np.abs(z - Y) + Z.error) + ELEMENTARY * eps * (Z.most + np.abs(Y)) ** 2
    return Inexact(value.sum(axis=1), error.sum(axis=1))


# Comparisons


def assert_within(actual, expected, bound, what="value"):
    """Every |actual - expected| is at most its bound; infinities and NaN are the same."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape
    with np.errstate(invalid="ignore"):
        right = (np.abs(actual - expected) <= bound) | (actual == expected)
    right |= np.isnan(actual) & np.isnan(expected)
    if right.all():
        return
    place = tuple(np.argwhere(~right)[0]) if right.ndim else ()
    raise AssertionError(
        f"{what} {place}: {actual[place]!r} is not within "
        f"{np.broadcast_to(bound, actual.shape)[place]:.3g} of {expected[place]!r} "
        f"({np.count_nonzero(~right)} of {right.size} are off)"
    )
