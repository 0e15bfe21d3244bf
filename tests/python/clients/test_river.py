"""river trains an estimator row by row through `partial_fit`."""

import numpy as np
import pytest

from sklearn_data import ours, theirs

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
pytest.importorskip("river")


def test_the_stream_gives_scikit_learns_probabilities() -> None:
    from river.compat import convert_sklearn_to_river

    rows = np.random.RandomState(0).normal(size=(40, 2))
    found = []
    for module in (ours, theirs):
        model = convert_sklearn_to_river(
            module.MLPClassifier((4,), random_state=0), classes=[False, True]
        )
        for a, b in rows:
            model.learn_one({"a": a, "b": b}, bool(a > 0))
        found.append([model.predict_proba_one({"a": a, "b": b})[True] for a, b in rows])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
