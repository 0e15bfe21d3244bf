"""FastAPI serves one network to many requests at once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastmlp

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
fastapi = pytest.importorskip("fastapi")
testclient = pytest.importorskip("fastapi.testclient")

X = np.random.RandomState(0).normal(size=(40, 3)).astype(np.float32)


def test_requests_at_once_get_the_outputs_of_forward() -> None:
    network = fastmlp.Network([3, 64, 1], output="identity", seed=0)
    app = fastapi.FastAPI()

    @app.post("/predict")
    def predict(rows: list[list[float]]) -> list[float]:
        return network.forward(rows)[:, 0].tolist()

    with testclient.TestClient(app) as client, ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda row: client.post("/predict", json=[row]).json()[0], X.tolist())
        found = np.array(list(answers), np.float32)
    np.testing.assert_array_equal(found, network.forward(X)[:, 0])
