"""A loss of the user's own, in `fit` and `train_epoch`: what it gets and what it must return.

The core calls `evaluate` for each batch. Validation and L-BFGS pass all rows in each call. The loss
gets copies, so it may change and keep them.
"""

from __future__ import annotations  # the core imports this before it has what _trainable.py needs

from typing import TYPE_CHECKING, Any

import numpy as np

from fastmlp._frames import refuse_masked

if TYPE_CHECKING:
    from fastmlp._trainable import Array, Data, OwnLoss, Trainable

RULE = "it must return (value, dY): a number, and its gradient with respect to Y"


def evaluate(loss: OwnLoss, y: Array, rows: Array, Y: Array) -> tuple[float, Array]:
    """Return the loss of these rows of y, and its gradient in the shape and dtype of Y."""
    return _computed(loss, Y, y[rows])


def mean_loss(network: Trainable, loss: OwnLoss, data: Data) -> float:
    """Return the loss of all rows."""
    return _computed(loss, network.forward(data.X), data.y.copy())[0]


def loss_and_gradients(network: Trainable, loss: OwnLoss, data: Data) -> float:
    """Return the loss of all rows; its gradient is in `network.gradients`."""
    value, dY = _computed(loss, network.forward(data.X), data.y.copy())
    network.backward(data.X, dY)
    return value


def _computed(loss: OwnLoss, Y: Array, y: Array) -> tuple[float, Array]:
    """Return the loss, and its gradient in the shape and dtype of Y, (m, n_out).

    With one output, the loss gets vectors: the difference of (m, 1) and (m,) would be (m, m).
    """
    given = Y[:, 0] if Y.shape[1] == 1 else Y
    answer: Any = loss(given, y[:, 0] if given.ndim == 1 and y.shape[1:] == (1,) else y)
    try:
        value, gradient = answer
        number, dY = float(value), np.asarray(gradient)
    except (TypeError, ValueError):
        raise TypeError(f"loss: it returned {answer!r:.200}; {RULE}") from None
    if dY.dtype.kind not in "biuf":
        raise TypeError(f"loss: it returned a dY of dtype {dY.dtype}; it must be real numbers")
    refuse_masked("loss: dY", gradient)
    if dY.shape not in (given.shape, Y.shape):
        raise ValueError(
            f"loss: it returned a dY of shape {dY.shape}; it must have the shape of Y, "
            f"{given.shape}"
        )
    with np.errstate(all="ignore"):  # the loop over epochs reports non-finite values
        return number, np.ascontiguousarray(dY.reshape(Y.shape), Y.dtype)


def targets(function: str, loss: OwnLoss, y: Any, rows: int) -> Array:
    """Return y as an array, after a check of the loss, which alone knows what its values mean."""
    checked_loss(function, loss)
    refuse_masked(f"{function}: y", y)
    found = np.asarray(y)
    if found.shape[:1] != (rows,):
        raise ValueError(
            f"{function}: y has shape {found.shape}; it must have {rows} rows, as X has"
        )
    return found


def checked_loss(function: str, loss: Any) -> OwnLoss | None:
    """Return the loss; refuse what cannot be called."""
    if loss is None or callable(loss):
        checked: OwnLoss | None = loss
        return checked
    raise TypeError(
        f"{function}: loss is {loss!r}; it must be callable as loss(Y, y). A loss of the library "
        "is an argument of the network: Network(..., loss='huber')"
    )
