"""The promise on bits: the same parameters for any instruction set and number of threads."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastmlp
import golden

X86, ARM = ("scalar", "avx2", "avx512"), ("scalar", "neon")
ISAS = X86 if platform.machine() in ("x86_64", "AMD64") else ARM


@pytest.mark.sparse
@pytest.mark.parametrize(
    "threads", [1, 2, 7, *(pytest.param(n, marks=pytest.mark.sweep) for n in (3, 4))]
)
@pytest.mark.parametrize("isa", ISAS)
def test_golden_digests(isa, threads):
    """In a process each, so that the settings come from the environment as a user's would."""
    if isa not in fastmlp.available_isas():
        pytest.skip(f"this CPU has no {isa}")
    settings = {
        "FASTMLP_ISA": isa,
        "OMP_NUM_THREADS": str(threads),
        "FASTMLP_MIN_WORK": "0",  # or else work as small as this would get one thread
    }
    run = subprocess.run(
        [sys.executable, str(Path(golden.__file__))],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["isa"] == isa
    assert found["team"] == threads
    expected = {n: {d: case[d] for d in golden.DTYPES} for n, case in golden.CASES.items()}
    assert found["digests"] == expected


@pytest.mark.parametrize("name", golden.CASES)
@pytest.mark.parametrize("dtype", golden.DTYPES)
def test_golden_cases_really_train(name, dtype):
    """A digest of parameters that never moved, or went to NaN, would promise nothing."""
    trained = golden.train(name, dtype).parameters
    start = golden.untrained(name, dtype).parameters
    assert np.isfinite(trained).all()
    assert (trained != start).mean() > 0.5


def test_predictions_do_not_depend_on_the_batch_they_are_in():
    network = fastmlp.Network([30, 64, 32, 1], seed=0)
    X = golden.small_integers(1500, 30, 0).astype(np.float32)
    whole = network.forward(X)
    for rows in (slice(0, 1), slice(3, 10), slice(511, 1030)):
        assert network.forward(X[rows]).tobytes() == whole[rows].tobytes()
    assert network.forward(X[7]).tobytes() == whole[7].tobytes()
