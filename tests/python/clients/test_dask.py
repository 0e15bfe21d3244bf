"""dask computes with networks and estimators in threads and processes, with the same bits."""

import numpy as np
import pytest

import fastmlp
from fastmlp.sklearn import MLPClassifier

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
dask = pytest.importorskip("dask")
pytest.importorskip("dask.array")

X = np.random.RandomState(0).normal(size=(100, 3)).astype(np.float32)


@pytest.mark.parametrize("scheduler", ["threads", "processes", "synchronous"])
def test_blocks_of_rows_are_predicted(scheduler: str) -> None:
    network = fastmlp.Network([3, 5, 2], output="softmax", seed=0)
    blocks = dask.array.from_array(X, chunks=(30, 3))
    found = blocks.map_blocks(
        lambda rows: network.forward(rows), chunks=(blocks.chunks[0], (2,)), dtype=X.dtype
    )
    np.testing.assert_array_equal(found.compute(scheduler=scheduler), network.forward(X))


def test_a_fit_is_delayed_and_its_token_is_stable() -> None:
    def fitted(seed: int) -> np.ndarray:
        return MLPClassifier((4,), max_iter=5, random_state=seed).fit(X, X[:, 0] > 0).coefs_[0]

    delayed = [dask.delayed(fitted)(0) for _ in range(3)]
    found = dask.compute(*delayed, scheduler="threads")
    assert all(np.array_equal(W, found[0]) for W in found)
