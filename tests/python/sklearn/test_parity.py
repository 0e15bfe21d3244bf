"""fastmlp.sklearn fits the same models as the installed scikit-learn, to rounding."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from sklearn_data import TASKS, combinations, data_of, largest_difference, pair

sparse = pytest.importorskip("scipy.sparse")


SOLVERS = ["sgd", "adam", "lbfgs"]
ACTIVATIONS = ["identity", "logistic", "tanh", "relu"]  # scikit-learn's


@pytest.fixture(autouse=True)
def ignore_convergence() -> Iterator[None]:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Older versions of scikit-learn use an option that newer versions of SciPy warn about.
        warnings.filterwarnings("ignore", "scipy.optimize: The `disp`", DeprecationWarning)
        yield


def assert_same(a: Any, b: Any, tolerance: float = 1e-7) -> None:
    """The results of two fits are the same: parameters to a tolerance, counts exactly."""
    assert b.n_iter_ == a.n_iter_
    assert largest_difference(a, b) <= tolerance
    np.testing.assert_allclose(b.loss_, a.loss_, rtol=tolerance)
    for name in ("t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(b, name) == getattr(a, name), name
    for name in ("loss_curve_", "validation_scores_"):
        curve = getattr(a, name, None)
        if curve is None:
            assert getattr(b, name, None) is None, name
        else:
            np.testing.assert_allclose(getattr(b, name), curve, rtol=tolerance, err_msg=name)


@pytest.mark.parametrize(
    ("task", "solver", "activation"), combinations(TASKS, SOLVERS, ACTIVATIONS)
)
def test_fitted_model_is_scikit_learns(task: str, solver: str, activation: str) -> None:
    X, y = data_of(task)
    epochs = 15 if solver == "lbfgs" else 20
    a, b = pair(task, activation=activation, solver=solver, max_iter=epochs, alpha=0.01)
    a.fit(X, y), b.fit(X, y)
    assert_same(a, b, 1e-4 if solver == "lbfgs" else 1e-7)
    np.testing.assert_allclose(b.predict(X[:20]), a.predict(X[:20]), rtol=1e-4, atol=1e-6)
    if hasattr(a, "predict_proba"):
        np.testing.assert_allclose(b.predict_proba(X), a.predict_proba(X), rtol=1e-4, atol=1e-6)


SETTINGS: dict[str, dict[str, Any]] = {
    "plain sgd": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.05},
    "no alpha": {"solver": "sgd", "momentum": 0.0, "alpha": 0.0, "learning_rate_init": 0.05},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.02},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.5},
    "adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 0.1,
        "tol": 0.05,
        "n_iter_no_change": 2,
        "max_iter": 60,
    },
    "adam's numbers": {"beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3, "learning_rate_init": 0.01},
    "no shuffle": {"shuffle": False},
    "small batches": {"batch_size": 17},
    "batch too large": {"batch_size": 1000},
    "early stopping": {"early_stopping": True, "max_iter": 40, "learning_rate_init": 0.02},
    "stops by tol": {"tol": 0.01, "n_iter_no_change": 3, "max_iter": 200},
    "never stops": {"n_iter_no_change": np.inf},
}


@pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1")
@pytest.mark.parametrize(
    ("settings", "task"), combinations(SETTINGS, ["binary", "multiclass", "several outputs"])
)
def test_settings_mean_the_same(settings: str, task: str) -> None:
    X, y = data_of(task)
    a, b = pair(task, **{"max_iter": 12, **SETTINGS[settings]})
    a.fit(X, y), b.fit(X, y)
    assert_same(a, b)
    if settings == "stops by tol":
        assert a.n_iter_ < 200  # or this setting was not tested


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_sample_weight_means_the_same(solver: str, early_stopping: bool) -> None:
    X, y = data_of("multiclass")
    weight = np.random.RandomState(5).uniform(0.1, 3, size=len(y))
    a, b = pair("multiclass", solver=solver, max_iter=8, early_stopping=early_stopping)
    a.fit(X, y, sample_weight=weight), b.fit(X, y, sample_weight=weight)
    assert_same(a, b)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_the_loss_of_a_certain_and_wrong_prediction_is_clipped_the_same(task: str) -> None:
    X, y = data_of(task)
    a, b = pair(task, solver="sgd", learning_rate_init=1e-9, max_iter=2, alpha=0.0)
    a.fit(1e4 * X, y), b.fit(1e4 * X, y)
    np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=1e-6)
    assert 1 < a.loss_curve_[0] < -np.log(np.finfo(float).eps) * a.n_outputs_


@pytest.mark.parametrize("form", ["csr", "csc"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_sparse_rows_mean_the_same(form: str, solver: str) -> None:
    X, y = data_of("binary")
    thin = np.where(np.abs(X) > 1, X, 0)
    a, b = pair("binary", solver=solver, max_iter=8, early_stopping=solver != "lbfgs")
    a.fit(thin, y), b.fit(sparse.csc_array(thin).asformat(form), y)
    assert_same(a, b)
    rows = sparse.csc_array(thin).asformat(form)
    np.testing.assert_allclose(b.predict_proba(rows), a.predict_proba(thin), rtol=1e-6)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_float32_stays_float32(task: str) -> None:
    X, y = data_of(task)
    X = X.astype(np.float32)
    y = y.astype(np.float32) if task == "regression" else y
    a, b = pair(task, max_iter=5)
    a.fit(X, y), b.fit(X, y)
    assert all(p.dtype == np.float32 for p in b.coefs_ + b.intercepts_)
    assert largest_difference(a, b) < 1e-4
    outputs = b.predict_proba(X) if task == "binary" else b.predict(X)
    assert outputs.dtype == np.float32


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel", "regression"])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_partial_fit_goes_on_the_same(task: str, solver: str) -> None:
    X, y = data_of(task)
    a, b = pair(task, solver=solver)
    classes = np.arange(y.shape[1]) if task == "multilabel" else np.unique(y)
    first = {} if task == "regression" else {"classes": classes}
    for part in (slice(0, 100), slice(100, 250), slice(0, 300)):
        a.partial_fit(X[part], y[part], **first), b.partial_fit(X[part], y[part], **first)
        first = {}
        assert_same(a, b)


@pytest.mark.parametrize("solver", SOLVERS)
def test_warm_start_goes_on_the_same(solver: str) -> None:
    X, y = data_of("binary")
    a, b = pair("binary", solver=solver, warm_start=True, max_iter=4)
    for _ in range(3):
        a.fit(X, y), b.fit(X, y)
        assert_same(a, b, 1e-6)


def test_the_shuffle_is_scikit_learns() -> None:
    from sklearn.utils import shuffle

    from fastmlp.sklearn._stochastic import shuffled

    order, ours = np.arange(57), np.arange(57)
    theirs_state, our_state = np.random.RandomState(2), np.random.RandomState(2)
    for _ in range(3):
        order = shuffle(order, random_state=theirs_state)
        ours = shuffled(ours, our_state)
        np.testing.assert_array_equal(ours, order)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_the_optimizers_state_is_scikit_learns(solver: str) -> None:
    X, y = data_of("binary")
    a, b = pair("binary", solver=solver, max_iter=5)
    a.fit(X, y), b.fit(X, y)
    assert b._optimizer.learning_rate == pytest.approx(a._optimizer.learning_rate, rel=1e-12)
    for name in ("velocities",) if solver == "sgd" else ("ms", "vs"):
        for p, q in zip(getattr(a._optimizer, name), getattr(b._optimizer, name), strict=True):
            np.testing.assert_allclose(q, p, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("learning_rate", ["constant", "adaptive"])
def test_verbose_says_the_same(
    early_stopping: bool, learning_rate: str, capsys: pytest.CaptureFixture[str]
) -> None:
    X, y = data_of("binary")
    said = []
    for estimator in pair(
        "binary",
        solver="sgd",
        verbose=True,
        tol=0.01,
        n_iter_no_change=2,
        max_iter=40,
        learning_rate_init=0.1,
        learning_rate=learning_rate,
        early_stopping=early_stopping,
    ):
        estimator.fit(X, y)
        said.append(capsys.readouterr().out)
    assert "Iteration 1, loss = " in said[0]
    assert said[1] == said[0]


def test_warnings_are_the_same() -> None:
    X, y = data_of("binary")
    for parameters in ({"max_iter": 2}, {"max_iter": 2, "batch_size": 1000}):
        heard = []
        for estimator in pair("binary", **parameters):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                estimator.fit(X, y)
            heard.append([(w.category, str(w.message)) for w in caught])
        assert heard[0]
        assert heard[1] == heard[0]
