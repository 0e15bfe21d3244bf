"""skl2onnx converts the estimators, alone and inside scikit-learn's meta-estimators."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    BaggingClassifier,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastmlp
from fastmlp.sklearn import MLPClassifier, MLPRegressor

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

X = np.random.RandomState(0).normal(size=(120, 4)).astype(np.float32)
PACKAGE = Path(fastmlp.__file__).parents[1]


def outputs(model: Any, X: Any, **options: Any) -> list[Any]:
    """What ONNX Runtime computes from the converted model."""
    graph = skl2onnx.to_onnx(model, X[:1], options={id(model): options} if options else None)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: X})


def check_classifier(model: Any) -> None:
    labels, probabilities = outputs(model, X, zipmap=False)
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(labels, model.predict(X))


def classifier(**settings: Any) -> MLPClassifier:
    return MLPClassifier((6, 5), max_iter=20, random_state=0, learning_rate_init=0.02, **settings)


def regressor(**settings: Any) -> MLPRegressor:
    return MLPRegressor(hidden_layer_sizes=(6, 5), max_iter=20, random_state=0, **settings)


CLASSES = {
    "binary": (X[:, 0] > 0).astype(int),
    "words": np.where(X[:, 0] > 0, "yes", "no"),
    "three": np.digitize(X[:, 0], [-0.5, 0.5]) + 5,
    "multilabel": (X[:, :3] > 0).astype(int),
}


@pytest.mark.parametrize("name", CLASSES)
def test_classifiers(name: str) -> None:
    check_classifier(classifier().fit(X, CLASSES[name]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", [*fastmlp.ACTIVATIONS, ["gelu", "tanh"]], ids=str)
def test_added_activations(activation: Any, dtype: Any) -> None:
    if "sigmoid" in activation and activation != "hard_sigmoid":
        activation = "logistic"
    Z = (8 * X).astype(dtype)
    model = regressor(activation=activation).fit(Z, X[:, 0])
    (found,) = outputs(model, Z)
    expected = model.predict(Z)[:, None]
    tolerance = (1e-5 if dtype is np.float32 else 1e-12) * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
    check_classifier(classifier(activation=activation).fit(X, CLASSES["three"]))


@pytest.mark.parametrize("opset", [9, 11, 13, 18])
def test_old_opsets(opset: int) -> None:
    """The operators changed over time: axes, for example, became inputs."""
    for dtype in (np.float32, np.float64):
        model = regressor(activation=["gelu", "selu"]).fit(X.astype(dtype), X[:, 0])
        graph = skl2onnx.to_onnx(model, X[:1].astype(dtype), target_opset=opset)
        session = onnxruntime.InferenceSession(
            graph.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        (found,) = session.run(None, {"X": X.astype(dtype)})
        np.testing.assert_allclose(found[:, 0], model.predict(X.astype(dtype)), atol=1e-5)


def test_regressors_with_several_outputs_and_with_counts() -> None:
    several = regressor().fit(X, X[:, :2])
    np.testing.assert_allclose(outputs(several, X)[0], several.predict(X), atol=1e-5)
    counts = regressor(loss="poisson").fit(X, np.arange(120) % 7)
    np.testing.assert_allclose(outputs(counts, X)[0][:, 0], counts.predict(X), rtol=1e-5)


def test_zipmap_and_no_hidden_layer() -> None:
    model = MLPClassifier((), max_iter=5).fit(X, CLASSES["words"])
    _, dictionaries = outputs(model, X)
    assert set(dictionaries[0]) == {"yes", "no"}


@pytest.mark.parametrize(
    "make",
    [
        lambda e: make_pipeline(StandardScaler(), e),
        lambda e: CalibratedClassifierCV(e, cv=2),
        lambda e: CalibratedClassifierCV(make_pipeline(StandardScaler(), e), cv=2),
        lambda e: StackingClassifier([("a", e), ("b", LogisticRegression())], cv=2),
        lambda e: VotingClassifier(
            [("a", e), ("b", LogisticRegression())], voting="soft", flatten_transform=False
        ),
        lambda e: BaggingClassifier(e, n_estimators=2, random_state=0),
        lambda e: GridSearchCV(e, {"alpha": [1e-4, 1e-2]}, cv=2),
    ],
)
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_inside_of_meta_estimators(make: Any, activation: str) -> None:
    check_classifier(make(classifier(activation=activation)).fit(X, CLASSES["three"]))


@pytest.mark.parametrize(
    "make",
    [
        lambda e: StackingRegressor([("a", e), ("b", Ridge())], cv=2),
        MultiOutputRegressor,
    ],
)
def test_inside_of_meta_estimators_of_regressors(make: Any) -> None:
    y = X[:, :2] if make is MultiOutputRegressor else X[:, 0]
    model = make(regressor(activation="gelu")).fit(X, y)
    (found,) = outputs(model, X)
    np.testing.assert_allclose(found.reshape(np.shape(y)), model.predict(X), atol=1e-5)


def test_after_other_arrays_are_assigned() -> None:
    model = classifier().fit(X, CLASSES["binary"])
    model.coefs_ = [2 * W for W in model.coefs_]
    check_classifier(model)


def run(code: str, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(PACKAGE)}
    command = [sys.executable, "-W", "error::UserWarning", "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


IMPORTS = {
    "fastmlp first": "import fastmlp.sklearn, skl2onnx",
    "skl2onnx first": "import skl2onnx, fastmlp.sklearn",
    "a part of skl2onnx": "import fastmlp.sklearn; from skl2onnx.convert import convert_sklearn",
    "twice": "import fastmlp.sklearn, importlib, skl2onnx; importlib.reload(skl2onnx)",
}


@pytest.mark.parametrize("imports", IMPORTS.values(), ids=list(IMPORTS))
def test_the_order_of_imports_does_not_matter(imports: str) -> None:
    code = f"{imports}\nfrom skl2onnx import get_model_alias\nfrom fastmlp.sklearn import *\n"
    code += "print(get_model_alias(MLPClassifier), get_model_alias(MLPRegressor))\n"
    code += "import inspect, sys; inspect.getsource(skl2onnx) if 'skl2onnx' in globals() else 0\n"
    code += "print([f for f in sys.meta_path if type(f).__module__.startswith('fastmlp')])"
    lines = run(code).splitlines()
    assert lines[0] == "FastmlpMLPClassifier FastmlpMLPRegressor"
    assert "skl2onnx" not in lines[1]


def test_importing_fastmlp_does_not_import_skl2onnx() -> None:
    assert run("import fastmlp.sklearn, sys; print('skl2onnx' in sys.modules)") == "False\n"


@pytest.mark.parametrize("first", ["fastmlp.sklearn", "skl2onnx"])
def test_skl2onnxs_own_tests_with_our_classes(first: str, tmp_path: Path) -> None:
    """The tests of its source package; ours are the classes that the tests construct."""
    pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
    pip += ["--no-deps", "--no-binary", ":all:", f"skl2onnx=={skl2onnx.__version__}"]
    subprocess.run(pip, check=True, cwd=tmp_path)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as source:
        source.extractall(tmp_path, filter="data")
    tests = next(tmp_path.glob("*/tests"))
    (tests / "conftest.py").write_text(f"import {first}\n")
    file = tests / "test_sklearn_mlp_converter.py"
    theirs, ours = "from sklearn.neural_network import", "from fastmlp.sklearn import"
    text = file.read_text()
    assert theirs in text
    file.write_text(text.replace(theirs, ours))
    environment = os.environ | {"PYTHONPATH": str(PACKAGE)}
    command = [sys.executable, "-m", "pytest", "-q", "-W", "ignore", "-c", os.devnull, file.name]
    done = subprocess.run(command, env=environment, cwd=tests, capture_output=True, text=True)
    assert "17 passed" in done.stdout, done.stdout[-3000:] + done.stderr[-1000:]
