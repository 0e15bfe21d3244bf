#!/usr/bin/env python3
"""Measure whether fastmlp is as fast beside other libraries with threads as it is alone.

`benchmarks/.venv/bin/python benchmarks/neighbours.py`, after `python3 benchmarks/run.py` has made
that environment. A process for each library and order of import: the library computes on all
threads, fastmlp trains, and so on in turn. Processes take turns; the least time of a step counts.
"""

import argparse
import importlib.util
import json
import subprocess
import sys

NEIGHBOURS = {
    "alone": "def compute(): pass",
    "sklearn": """
from sklearn.ensemble import HistGradientBoostingClassifier
def compute(): HistGradientBoostingClassifier(max_iter=3).fit(X, y)
""",
    "torch": """
import torch
A = torch.ones(700, 700, requires_grad=True)
def compute(): (A @ A).sum().backward()
""",
    "jax": """
import jax.numpy
A = jax.numpy.ones((700, 700))
def compute(): (A @ A).block_until_ready()
""",
    "onnxruntime": """
import onnxruntime
def compute(): onnxruntime.get_available_providers()
""",
}
MEASURE = """
import fastmlp, json, time
def step():
    '''Microseconds of a training step of 784-256-128-1 on 128 rows.'''
    net = fastmlp.Network([784, 256, 128, 1], seed=0)
    times = []
    for _ in range(12):
        start = time.perf_counter()
        net.train_epoch(Z, t, order, batch_size=128, optimizer=sgd)
        times.append(time.perf_counter() - start)
    return min(times) / 4 * 1e6
import numpy as np
Z = np.random.default_rng(0).normal(size=(512, 784)).astype(np.float32)
t, order, sgd = (Z[:, 0] > 0).astype(np.float32), np.arange(512), fastmlp.SGD(0.01)
best = step()
for _ in range(5):
    compute()
    best = min(best, step())
print(json.dumps(best))
"""
DATA = """
import numpy as np
random = np.random.default_rng(0)
X, y = random.normal(size=(2000, 40)), random.integers(0, 2, 2000)
"""


def measure(name: str, first: str) -> float:
    """Return the time of a step beside a library, which is imported first or last."""
    parts = [NEIGHBOURS[name], "import fastmlp"]
    code = "\n".join([DATA, *(parts if first == name else parts[::-1]), MEASURE])
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    return float(json.loads(run.stdout.split("\n")[-2]))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    there = [n for n in NEIGHBOURS if n == "alone" or importlib.util.find_spec(n) is not None]
    least: dict[tuple[str, str], float] = {}
    for _ in range(repeats):
        for name in there:
            for first in (name, "fastmlp"):
                time = measure(name, first)
                least[name, first] = min(time, least.get((name, first), time))
    alone = min(least["alone", first] for first in ("alone", "fastmlp"))
    print("| beside | imported first | us per step | times alone |\n|---|---|--:|--:|")
    for (name, first), time in least.items():
        print(f"| {name} | {first} | {time:.0f} | {time / alone:.2f} |")


if __name__ == "__main__":
    main()
