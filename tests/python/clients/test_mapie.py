"""mapie makes the intervals and sets of an estimator conformal, as of scikit-learn's."""

import numpy as np
import pytest

from sklearn_data import ours, theirs

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
pytest.importorskip("mapie", minversion="1.0")

X = np.random.RandomState(0).normal(size=(200, 3))
SETTINGS = {"hidden_layer_sizes": (5,), "solver": "lbfgs", "random_state": 0, "max_iter": 50}


def test_intervals() -> None:
    from mapie.regression import SplitConformalRegressor

    found = []
    for module in (ours, theirs):
        model = module.MLPRegressor(**SETTINGS).fit(X[:100], X[:100, 0])
        conformal = SplitConformalRegressor(model, confidence_level=0.9, prefit=True)
        conformal.conformalize(X[100:], X[100:, 0])
        found.append(conformal.predict_interval(X)[1])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-2, atol=1e-3)


def test_sets_of_classes() -> None:
    from mapie.classification import SplitConformalClassifier

    y = np.digitize(X[:, 0], [-0.5, 0.5])
    found = []
    for module in (ours, theirs):
        model = module.MLPClassifier(**SETTINGS).fit(X[:100], y[:100])
        conformal = SplitConformalClassifier(model, confidence_level=0.9, prefit=True)
        conformal.conformalize(X[100:], y[100:])
        found.append(conformal.predict_set(X)[1])
    assert (found[0] == found[1]).mean() > 0.98
