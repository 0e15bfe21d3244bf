"""Small data sets and pairs of estimators for the tests of fastmlp.sklearn."""

from collections.abc import Callable, Iterable
from functools import cache
from itertools import product
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


def combinations(*axes: Iterable[Any]) -> list[Any]:
    """All combinations of the axes as parameters of a test, most of them marked `sweep`.

    By default a test runs, for each combination of the other axes, with one value of the last axis:
    the next value for each combination.
    """
    lists = [list(axis) for axis in axes]
    found = []
    for places in product(*(range(len(values)) for values in lists)):
        *others, last = places
        kept = sum(others) % len(lists[-1]) == last
        values = [axis[place] for axis, place in zip(lists, places, strict=True)]
        found.append(pytest.param(*values, marks=[] if kept else [pytest.mark.sweep]))
    return found


def standardised(y: np.ndarray) -> np.ndarray:
    return (y - y.mean(axis=0)) / y.std(axis=0)


def counts() -> Data:
    rng = np.random.RandomState(0)
    X = rng.normal(size=(300, 10))
    return X, rng.poisson(np.exp(0.3 * X[:, 0] - 0.2 * X[:, 1])).astype(float)


# For each task: the name of the estimator, its own parameters, and the data.
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
    """scikit-learn's estimator and ours with the same parameters, not fitted."""
    name, own, _ = TASKS[task]
    theirs_made = getattr(theirs, name)(**{**SMALL, **own, **parameters})
    return theirs_made, mine(task, **parameters)


def largest_difference(a: Any, b: Any) -> float:
    """The largest difference in coefs_ and intercepts_, relative to its array's largest element."""
    arrays = zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True)
    return max(float(np.abs(p - q).max() / np.abs(p).max()) for p, q in arrays)
