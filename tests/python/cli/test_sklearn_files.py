"""`fastmlp export` of estimators of scikit-learn: those that skops wrote, and pickles."""

import os
import pickle
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastmlp
import fastmlp.sklearn
from fastmlp.cli.app import run
from fastmlp.cli.errors import guarded

X = np.random.default_rng(0).normal(3, 2, size=(40, 3)).astype("f4")
LABELS = np.array(["no", "yes"])[(X.sum(axis=1) > 9).astype(int)]


def classifier(kind=MLPClassifier, **options):
    return kind((4,), max_iter=5, random_state=0, **options)


def regressor(**options):
    return MLPRegressor(hidden_layer_sizes=(4,), max_iter=5, random_state=0, **options)


ESTIMATORS = {
    "adam": classifier(),
    "sgd": classifier(solver="sgd"),
    "lbfgs": classifier(solver="lbfgs"),
    "early stopping": classifier(early_stopping=True),
    "ours": classifier(fastmlp.sklearn.MLPClassifier),
    "pipeline": make_pipeline(StandardScaler(), classifier()),
    "regression": make_pipeline(
        StandardScaler(),
        TransformedTargetRegressor(regressor=regressor(), transformer=StandardScaler()),
    ),
}


def fitted(name):
    estimator = ESTIMATORS[name]
    return estimator.fit(X, X.sum(axis=1) if name == "regression" else LABELS)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def export(*arguments):
    return guarded(lambda: run(["export", *arguments]))


WRITERS = {
    "model.skops": skops.io.dump,
    "model.joblib": joblib.dump,
    "model.joblib.gz": lambda estimator, path: joblib.dump(estimator, path, compress=3),
    "model.pkl": joblib.dump,
    "model": joblib.dump,
}


def check_same(path, estimator):
    network = fastmlp.Network.load_npz(path)
    found, expected = network.predict(X), estimator.predict(X)
    if expected.dtype.kind == "f":
        assert np.allclose(found, expected, rtol=1e-4, atol=1e-4)
    else:
        assert np.array_equal(found, expected)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_file_of_skops_is_exported(name):
    estimator = fitted(name)
    skops.io.dump(estimator, "model.skops")
    assert export("model.skops", "--npz", "model.npz", "--c", "model.h") == 0
    check_same("model.npz", estimator)
    assert "fastmlp_model_forward" in Path("model.h").read_text()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("path", WRITERS)
def test_a_pickle_is_exported_if_it_is_trusted(path, capsys):
    estimator = fitted("pipeline")
    WRITERS[path](estimator, path)
    if path != "model.skops":
        assert export(path, "--npz", "model.npz") == 2
        printed = capsys.readouterr().err
        assert (
            f"{path} is a pickle, which can run any code while it is read; add --trust" in printed
        )
        assert len(printed.splitlines()) == 1
        assert not os.path.exists("model.npz")
    assert export(path, "--npz", "model.npz", "--trust-pickle") == 0
    check_same("model.npz", estimator)


class Explosive:
    def __reduce__(self):
        return (os.mkdir, ("exploded",))


@pytest.mark.parametrize("path", ["x.pkl", "x"])
def test_no_code_of_a_pickle_runs(path):
    with open(path, "wb") as file:
        pickle.dump(Explosive(), file)
    assert export(path, "--npz", "model.npz") == 2
    assert not os.path.exists("exploded")
    export(path, "--npz", "model.npz", "--trust-pickle")
    assert os.path.exists("exploded")  # the test sees what it should


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_cannot_be_a_network_is_refused(capsys):
    skops.io.dump(LogisticRegression().fit(X, LABELS), "other.skops")
    skops.io.dump(classifier(), "unfitted.skops")
    fitted("adam").extra = Explosive  # a type that skops does not know
    skops.io.dump(ESTIMATORS["adam"], "untrusted.skops")
    del ESTIMATORS["adam"].extra
    with zipfile.ZipFile("damaged.skops", "w") as archive:
        archive.writestr("schema.json", "{")
    with zipfile.ZipFile("other.zip", "w") as archive:
        archive.writestr("a", "b")
    files = (
        ("damaged.pkl", b"\x80\x04x"),
        ("missing.pkl", b"cno_module\nName\n."),
        ("damaged.zip", b"PK" + bytes(40) + b"PK\5\6" + b"\xff" * 8 + bytes(10)),
    )
    for name, data in files:
        with open(name, "wb") as file:
            file.write(data)
    for path, message in (
        ("other.skops", "other.skops: LogisticRegression is not taken; it must be a fitted MLP"),
        ("unfitted.skops", "unfitted.skops: This MLPClassifier instance is not fitted"),
        ("untrusted.skops", "which may not be safe to load"),
        ("damaged.skops", "damaged.skops cannot be read: JSONDecodeError"),
        ("other.zip", "other.zip is not a model"),
        ("damaged.zip", "damaged.zip is not a model"),
        ("damaged.pkl", "damaged.pkl cannot be read: "),
        ("missing.pkl", "missing.pkl cannot be read: ModuleNotFoundError: No module named 'no_m"),
        ("absent.pkl", "absent.pkl: No such file or directory"),
    ):
        assert export(path, "--npz", "model.npz", "--trust-pickle") == 2, path
        printed = capsys.readouterr().err
        assert message in printed
        assert len(printed.splitlines()) == 1
    assert not os.path.exists("model.npz")
