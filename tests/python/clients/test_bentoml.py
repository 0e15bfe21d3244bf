"""BentoML serves a network that a worker loads."""

from pathlib import Path

import numpy as np
import pytest

import fastmlp

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
bentoml = pytest.importorskip("bentoml")


def test_a_service_gives_the_outputs_of_forward(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    network = fastmlp.Network([3, 5, 1], seed=0)
    network.save(path)

    @bentoml.service
    class Service:
        def __init__(self) -> None:
            self.network = fastmlp.Network.load(path)

        @bentoml.api(batchable=True)
        def predict(self, rows: np.ndarray) -> np.ndarray:
            return self.network.forward(rows)

    X = np.random.RandomState(0).normal(size=(6, 3)).astype(np.float32)
    np.testing.assert_array_equal(Service().predict(X), network.forward(X))
