"""The native network and the twin, trained alike on the bundled data."""

import numpy as np
import pytest

import fastmlp
from fastmlp import demo, reference

pytestmark = pytest.mark.sparse

# max|Δθ| / max|θ| after 20 epochs
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}


@pytest.fixture(scope="module")
def split():
    return demo.prepare(*fastmlp.datasets.load_breast_cancer())


@pytest.mark.parametrize("hidden", fastmlp._core.ACTIVATIONS)
@pytest.mark.parametrize("output", fastmlp._core.OUTPUTS)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_twenty_epochs_agree_with_the_twin(split, hidden, output, dtype):
    parameters = []
    for network_class in (fastmlp.Network, reference.Network):
        network = network_class(
            [30, 64, 32, 2 if output == "softmax" else 1],
            hidden=hidden,
            output=output,
            dtype=dtype,
            seed=0,
        )
        y = split.y_train.astype(np.int64) if output == "softmax" else split.y_train
        # The linear network diverges at the rate that suits the others, unless its loss is one of
        # probabilities.
        rate = 0.001 if output in ("identity", "exp") else 0.05
        network.fit(split.X_train, y, epochs=20, learning_rate=rate)
        parameters.append(network.parameters)
    native, twin = parameters
    assert np.abs(native - twin).max() <= TOLERANCE[dtype] * np.abs(twin).max()


def test_it_learns_the_data(split):
    network = fastmlp.Network([30, 64, 32, 1], seed=0)
    network.fit(split.X_train, split.y_train, epochs=50, learning_rate=0.05)
    assert (network.predict(split.X_test) == split.y_test).mean() >= 0.95
