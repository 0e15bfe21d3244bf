"""A subclass that overrides a private method of scikit-learn is obeyed, or refused."""

import functools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.neural_network._multilayer_perceptron import BaseMultilayerPerceptron

import fastmlp
from sklearn_data import ours, theirs
from sweeps import sweep

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:scipy.optimize. The `disp`:DeprecationWarning"),
]

X = np.random.RandomState(0).normal(size=(60, 4))
TARGETS = {
    "MLPClassifier": np.digitize(X[:, 0], [-0.5, 0.5]),
    "MLPRegressor": X[:, :2],
}
SETTINGS = {"hidden_layer_sizes": (6, 5), "max_iter": 3, "random_state": 0}


def counting(cls: Any, calls: Counter) -> Any:
    """A subclass that counts the calls of each private method, and calls it."""

    def counted(name: str, method: Any) -> Any:
        @functools.wraps(method)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            return method(*args, **kwargs)

        return wrapper

    private = {
        name
        for base in (BaseMultilayerPerceptron, theirs.MLPClassifier, theirs.MLPRegressor)
        for name, member in vars(base).items()
        if name[0] == "_" and name[1] != "_" and callable(member) and hasattr(cls, name)
    }
    overridden = {name: counted(name, getattr(cls, name)) for name in private}
    return type("Counting", (cls,), {"__init__": cls.__init__, **overridden})


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.sparse
def test_every_method_that_scikit_learn_calls_is_called(name: str, solver: str) -> None:
    found = []
    for module in (theirs, ours):
        calls: Counter = Counter()
        estimator = counting(getattr(module, name), calls)(solver=solver, **SETTINGS)
        estimator.set_params(early_stopping=solver == "adam")
        estimator.fit(X, TARGETS[name]).predict(X)
        estimator.score(X, TARGETS[name])
        if solver == "adam":
            estimator.set_params(early_stopping=False).fit(X, TARGETS[name])
            estimator.partial_fit(X, TARGETS[name])
        found.append(calls)
    assert found[0].keys() <= found[1].keys()
    for gradient in ("_backprop", "_forward_pass", "_compute_loss_grad"):
        assert found[1][gradient] == found[0][gradient]


def with_small_gradients(cls: Any) -> Any:
    """A subclass that clips the gradients."""

    class Clipping(cls):
        __init__ = cls.__init__

        def _backprop(self, *args: Any) -> Any:
            loss, coef_grads, intercept_grads = super()._backprop(*args)
            return loss, [np.clip(g, 0, 0.01) for g in coef_grads], intercept_grads

    return Clipping


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("early", [False, sweep(True)])
@pytest.mark.sparse
def test_a_subclass_trains_as_scikit_learns_would(name: str, solver: str, early: bool) -> None:
    early = early and solver != "lbfgs"
    mine, expected = (
        with_small_gradients(getattr(module, name))(solver=solver, early_stopping=early, **SETTINGS)
        for module in (ours, theirs)
    )
    for estimator in (mine, expected):
        estimator.fit(X, TARGETS[name])
        if not early and solver != "lbfgs":
            estimator.partial_fit(X, TARGETS[name])
    plain = getattr(ours, name)(solver=solver, early_stopping=early, **SETTINGS)
    assert not np.allclose(mine.coefs_[0], plain.fit(X, TARGETS[name]).coefs_[0])
    for W, theirs_ in zip(mine.coefs_, expected.coefs_, strict=True):
        np.testing.assert_allclose(W, theirs_, rtol=1e-7)
    assert np.shares_memory(mine.network_.weights[0], mine.coefs_[0])
    np.testing.assert_allclose(mine.predict(X), expected.predict(X), rtol=1e-7)


def test_an_override_of_one_object_is_obeyed() -> None:
    estimator = ours.MLPRegressor(**SETTINGS)
    calls = []
    backprop = estimator._backprop
    estimator._backprop = lambda *args: calls.append(1) or backprop(*args)
    estimator.fit(X, X[:, 0])
    assert len(calls) == SETTINGS["max_iter"]


@pytest.mark.parametrize("solver", ["adam", sweep("sgd")])
def test_an_override_goes_on_from_the_native_optimizer_and_back(solver: str) -> None:
    mine, expected = (
        module.MLPRegressor(solver=solver, **SETTINGS).fit(X, X[:, 0]) for module in (ours, theirs)
    )
    for estimator in (mine, expected):
        estimator._forward_pass = type(estimator)._forward_pass.__get__(estimator)
        estimator.partial_fit(X, X[:, 0])
        del estimator._forward_pass
        estimator.partial_fit(X, X[:, 0])
    np.testing.assert_allclose(mine.coefs_[0], expected.coefs_[0], rtol=1e-7)


def test_class_weights_reach_scikit_learns_solver() -> None:
    settings = {**SETTINGS, "class_weight": "balanced"}
    y = X[:, 0] > 1
    mine = with_small_gradients(ours.MLPClassifier)(**settings).fit(X, y)
    share = np.where(y, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    expected = with_small_gradients(theirs.MLPClassifier)(**SETTINGS).fit(X, y, share)
    np.testing.assert_allclose(mine.coefs_[0], expected.coefs_[0], rtol=1e-7)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"activation": "gelu"}, "activation='gelu'"),
        ({"activation": ["relu", "tanh"]}, r"activation=\['relu', 'tanh'\]"),
        ({"dropout": 0.1}, "dropout"),
        ({"weight_decay": 0.1}, "weight_decay"),
        ({"schedule": fastmlp.schedules.Cosine(5)}, "schedule"),
        ({"scoring": "loss", "early_stopping": True}, "scoring='loss'"),
        ({"gradient": "mean"}, "gradient='mean'"),
    ],
)
def test_what_scikit_learns_solvers_lack_is_refused(settings: Any, what: str) -> None:
    estimator = with_small_gradients(ours.MLPRegressor)(**SETTINGS, **settings)
    with pytest.raises(ValueError, match=f"^Clipping replaces _backprop, .*; they do not .*{what}"):
        estimator.fit(X, X[:, :2])
    eval_set = (X, X[:, 0])
    with pytest.raises(ValueError, match="they do not have eval_set"):
        with_small_gradients(ours.MLPRegressor)(**SETTINGS).fit(*eval_set, eval_set=eval_set)


@pytest.mark.parametrize("activation", ["relu", sweep("mish"), ["gelu", "logistic"]], ids=str)
def test_the_outputs_of_all_layers(activation: Any) -> None:
    estimator = ours.MLPClassifier(activation=activation, **SETTINGS).fit(X, X[:, 0] > 0)
    found = estimator.activations(X)
    assert [A.shape for A in found] == [(60, 6), (60, 5), (60, 1)]
    np.testing.assert_array_equal(found[-1][:, 0], estimator.predict_proba(X)[:, 1])
    passed = estimator._forward_pass([X, None, None, None])
    assert passed[0] is X
    for A, B in zip(passed[1:], found, strict=True):
        np.testing.assert_array_equal(A, B)
    of_sparse = estimator.activations(sparse.csr_array(X))
    np.testing.assert_allclose(of_sparse[0], found[0], rtol=1e-12)
    if activation == "relu":
        expected = theirs.MLPClassifier(**SETTINGS).fit(X, X[:, 0] > 0)._forward_pass([X, 0, 0, 0])
        np.testing.assert_allclose(passed[1], expected[1], rtol=1e-10)
    with pytest.raises(ValueError, match="X has 2 features"):
        estimator.activations(X[:, :2])
