"""Other libraries with threads of their own in the same process change no bits, and nothing hangs.

Both can happen when two OpenMP runtimes meet in one process. Each library is tried before, after
and between two training runs. `benchmarks/neighbours.py` measures how little they slow each other
down.
"""

import importlib.util
import os
import subprocess
import sys

import pytest

from sweeps import sweep

# Each does a product large enough for all threads.
NEIGHBOURS = {
    "sklearn": """
from sklearn.ensemble import HistGradientBoostingClassifier
HistGradientBoostingClassifier(max_iter=3).fit(X, y)
""",
    "torch": """
import torch
A = torch.ones(700, 700, requires_grad=True)
(A @ A).sum().backward()
""",
    "jax": """
import jax.numpy
A = jax.numpy.ones((700, 700))
(A @ A).block_until_ready()
""",
    "onnxruntime": """
import onnxruntime
onnxruntime.get_available_providers()
""",
}
OURS = """
import fastmlp
fastmlp.set_num_threads(3)
net = fastmlp.Network([40, 60, 1], seed=1)
net.fit(X, y, epochs=2, batch_size=100, optimizer="adam")
digest = net.parameters.tobytes().hex()[:4000]
assert fastmlp._core._last_team_size() == 3
"""
DATA = """
import numpy as np
random = np.random.default_rng(0)
X, y = random.normal(size=(2000, 40)), random.integers(0, 2, 2000)
"""


def digest_of(*parts: str) -> str:
    """Run the parts in a new process; the parameters at the end, in hexadecimal."""
    code = "".join((DATA, *parts, "print(digest)"))
    # Small work is shared between all threads, too.
    environment = os.environ | {"FASTMLP_MIN_WORK": "0"}
    environment.pop("OPENBLAS_NUM_THREADS", None)  # NumPy has its threads as well, as in real life
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=environment,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout.split()[-1]


@pytest.fixture(scope="module")
def alone() -> str:
    return digest_of(OURS)


@pytest.mark.parametrize("name", NEIGHBOURS)
@pytest.mark.parametrize("order", ["between", *(sweep(order) for order in ("before", "after"))])
def test_the_bits_are_the_same_beside(alone: str, name: str, order: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    other = NEIGHBOURS[name]
    parts = {"before": (other, OURS), "after": (OURS, other, OURS), "between": (other, OURS, other)}
    assert digest_of(*parts[order]) == alone


@pytest.mark.parametrize("reverse", [False, True])
def test_the_bits_are_the_same_beside_all_of_them(alone: str, reverse: bool) -> None:
    there = [name for name in NEIGHBOURS if importlib.util.find_spec(name) is not None]
    if len(there) < 2:
        pytest.skip("fewer than two of the others are installed")
    others = [NEIGHBOURS[name] for name in (reversed(there) if reverse else there)]
    assert digest_of(*others, OURS) == alone
    assert digest_of(OURS, *others, OURS, *others) == alone
