"""How fastmlp.sklearn's estimators behave like scikit-learn's, and what they add."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import fastmlp
from sklearn_data import data_of, largest_difference, mine, ours, pair

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer. Maximum iterations")


def fitted(task: str = "binary", **parameters: Any) -> Any:
    estimator = mine(task, **{"max_iter": 3, **parameters})
    return estimator.fit(*data_of(task))


# Whatever is in coefs_ and intercepts_ is used.


def test_coefs_are_views_of_the_network() -> None:
    estimator = fitted()
    for view, W in zip(estimator.coefs_, estimator.network_.weights, strict=True):
        assert np.shares_memory(view, W)


@pytest.mark.parametrize("how", ["write", "assign an entry", "assign the list"])
def test_writing_into_coefs_changes_predictions(how: str) -> None:
    theirs, own = pair("binary", max_iter=3)
    X, y = data_of("binary")
    for estimator in (theirs.fit(X, y), own.fit(X, y)):
        if how == "write":
            estimator.coefs_[1][:] *= -2
        elif how == "assign an entry":
            estimator.coefs_[1] = estimator.coefs_[1] * -2
        else:
            estimator.coefs_ = [W * -2 for W in estimator.coefs_]
    np.testing.assert_allclose(own.predict_proba(X), theirs.predict_proba(X), rtol=1e-7)
    for estimator in (theirs, own):
        estimator.coefs_[0][:] = 0  # writes into the assigned arrays too
    np.testing.assert_allclose(own.predict_proba(X), theirs.predict_proba(X), rtol=1e-7)
    for estimator in (theirs, own):
        estimator.coefs_[0][:] = 0.1
        estimator.partial_fit(X, y)
    assert largest_difference(theirs, own) < 1e-7


def test_an_array_that_was_assigned_is_trained_in_place() -> None:
    estimator = fitted()
    W = estimator.coefs_[0] = estimator.coefs_[0].copy()
    before = W.copy()
    estimator.partial_fit(*data_of("binary"))
    assert estimator.coefs_[0] is W
    assert (before != W).any()


def test_another_activation_after_a_fit_is_used_as_scikit_learn_uses_it() -> None:
    theirs, own = pair("binary", max_iter=3)
    X, y = data_of("binary")
    for estimator in (theirs.fit(X, y), own.fit(X, y)):
        estimator.set_params(activation="tanh")
    np.testing.assert_allclose(own.predict_proba(X), theirs.predict_proba(X), rtol=1e-7)
    for estimator in (theirs, own):
        estimator.partial_fit(X, y)
    assert largest_difference(theirs, own) < 1e-7


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
def test_copies_predict_the_same_and_train_on(copied: Any) -> None:
    X, y = data_of("binary")
    estimator = fitted()
    twin = copied(estimator)
    np.testing.assert_array_equal(twin.predict_proba(X), estimator.predict_proba(X))
    if copied is copy.copy:
        return  # a shallow copy shares its arrays, in scikit-learn too
    estimator.partial_fit(X, y)
    assert (twin.coefs_[0] != estimator.coefs_[0]).any()
    twin.partial_fit(X, y)
    assert largest_difference(estimator, twin) == 0


def test_the_networks_epochs_are_counted() -> None:
    assert fitted(max_iter=3).network_.epochs_trained == 3


def test_a_pickle_holds_no_native_network() -> None:
    assert b"_mirror" not in pickle.dumps(fitted())


def test_one_row_gives_the_same_alone_and_in_a_batch() -> None:
    X, _ = data_of("multiclass")
    estimator = fitted("multiclass")
    np.testing.assert_allclose(estimator.predict_proba(X[:1])[0], estimator.predict_proba(X)[0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_rows_are_refused_as_scikit_learn_refuses_them(bad: float) -> None:
    theirs, own = pair("binary", max_iter=2)
    X, y = data_of("binary")
    theirs.fit(X, y), own.fit(X, y)
    row = X[:1].copy()
    row[0, 3] = bad
    for given in (row, X[:1, :5], X[0], X[:0], np.full((1, 10), "a", object)):
        with pytest.raises(Exception) as expected:  # noqa: PT011
            theirs.predict_proba(given)
        with pytest.raises(expected.type) as refused:
            own.predict_proba(given)
        assert str(refused.value) == str(expected.value)


def test_ctrl_c_ends_a_fit_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = mine("binary", max_iter=50)

    def interrupt_in_third_epoch(*_: Any) -> None:
        if estimator.n_iter_ == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(estimator, "_update_no_improvement_count", interrupt_in_third_epoch)
    with pytest.warns(UserWarning, match=r"^Training interrupted by user\.$"):
        estimator.fit(*data_of("binary"))
    assert estimator.n_iter_ == 3


def test_views_of_its_own_memory_may_be_assigned() -> None:
    theirs, own = pair("multiclass", max_iter=3, hidden_layer_sizes=(8, 8))
    X, y = data_of("multiclass")
    for estimator in (theirs.fit(X, y), own.fit(X, y)):
        estimator.coefs_[0] = estimator.coefs_[0][::-1]
        estimator.intercepts_[0], estimator.intercepts_[1] = (
            estimator.intercepts_[1],
            estimator.intercepts_[0],
        )
    for _ in range(2):
        np.testing.assert_allclose(own.predict_proba(X), theirs.predict_proba(X), rtol=1e-7)


@pytest.mark.parametrize("bad", ["row", "missing"])
def test_parameters_of_impossible_shapes_are_refused(bad: str) -> None:
    estimator = fitted()
    if bad == "row":
        estimator.coefs_[1] = np.ones((1, 7))
    else:
        estimator.coefs_.pop(), estimator.intercepts_.pop()
    with pytest.raises(ValueError, match="coefs_ have the shapes"):
        estimator.predict(data_of("binary")[0])


def test_training_continues_after_the_dtype_of_an_array_changes() -> None:
    X, y = data_of("binary")
    estimator = mine("binary", max_iter=3).fit(X.astype(np.float32), y)
    estimator.intercepts_ = [b.astype(np.float64) for b in estimator.intercepts_]
    estimator.partial_fit(X.astype(np.float32), y)
    assert estimator._optimizer.t == 3 * 2 + 2


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_warm_starts_with_early_stopping_go_on_the_same(solver: str) -> None:
    X, y = data_of("binary")
    theirs, own = pair(
        "binary", solver=solver, max_iter=1, warm_start=True, early_stopping=True, tol=0.01
    )
    for _ in range(6):
        theirs.fit(X, y), own.fit(X, y)
        assert largest_difference(theirs, own) < 1e-7
        np.testing.assert_allclose(own.validation_scores_, theirs.validation_scores_)
    own = pickle.loads(pickle.dumps(own))
    theirs.fit(X, y), own.fit(X, y)
    assert largest_difference(theirs, own) < 1e-7


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_training_continues_from_scikit_learns_state(solver: str) -> None:
    X, y = data_of("binary")
    theirs, own = pair("binary", solver=solver, max_iter=3)
    own.__setstate__(copy.deepcopy(theirs.fit(X, y).__getstate__()))
    for _ in range(2):
        theirs.partial_fit(X, y), own.partial_fit(X, y)
        assert largest_difference(theirs, own) < 1e-7


def test_scorers_may_predict_anything_during_a_fit() -> None:
    X, y = data_of("binary")
    estimator = mine(
        "binary",
        max_iter=3,
        early_stopping=True,
        scoring=lambda e, *_: float(np.mean(e.predict(X.tolist()) == y)),
    )
    estimator.fit(X, y)
    assert len(estimator.validation_scores_) == 3


def test_warnings_come_from_scikit_learns_module() -> None:
    import warnings

    X, y = data_of("binary")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module="sklearn")
        mine("binary", max_iter=2, batch_size=1000).fit(X, y)


def test_a_list_that_changes_after_the_fit_is_noticed() -> None:
    X, _ = data_of("binary")
    estimator = fitted(activation=["relu", "relu"])
    before = estimator.predict_proba(X)
    estimator.activation[0] = "tanh"
    assert (estimator.predict_proba(X) != before).any()


# Additions to scikit-learn.


def test_additions_are_keyword_only_and_change_nothing() -> None:
    import inspect

    for name in ("MLPClassifier", "MLPRegressor"):
        theirs, own = pair("binary" if name == "MLPClassifier" else "regression")
        parameters = inspect.signature(type(own)).parameters
        for added in set(parameters) - set(inspect.signature(type(theirs)).parameters):
            assert parameters[added].kind is inspect.Parameter.KEYWORD_ONLY
        for known, parameter in inspect.signature(type(theirs)).parameters.items():
            assert parameters[known].default == parameter.default
            assert parameters[known].kind == parameter.kind


def test_one_activation_per_hidden_layer() -> None:
    estimator = fitted(activation=["tanh", "relu"])
    assert estimator.network_.hidden == ("tanh", "relu")
    with pytest.raises(ValueError, match="activation has 3 entries; there must be one for each"):
        fitted(activation=["tanh", "relu", "relu"])


@pytest.mark.parametrize("name", fastmlp._core.ACTIVATIONS)
def test_every_activation_of_the_network_is_one_of_the_estimators(name: str) -> None:
    theirs = "logistic" if name == "sigmoid" else name
    network = fitted(activation=theirs).network_
    assert network.hidden == (name, name)
    assert ours.MLPClassifier.from_network(network).activation == theirs


def test_no_other_activation_is_accepted() -> None:
    allowed = ours.MLPClassifier._parameter_constraints["activation"][0].options
    assert len(allowed) == len(fastmlp._core.ACTIVATIONS)
    with pytest.raises(ValueError, match="The 'activation' parameter of MLPClassifier must be"):
        fitted(activation="sigmoid")


def test_class_weight_is_a_weight_of_rows() -> None:
    X, y = data_of("binary")
    y = y.copy()
    y[:100] = 0
    by_class = mine("binary", max_iter=4, class_weight={0: 1.0, 1: 3.0})
    by_row = mine("binary", max_iter=4)
    by_class.fit(X, y), by_row.fit(X, y, sample_weight=np.where(y == 1, 3.0, 1.0))
    assert largest_difference(by_class, by_row) == 0
    balanced = mine("binary", max_iter=4, class_weight="balanced")
    assert largest_difference(balanced.fit(X, y), by_row) > 0
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        balanced.partial_fit(X, y)


def test_eval_set_gives_a_curve_and_stops() -> None:
    X, y = data_of("binary")
    estimator = mine("binary", max_iter=15)
    estimator.fit(X[:200], y[:200], eval_set=(X[200:], y[200:]))
    assert len(estimator.validation_loss_curve_) == estimator.n_iter_ == 15
    last = estimator.network_.loss(X[200:], y[200:])
    assert estimator.validation_loss_curve_[-1] == pytest.approx(last, rel=1e-12)
    plain = mine("binary", max_iter=15)
    assert largest_difference(plain.fit(X[:200], y[:200]), estimator) == 0
    assert not hasattr(estimator.fit(X, y), "validation_loss_curve_")  # an earlier fit left it


@pytest.mark.parametrize("scoring", [None, "loss", "roc_auc", "neg_log_loss"])
def test_early_stopping_by_a_score_restores_the_best(scoring: Any) -> None:
    X, y = data_of("binary")
    estimator = mine(
        "binary",
        max_iter=100,
        early_stopping=True,
        scoring=scoring,
        n_iter_no_change=3,
        learning_rate_init=0.05,
    )
    estimator.fit(X[:200], y[:200], eval_set=(X[200:], y[200:]))
    best = max(estimator.validation_scores_)
    assert estimator.best_validation_score_ == best
    assert estimator._score(X[200:], y[200:]) == pytest.approx(best) or scoring == "loss"
    assert estimator.n_iter_ < 100
    if scoring == "loss":
        assert best == -min(estimator.validation_loss_curve_)


def test_eval_set_is_checked() -> None:
    X, y = data_of("binary")
    estimator = mine("binary", max_iter=2)
    for bad, what in (((X,), "must be"), ((X, y + 5), "has classes"), ((X[:, :4], y), "features")):
        with pytest.raises(ValueError, match=what):
            estimator.fit(X, y, eval_set=bad)
    lbfgs = mine("binary", solver="lbfgs")
    with pytest.raises(ValueError, match="eval_set is for the solvers"):
        lbfgs.fit(X, y, eval_set=(X, y))


@pytest.mark.parametrize("dropout", [0.5, [0.0, 0.3]])
def test_dropout_is_the_same_with_the_same_seed(dropout: Any) -> None:
    X, y = data_of("binary")
    estimator, again, without = (
        mine("binary", max_iter=4, dropout=rate).fit(X, y) for rate in (dropout, dropout, 0.0)
    )
    assert largest_difference(estimator, again) == 0
    assert largest_difference(estimator, without) > 0
    twin = pickle.loads(pickle.dumps(estimator))
    assert largest_difference(estimator.partial_fit(X, y), twin.partial_fit(X, y)) == 0
    lbfgs = mine("binary", solver="lbfgs", dropout=dropout)
    with pytest.raises(ValueError, match="dropout and weight_decay are for the solvers"):
        lbfgs.fit(X, y)
    with pytest.raises(ValueError, match="dropout has 3 entries"):
        mine("binary", dropout=[0.1, 0.1, 0.1]).fit(X, y)


def test_weight_decay_is_adamws() -> None:
    X, y = data_of("binary")
    estimator = mine("binary", max_iter=1, weight_decay=0.5, alpha=0.0, shuffle=False)
    start = mine("binary", max_iter=1, learning_rate_init=1e-300)
    network = start.fit(X, y).network_.copy()
    optimizer = fastmlp.AdamW(epsilon_hat=1e-8, weight_decay=0.5)
    network.train_epoch(X, y, np.arange(len(X)), batch_size=200, optimizer=optimizer)
    estimator.fit(X, y)
    np.testing.assert_array_equal(estimator.network_.parameters, network.parameters)


def test_mean_gradient_is_that_of_the_loss() -> None:
    X, y = data_of("several outputs")
    summed = mine("several outputs", max_iter=5, solver="sgd", alpha=0.0)
    mean = mine(
        "several outputs",
        max_iter=5,
        solver="sgd",
        alpha=0.0,
        gradient="mean",
        learning_rate_init=0.003,  # three outputs
    )
    assert largest_difference(summed.fit(X, y), mean.fit(X, y)) < 1e-12


def test_from_network_makes_two_classes_of_a_softmax_of_two() -> None:
    network = fastmlp.Network([4, 5, 2], output="softmax", dtype="float64", seed=1)
    X = np.random.RandomState(0).normal(size=(30, 4))
    estimator = ours.MLPClassifier.from_network(network)
    np.testing.assert_allclose(estimator.predict_proba(X), network.forward(X), rtol=1e-12)
    estimator.partial_fit(X, network.predict(X))
    estimator.set_params(warm_start=True, early_stopping=True, max_iter=2)
    estimator.fit(X, np.arange(30) % 2)


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("activation", ["foo", "relu"], r"activation\[0\] is 'foo'; it must be one of"),
        ("dropout", [0.1, "a"], r"dropout\[1\] is 'a'; it must be a number in \[0, 1\)"),
    ],
)
def test_entries_of_lists_are_checked(name: str, value: Any, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        mine("binary", **{name: value}).fit(*data_of("binary"))


@pytest.mark.parametrize(
    ("layers", "output"), [([4, 5, 1], "sigmoid"), ([4, 5, 3], "softmax"), ([4, 3], "sigmoid")]
)
def test_from_network_makes_a_classifier(layers: list[int], output: str) -> None:
    network = fastmlp.Network(layers, hidden="tanh", output=output, dtype="float64", seed=1)
    X = np.random.RandomState(0).normal(size=(30, 4))
    estimator = ours.MLPClassifier.from_network(network)
    probabilities = estimator.predict_proba(X)
    expected = network.forward(X)
    np.testing.assert_array_equal(probabilities[:, -layers[-1] :], expected)
    np.testing.assert_array_equal(estimator.predict(X), network.predict(X))
    estimator.partial_fit(X, estimator.predict(X))
    assert network.epochs_trained == 0  # the estimator trained a copy


def test_from_network_takes_labels_and_refuses_other_networks() -> None:
    network = fastmlp.Network([4, 1], dtype="float64", seed=1)
    estimator = ours.MLPClassifier.from_network(network, classes=["no", "yes"])
    assert set(estimator.predict(np.eye(4))) <= {"no", "yes"}
    with pytest.raises(ValueError, match="it must be 2 labels"):
        ours.MLPClassifier.from_network(network, classes=["a", "b", "c"])
    with pytest.raises(ValueError, match="it must be 'identity' or 'exp'"):
        ours.MLPRegressor.from_network(network)


# Callbacks, if scikit-learn has them (version 1.9).


class Recorder:
    """A callback that records its calls, and stops the fit after an epoch."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.told: list[Any] = []

    def setup(self, estimator: Any, context: Any) -> None:
        self.told.append("setup")

    def teardown(self, estimator: Any, context: Any) -> None:
        self.told.append("teardown")

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        self.told.append(("begin", context.task_name))

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, X: Any, y: Any, fitted_estimator: Any
    ) -> bool:
        self.told.append(("end", context.task_name, fitted_estimator.score(X, y)))
        return context.task_id + 1 == self.stop_after


@pytest.mark.parametrize("stop_after", [None, 2])
def test_callbacks_see_every_epoch_and_can_stop(stop_after: int | None) -> None:
    pytest.importorskip("sklearn.callback")
    X, y = data_of("binary")
    estimator = mine("binary", max_iter=5)
    recorder = Recorder(stop_after)
    estimator.set_callbacks(recorder).fit(X, y)
    epochs = stop_after or 5
    assert estimator.n_iter_ == epochs
    assert recorder.told[0] == "setup"
    assert recorder.told[-1] == "teardown"
    assert [t for t in recorder.told if t[0] == "begin"] == [("begin", "fit")] + epochs * [
        ("begin", "epoch")
    ]
    assert recorder.told[-2][2] == estimator.score(X, y)
    pickle.dumps(estimator)


def test_scikit_learns_callbacks_work() -> None:
    callback = pytest.importorskip("sklearn.callback")
    X, y = data_of("binary")
    estimator = mine("binary", max_iter=4)
    monitor = callback.ScoringMonitor(scoring="accuracy")
    estimator.set_callbacks(monitor).fit(X, y)
    scores = [s for log in np.atleast_1d(monitor.get_logs()) for s in log.data]
    assert len(scores) >= 4
