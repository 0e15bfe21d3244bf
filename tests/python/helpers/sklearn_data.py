"""Small data sets and pairs of estimators for the tests of fastmlp.sklearn."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")

import sklearn.neural_network as theirs
from sklearn.datasets import (
    make_classification,
    make_multilabel_classification,
    make_regression,
)

import fastmlp.sklearn as ours

Data = tuple[np.ndarray, np.ndarray]


def standardised(y: np.ndarray) -> np.ndarray:
    return (y - y.mean(axis=0)) / y.std(axis=0)


def counts() -> Data:
    rng = np.random.RandomState(0)
    X = rng.normal(size=(300, 10))
    return X, rng.poisson(np.exp(0.3 * X[:, 0] - 0.2 * X[:, 1])).astype(float)


# For each task the name of the estimator, what it is made with, and the data.
TASKS: dict[str, tuple[str, dict[str, Any], Callable[[], Data]]] = {
    "binary": ("MLPClassifier", {}, lambda: make_classification(300, 10, random_state=0)),
    "multiclass": (
        "MLPClassifier",
        {},
        lambda: make_classification(300, 10, n_informative=6, n_classes=4, random_state=0),
    ),
    "multilabel": (
        "MLPClassifier",
        {},
        lambda: make_multilabel_classification(300, 10, n_classes=4, random_state=0),
    ),
    "regression": (
        "MLPRegressor",
        {},
        lambda: _regression(1),
    ),
    "several outputs": ("MLPRegressor", {}, lambda: _regression(3)),
    "poisson": ("MLPRegressor", {"loss": "poisson"}, counts),
}


SMALL = {"hidden_layer_sizes": (12, 7), "random_state": 3}


def _regression(n_targets: int) -> Data:
    X, y = make_regression(300, 10, n_targets=n_targets, noise=1.0, random_state=0)
    return X, standardised(y)


@cache
def data_of(task: str) -> Data:
    return TASKS[task][2]()


def mine(task: str, **parameters: Any) -> Any:
    """Our estimator for a task, not fitted."""
    name, own, _ = TASKS[task]
    return getattr(ours, name)(**{**SMALL, **own, **parameters})


def pair(task: str, **parameters: Any) -> tuple[Any, Any]:
    """The same estimator of scikit-learn's and of ours, not fitted."""
    name, own, _ = TASKS[task]
    theirs_made = getattr(theirs, name)(**{**SMALL, **own, **parameters})
    return theirs_made, mine(task, **parameters)


def largest_difference(a: Any, b: Any) -> float:
    """Of coefs_ and intercepts_, each relative to the largest element of its array."""
    arrays = zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True)
    return max(float(np.abs(p - q).max() / np.abs(p).max()) for p, q in arrays)
