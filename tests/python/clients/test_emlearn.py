"""emlearn writes the estimators as C code, and gets no activation that it does not know."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastmlp.sklearn import MLPClassifier

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
emlearn = pytest.importorskip("emlearn")

X = np.random.RandomState(0).normal(size=(80, 4)).astype(np.float32)
CLASSES = np.digitize(X[:, 0], [-0.5, 0.5])


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # emlearn compiles in the folder `tmp`


def classifier(activation: Any) -> MLPClassifier:
    model = MLPClassifier((6, 5), activation=activation, max_iter=20, random_state=0)
    return model.fit(X, CLASSES)


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", ["relu", "relu"]], ids=str)
def test_the_code_gives_the_same_labels(activation: Any) -> None:
    model = classifier(activation)
    found = emlearn.convert(model, method="inline").predict(X)
    np.testing.assert_array_equal(found, model.predict(X))


@pytest.mark.parametrize("activation", ["gelu", "leaky_relu", ["relu", "tanh"]], ids=str)
def test_added_activations_are_refused(activation: Any) -> None:
    with pytest.raises(ValueError, match="to_sklearn: the hidden layers have the activations"):
        emlearn.convert(classifier(activation), method="inline")
