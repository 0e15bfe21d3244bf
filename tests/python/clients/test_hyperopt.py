"""hyperopt searches the settings of a network."""

import numpy as np
import pytest

import fastmlp

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
hyperopt = pytest.importorskip("hyperopt")

X = np.random.RandomState(0).normal(size=(60, 3)).astype(np.float32)


def test_a_search_over_a_network() -> None:
    def loss(space: dict[str, float]) -> float:
        network = fastmlp.Network([3, int(space["units"]), 1], output="identity", seed=0)
        return network.fit(X, X[:, 0], epochs=3, learning_rate=space["rate"]).loss[-1]

    space = {
        "units": hyperopt.hp.quniform("units", 2, 8, 1),
        "rate": hyperopt.hp.loguniform("rate", -5, -2),
    }
    trials = hyperopt.Trials()
    hyperopt.fmin(
        loss,
        space,
        algo=hyperopt.tpe.suggest,
        max_evals=5,
        trials=trials,
        rstate=np.random.default_rng(0),
        show_progressbar=False,
    )
    assert len(trials.losses()) == 5
    assert all(np.isfinite(trials.losses()))
