"""The estimators keep scikit-learn's rules without inheriting from it."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastmlp.tabular import TabularClassifier, TabularRegressor
from table_data import features, mixed_table

pytest.importorskip("sklearn", minversion="1.7")
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

TABLE = mixed_table()
QUICK = {"epochs": 2, "hidden": (8,), "n_members": 2}

SMALL = {"epochs": 30, "hidden": (16,), "n_members": 1, "learning_rate": 0.02}

NOT_APPLICABLE = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a row of weight 2 is one row in a batch, and two rows are two; rows of weight 0 are left "
        "out, which has a test of its own"
    ),
    "check_array_api_input": "runs only if SCIPY_ARRAY_API is set",
}


with warnings.catch_warnings():  # importing scikit-learn to inherit from it would take a second
    warnings.filterwarnings("ignore", message=".* does not inherit from `sklearn.base")
    with_checks = parametrize_with_checks(
        [TabularClassifier(**SMALL), TabularRegressor(**SMALL)],
        expected_failed_checks=lambda estimator: NOT_APPLICABLE,
    )


@pytest.mark.filterwarnings("ignore:fit. some columns are left out")
@with_checks
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_kind_of_estimator():
    assert is_classifier(TabularClassifier())
    assert is_regressor(TabularRegressor())


def test_clone_and_set_params():
    model = TabularClassifier(hidden=(8, 8), ignore=["a"], column_types={"b": "number"})
    twin = clone(model)
    assert twin.get_params() == model.get_params()
    assert twin.set_params(epochs=3) is twin
    assert twin.epochs == 3
    with pytest.raises(ValueError, match="Invalid parameter 'epoch' for estimator"):
        twin.set_params(epoch=3)


def test_grid_search_over_a_frame():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(features(TABLE))
    search = GridSearchCV(TabularClassifier(**QUICK), {"epochs": [1, 20]}, cv=2)
    search.fit(frame, TABLE["class"])
    assert search.best_params_ == {"epochs": 20}
    assert search.predict(frame).shape == (240,)


def test_pipeline_and_cross_validation():
    A = np.random.RandomState(0).normal(size=(60, 3))
    y = A[:, 0] * 2 + 1
    pipeline = make_pipeline(StandardScaler(), TabularRegressor(**QUICK))
    pipeline.fit(A, y, tabularregressor__sample_weight=np.ones(60))
    assert pipeline.predict(A).shape == (60,)
    assert cross_val_score(pipeline, A, y, cv=3).shape == (3,)


def test_scorers_of_scikit_learn():
    model = TabularClassifier(**QUICK)
    scores = cross_val_score(
        model, np.random.RandomState(0).normal(size=(60, 2)), [0, 1] * 30, scoring="roc_auc", cv=2
    )
    assert np.isfinite(scores).all()


def test_not_fitted_is_scikit_learns_error():
    with pytest.raises(NotFittedError):
        TabularClassifier().predict([[1.0]])


def test_pickles_predict_the_same():
    model = TabularClassifier(**QUICK).fit(features(TABLE), TABLE["class"])
    twin = pickle.loads(pickle.dumps(model))
    assert_array_equal(twin.predict_proba(features(TABLE)), model.predict_proba(features(TABLE)))
    assert twin.get_params() == model.get_params()


def test_the_estimators_work_without_scikit_learn():
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from fastmlp.tabular import TabularClassifier\n"
        "model = TabularClassifier(epochs=1, hidden=(4,))\n"
        "try:\n    model.predict([[1.0]])\n"
        "except ValueError as error:\n    assert 'not fitted' in str(error)\n"
        "model.fit([[float(i % 3)] for i in range(30)], ['a', 'b', 'b'] * 10)\n"
        "model.score([[1.0]], ['b'])\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
