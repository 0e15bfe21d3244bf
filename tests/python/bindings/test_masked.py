"""Masked arrays are refused if a value is masked: NumPy's conversion uses the hidden values."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import LBFGS, SGD, metrics, ops, reference

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
Y = np.array([0.0, 1, 1, 0, 1, 0], np.float32)
ORDER = np.arange(6)


def network() -> fastmlp.Network:
    return fastmlp.Network([3, 4, 1], seed=0)


# Each takes one array, here X, Y or the operands of an operation, as `a`.
CALLS: dict[str, tuple[np.ndarray, str, Callable[[Any], Any]]] = {
    "forward": (X, "X", lambda a: network().forward(a)),
    "a row": (X[0], "X", lambda a: network().forward(a)),
    "predict": (X, "X", lambda a: network().predict(a)),
    "loss, X": (X, "X", lambda a: network().loss(a, Y)),
    "loss, y": (Y, "y", lambda a: network().loss(X, a)),
    "loss, weights": (Y, "sample_weight", lambda a: network().loss(X, Y, a)),
    "gradients": (X, "X", lambda a: network().loss_and_gradients(a, Y)),
    "accumulate": (Y, "y", lambda a: network().accumulate_gradients(X, a)),
    "backward, X": (X, "X", lambda a: network().backward(a, Y)),
    "backward, dY": (Y, "dY", lambda a: network().backward(X, a)),
    "input_gradients": (Y, "dY", lambda a: network().input_gradients(X, a)),
    "jacobian": (X, "X", lambda a: network().jacobian(a)),
    "activations": (X, "X", lambda a: network().activations(a)),
    "step": (Y, "y", lambda a: network().step(X, a, 0.1)),
    "train_epoch": (
        ORDER,
        "order",
        lambda a: network().train_epoch(X, Y, a, batch_size=2, optimizer=SGD()),
    ),
    "check_gradients": (X, "X", lambda a: network().check_gradients(a, Y)),
    "fit, X": (X, "X", lambda a: network().fit(a, Y, epochs=1)),
    "fit, y": (Y, "y", lambda a: network().fit(X, a, epochs=1)),
    "fit, weights": (
        Y,
        "sample_weight",
        lambda a: network().fit(X, Y, epochs=1, sample_weight=a),
    ),
    "fit, validation": (
        Y,
        "validation_data: y",
        lambda a: network().fit(X, Y, epochs=1, validation_data=(X, a)),
    ),
    "fit by L-BFGS": (X, "X", lambda a: network().fit(a, Y, epochs=1, optimizer=LBFGS())),
    "fit of the twin": (X, "X", lambda a: reference.Network([3, 1]).fit(a, Y, epochs=1)),
    "out": (
        np.zeros((6, 1), np.float32),
        "out",
        lambda a: network().forward(X, out=a),
    ),
    "matmul": (X, "A", lambda a: ops.matmul(a, X.T)),
    "matmul, second": (X, "B", lambda a: ops.matmul(X.T, a)),
    "relu": (X, "Z", ops.relu),
    "a metric, y": (Y, "mae: y", lambda a: metrics.mae(a, Y)),
    "a metric, outputs": (Y, "accuracy: outputs", lambda a: metrics.accuracy(Y, a)),
    "sigmoid_backward": (X, "dA", lambda a: ops.sigmoid_backward(a, X)),
    "sgd_update": (X.copy(), "parameter", lambda a: ops.sgd_update(a, X, 0.1)),
}


def masked(array: np.ndarray, *, where: bool) -> Any:
    mask = np.zeros(array.shape, bool)
    mask.ravel()[-1] = where
    return np.ma.array(array, mask=mask)


@pytest.mark.parametrize("call", CALLS)
def test_a_masked_value_is_refused(call: str) -> None:
    array, name, function = CALLS[call]
    with pytest.raises(ValueError, match=f"{name} has masked values; replace them"):
        function(masked(array, where=True))


@pytest.mark.parametrize("call", CALLS)
def test_a_masked_array_without_masked_values_is_an_array(call: str) -> None:
    array, _, function = CALLS[call]
    function(masked(array, where=False))
    function(np.ma.array(array))  # which has no mask at all


def test_a_list_of_masked_rows_is_refused() -> None:
    for rows in ([*X[:5], masked(X[5], where=True)], (masked(X[5], where=True),)):
        with pytest.raises(ValueError, match="forward: X has masked values"):
            network().forward(rows)
    with pytest.raises(ValueError, match="forward: X has masked values"):
        network().forward([0.0, 1.0, np.ma.masked])


def test_an_array_of_objects_with_none_is_refused() -> None:
    with pytest.raises(TypeError, match="X has dtype object; it must be real numbers"):
        network().forward(np.array([[1.0, None, 2.0]], object))
