"""joblib: its limits on the threads of a worker are obeyed, and its backends give the same bits."""

import os
from typing import Any

import numpy as np
import pytest

import fastmlp

pytestmark = [
    pytest.mark.client,
    pytest.mark.skipif(not fastmlp._core.has_openmp(), reason="this build runs on one thread"),
]
joblib = pytest.importorskip("joblib")


def threads_of_a_call() -> tuple[int, int]:
    """The limit, and the team that a large product uses. A worker imports fastmlp here."""
    import fastmlp

    A = np.ones((600, 600), np.float32)
    fastmlp.ops.matmul(A, A)
    return fastmlp.get_num_threads(), fastmlp._core._last_team_size()


def in_workers(function: Any, *arguments: Any) -> list[Any]:
    return joblib.Parallel(n_jobs=2)(joblib.delayed(function)(*arguments) for _ in range(4))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_inner_max_num_threads_is_obeyed(threads: int) -> None:
    with joblib.parallel_config(backend="loky", inner_max_num_threads=threads):
        assert set(in_workers(threads_of_a_call)) == {(threads, threads)}


def test_without_it_the_workers_share_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with joblib.parallel_config(backend="loky"):
        share = max(1, (os.cpu_count() or 1) // 2)
        assert {limit for limit, _ in in_workers(threads_of_a_call)} <= set(range(1, share + 1))


def test_a_limit_of_the_process_holds_in_threads() -> None:
    with fastmlp.threads(1), joblib.parallel_config(backend="threading"):
        assert set(in_workers(threads_of_a_call)) == {(1, 1)}


def trained(network: fastmlp.Network) -> bytes:
    X = np.linspace(-1, 1, 400, dtype=np.float32).reshape(100, 4)
    network = network.copy()
    network.fit(X, X[:, 0] > 0, epochs=3)
    return network.parameters.tobytes()


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing", "sequential"])
def test_every_backend_gives_the_same_bits(backend: str) -> None:
    network = fastmlp.Network([4, 8, 1], seed=0)
    with joblib.parallel_config(backend=backend):
        assert set(in_workers(trained, network)) == {trained(network)}
