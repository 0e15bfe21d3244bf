"""mlxtend stacks estimators and selects features for them, as for scikit-learn's."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from fastmlp.sklearn import MLPClassifier
from sklearn_data import theirs

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
pytest.importorskip("mlxtend")

X = np.random.RandomState(0).normal(size=(80, 4))
y = (X[:, 0] > 0).astype(int)


@pytest.fixture(params=[MLPClassifier, theirs.MLPClassifier])
def model(request: pytest.FixtureRequest) -> object:
    return request.param((5,), solver="lbfgs", max_iter=30, random_state=0)


def test_stacking(model: object) -> None:
    from mlxtend.classifier import StackingCVClassifier

    stack = StackingCVClassifier([model], LogisticRegression(), cv=2, random_state=0)
    assert stack.fit(X, y).score(X, y) > 0.9


def test_feature_selection_finds_the_column(model: object) -> None:
    from mlxtend.feature_selection import SequentialFeatureSelector

    selector = SequentialFeatureSelector(model, k_features=1, cv=2).fit(X, y)
    assert selector.k_feature_idx_ == (0,)
