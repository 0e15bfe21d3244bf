"""What the estimators refuse, and what they need, compared with scikit-learn's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sklearn_data import data_of, mine, ours, pair

sparse = pytest.importorskip("scipy.sparse")

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer. Maximum iterations")

X, Y = data_of("binary")
X32 = X.astype(np.float32)


def fitted(task: str = "binary", X: Any = X, **parameters: Any) -> Any:
    return mine(task, **{"max_iter": 2, **parameters}).fit(X, data_of(task)[1])


# What scikit-learn does not need


METHODS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "predict": lambda e, X, y: e.predict(X),
    "predict_proba": lambda e, X, y: e.predict_proba(X) if hasattr(e, "predict_proba") else None,
    "score": lambda e, X, y: e.score(X, y),
    "partial_fit": lambda e, X, y: e.partial_fit(X, y).predict(X),
    "fit": lambda e, X, y: e.fit(X, y).predict(X),
}


def works(estimator: Any, method: str, X: Any, y: Any) -> bool:
    try:
        METHODS[method](estimator, X, y)
    except Exception:
        return False
    return True


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel", "regression"])
@pytest.mark.parametrize(
    ("method", "early_stopping"),
    [*((method, False) for method in METHODS), ("predict", True)],
)
def test_an_attribute_that_scikit_learn_does_not_need_may_be_missing(
    task: str, method: str, early_stopping: bool
) -> None:
    X, y = data_of(task)
    theirs, own = pair(task, max_iter=1, early_stopping=early_stopping)
    theirs.fit(X, y), own.fit(X, y)
    needless: set[str] = set()
    for name in set(vars(theirs)) - set(theirs.get_params()):
        without, own_without = (e.__sklearn_clone__() for e in (theirs, own))
        for estimator, source in ((without, theirs), (own_without, own)):
            estimator.__setstate__({k: v for k, v in source.__getstate__().items() if k != name})
        if works(without, method, X, y):
            assert works(own_without, method, X, y), name
            needless.add(name)
    assert "n_features_in_" in needless
    own.__setstate__({k: v for k, v in own.__getstate__().items() if k not in needless})
    if works(theirs, method, X, y):
        METHODS[method](own, X, y)


@pytest.mark.parametrize("rows", [X, X32, X.tolist(), sparse.csr_array(X), sparse.csc_array(X)])
def test_parameters_set_by_hand_predict_as_scikit_learns(rows: Any) -> None:
    rng = np.random.RandomState(0)
    outputs = []
    coefs = [rng.normal(size=(10, 12)), rng.normal(size=(12, 7)), rng.normal(size=(7, 1))]
    for estimator in pair("regression"):
        estimator.coefs_ = coefs
        estimator.intercepts_ = [np.ones(12), [0.5] * 7, np.zeros(1)]
        estimator.n_layers_, estimator.n_outputs_, estimator.out_activation_ = 4, 1, "identity"
        outputs.append(estimator.predict(rows))
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-6)


# Numbers that the dtype of the parameters does not hold


@pytest.mark.parametrize("value", [1e39, -1e39, 1e300])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, sparse.csc_array])
def test_rows_beyond_float32_are_refused_after_a_fit_in_float32(form: Any, value: float) -> None:
    classifier, regressor = fitted(X=X32), fitted("regression", X=X32)
    big = X[:3].copy()
    big[1, 2] = value
    methods = (classifier.predict, classifier.predict_proba, classifier.predict_log_proba)
    methods += (regressor.predict, lambda X: regressor.score(X, Y[:3]))
    methods += (
        lambda X: classifier.partial_fit(X, Y[:3]),
        lambda X: regressor.partial_fit(X, [0, 1, 2]),
    )
    before = classifier.network_.parameters.copy()
    for method in methods:
        with pytest.raises(ValueError, match=r"X contains a value of magnitude 1e\+\d+, too large"):
            method(form(big))
    np.testing.assert_array_equal(classifier.network_.parameters, before)
    assert np.isfinite(fitted().predict_proba(big)).all()  # parameters of float64


@pytest.mark.parametrize("dtype", [np.float64, np.int64, bool, np.float16])
def test_rows_within_float32_are_converted(dtype: Any) -> None:
    classifier = fitted(X=X32)
    rows = (10 * X).astype(dtype)
    expected = classifier.predict_proba(rows.astype(np.float32))[:, 1]
    np.testing.assert_array_equal(classifier.predict_proba(rows)[:, 1], expected)


def test_rows_that_overflow_within_the_network_are_refused() -> None:
    regressor = fitted("regression", X=X32)
    rows = 3e38 * np.sign(X[:5])
    with pytest.raises(
        ValueError, match="the outputs for some rows of X are too large for float32"
    ):
        regressor.predict(rows)
    # As scikit-learn's, if X has the dtype of the parameters:
    with np.errstate(over="ignore", invalid="ignore"):
        assert not np.isfinite(regressor.predict(rows.astype(np.float32))).all()


def test_targets_and_eval_sets_beyond_float32_are_refused() -> None:
    y = data_of("regression")[1]
    with pytest.raises(ValueError, match=r"y contains a value of magnitude .*e\+39, too large"):
        mine("regression", max_iter=1).fit(X32, 1e39 * y)
    for eval_set, name in (((1e39 * X, y), "X"), ((X, 1e39 * y), "y")):
        with pytest.raises(ValueError, match=f"eval_set's {name} contains a value of magnitude"):
            mine("regression", max_iter=1).fit(X32, y, eval_set=eval_set)


# Masked arrays


def masked(array: Any, *, where: bool) -> Any:
    mask = np.zeros(np.shape(array), bool)
    mask.ravel()[-1] = where
    return np.ma.array(array, mask=mask)


CALLS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "fit, X": (X, lambda a: mine("binary", max_iter=1).fit(a, Y)),
    "fit, y": (Y, lambda a: mine("binary", max_iter=1).fit(X, a)),
    "fit, sample_weight": (Y + 1.0, lambda a: mine("binary", max_iter=1).fit(X, Y, a)),
    "fit, X of eval_set": (X, lambda a: mine("binary", max_iter=1).fit(X, Y, eval_set=(a, Y))),
    "fit, y of eval_set": (Y, lambda a: mine("binary", max_iter=1).fit(X, Y, eval_set=(X, a))),
    "fit, weights of eval_set": (
        Y + 1.0,
        lambda a: mine("binary", max_iter=1).fit(X, Y, eval_set=(X, Y, a)),
    ),
    "partial_fit": (X, lambda a: mine("binary").partial_fit(a, Y, classes=[0, 1])),
    "predict": (X, lambda a: fitted().predict(a)),
    "predict_proba": (X, lambda a: fitted().predict_proba(a)),
    "predict of a regressor": (X, lambda a: fitted("regression").predict(a)),
    "score, X": (X, lambda a: fitted().score(a, Y)),
    "score, y": (Y, lambda a: fitted().score(X, a)),
    "score, sample_weight": (Y + 1.0, lambda a: fitted("regression").score(X, Y, a)),
}


@pytest.mark.parametrize("call", CALLS)
def test_masked_values_are_refused(call: str) -> None:
    array, function = CALLS[call]
    with pytest.raises(ValueError, match=r"^MLP.*: .* has masked values; replace them"):
        function(masked(array, where=True))
    function(masked(array, where=False))


# Going on with a fitted network

CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "deeper": ({"hidden_layer_sizes": (12, 7, 7)}, "hidden_layer_sizes is"),
    "shallower": ({"hidden_layer_sizes": (12,)}, "hidden_layer_sizes is"),
    "no hidden layer": ({"hidden_layer_sizes": ()}, "hidden_layer_sizes is"),
    "wider": ({"hidden_layer_sizes": (12, 8)}, "hidden_layer_sizes is"),
    "another loss": ({"loss": "poisson"}, "loss is 'poisson'"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_warm_start_refuses_another_network(change: str, solver: str) -> None:
    parameters, what = CHANGES[change]
    y = np.abs(data_of("regression")[1])
    estimator = mine("regression", warm_start=True, max_iter=1).fit(X, y)
    before = estimator.network_.parameters.copy()
    estimator.set_params(solver=solver, **parameters)
    with pytest.raises(ValueError, match=f"MLPRegressor: {what}.*fit with warm_start=False"):
        estimator.fit(X, y)
    if solver != "lbfgs":
        with pytest.raises(ValueError, match=f"MLPRegressor: {what}"):
            estimator.partial_fit(X, y)
    np.testing.assert_array_equal(estimator.network_.parameters, before)
    estimator.set_params(warm_start=False, solver="adam").fit(X, y)


@pytest.mark.parametrize("outputs", [(1, 3), (3, 1), (3, 2)])
def test_a_warm_start_refuses_another_number_of_outputs(outputs: tuple[int, int]) -> None:
    y = data_of("several outputs")[1]
    estimator = mine("several outputs", warm_start=True, max_iter=1)
    estimator.fit(X, y[:, : outputs[0]].squeeze())
    predictions = estimator.predict(X)
    for go_on in (estimator.fit, estimator.partial_fit):
        with pytest.raises(ValueError, match=f"but the fitted network has {outputs[0]} outputs"):
            go_on(X, y[:, : outputs[1]].squeeze())
    assert estimator.n_outputs_ == outputs[0]
    np.testing.assert_array_equal(estimator.predict(X), predictions)


@pytest.mark.parametrize("sizes", [(12, 7), [12, 7], np.array([12, 7])])
def test_the_same_layers_in_any_form_go_on(sizes: Any) -> None:
    estimator = fitted(warm_start=True).set_params(hidden_layer_sizes=sizes)
    estimator.fit(X, Y)
    one = fitted(hidden_layer_sizes=5, warm_start=True).set_params(hidden_layer_sizes=(5,))
    one.fit(X, Y)
    ours.MLPClassifier.from_network(one.network_).partial_fit(X, Y)
