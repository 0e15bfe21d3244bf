"""fastmlp.sklearn used by scikit-learn: its checks, its own tests, its meta-estimators."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastmlp
from sklearn_data import data_of, mine, ours
from sweeps import sweep

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1"),
    pytest.mark.filterwarnings("ignore:scipy.optimize. The `disp`:DeprecationWarning"),
]


CHECKS = parametrize_with_checks(
    [ours.MLPClassifier(max_iter=100), ours.MLPRegressor(max_iter=100)]
)
# One check of each kind runs by default: parameters, copies, labels, kinds of X and y, weights.
DEFAULT_CHECKS = {
    "check_dict_unchanged",
    "check_estimators_pickle",
    "check_fit_idempotent",
    "check_no_attributes_set_in_init",
    "check_n_features_in_after_fitting",
    "check_sample_weights_shape",
    "check_supervised_y_2d",
}


def checks() -> Iterator[Any]:
    for estimator, check in CHECKS.args[1]:
        name = getattr(check, "func", check).__name__
        kept = name in DEFAULT_CHECKS
        yield pytest.param(estimator, check, marks=[] if kept else [pytest.mark.sweep])


# As a list: older versions of scikit-learn return a generator, which pytest does not accept.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(CHECKS.args[0], list(checks()), **CHECKS.kwargs)
def test_estimator_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.sweep
def test_scikit_learns_own_tests_pass_with_the_classes_exchanged(tmp_path: Path) -> None:
    plugin = tmp_path / "exchanged_classes.py"
    plugin.write_text(
        "import sklearn.neural_network as theirs\n"
        "import fastmlp.sklearn as ours\n"
        "theirs.MLPClassifier, theirs.MLPRegressor = ours.MLPClassifier, ours.MLPRegressor\n"
    )
    package = Path(fastmlp.__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(package)])}
    command = [sys.executable, "-m", "pytest", "-q", "-W", "ignore", "-p", "exchanged_classes"]
    command += ["-p", "no:cacheprovider", "--pyargs", "sklearn.neural_network.tests.test_mlp"]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]
    assert " passed" in run.stdout
    count = int(run.stdout.split(" passed")[0].split()[-1])
    assert count >= 50, run.stdout[-500:]


def test_pipeline_and_grid_search() -> None:
    X, y = data_of("multiclass")
    pipeline = make_pipeline(StandardScaler(), mine("multiclass", max_iter=10))
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [1e-4, 1.0]}, cv=3).fit(X, y)
    assert search.best_score_ > 0.25
    assert set(search.predict(X)) <= set(y)


def test_cross_validate() -> None:
    X, y = data_of("regression")
    result = cross_validate(mine("regression", max_iter=60), X, y, cv=3)
    assert result["test_score"].shape == (3,)


@pytest.mark.parametrize(
    "make",
    [
        lambda e: VotingClassifier([("a", e), ("b", clone(e))], voting="soft"),
        sweep(lambda e: BaggingClassifier(e, n_estimators=3, random_state=0)),
        sweep(lambda e: StackingClassifier([("a", e), ("b", clone(e))], cv=3)),
        sweep(lambda e: CalibratedClassifierCV(e, cv=3)),
    ],
)
def test_meta_estimators(make: Any) -> None:
    X, y = data_of("binary")
    model = make(mine("binary", max_iter=60)).fit(X, y)
    assert model.score(X, y) > 0.55
    assert model.predict_proba(X).shape == (len(X), 2)


def test_permutation_importance() -> None:
    X, y = data_of("binary")
    model = mine("binary", max_iter=10).fit(X, y)
    result = permutation_importance(model, X, y, n_repeats=2, random_state=0)
    assert result.importances_mean.shape == (X.shape[1],)


def test_data_frames_and_set_output() -> None:
    pandas = pytest.importorskip("pandas")
    X, y = data_of("binary")
    frame = pandas.DataFrame(X, columns=[f"feature {i}" for i in range(X.shape[1])])
    model = make_pipeline(StandardScaler(), mine("binary", max_iter=10)).set_output(
        transform="pandas"
    )
    model.fit(frame, pandas.Series(y))
    assert list(model[-1].feature_names_in_) == list(frame.columns)
    np.testing.assert_array_equal(model.predict(frame), model.fit(frame, y).predict(frame))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model[-1].predict(X)


def test_metadata_routing_reaches_sample_weight() -> None:
    import sklearn

    X, y = data_of("binary")
    weight = np.random.RandomState(0).uniform(size=len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        model = mine("binary", max_iter=3).set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, model).fit(X, y, sample_weight=weight)
    alone = mine("binary", max_iter=3).fit(StandardScaler().fit_transform(X), y, weight)
    np.testing.assert_array_equal(pipeline[-1].coefs_[0], alone.coefs_[0])


def test_html_repr_and_tags() -> None:
    model = mine("binary")
    assert "MLPClassifier" in model._repr_html_()
    assert model.__sklearn_tags__().classifier_tags.multi_label
    assert model.__sklearn_tags__().input_tags.sparse


@pytest.mark.parametrize("backend", ["threading", sweep("loky"), sweep("multiprocessing")])
def test_grid_search_on_two_workers(backend: str) -> None:
    joblib = pytest.importorskip("joblib")
    X, y = data_of("binary")
    grid = {"alpha": [1e-4, 1e-2], "learning_rate_init": [1e-3, 1e-2]}
    serial = GridSearchCV(mine("binary", max_iter=10), grid, cv=2).fit(X, y)
    with joblib.parallel_config(backend=backend, n_jobs=2):
        parallel = GridSearchCV(mine("binary", max_iter=10), grid, cv=2).fit(X, y)
    np.testing.assert_array_equal(
        parallel.cv_results_["mean_test_score"], serial.cv_results_["mean_test_score"]
    )


def test_importing_the_estimators_needs_scikit_learn() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import fastmlp\n"
        "try:\n    import fastmlp.sklearn\n"
        "except ImportError as error:\n    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'fastmlp[sklearn]'" in run.stdout


def test_importing_fastmlp_does_not_import_scikit_learn() -> None:
    code = "import sys, fastmlp; print({'sklearn', 'scipy', 'joblib'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
