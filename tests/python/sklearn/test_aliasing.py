"""Arrays and networks that an estimator handed out keep their values when training continues."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastmlp
from sklearn_data import data_of, mine, ours

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer. Maximum iterations"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge"),
    pytest.mark.filterwarnings("ignore:scipy.optimize. The .disp."),
]

X, Y = data_of("binary")


class HandedOut:
    """All that a fitted estimator gives to its user, and the values at that moment."""

    def __init__(self, estimator: Any) -> None:
        network = estimator.network_
        self.arrays = [*estimator.coefs_, *estimator.intercepts_, network.parameters]
        self.arrays += [*network.weights, *network.biases]
        self.values = [array.copy() for array in self.arrays]

    def is_unchanged(self) -> bool:
        return all(map(np.array_equal, self.arrays, self.values))


def fitted(**parameters: Any) -> Any:
    return mine("binary", **{"max_iter": 2, **parameters}).fit(X, Y)


def assign(estimator: Any) -> None:
    estimator.coefs_ = [W * 2 for W in estimator.coefs_]


def assign_one_entry(estimator: Any) -> None:
    estimator.coefs_ = [estimator.coefs_[0] * 2, *estimator.coefs_[1:]]


def assign_copies_and_train(estimator: Any) -> None:
    estimator.coefs_ = [W.copy() for W in estimator.coefs_]
    estimator.intercepts_ = [b.copy() for b in estimator.intercepts_]
    estimator.partial_fit(X, Y)


def train_the_network(estimator: Any) -> None:
    assign(estimator)
    estimator.network_.fit(X, Y, epochs=1)


def copied_by(copier: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda estimator: copier(estimator).partial_fit(X, Y)


LATER: dict[str, Callable[[Any], Any]] = {
    "fit": lambda e: e.fit(X, 1 - Y),
    "fit by lbfgs": lambda e: e.set_params(solver="lbfgs").fit(X, 1 - Y),
    "warm start by lbfgs": lambda e: e.set_params(solver="lbfgs", warm_start=True).fit(X, 1 - Y),
    "fit with early stopping": lambda e: e.set_params(early_stopping=True).fit(X, 1 - Y),
    "fit of other layers": lambda e: e.set_params(hidden_layer_sizes=(4,)).fit(X, Y),
    "fit of float32": lambda e: e.fit(X.astype(np.float32), Y),
    "assigned arrays": assign,
    "one assigned array": assign_one_entry,
    "assigned copies are trained": assign_copies_and_train,
    "the network of assigned arrays is trained": train_the_network,
    "deepcopy": copied_by(copy.deepcopy),
    "pickle": copied_by(lambda e: pickle.loads(pickle.dumps(e))),
    "shallow copy, fit": lambda e: copy.copy(e).fit(X, 1 - Y),
    "from_network": lambda e: ours.MLPClassifier.from_network(e.network_).partial_fit(X, Y),
}


@pytest.mark.parametrize("later", LATER)
def test_what_was_handed_out_is_not_overwritten(later: str) -> None:
    estimator = fitted()
    kept = HandedOut(estimator)
    LATER[later](estimator)
    estimator.predict(X)
    assert kept.is_unchanged()


def test_lbfgs_never_overwrites_the_arrays_of_an_earlier_fit() -> None:
    estimator = fitted(solver="lbfgs", warm_start=True)
    kept = HandedOut(estimator)
    estimator.fit(X, Y).predict(X)
    assert kept.is_unchanged()


def test_assigning_the_old_arrays_again_gives_the_old_network() -> None:
    estimator = fitted()
    expected = estimator.predict_proba(X)
    old = estimator.coefs_
    estimator.coefs_ = [W * 2 for W in old]
    assert (estimator.predict_proba(X) != expected).any()
    estimator.coefs_ = old
    np.testing.assert_array_equal(estimator.predict_proba(X), expected)


def test_the_network_of_assigned_arrays_keeps_their_values() -> None:
    estimator = fitted()
    assign(estimator)
    network = estimator.network_
    before = network.parameters.copy()
    estimator.coefs_[0][:] = 0
    estimator.predict(X)
    estimator.partial_fit(X, Y)
    np.testing.assert_array_equal(network.parameters, before)


def test_training_goes_on_in_the_estimators_own_arrays() -> None:
    estimator = fitted()
    kept = HandedOut(estimator)
    estimator.partial_fit(X, Y)
    assert not kept.is_unchanged()
    for array, own in zip(kept.arrays, estimator.coefs_, strict=False):
        assert array is own


def test_a_network_given_to_from_network_stays_its_owners() -> None:
    network = fastmlp.Network([10, 3, 1], dtype="float64", seed=0)
    before = network.parameters.copy()
    estimator = ours.MLPClassifier.from_network(network)
    estimator.partial_fit(X, Y)
    estimator.network_.parameters[:] = 0
    np.testing.assert_array_equal(network.parameters, before)
    network.parameters[:] = 1
    assert not estimator.coefs_[0].any()


def test_each_fit_counts_its_own_epochs() -> None:
    estimator = fitted(max_iter=3)
    first = estimator.network_
    assert estimator.fit(X, Y).network_.epochs_trained == 3
    assert first.epochs_trained == 3
