"""skops saves estimators without pickle; one type is to be trusted, the estimator's class."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastmlp.sklearn import MLPClassifier, MLPRegressor

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
io = pytest.importorskip("skops.io")

X = np.random.RandomState(0).normal(size=(60, 3))


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_pipeline_predicts_and_trains_on(cls: type, solver: str, tmp_path: Path) -> None:
    estimator = cls(hidden_layer_sizes=(4,), solver=solver, max_iter=5, random_state=0)
    y = (X[:, 0] > 0).astype(int)
    model = make_pipeline(StandardScaler(), estimator).fit(X, y)
    io.dump(model, tmp_path / "model.skops")
    untrusted = io.get_untrusted_types(file=tmp_path / "model.skops")
    assert untrusted == [f"fastmlp.sklearn.estimators.{cls.__name__}"]
    loaded = io.load(tmp_path / "model.skops", trusted=untrusted)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    if solver != "lbfgs":
        loaded[-1].partial_fit(X, y)
        estimator.partial_fit(X, y)
        np.testing.assert_array_equal(loaded[-1].coefs_[0], estimator.coefs_[0])


def test_what_to_sklearn_gives_needs_no_trust_in_fastmlp() -> None:
    model = MLPClassifier((4,), max_iter=5, random_state=0).fit(X, X[:, 0] > 0)
    data = io.dumps(model.to_sklearn())
    assert not any("fastmlp" in name for name in io.get_untrusted_types(data=data))
