"""The golden cases: small training runs whose parameters must have the same bits everywhere.

Run as a script it trains them all and prints, as JSON, their SHA-256 digests with the settings they
ran under. Inputs are small whole numbers, so that no generator but the library's own has a part in
them. tests/golden.json has the cases with their digests. test_bits.py compares them with the
digests of this script; tests/cpp/golden/golden.cpp, its twin, does the same in C++.
`python golden.py --write` replaces the digests in that file, which is right only for a change that
is meant to change results, or for a new case.

A case may have an "optimizer" and a "schedule": the name of a class and its arguments. It may have
"standardize": true. A "loss" holds arguments of `Network`. With "own_loss": true, `fit` gets
`half_squared_error` and targets for each output.
"""

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

import fastmlp

FILE = Path(__file__).parents[2] / "golden.json"
GOLDEN: dict[str, Any] = json.loads(FILE.read_text())
CASES: dict[str, Any] = GOLDEN["cases"]
DTYPES = ("float32", "float64")


def small_integers(rows: int, cols: int, salt: int) -> np.ndarray:
    """Whole numbers from -4 to 4, in an order without a short period."""
    i = np.arange(rows * cols, dtype=np.int64) + salt
    return ((i * i * 7 + i * 13) % 101 % 9 - 4).reshape(rows, cols).astype(np.float64)


def targets(case: dict[str, Any]) -> np.ndarray:
    n_out, output = case["layers"][-1], case["output"]
    if case.get("own_loss"):
        return small_integers(case["rows"], n_out, 5) / 4
    one = output == "softmax" or case.get("loss", {}).get("loss") == "pinball"
    values = small_integers(case["rows"], 1 if one else n_out, 5) + 4
    if output == "softmax":
        return values[:, 0].astype(np.int64) % n_out
    return values / 2 if output in ("identity", "exp") else values % 2


def untrained(name: str, dtype: str) -> "fastmlp.Network":
    layers, hidden, output = (CASES[name][key] for key in ("layers", "hidden", "output"))
    options = {"output": output, "dtype": dtype, **CASES[name].get("loss", {})}
    return fastmlp.Network(layers, hidden=hidden, seed=GOLDEN["seed"], **options)


def options(case: dict[str, Any]) -> dict[str, Any]:
    """Optimizer and schedule of a case; without one, plain gradient descent."""
    found = {}
    optimizer = {"name": "SGD", **case.get("optimizer", {})}
    if optimizer["name"] != "LBFGS":  # it finds the length of each step itself
        optimizer["learning_rate"] = GOLDEN["learning_rate"]
    found["optimizer"] = getattr(fastmlp, optimizer.pop("name"))(**optimizer)
    if schedule := dict(case.get("schedule", {})):
        found["schedule"] = getattr(fastmlp.schedules, schedule.pop("name"))(**schedule)
    return found


def half_squared_error(Y: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Element by element, because NumPy's sums have other bits on other machines."""
    return 0.0, (Y - y.astype(Y.dtype)) / Y.dtype.type(len(Y))


def train(name: str, dtype: str) -> "fastmlp.Network":
    case = CASES[name]
    rows, layers = case["rows"], case["layers"]
    network = untrained(name, dtype)
    network.fit(
        small_integers(rows, layers[0], 0) / 4,
        targets(case),
        epochs=case["epochs"],
        batch_size=case["batch_size"],
        sample_weight=small_integers(rows, 1, 11)[:, 0] + 4 if case["weighted"] else None,
        standardize=case.get("standardize", False),
        loss=half_squared_error if case.get("own_loss") else None,
        **options(case),
    )
    return network


def digest(name: str, dtype: str) -> str:
    parameters = train(name, dtype).parameters
    little_endian = parameters.astype(parameters.dtype.newbyteorder("<"))
    return hashlib.sha256(little_endian.tobytes()).hexdigest()


def write(digests: dict[str, dict[str, str]]) -> None:
    for name, found in digests.items():
        CASES[name] |= found
    text = json.dumps(GOLDEN, indent=1)
    one_line = re.sub(r"\[[^\[\]]*\]", lambda array: json.dumps(json.loads(array[0])), text)
    FILE.write_text(one_line + "\n")


if __name__ == "__main__":
    result = {name: {dtype: digest(name, dtype) for dtype in DTYPES} for name in CASES}
    if sys.argv[1:] == ["--write"]:
        write(result)
    print(
        json.dumps(
            {"isa": fastmlp.isa(), "team": fastmlp._core._last_team_size(), "digests": result}
        )
    )
