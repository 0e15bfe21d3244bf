"""fairlearn's reductions, which weight rows, and its threshold optimizer take an estimator."""

import numpy as np
import pytest

from sklearn_data import ours, theirs

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
pytest.importorskip("fairlearn")

X = np.random.RandomState(0).normal(size=(120, 3))
GROUP = (X[:, 1] > 0).astype(int)
y = ((X[:, 0] + GROUP) > 0.5).astype(int)


def test_the_answers_are_those_of_scikit_learns_estimator() -> None:
    from fairlearn.postprocessing import ThresholdOptimizer
    from fairlearn.reductions import DemographicParity, ExponentiatedGradient

    found = []
    for module in (ours, theirs):
        model = module.MLPClassifier((4,), solver="lbfgs", max_iter=30, random_state=0)
        reduction = ExponentiatedGradient(model, DemographicParity(), max_iter=3)
        reduction.fit(X, y, sensitive_features=GROUP)
        threshold = ThresholdOptimizer(estimator=model, predict_method="predict_proba")
        threshold.fit(X, y, sensitive_features=GROUP)
        found.append(
            [
                reduction.predict(X, random_state=0),
                threshold.predict(X, sensitive_features=GROUP, random_state=0),
            ]
        )
    for mine, expected in zip(*found, strict=True):
        assert (mine == expected).mean() > 0.95
