"""imbalanced-learn resamples rows in front of an estimator."""

import numpy as np
import pytest

from fastmlp.sklearn import MLPClassifier

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
pytest.importorskip("imblearn")

X = np.random.RandomState(0).normal(size=(120, 4))
RARE = X[:, 0] > 1.2


def test_a_pipeline_and_an_ensemble_find_the_rare_class() -> None:
    from imblearn.ensemble import BalancedBaggingClassifier
    from imblearn.over_sampling import SMOTE
    from imblearn.pipeline import make_pipeline

    model = MLPClassifier((8,), solver="lbfgs", random_state=0)
    pipeline = make_pipeline(SMOTE(random_state=0, k_neighbors=2), model).fit(X, RARE)
    assert pipeline.predict(X)[RARE].mean() > 0.9
    ensemble = BalancedBaggingClassifier(model, n_estimators=3, random_state=0).fit(X, RARE)
    assert ensemble.predict(X)[RARE].mean() > 0.9
