"""hummingbird, which looks at an estimator's class, converts what `to_sklearn` gives."""

import numpy as np
import pytest

import fastmlp
from fastmlp.sklearn import MLPClassifier

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
hummingbird = pytest.importorskip("hummingbird.ml")

X = np.random.RandomState(0).normal(size=(80, 4)).astype(np.float32)


def test_an_estimator_becomes_a_module_of_torch() -> None:
    model = MLPClassifier((6, 5), activation="tanh", max_iter=20, random_state=0)
    model.fit(X, np.digitize(X[:, 0], [-0.5, 0.5]))
    converted = hummingbird.convert(model.to_sklearn(), "torch")
    np.testing.assert_allclose(converted.predict_proba(X), model.predict_proba(X), atol=1e-5)


def test_a_network_becomes_a_module_of_torch() -> None:
    network = fastmlp.Network([4, 8, 1], hidden="tanh", output="identity", seed=0)
    converted = hummingbird.convert(network.to_sklearn(), "torch")
    np.testing.assert_allclose(np.ravel(converted.predict(X)), network.predict(X), atol=1e-5)
