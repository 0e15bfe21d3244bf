"""Weights of the classes, for `fit` and for the estimators. Start at `weights_by_class`."""

import math
from typing import Any

import numpy as np

from fastmlp._trainable import Array, Data, Trainable, require_not_negative


def weights_by_class(network: Trainable, class_weight: Any, data: Data) -> Array | None:
    """Return the weights of the rows, multiplied by those of their classes.

    Parameters
    ----------
    network : Network
        With one sigmoid output or softmax.
    class_weight : dict, "balanced" or None
        A class that the dict does not have gets 1. "balanced" gives every class in y the same
        total weight.
    data : Data
        Rows to train on.

    Returns
    -------
    ndarray of float64, shape (m,), or None
        None if all rows have the weight 1.
    """
    if class_weight is None:
        return data.sample_weight
    numbers = _class_numbers(network, class_weight, data.y)
    if isinstance(class_weight, dict):
        check_class_weight("fit", class_weight)
        classes = max(network.layers[-1], 2)
        if unknown := [label for label in class_weight if label not in range(classes)]:
            raise ValueError(
                f"fit: class_weight has {unknown[0]!r}; its keys must be class numbers, from 0 to "
                f"{classes - 1}"
            )
        weights = np.array([class_weight.get(label, 1.0) for label in range(classes)], np.float64)
        return weights_of_rows(weights[numbers], data.sample_weight)
    if not (isinstance(class_weight, str) and class_weight == "balanced"):
        raise ValueError(
            f"fit: class_weight is {class_weight!r}; it must be 'balanced' or a dict such as "
            "{0: 1.0, 1: 5.0}"
        )
    present, places = np.unique(numbers, return_inverse=True)
    totals = np.bincount(places, data.sample_weight).astype(np.float64)
    with np.errstate(divide="ignore"):  # the rows of a class may all have weight 0
        weights = math.fsum(totals.tolist()) / (len(present) * totals)
    return weights_of_rows(weights[places], data.sample_weight)


def _class_numbers(network: Trainable, class_weight: Any, y: Array) -> Array:
    """Return the class of each row; refuse outputs that have none."""
    rule = f"fit: class_weight is {class_weight!r}"
    labels = network._labels
    if labels == "largest":
        return y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.ravel().astype(np.int64)
    if labels is None or network.layers[-1] > 1:
        what = "several outputs" if labels else f"the output {network.output!r}"
        raise ValueError(
            f"{rule} and the network has {what}; it is for rows of one class each: softmax, or one "
            "sigmoid output. Weight the rows by sample_weight"
        )
    numbers: Array = y.ravel().astype(np.int64)
    if not np.array_equal(numbers, y.ravel()):
        row = int(np.argmax(numbers != y.ravel()))
        raise ValueError(f"{rule} and y[{row}] is {y.ravel()[row]}; it must be 0 or 1")
    return numbers


def check_class_weight(function: str, class_weight: Any) -> None:
    """Refuse weights of classes that no loss can be computed with."""
    for label, weight in class_weight.items() if isinstance(class_weight, dict) else ():
        require_not_negative(function, f"class_weight of {label!r}", weight)


def weights_of_rows(by_class: Array, sample_weight: Array | None) -> Array:
    """Return the weight of each row's class times the row's own weight."""
    if sample_weight is None:
        return by_class
    # A class whose rows all have weight 0 may have the weight infinity, and ∞ · 0 is NaN.
    zeros = np.zeros(len(by_class))
    product: Array = np.multiply(by_class, sample_weight, out=zeros, where=sample_weight != 0)
    return product
