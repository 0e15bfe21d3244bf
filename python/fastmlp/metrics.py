"""Scores of a network's outputs, for `fit(metrics=[...])` and to call directly.

Each function takes the targets and the outputs of `forward` and returns a float. Rows count
equally. Sums are exact (`math.fsum`), so that a callback that acts on a score does the same on
every machine.
"""

from __future__ import annotations  # annotations alone must not import numpy.random

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp._float_mode import in_default_float_mode
from fastmlp._frames import refuse_masked

__all__ = ["accuracy", "balanced_accuracy", "log_loss", "mae", "r2", "rmse", "roc_auc"]

Array = npt.NDArray[Any]
Metric = Callable[[Any, Any], float]


@in_default_float_mode
def accuracy(y: npt.ArrayLike, outputs: npt.ArrayLike) -> float:
    """Return the share of the rows whose predicted labels are right.

    Parameters
    ----------
    y : array_like of shape (m,) or (m, n_out)
        0 or 1 for each sigmoid output, or for softmax the class numbers (m,).
    outputs : array_like of shape (m,) or (m, n_out)
        Probabilities. A label is 1 if its probability is at least 0.5; with softmax it is the
        class of the highest probability.

    Returns
    -------
    float
        With several sigmoid outputs a row is right if all of its labels are.

    Examples
    --------
    >>> from fastmlp.metrics import accuracy
    >>> accuracy([0, 1, 1, 1], [0.1, 0.8, 0.4, 0.9])
    0.75
    """
    targets, values = _pair("accuracy", y, outputs)
    if targets.ndim == 1:
        right = values.argmax(axis=1) == targets
    else:
        right = ((values >= 0.5) == (targets >= 0.5)).all(axis=1)
    return int(np.count_nonzero(right)) / len(right)


@in_default_float_mode
def balanced_accuracy(y: npt.ArrayLike, outputs: npt.ArrayLike) -> float:
    """Return the mean, over the classes in y, of the share of rows that are right.

    Parameters
    ----------
    y : array_like of shape (m,) or (m, 1)
        0 or 1 for one sigmoid output, or for softmax the class numbers (m,).
    outputs : array_like of shape (m,) or (m, n_out)
        Probabilities.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If there are several sigmoid outputs.

    Examples
    --------
    >>> from fastmlp.metrics import balanced_accuracy
    >>> balanced_accuracy([0, 1, 1, 1], [0.9, 0.8, 0.7, 0.9])
    0.5
    """
    targets, values = _pair("balanced_accuracy", y, outputs)
    if targets.ndim == 1:
        predicted = values.argmax(axis=1)
    elif targets.shape[1] == 1:
        predicted, targets = values[:, 0] >= 0.5, targets[:, 0] >= 0.5
    else:
        raise ValueError("balanced_accuracy: outputs has several sigmoid outputs; give one")
    shares = []
    for label in np.unique(targets):
        of_class = predicted[targets == label]
        shares.append(int(np.count_nonzero(of_class == label)) / len(of_class))
    return math.fsum(shares) / len(shares)


@in_default_float_mode
def log_loss(y: npt.ArrayLike, outputs: npt.ArrayLike) -> float:
    """Return the mean cross-entropy of the probabilities, summed over the outputs.

    Parameters
    ----------
    y : array_like of shape (m,) or (m, n_out)
        As for `accuracy`; in [0, 1] for sigmoid outputs.
    outputs : array_like of shape (m,) or (m, n_out)
        Probabilities. They are clipped to [eps, 1 - eps], with the machine epsilon of their dtype.

    Returns
    -------
    float

    Examples
    --------
    >>> from fastmlp.metrics import log_loss
    >>> round(log_loss([0, 1], [0.5, 0.5]), 4)
    0.6931
    """
    targets, values = _pair("log_loss", y, outputs)
    given = np.asarray(outputs).dtype
    eps = float(np.finfo(given if given.kind == "f" else np.float64).eps)
    p = np.clip(values, eps, 1 - eps)
    if targets.ndim == 1:
        losses = -np.log(p[np.arange(len(p)), targets.astype(np.int64)])
    else:
        losses = -(targets * np.log(p) + (1 - targets) * np.log(1 - p))
    return math.fsum(losses.ravel().tolist()) / len(p)


@in_default_float_mode
def roc_auc(y: npt.ArrayLike, outputs: npt.ArrayLike) -> float:
    """Return the area under the ROC curve.

    Parameters
    ----------
    y : array_like of shape (m,) or (m, n_out)
        As for `accuracy`.
    outputs : array_like of shape (m,) or (m, n_out)
        Probabilities or other scores.

    Returns
    -------
    float
        The probability that a row with the label 1 has a higher score than one with 0; equal scores
        count one half. With several sigmoid outputs it is the plain mean of one area for each. With
        softmax it is the plain mean of one area for each class, which compares the scores of the
        class in its rows and in all others: scikit-learn's `multi_class="ovr", average="macro"`. An
        output or class without rows of both kinds is left out; NaN if none is left.

    Examples
    --------
    >>> from fastmlp.metrics import roc_auc
    >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    targets, values = _pair("roc_auc", y, outputs)
    areas = []
    for column in range(values.shape[1]):
        positive = targets == column if targets.ndim == 1 else targets[:, column] >= 0.5
        above, below = int(np.count_nonzero(positive)), int(np.count_nonzero(~positive))
        if above and below:
            rank_sum = math.fsum(_ranks(values[:, column])[positive].tolist())
            areas.append((rank_sum - above * (above + 1) / 2) / (above * below))
    return math.fsum(areas) / len(areas) if areas else math.nan


def _ranks(values: Array) -> Array:
    """Return the rank of each value, from 1; equal values have the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Array = (last - (counts - 1) / 2)[place]
    return ranks


@in_default_float_mode
def mae(y: npt.ArrayLike, outputs: npt.ArrayLike) -> float:
    """Return the mean absolute error, over all outputs.

    Parameters
    ----------
    y, outputs : array_like of shape (m,) or (m, n_out)
        The targets and what was predicted.

    Returns
    -------
    float

    Examples
    --------
    >>> from fastmlp.metrics import mae
    >>> mae([1.0, 2.0], [1.5, 3.0])
    0.75
    """
    errors = np.abs(_errors("mae", y, outputs))
    return math.fsum(errors.ravel().tolist()) / errors.size


@in_default_float_mode
def rmse(y: npt.ArrayLike, outputs: npt.ArrayLike) -> float:
    """Return the root of the mean squared error, over all outputs.

    Parameters
    ----------
    y, outputs : array_like of shape (m,) or (m, n_out)
        The targets and what was predicted.

    Returns
    -------
    float

    Examples
    --------
    >>> from fastmlp.metrics import rmse
    >>> rmse([1.0, 2.0], [4.0, 6.0]) == 12.5**0.5
    True
    """
    errors = _errors("rmse", y, outputs)
    return math.sqrt(math.fsum((errors * errors).ravel().tolist()) / errors.size)


@in_default_float_mode
def r2(y: npt.ArrayLike, outputs: npt.ArrayLike) -> float:
    """Return R², the share of the variance of y that the outputs explain.

    Parameters
    ----------
    y, outputs : array_like of shape (m,) or (m, n_out)
        The targets and what was predicted.

    Returns
    -------
    float
        At most 1; with several outputs the mean of theirs. For an output whose targets are all
        equal it is 1 if all predictions are right, else 0.

    Examples
    --------
    >>> from fastmlp.metrics import r2
    >>> r2([1.0, 2.0, 3.0], [1.0, 2.0, 2.0])
    0.5
    """
    errors = _errors("r2", y, outputs)
    targets = errors + _pair("r2", y, outputs)[1]
    scores = []
    for target, error in zip(targets.T, errors.T, strict=True):
        deviations = target - math.fsum(target.tolist()) / len(target)
        total = math.fsum((deviations * deviations).tolist())
        left = math.fsum((error * error).tolist())
        scores.append(1 - left / total if total else float(left == 0))
    return math.fsum(scores) / len(scores)


def _errors(function: str, y: npt.ArrayLike, outputs: npt.ArrayLike) -> Array:
    """Return y - outputs, as float64 of shape (m, n_out)."""
    targets, values = _pair(function, y, outputs)
    if targets.ndim == 1:
        raise _other_shape(function, y, outputs)
    difference: Array = targets - values
    return difference


def _pair(function: str, y: npt.ArrayLike, outputs: npt.ArrayLike) -> tuple[Array, Array]:
    """Return both as float64, outputs as (m, n_out).

    The targets have the same shape or, if they are class numbers, the shape (m,).
    """
    refuse_masked(f"{function}: y", y)
    refuse_masked(f"{function}: outputs", outputs)
    targets, values = np.asarray(y, np.float64), np.asarray(outputs, np.float64)
    if values.ndim == 1:
        values = values[:, np.newaxis]
    if targets.ndim == 2 and targets.shape[1] == 1 and values.shape[1:] != (1,):
        targets = targets[:, 0]
    elif targets.ndim == 1 and values.shape[1:] == (1,):
        targets = targets[:, np.newaxis]
    if values.ndim != 2 or values.size == 0 or targets.shape not in (values.shape, (len(values),)):
        raise _other_shape(function, y, outputs)
    return targets, values


def _other_shape(function: str, y: npt.ArrayLike, outputs: npt.ArrayLike) -> ValueError:
    return ValueError(
        f"{function}: y has shape {np.shape(y)} and outputs has shape {np.shape(outputs)}; they "
        "must have the same rows and the same columns, or y must be class numbers of shape (m,)"
    )
