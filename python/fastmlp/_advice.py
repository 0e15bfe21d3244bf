"""What to do about data that a network cannot learn from: the second halves of `fit`'s messages.

All of this is looked at only if a check or the training has failed, or the first epoch has a loss
that no sensible answer has. Start at `about_targets` and `about_scales`.
"""

import math
from collections.abc import Sequence

import numpy as np

from fastmlp._trainable import Array, Data, Trainable

# The loss of the first epoch is absurd if it is this many times that of the best constant answer.
ABSURD = 100.0
# No loss up to this is looked at, so that a fit of good data computes nothing more: it is that of
# two classes. Only regressions of small targets have smaller ones.
LEAST_ABSURD = ABSURD * math.log(2)
# So many rows tell whether a loss may be absurd.
SAMPLE = 1000
# Columns differ in scale if the largest value of one is this many times that of another.
DIFFERENT = 1000.0
# Larger whole numbers are no class numbers.
MOST_CLASSES = 10000
# Targets of a regression up to this size train well at the usual learning rates.
LARGE_TARGETS = 1000.0


def about_targets(network: Trainable, y: Array) -> str | None:
    """Say how this network, or another one, could take these targets; None if nothing is known."""
    if y.size == 0 or y.ndim not in (1, 2):
        return None
    units, columns = network.layers[-1], y.shape[1] if y.ndim == 2 else 1
    if columns > 1:
        if network.output != "softmax" and _is_one_hot(y):
            return f"y holds one-hot rows: {_softmax(network, columns)} takes them"
        return f"give the last layer {_units(columns)}" if columns != units else None
    low, high = float(y.min()), float(y.max())
    whole = bool(np.all(y == np.floor(y)))
    is_classes = whole and low >= 0 and 1 < high < MOST_CLASSES
    if network.output in ("identity", "exp") and low >= 0 and not (is_classes and units > 1):
        return f"give the last layer {_units(1)}" if units > 1 else None
    if not whole or high >= MOST_CLASSES:
        return "output='identity' is for such numbers"
    if low < 0:
        two = set(np.unique(y).tolist()) == {-1.0, 1.0}
        return "y holds -1 and 1: give y > 0" if two else "output='identity' is for such numbers"
    if high <= 1:
        return f"y holds 0 and 1: give the last layer {_units(1)}" if units > 1 else None
    if low == 1 and high == 2 and network.output == "sigmoid":
        return "y holds 1 and 2: give y - 1"
    held, taken = f"y holds the class numbers {low:.0f} … {high:.0f}", "them"
    if low == 1:  # which must begin at 0
        high, taken = high - 1, "y - 1"
    if network.output == "softmax" and units == high + 1:
        return f"{held}: give {taken}"
    amounts = "" if network.output == "softmax" else "; for a regression use output='identity'"
    return f"{held}: {_softmax(network, int(high) + 1)} takes {taken}{amounts}"


def _units(number: int) -> str:
    return "1 unit" if number == 1 else f"{number} units"


def _is_one_hot(y: Array) -> bool:
    return bool(((y == 0) | (y == 1)).all() and ((y == 1).sum(axis=1) == 1).all())


def _softmax(network: Trainable, classes: int) -> str:
    layers = [*network.layers[:-1], classes]
    return f"output='softmax', as in Network({layers}, output='softmax'),"


def about_scales(network: Trainable, data: Data, names: Sequence[str] | None) -> str | None:
    """Name the columns whose scales differ too much to train on; None if they do not."""
    largest = np.array([_magnitude(column) for column in data.X.T])
    used = np.flatnonzero(largest > 0)
    parts = []
    if used.size:
        low, high = used[largest[used].argmin()], used[largest[used].argmax()]
        if largest[high] > DIFFERENT * largest[low]:
            parts.append(
                f"{_column(high, names)} has values of up to {largest[high]:.3g} and "
                f"{_column(low, names)} of up to {largest[low]:.3g}"
            )
    if network.output == "identity" and data.y is not None:
        targets = _magnitude(data.y)
        if targets > LARGE_TARGETS:
            parts.append(f"y has values of up to {targets:.3g}")
    if not parts:
        return None
    return f"{', and '.join(parts)}: fit(..., standardize=True) scales them"


def _magnitude(values: Array) -> float:
    return max(float(values.max()), -float(values.min()))


def _column(number: int, names: Sequence[str] | None) -> str:
    return f"column {names[number]!r} of X" if names else f"column {number} of X"


def is_absurd(network: Trainable, loss: float, data: Data) -> bool:
    """Whether the loss of an epoch is far above that of the best constant answer."""
    if network._labels is not None:
        # A constant answer of equal probabilities has this loss, whatever the targets are.
        classes = network.layers[-1]
        most = math.log(classes) if network._labels == "largest" else classes * math.log(2)
        return loss > ABSURD * most
    if network.loss_name is not None:  # what a constant answer would cost is not known
        return False
    # A few rows tell nearly always that the loss is not absurd.
    if loss <= ABSURD * _constant_loss(network, data, -(-len(data.y) // SAMPLE)):
        return False
    return 0 < ABSURD * _constant_loss(network, data, 1) < loss  # 0 if the targets are constant


def _constant_loss(network: Trainable, data: Data, step: int) -> float:
    """Return about the loss of the best constant answer for every step-th row of a regression."""
    y = data.y[::step].astype(np.float64)
    y = y.reshape(len(y), -1)
    if data.sample_weight is not None:
        rows = np.flatnonzero(data.sample_weight[::step])
        weight = data.sample_weight[::step][rows, np.newaxis]
        y, weight = y[rows], weight / (weight.mean() if len(rows) else 1.0)
    else:
        weight = np.ones((1, 1))
    if len(y) == 0:
        return 0.0
    with np.errstate(all="ignore"):
        mean = (weight * y).mean(axis=0)
        if network.output == "identity":
            losses = (y - mean) ** 2 / 2
        else:
            losses = y * np.log(np.where(y > 0, y, 1) / np.where(mean > 0, mean, 1))
        return float((weight * losses).mean(axis=0).sum())


def too_large(network: Trainable, data: Data) -> str | None:
    """Say what makes the loss before training infinite or NaN; None if that loss is finite."""
    if math.isfinite(network.loss(*data)):
        return None
    y, outputs = np.abs(data.y).max(), np.abs(network.forward(data.X)).max()
    what = f"y, with values of up to {y:.3g}, is"
    if not outputs <= y:  # or the outputs are NaN
        what = f"the outputs, with values of up to {outputs:.3g}, are"
    return (
        f"its loss is not finite even without training: {what} too "
        f"large for {network.dtype}; scale {'y' if outputs <= y else 'X or the parameters'}"
        + (", or use dtype='float64'" if network.dtype == np.float32 else "")
    )
