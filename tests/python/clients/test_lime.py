"""lime explains a prediction of a network and of an estimator."""

import numpy as np
import pytest

import fastmlp
from fastmlp.sklearn import MLPClassifier

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
pytest.importorskip("lime")

X = np.random.RandomState(0).normal(size=(100, 3))
y = X[:, 1] > 0


def test_the_column_that_matters_is_named() -> None:
    from lime.lime_tabular import LimeTabularExplainer

    explainer = LimeTabularExplainer(X, feature_names=["a", "b", "c"], random_state=0)
    model = MLPClassifier((6,), solver="lbfgs", random_state=0).fit(X, y)
    network = fastmlp.Network.from_sklearn(model)
    explained = [
        explainer.explain_instance(X[0], predict, num_features=1).as_list()
        for predict in (
            model.predict_proba,
            lambda rows: np.column_stack([1 - network.forward(rows), network.forward(rows)]),
        )
    ]
    assert all("b" in rules[0][0] for rules in explained)
