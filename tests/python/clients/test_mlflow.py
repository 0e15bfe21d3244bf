"""mlflow's autolog logs the estimators as it logs scikit-learn's (packages: serving.txt)."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import sklearn.neural_network as theirs
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastmlp
import fastmlp.sklearn as ours

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
mlflow = pytest.importorskip("mlflow")

X = np.random.RandomState(0).normal(size=(80, 4))
CLASSES = (X[:, 0] > 0).astype(int)


@pytest.fixture(autouse=True)
def autolog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    mlflow.sklearn.autolog(log_models=False)  # saving a model takes seconds
    yield
    mlflow.sklearn.autolog(disable=True)


def logged(train: Any) -> tuple[dict[str, str], dict[str, float], list[str], Any]:
    """Train under autolog; return what it logs: parameters, metrics, files, and the model."""
    with mlflow.start_run() as run:
        train()
    found = mlflow.get_run(run.info.run_id)
    files = sorted(file.path for file in mlflow.artifacts.list_artifacts(run_id=run.info.run_id))
    outputs = found.outputs.model_outputs if found.outputs else []
    models = [mlflow.sklearn.load_model(f"models:/{model.model_id}") for model in outputs]
    return found.data.params, found.data.metrics, files, models


def check_equal(train: Any) -> None:
    """What is logged of our estimator is what is logged of theirs, and the added parameters."""
    params, metrics, files, models = logged(lambda: train(theirs))
    our_params, our_metrics, our_files, our_models = logged(lambda: train(ours))
    assert params.items() <= our_params.items() or "best_alpha" in params
    assert our_metrics == pytest.approx(metrics, rel=1e-6)
    assert our_files == files
    assert len(our_models) == len(models)
    for model, our_model in zip(models, our_models, strict=True):
        np.testing.assert_allclose(our_model.predict(X), model.predict(X), rtol=1e-6)


def classifier(module: Any, **settings: Any) -> Any:
    return module.MLPClassifier((5,), max_iter=5, random_state=0, **settings)


def test_the_model_is_logged() -> None:
    mlflow.sklearn.autolog()
    check_equal(lambda module: classifier(module).fit(X, CLASSES))
    _, metrics, _, models = logged(lambda: classifier(ours).fit(X, CLASSES))
    assert metrics["training_accuracy_score"] > 0
    assert type(models[0]) is ours.MLPClassifier


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_a_fit_is_logged(solver: str) -> None:
    check_equal(lambda module: classifier(module, solver=solver).fit(X, CLASSES))


def test_a_fit_of_a_regressor_with_weights_is_logged() -> None:
    weight = np.linspace(0, 1, len(X))
    make = {"hidden_layer_sizes": (5,), "max_iter": 5, "random_state": 0}
    check_equal(lambda module: module.MLPRegressor(**make).fit(X, X[:, 0], sample_weight=weight))
    check_equal(lambda module: module.MLPRegressor(**make).fit(X, X[:, 0], weight))


def test_a_fit_with_an_eval_set_is_logged() -> None:
    def train() -> None:
        classifier(ours).fit(X, CLASSES, eval_set=(X, CLASSES))

    assert "training_score" in logged(train)[1]


def test_metrics_after_the_training_are_logged() -> None:
    def train(module: Any) -> None:
        model = classifier(module).fit(X, CLASSES)
        Z = X[:50]
        predicted = model.predict(Z)
        sklearn.metrics.accuracy_score(CLASSES[:50], predicted)
        model.score(Z, CLASSES[:50])
        model.predict_proba(Z)
        model.predict_log_proba(Z)

    check_equal(train)
    assert {"accuracy_score_Z", "MLPClassifier_score_Z"} <= logged(lambda: train(ours))[1].keys()


def test_meta_estimators_are_logged() -> None:
    check_equal(lambda m: make_pipeline(StandardScaler(), classifier(m)).fit(X, CLASSES))
    check_equal(lambda m: GridSearchCV(classifier(m), {"alpha": [0, 1]}, cv=2).fit(X, CLASSES))


def test_partial_fit_is_logged_as_little_as_scikit_learns() -> None:
    check_equal(lambda m: classifier(m).partial_fit(X, CLASSES, classes=[0, 1]))


def test_an_error_of_a_fit_is_raised() -> None:
    with pytest.raises(ValueError, match="Found array with 0 sample"):
        classifier(ours).fit(X[:0], CLASSES[:0])
    with pytest.raises(ValueError, match="eval_set is for the solvers"):
        classifier(ours, solver="lbfgs").fit(X, CLASSES, eval_set=(X, CLASSES))


def test_a_model_is_saved_and_served() -> None:
    model = classifier(ours).fit(X, CLASSES)
    info = mlflow.sklearn.log_model(model, name="model", serialization_format="cloudpickle")
    served = mlflow.pyfunc.load_model(info.model_uri)
    np.testing.assert_array_equal(served.predict(X), model.predict(X))


@pytest.mark.parametrize(
    "imports",
    [
        "import fastmlp.sklearn as ours; import mlflow; mlflow.sklearn.autolog()",
        "import mlflow; mlflow.sklearn.autolog(); import fastmlp.sklearn as ours",
    ],
)
def test_the_order_of_imports_does_not_matter(imports: str, tmp_path: Path) -> None:
    code = f"""
{imports}
import numpy as np, sklearn.metrics
X = np.random.RandomState(0).normal(size=(50, 4))
y = X[:, 0] > 0
with mlflow.start_run() as run:
    model = ours.MLPClassifier((5,), max_iter=3).fit(X, y)
    model.score(X, y)
    predicted = model.predict(X)
    sklearn.metrics.accuracy_score(y, predicted)
print(*sorted(mlflow.get_run(run.info.run_id).data.metrics))
"""
    environment = os.environ | {
        "PYTHONPATH": str(Path(fastmlp.__file__).parents[1]),
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_TRACKING_URI": (tmp_path / "runs").as_uri(),
    }
    command = [sys.executable, "-W", "ignore", "-c", code]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    expected = {"MLPClassifier_score_X", "accuracy_score_X", "training_score"}
    assert expected <= set(run.stdout.split())
