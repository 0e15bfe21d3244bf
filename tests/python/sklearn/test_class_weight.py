"""`class_weight` of MLPClassifier has scikit-learn's meaning of the parameter."""

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from sklearn_data import data_of, largest_difference, mine

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer. Maximum iterations"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge"),
    pytest.mark.filterwarnings("ignore:scipy.optimize. The .disp."),
]


def fitted(
    X: Any, y: Any, sample_weight: Any = None, task: str = "binary", **parameters: Any
) -> Any:
    return mine(task, **{"max_iter": 3, **parameters}).fit(X, y, sample_weight)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_balanced_classes_have_the_same_total_of_sample_weight(task: str, solver: str) -> None:
    X, y = data_of(task)
    names = np.array(["d", "a", "c", "b"])[y]
    weight = np.random.RandomState(0).uniform(0.1, 3.0, len(y))
    classes = np.unique(names)
    factors = compute_class_weight("balanced", classes=classes, y=names, sample_weight=weight)
    by_row = weight * factors[np.searchsorted(classes, names)]
    balanced = fitted(X, names, weight, class_weight="balanced", solver=solver)
    assert largest_difference(balanced, fitted(X, names, by_row, solver=solver)) == 0
    totals = [by_row[names == name].sum() for name in classes]
    np.testing.assert_allclose(totals, totals[0])


def test_the_weights_are_those_of_compute_class_weight() -> None:
    X, y, weight = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1], [3.0, 1.0, 1.0, 1.0]
    estimator = fitted(X, y, weight, class_weight="balanced")
    rows = estimator._row_weights(np.array(y)[:, None], np.array(weight))
    np.testing.assert_array_equal(rows, np.array([0.75, 0.75, 1.5, 1.5]) * weight)


def test_a_class_whose_rows_all_have_weight_0_counts_for_nothing() -> None:
    X, y = data_of("multiclass")
    weight = np.where(y == 2, 0.0, 1.0)
    balanced = fitted(X, y, weight, class_weight="balanced")
    counts = np.bincount(y[y != 2], minlength=4)
    by_row = np.where(y == 2, 0.0, counts.sum() / (4 * np.maximum(counts, 1))[y])
    assert largest_difference(balanced, fitted(X, y, by_row)) < 1e-12


def test_balanced_multilabel_targets_are_weighted_by_column() -> None:
    X, y = data_of("multilabel")
    balanced = fitted(X, y, task="multilabel", class_weight="balanced")
    by_row = fitted(X, y, compute_sample_weight("balanced", y), task="multilabel")
    assert largest_difference(balanced, by_row) == 0
    twice = np.where(np.arange(len(y)) < 50, 2.0, 1.0)
    weighted = balanced._row_weights(y, twice)
    repeated = balanced._row_weights(np.concatenate([y, y[:50]]), None)
    np.testing.assert_allclose(weighted, twice * repeated[: len(y)])


@pytest.mark.parametrize("class_weight", [{0: 3.0}, {0: 3.0, 1: 0.5}, {1: 2.0}, {}])
def test_a_batch_may_lack_a_class(class_weight: Any) -> None:
    X, y = data_of("multiclass")
    classes = np.unique(y)
    by_class, by_row = mine("multiclass", class_weight=class_weight), mine("multiclass")
    model = SGDClassifier(class_weight=class_weight)
    for batch in (y == 1, y != 0, y >= 0):
        by_class.partial_fit(X[batch], y[batch], classes=classes)
        model.partial_fit(X[batch], y[batch], classes=classes)
        weight = np.array([class_weight.get(c, 1.0) for c in y[batch]])
        by_row.partial_fit(X[batch], y[batch], weight, classes=classes)
        assert largest_difference(by_class, by_row) == 0


def test_a_class_weight_for_an_unknown_class_is_refused_as_by_scikit_learn() -> None:
    X, y = data_of("multiclass")
    with pytest.raises(
        ValueError, match=r"The classes, \[.*\], are not in class_weight"
    ) as refused:
        fitted(X, y, class_weight={0: 1.0, 7: 2.0})
    with pytest.raises(ValueError, match=r".") as expected:
        SGDClassifier(class_weight={0: 1.0, 7: 2.0}).fit(X, y)
    assert str(refused.value) == str(expected.value)


def test_a_dict_for_multilabel_targets_is_refused_with_a_way_out() -> None:
    X, y = data_of("multilabel")
    estimator = mine("multilabel", class_weight={0: 1.0, 1: 2.0})
    for fit in (estimator.fit, lambda X, y: estimator.partial_fit(X, y, classes=range(4))):
        with pytest.raises(ValueError, match=r"y is multilabel.*Use class_weight='balanced', or"):
            fit(X, y)
    assert not hasattr(estimator, "coefs_")


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize(
    ("class_weight", "sample_weight", "message"),
    [
        ({0: -1, 1: 1}, None, "MLPClassifier: class_weight of 0 is -1; it must be finite and at"),
        ({0: 1, 1: np.nan}, None, "MLPClassifier: class_weight of 1 is nan"),
        ({0: 1, 1: np.inf}, None, "MLPClassifier: class_weight of 1 is inf"),
        ({0: 1, 1: "2"}, None, "MLPClassifier: class_weight of 1 is '2'"),
        ({0: 0, 1: 0}, None, "all rows have weight 0"),
        ({0: 0, 1: 1}, [1.0, 1.0, 0.0, 0.0], "all rows have weight 0"),
        (None, [1.0, 1.0, -2.0, 0.0], r"MLPClassifier: sample_weight\[2\] is -2.0; weights must"),
    ],
)
def test_weights_that_make_no_loss_are_refused(
    solver: str, class_weight: Any, sample_weight: Any, message: str
) -> None:
    X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    with pytest.raises(ValueError, match=message):
        fitted(X, y, sample_weight, class_weight=class_weight, solver=solver)


def test_a_batch_of_a_class_without_weight_changes_nothing() -> None:
    estimator = mine("binary", class_weight={0: 0, 1: 1})
    estimator.partial_fit([[0.0], [1.0]], [1, 1], classes=[0, 1])
    estimator.partial_fit([[2.0], [3.0]], [0, 0])
    assert estimator.loss_ == 0
