"""from_sklearn, to_sklearn: networks and estimators of scikit-learn, from one to the other."""

import pickle
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)

from fastmlp import Network
from sklearn_data import ours, theirs
from sweeps import sweep

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.RandomState(0).normal(1, 3, size=(50, 4))
TARGETS = {
    "binary": (X[:, 0] > 1).astype(int),
    "words": np.where(X[:, 0] > 1, "yes", "no"),
    "three": np.digitize(X[:, 0], [0, 2]) + 5,
    "multilabel": (X[:, :3] > 1).astype(int),
}
SETTINGS = {"hidden_layer_sizes": (6, 5), "max_iter": 5, "random_state": 0}


def classifier(module: Any, **settings: Any) -> Any:
    return module.MLPClassifier(**{**SETTINGS, **settings})


def regressor(module: Any, **settings: Any) -> Any:
    return module.MLPRegressor(**{**SETTINGS, **settings})


def assert_same_function(network: Network, estimator: Any) -> None:
    """The network's outputs are the estimator's, up to rounding, and its labels are the same."""
    found = network.forward(X)
    if hasattr(estimator, "predict_proba"):
        expected = estimator.predict_proba(X)
        expected = expected[:, 1:] if found.shape[1] == 1 else expected
        np.testing.assert_array_equal(network.predict(X), estimator.predict(X))
    else:
        expected = estimator.predict(X).reshape(found.shape)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.sparse
@pytest.mark.parametrize("module", [theirs, ours])
@pytest.mark.parametrize("name", TARGETS)
def test_classifiers_become_networks(module: Any, name: str) -> None:
    estimator = classifier(module).fit(X, TARGETS[name])
    network = Network.from_sklearn(estimator)
    assert_same_function(network, estimator)
    if name != "multilabel":
        assert network.classes.tolist() == estimator.classes_.tolist()


@pytest.mark.sparse
@pytest.mark.parametrize("module", [theirs, ours])
@pytest.mark.parametrize("activation", ["logistic", "tanh", sweep("identity"), sweep("relu")])
def test_regressors_become_networks(module: Any, activation: str) -> None:
    estimator = regressor(module, activation=activation).fit(X, X[:, :2])
    assert_same_function(Network.from_sklearn(estimator), estimator)
    counts = regressor(module, activation=activation, loss="poisson").fit(X, TARGETS["three"])
    assert_same_function(Network.from_sklearn(counts), counts)


def test_added_activations_become_those_of_the_network() -> None:
    estimator = regressor(ours, activation=["gelu", "logistic"]).fit(X, X[:, 0])
    network = Network.from_sklearn(estimator)
    assert list(network.hidden) == ["gelu", "sigmoid"]
    assert_same_function(network, estimator)


def test_the_network_is_a_copy_with_dtype_epochs_and_names() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X.astype(np.float32), columns=list("abcd"))
    estimator = classifier(theirs, max_iter=3).fit(frame, TARGETS["binary"])
    network = Network.from_sklearn(estimator)
    assert network.dtype == np.float32
    assert network.epochs_trained == 3
    assert network.feature_names == ("a", "b", "c", "d")
    before = estimator.coefs_[0].copy()
    network.fit(X, TARGETS["binary"], epochs=1)
    np.testing.assert_array_equal(estimator.coefs_[0], before)


def test_a_subclass_makes_its_own_instances() -> None:
    class Mine(Network):
        pass

    assert type(Mine.from_sklearn(classifier(theirs).fit(X, TARGETS["binary"]))) is Mine


SCALERS = [
    StandardScaler(),
    sweep(StandardScaler(with_mean=False)),
    sweep(StandardScaler(with_std=False)),
    sweep(MinMaxScaler((-1, 2))),
    MaxAbsScaler(),
    RobustScaler(),
    sweep(RobustScaler(with_centering=False, with_scaling=False)),
    sweep("passthrough"),
]


@pytest.mark.parametrize("scaler", SCALERS, ids=str)
def test_scalers_are_folded_in(scaler: Any) -> None:
    model = make_pipeline(scaler, MinMaxScaler(), regressor(theirs)).fit(X, X[:, 0])
    network = Network.from_sklearn(model)
    assert_same_function(network, model)
    target = TransformedTargetRegressor(clone(model), transformer=StandardScaler())
    target.fit(X, X[:, :2])
    assert_same_function(Network.from_sklearn(target), target)


@pytest.mark.sweep
def test_a_search_gives_its_best_estimator() -> None:
    model = make_pipeline(StandardScaler(), classifier(ours))
    search = GridSearchCV(model, {"mlpclassifier__alpha": [0, 1]}, cv=2).fit(X, TARGETS["words"])
    assert_same_function(Network.from_sklearn(search), search)


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (Ridge(), "Ridge"),
        (make_pipeline(PCA(2), regressor(theirs)), r"PCA\(n_components=2\)"),
        (make_pipeline(MinMaxScaler(clip=True), regressor(theirs)), r"MinMaxScaler\(clip=True\)"),
        (make_pipeline(StandardScaler(), Ridge()), "Ridge"),
        (TransformedTargetRegressor(regressor(theirs), func=np.log, inverse_func=np.exp), "Funct"),
        (TransformedTargetRegressor(regressor(theirs), transformer=PowerTransformer()), "Power"),
    ],
)
def test_what_cannot_be_a_network_is_named(estimator: Any, name: str) -> None:
    estimator.fit(X, X[:, 0] ** 2 + 1)
    with pytest.raises(TypeError, match=f"^from_sklearn: .*{name}"):
        Network.from_sklearn(estimator)


@pytest.mark.parametrize("module", [theirs, ours])
def test_estimators_that_are_not_fitted_or_have_one_class_are_refused(module: Any) -> None:
    with pytest.raises(NotFittedError):
        Network.from_sklearn(classifier(module))
    one = classifier(module).fit(X, np.full(len(X), 7))
    with pytest.raises(ValueError, match="from_sklearn: the classifier has seen only the class 7"):
        Network.from_sklearn(one)


@pytest.mark.parametrize(
    ("output", "n_out", "classes"),
    [
        sweep("sigmoid", 1, None),
        ("sigmoid", 1, ["a", "b"]),
        ("sigmoid", 1, ["malignant", "benign"]),
        sweep("sigmoid", 3, None),
        ("softmax", 2, [3, 1]),
        ("softmax", 4, ["c", "b", "d", "a"]),
        sweep("identity", 1, None),
        ("identity", 2, None),
        ("exp", 1, None),
    ],
)
def test_networks_become_estimators_of_scikit_learn(output: str, n_out: int, classes: Any) -> None:
    network = Network([4, 5, n_out], hidden="tanh", output=output, dtype="float64", seed=0)
    if classes is not None:
        network.classes = classes
    estimator = network.to_sklearn()
    assert type(estimator) in (theirs.MLPClassifier, theirs.MLPRegressor)
    expected = network.predict(X)
    if isinstance(estimator, theirs.MLPRegressor):
        np.testing.assert_allclose(estimator.predict(X), expected, rtol=1e-12)
        estimator.partial_fit(X, np.abs(X[:, :n_out]).squeeze())
    else:
        np.testing.assert_array_equal(estimator.predict(X), expected)
        estimator.partial_fit(X, expected)
    assert b"fastmlp" not in pickle.dumps(estimator)


def test_a_network_survives_the_round_trip() -> None:
    network = Network([4, 5, 3], hidden="sigmoid", output="softmax", dtype="float64", seed=0)
    network.classes, network.feature_names = ["a", "b", "c"], ["w", "x", "y", "z"]
    back = Network.from_sklearn(network.to_sklearn())
    np.testing.assert_array_equal(back.parameters, network.parameters)
    assert (list(back.hidden), back.output) == (list(network.hidden), network.output)
    assert back.classes.tolist() == ["a", "b", "c"]
    assert back.feature_names == network.feature_names


def test_the_scaling_of_a_network_is_in_the_parameters() -> None:
    network = Network([4, 5, 1], output="identity", dtype="float64", seed=0)
    network.fit(X, X[:, 0], epochs=2, standardize=True)
    np.testing.assert_allclose(network.to_sklearn().predict(X), network.predict(X), rtol=1e-12)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Network([4, 5, 1], hidden="gelu"), r"activations \['gelu'\]; scikit-learn has one of"),
        (Network([4, 5, 5, 1], hidden=["relu", "tanh"]), r"activations \['relu', 'tanh'\]"),
        (Network([4, 1], output="identity", loss="huber"), "the loss is 'huber'"),
        (
            Network([4, 2], output="identity", loss="pinball", quantiles=[0.1, 0.9]),
            "the loss is 'pinball'",
        ),
    ],
)
def test_what_scikit_learn_lacks_is_refused(network: Network, message: str) -> None:
    with pytest.raises(ValueError, match=f"to_sklearn: .*{message}"):
        network.to_sklearn()


@pytest.mark.sparse
@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "adam"},
        sweep({"solver": "sgd"}),
        {"solver": "sgd", "momentum": 0, "learning_rate": "adaptive"},
        sweep({"solver": "adam", "dropout": 0.5}),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["three", sweep("binary"), sweep("multilabel")])
def test_partial_fit_goes_on_as_ours_would(settings: Any, name: str) -> None:
    mine = classifier(ours, **settings).fit(X, TARGETS[name])
    converted = mine.to_sklearn()
    assert type(converted) is theirs.MLPClassifier
    assert converted.loss_curve_ == mine.loss_curve_
    assert converted.n_iter_ == mine.n_iter_
    mine.set_params(dropout=0.0)
    for _ in range(3):
        mine.partial_fit(X, TARGETS[name])
        converted.partial_fit(X, TARGETS[name])
    for W, expected in zip(converted.coefs_, mine.coefs_, strict=True):
        np.testing.assert_allclose(W, expected, rtol=1e-8, atol=1e-12)


@pytest.mark.sweep
def test_early_stopping_and_warm_start_go_on() -> None:
    mine = classifier(ours, early_stopping=True, warm_start=True).fit(X, TARGETS["three"])
    converted = mine.to_sklearn()
    assert converted._best_coefs is converted.coefs_
    mine.fit(X, TARGETS["three"])
    converted.fit(X, TARGETS["three"])
    np.testing.assert_allclose(converted.predict_proba(X), mine.predict_proba(X), rtol=1e-8)


def test_to_sklearn_copies_and_needs_a_fit() -> None:
    with pytest.raises(NotFittedError):
        regressor(ours).to_sklearn()
    mine = regressor(ours, solver="lbfgs").fit(X, X[:, 0])
    before = mine.predict(X)
    mine.to_sklearn().coefs_[0][:] = 0
    np.testing.assert_array_equal(mine.predict(X), before)
    mine.lock = threading.Lock()  # an attribute of a user, which cannot be copied
    assert not hasattr(mine.to_sklearn(), "lock")
    with pytest.raises(ValueError, match=r"to_sklearn: .*'mish'"):
        regressor(ours, activation="mish").fit(X, X[:, 0]).to_sklearn()


@pytest.mark.sweep
def test_it_needs_scikit_learn() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import fastmlp\n"
        "network = fastmlp.Network([2, 1])\n"
        "for call in (network.to_sklearn, lambda: network.from_sklearn(1)):\n"
        "    try:\n        call()\n"
        "    except ImportError as error:\n        print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.count("pip install 'fastmlp[sklearn]'") == 2


def test_sparse_coefs_predict_and_train() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    mine = classifier(ours).fit(X, TARGETS["three"])
    expected = mine.predict_proba(X)
    for kind in (sparse.csr_array, sparse.csc_matrix, sparse.coo_array):
        mine.coefs_ = [kind(W) for W in mine.coefs_]
        np.testing.assert_array_equal(mine.predict_proba(X), expected)
        assert_same_function(Network.from_sklearn(mine), mine)
        assert isinstance(mine.coefs_[0], kind)
    dense = classifier(ours).fit(X, TARGETS["three"]).partial_fit(X, TARGETS["three"])
    mine.partial_fit(X, TARGETS["three"])
    np.testing.assert_array_equal(mine.coefs_[0], dense.coefs_[0])
