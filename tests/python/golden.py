"""The golden cases: small trainings whose parameters must have the same bits everywhere.

Run as a script it trains them all and prints, as JSON, their SHA-256 digests with the settings they
ran under. Inputs are small whole numbers, so that no generator but the library's own has a part in
them. test_bits.py compares with golden.json; `python golden.py --write` makes that file anew, which
is right only for a change that is meant to change results.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

import fastmlp

FILE = Path(__file__).with_name("golden.json")

# name: layers, hidden, output, rows, batch size, weighted
CASES = {
    "source": ([30, 64, 32, 1], "relu", "sigmoid", 150, 32, False),
    "tanh and sigmoid": ([7, 17, 9, 1], ["tanh", "sigmoid"], "sigmoid", 100, 33, False),
    "several sigmoids, weighted": ([5, 16, 3], "relu", "sigmoid", 90, 20, True),
    "softmax": ([12, 33, 10], "relu", "softmax", 128, 50, False),
    "regression": ([9, 15, 2], "tanh", "identity", 64, 10, True),
    "no hidden layer": ([8, 1], "relu", "sigmoid", 40, 7, False),
    "one unit wide": ([3, 1, 2, 1], "tanh", "identity", 50, 16, False),
    "identity layers": ([6, 5, 4, 2], "identity", "identity", 30, 8, False),
    "a batch of several chunks": ([4, 9, 1], "relu", "sigmoid", 9000, 8500, True),
    "more inputs than a chunk": ([5000, 3, 1], "relu", "sigmoid", 20, 8, False),
}
EPOCHS = 3


def small_integers(rows: int, cols: int, salt: int) -> np.ndarray:
    """Whole numbers from -4 to 4, in an order without a short period."""
    i = np.arange(rows * cols, dtype=np.int64) + salt
    return ((i * i * 7 + i * 13) % 101 % 9 - 4).reshape(rows, cols).astype(np.float64)


def targets(rows: int, n_out: int, output: str) -> np.ndarray:
    values = small_integers(rows, 1 if output == "softmax" else n_out, 5) + 4
    if output == "softmax":
        return values[:, 0].astype(np.int64) % n_out
    return values / 2 if output == "identity" else values % 2


def train(name: str, dtype: str) -> "fastmlp.Network":
    layers, hidden, output, rows, batch_size, weighted = CASES[name]
    network = fastmlp.Network(layers, hidden=hidden, output=output, dtype=dtype, seed=7)
    X = small_integers(rows, layers[0], 0) / 4
    weight = small_integers(rows, 1, 11)[:, 0] + 4 if weighted else None
    network.fit(
        X,
        targets(rows, layers[-1], output),
        epochs=EPOCHS,
        batch_size=batch_size,
        learning_rate=0.03125,
        sample_weight=weight,
    )
    return network


def digests() -> dict[str, str]:
    found = {}
    for name in CASES:
        for dtype in ("float32", "float64"):
            parameters = train(name, dtype).parameters
            little_endian = parameters.astype(parameters.dtype.newbyteorder("<"))
            found[f"{name}, {dtype}"] = hashlib.sha256(little_endian.tobytes()).hexdigest()
    return found


if __name__ == "__main__":
    result = digests()
    if sys.argv[1:] == ["--write"]:
        FILE.write_text(json.dumps(result, indent=1) + "\n")
    print(
        json.dumps(
            {"isa": fastmlp.isa(), "team": fastmlp._core._last_team_size(), "digests": result}
        )
    )
