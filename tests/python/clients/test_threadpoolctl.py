"""threadpoolctl limits and shows the threads of fastmlp, and the order of imports is free."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import fastmlp

pytestmark = [
    pytest.mark.client,
    pytest.mark.skipif(not fastmlp._core.has_openmp(), reason="this build runs on one thread"),
]
threadpoolctl = pytest.importorskip("threadpoolctl", minversion="3.2")
threadpool_limits = threadpoolctl.threadpool_limits


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    with fastmlp.threads(3):
        yield


def team_of_a_call() -> int:
    """How many threads a large product uses."""
    A = np.ones((600, 600), np.float32)
    fastmlp.ops.matmul(A, A)
    return fastmlp._core._last_team_size()


def test_a_limit_is_obeyed_and_restored() -> None:
    with threadpool_limits(1):
        assert fastmlp.get_num_threads() == 1
        assert team_of_a_call() == 1
        with threadpool_limits(2):
            assert team_of_a_call() == 2
        assert fastmlp.get_num_threads() == 1
    assert fastmlp.get_num_threads() == 3
    assert team_of_a_call() == 3


def test_set_num_threads_is_obeyed_inside_of_a_limit() -> None:
    with threadpool_limits(1):
        fastmlp.set_num_threads(2)
        assert team_of_a_call() == 2
    assert fastmlp.get_num_threads() == 3


@pytest.mark.parametrize(
    ("limits", "user_api", "threads"),
    [
        (1, "openmp", 1),
        (1, "blas", 3),
        ({"openmp": 2}, None, 2),
        ({"blas": 1}, None, 3),
        ({"libfastmlp": 2}, None, 2),
        (None, None, 3),
        ("sequential_blas_under_openmp", None, 3),
    ],
)
def test_filters(limits: object, user_api: str | None, threads: int) -> None:
    with threadpool_limits(limits, user_api=user_api):
        assert fastmlp.get_num_threads() == threads


def test_a_decorator_and_an_exception_restore_the_number() -> None:
    @threadpool_limits.wrap(limits=1)
    def fails() -> None:
        assert fastmlp.get_num_threads() == 1
        raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert fastmlp.get_num_threads() == 3


def test_the_library_is_shown() -> None:
    (info,) = [i for i in threadpoolctl.threadpool_info() if i["internal_api"] == "fastmlp"]
    assert info["num_threads"] == 3
    assert info["user_api"] == "openmp"
    assert info["version"] == fastmlp.__version__
    controller = threadpoolctl.ThreadpoolController().select(internal_api="fastmlp")
    with controller.limit(limits=1):
        assert fastmlp.get_num_threads() == 1


@pytest.mark.parametrize(
    "imports",
    [
        "import fastmlp, threadpoolctl",
        "import threadpoolctl, fastmlp",
        "import threadpoolctl; threadpoolctl.threadpool_info(); import fastmlp",
        "import fastmlp; from threadpoolctl import threadpool_limits; import threadpoolctl",
        "import fastmlp.sklearn, threadpoolctl",
    ],
)
def test_the_order_of_imports_does_not_matter(imports: str) -> None:
    code = f"{imports}\nfastmlp.set_num_threads(2)\n"
    code += "with threadpoolctl.threadpool_limits(1): print(fastmlp.get_num_threads())"
    environment = {"PYTHONPATH": str(Path(fastmlp.__file__).parents[1])}
    command = [sys.executable, "-W", "error", "-c", code]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.stdout == "1\n", run.stderr
