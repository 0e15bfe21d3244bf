"""Trains one small network under many settings; prints the digests of its parameters as JSON.

A program of its own, which `digest_table` runs: the settings would stay in the process otherwise,
and `FASTMLP_MIN_WORK`, which makes such a small network use all threads, is read when fastmlp is
imported.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np

import fastmlp
from fastmlp import reference

TEAMS = (1, 2, 3, 4, 7)

X, y = fastmlp.datasets.load_breast_cancer()
X = (X - X.mean(axis=0)) / X.std(axis=0)


def digest(
    *epochs: int, data: Any = X, network: Any = fastmlp.Network, seed: int = 0,
    dtype: str = "float32", **options: Any,
) -> str:  # fmt: skip
    """Train once, in one or more calls of `fit`, and return eight digits of the SHA-256."""
    net = network([30, 64, 32, 1], seed=seed, dtype=dtype)
    for count in epochs or (4,):
        net.fit(data, y, epochs=count, **options)
    return hashlib.sha256(np.ascontiguousarray(net.parameters).tobytes()).hexdigest()[:8]


VARIANTS: dict[str, Callable[[], str]] = {
    "two `fit` of 2 epochs, not one of 4": lambda: digest(2, 2),
    "X in column-major order": lambda: digest(data=np.asfortranarray(X)),
    "X converted to float32 beforehand": lambda: digest(data=X.astype("float32")),
    '`optimizer=SGD(0.01)`, not `"sgd"`': lambda: digest(optimizer=fastmlp.SGD(0.01)),
    "`seed=1`": lambda: digest(seed=1),
    "`batch_size=64`": lambda: digest(batch_size=64),
    '`dtype="float64"`': lambda: digest(dtype="float64"),
    "`shuffle=False`": lambda: digest(shuffle=False),
    "`fastmlp.reference.Network`, with NumPy's sums": lambda: digest(network=reference.Network),
}


def main() -> None:
    """Train under all settings."""
    grid = {}
    for isa in fastmlp.available_isas():
        fastmlp.set_isa(isa)
        grid[isa] = []
        for team in TEAMS:
            with fastmlp.threads(team):
                grid[isa].append(digest())
    variants = {name: train() for name, train in VARIANTS.items()}
    print(json.dumps({"teams": TEAMS, "grid": grid, "variants": variants}))


if __name__ == "__main__":
    main()
