"""nyoka writes the estimators as PMML, and gets no activation that PMML does not have."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import Pipeline

from fastmlp.sklearn import MLPClassifier

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
nyoka = pytest.importorskip("nyoka")

X = np.random.RandomState(0).normal(size=(80, 4))
CLASSES = np.digitize(X[:, 0], [-0.5, 0.5])


def classifier(activation: Any) -> MLPClassifier:
    model = MLPClassifier((6, 5), activation=activation, max_iter=20, random_state=0)
    return model.fit(X, CLASSES)


def pmml(model: Any, folder: Path) -> str:
    path = folder / "model.pmml"
    nyoka.skl_to_pmml(Pipeline([("model", model)]), list("abcd"), "y", str(path))
    return re.sub("<Timestamp>.*</Timestamp>", "", path.read_text())


@pytest.mark.parametrize("activation", ["relu", ["tanh", "tanh"]], ids=str)
def test_the_file_is_that_of_scikit_learns_class(activation: Any, tmp_path: Path) -> None:
    model = classifier(activation)
    assert pmml(model, tmp_path) == pmml(model.to_sklearn(), tmp_path)


@pytest.mark.parametrize("activation", ["gelu", "leaky_relu", ["relu", "tanh"]], ids=str)
def test_added_activations_are_refused(activation: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="to_sklearn: the hidden layers have the activations"):
        pmml(classifier(activation), tmp_path)
    assert not list(tmp_path.iterdir())
