"""`schedule` of the estimators, where their warnings point, and the time of one row."""

import timeit
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.validation import validate_data

import fastmlp
from fastmlp.schedules import Cosine, Plateau, StepDecay
from sklearn_data import data_of, largest_difference, mine, pair

no_convergence = pytest.mark.filterwarnings("ignore:Stochastic Optimizer. Maximum iterations")


def fitted(task: str = "binary", **parameters: Any) -> Any:
    return mine(task, **{"max_iter": 4, **parameters}).fit(*data_of(task))


# Schedules


@no_convergence
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_a_schedule_gives_the_rate_of_each_epoch(solver: str) -> None:
    asked: list[Any] = []

    def schedule(epoch: int, rate: float, logs: Any) -> float:
        asked.append((epoch, rate, logs))
        return rate / (1 + epoch)

    parameters: dict[str, Any] = {"solver": solver, "learning_rate_init": 0.01, "shuffle": False}
    estimator = fitted(schedule=schedule, **parameters)
    assert [(epoch, rate) for epoch, rate, _ in asked] == [(e, 0.01) for e in range(5)]
    assert [logs and logs["loss"] for *_, logs in asked] == [None, *estimator.loss_curve_]
    assert estimator._optimizer.native.learning_rate == 0.01

    by_hand = mine("binary", **parameters)
    X, y = data_of("binary")
    for epoch in range(4):  # partial_fit is an epoch with the rate that the estimator has
        if epoch:
            by_hand._optimizer.native.learning_rate = 0.01 / (1 + epoch)
        by_hand.partial_fit(X, y, **({} if epoch else {"classes": np.unique(y)}))
    assert largest_difference(estimator, by_hand) == 0


@no_convergence
def test_without_effect_a_schedule_changes_nothing() -> None:
    constant = fitted(schedule=lambda epoch, rate, logs: rate)
    assert largest_difference(constant, fitted()) == 0


@no_convergence
def test_epochs_are_counted_over_warm_starts_and_partial_fits() -> None:
    X, y = data_of("binary")
    whole = fitted(schedule=StepDecay(3), max_iter=6, shuffle=False)
    parts = mine("binary", schedule=StepDecay(3), shuffle=False)
    for _ in range(6):
        parts.partial_fit(X, y, classes=np.unique(y))
    assert largest_difference(whole, parts) == 0
    asked: list[int] = []
    warm = mine(
        "binary",
        schedule=lambda epoch, rate, logs: asked.append(epoch) or rate,
        max_iter=2,
        warm_start=True,
    )
    for _ in range(3):
        warm.fit(X, y)
    assert asked == [0, 1, 2, 2, 3, 4, 4, 5, 6]


@no_convergence
def test_a_schedule_is_told_the_validation_loss_if_there_is_one() -> None:
    X, y = data_of("binary")
    told: list[Any] = []
    estimator = mine("binary", max_iter=2, schedule=lambda e, rate, logs: told.append(logs) or rate)
    estimator.fit(X[:200], y[:200], eval_set=(X[200:], y[200:]))
    assert [logs["val_loss"] for logs in told[1:]] == estimator.validation_loss_curve_


@no_convergence
def test_a_plateau_of_a_clone_starts_anew() -> None:
    estimator = fitted(schedule=Plateau(0.5, 0, min_delta=10.0))
    again = clone(estimator).fit(*data_of("binary"))
    assert largest_difference(estimator, again) == 0


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"solver": "lbfgs"}, ValueError, "schedule is for the solvers 'sgd' and 'adam', not 'lb"),
        (
            {"solver": "sgd", "learning_rate": "adaptive"},
            ValueError,
            "learning_rate is 'adaptive', which changes the rate too",
        ),
        ({"schedule": Cosine}, TypeError, r"schedule is <class .*Cosine'>; it must be callable as"),
        ({"schedule": 0.1}, ValueError, "The 'schedule' parameter of MLPClassifier must be a call"),
        ({"schedule": lambda *args: -1.0}, ValueError, "schedule gave -1.0 as the learning rate"),
    ],
)
def test_a_schedule_that_cannot_be_used_is_refused(
    parameters: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        fitted(**{"schedule": Cosine(3), **parameters})


# Warnings


def test_warnings_point_at_the_caller() -> None:
    X, y = data_of("binary")
    with pytest.warns(ConvergenceWarning, match="Maximum iterations") as seen:
        mine("binary", max_iter=1).fit(X, y)
    assert seen[0].filename == __file__
    search = GridSearchCV(mine("binary", max_iter=1), {"alpha": [0.1]}, cv=2)
    with pytest.warns(ConvergenceWarning) as seen:
        search.fit(X, y)
    assert {warning.filename for warning in seen} == {__file__}


def test_filters_for_the_module_of_scikit_learn_apply_to_warnings() -> None:
    X, y = data_of("binary")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module="sklearn")
        mine("binary", max_iter=1).fit(X, y)


# One row


@no_convergence
@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel", "regression"])
def test_labels_are_those_of_scikit_learn(task: str) -> None:
    X, y = data_of(task)
    if task in ("binary", "multiclass"):
        y = np.array(["d", "a", "c", "b"])[y]
    theirs, own = (estimator.fit(X, y) for estimator in pair(task, max_iter=3))
    for rows in (X, X[:1]):
        expected, found = theirs.predict(rows), own.predict(rows)
        assert found.dtype == expected.dtype
        if task == "regression":
            np.testing.assert_allclose(found, expected, rtol=1e-6)
        else:
            np.testing.assert_array_equal(found, expected)


@no_convergence
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_one_row_takes_a_part_of_the_time_of_its_validation_by_scikit_learn(task: str) -> None:
    fastmlp.set_num_threads(1)  # the tests share also the smallest work between threads
    estimator, row = fitted(task), data_of(task)[0][:1].copy()
    times = {
        name: min(timeit.repeat(call, number=20, repeat=15))
        for name, call in {
            "predict": lambda: estimator.predict(row),
            "validation": lambda: validate_data(estimator, row, reset=False),
        }.items()
    }
    assert times["predict"] < 0.25 * times["validation"], times  # 0.05 on an idle machine


def test_an_estimator_that_is_not_fitted_says_so() -> None:
    with pytest.raises(NotFittedError):
        mine("binary").predict([[0.0]])
