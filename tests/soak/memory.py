"""Does everything 2,000 times and checks that the process does not grow.

`python tests/soak/memory.py [CYCLES]`. One cycle uses each part of the package, errors included. It
needs scikit-learn, with which SciPy comes, and Linux: glibc says how many bytes are allocated, and
Python's memory comes from it too (PYTHONMALLOC).

The first quarter of the cycles fills caches. A leak grows in each of the other three, a table that
is enlarged in one of them (Python's table of interned strings, by 2 MB). So the least growth of the
three counts: at most GROWTH of memory, and FEW objects of Python, open files and threads.
"""

import copy
import ctypes
import gc
import itertools
import os
import pickle
import sys
import tempfile
import warnings

import numpy as np
from scipy.sparse import csr_array

import fastmlp
from fastmlp import reference, schedules
from fastmlp.formats import cpp_header
from fastmlp.sklearn import MLPClassifier, MLPRegressor

CYCLES = 2000
GROWTH = 1 << 15  # bytes; 65 in each cycle
FEW = 10  # a leak makes one object in each cycle

rng = np.random.default_rng(0)
X, y = rng.normal(size=(64, 10)), rng.integers(0, 2, 64)


def cycle(folder: str) -> None:
    """Use each part of the package once."""
    path = f"{folder}/model.safetensors"
    for dtype in ("float32", "float64"):
        network = fastmlp.Network([10, 16, 8, 1], hidden=["gelu", "relu"], dtype=dtype, seed=0)
        for name in ("sgd", "adam", "adamw", "rmsprop", "lion", "lbfgs"):
            network.fit(X, y, epochs=2, optimizer=name)
        network.fit(
            X,
            y,
            epochs=3,
            optimizer=fastmlp.Adam(),
            schedule=schedules.Plateau(),
            dropout=0.2,
            sample_weight=np.ones(64, "f2"),
            validation_data=(X, y),
            early_stopping=2,
            callbacks=[lambda network, epoch, logs: None],
        )
        network.forward(X.astype("f2")), network.forward(X[0]), network.predict(X.tolist())
        network.loss_and_gradients(X, y), network.gradients, network.weights
        network.step(X, y, 0.1)
        network.save(path)
        other = fastmlp.Network.load(path)
        pickle.loads(pickle.dumps(copy.deepcopy(other)))
        optimizer = fastmlp.Adam()
        other.train_epoch(X, y, np.arange(64), batch_size=8, optimizer=optimizer)
        pickle.loads(pickle.dumps(optimizer))
        network.forward(csr_array(X)), network.loss(csr_array(X), y)
        state = f"{folder}/checkpoint"
        for epochs, resume in ((1, None), (2, state)):
            run = fastmlp.Network([10, 4, 1], dtype=dtype, seed=0)
            run.fit(X, y, epochs=epochs, optimizer="adam", checkpoint=state, resume=resume)
        cpp_header.save_cpp(other, f"{folder}/model.hpp", namespace="model")
    twin = reference.Network([10, 4, 1], seed=0)
    twin.fit(X, y, epochs=2)
    for kind in (MLPClassifier, MLPRegressor):
        for solver in ("sgd", "lbfgs"):
            estimator = kind(hidden_layer_sizes=4, solver=solver, max_iter=2, random_state=0)
            pickle.loads(pickle.dumps(estimator.fit(X, y))).predict(X)
    fastmlp.ops.relu(fastmlp.ops.matmul(X.T, X))
    with fastmlp.threads(2):
        network.forward(np.zeros((2000, 10)))
    for wrong in (
        lambda: network.forward(X[:, 1:]),
        lambda: network.fit(X, y + 5, epochs=1),
        lambda: network.fit(X * 1e300, y, epochs=1, learning_rate=1e300),
        lambda: network.save(f"{folder}/no/such"),
        lambda: fastmlp.Network.load(__file__),
        lambda: fastmlp.Network([10]),
        lambda: fastmlp.ops.relu("text"),
        lambda: network.fit(X, y, epochs=2, callbacks=[lambda *args: 1 / 0]),
        lambda: pickle.loads(pickle.dumps(fastmlp.Adam.__new__(fastmlp.Adam))),
    ):
        try:
            wrong()
        except Exception:
            continue
        raise AssertionError("a wrong call was accepted")


class Mallinfo2(ctypes.Structure):
    """What glibc's mallinfo2() returns."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Mallinfo2


def used() -> dict[str, int]:
    gc.collect()
    info = mallinfo2()
    return {
        "bytes": info.uordblks + info.hblkhd,
        "objects": len(gc.get_objects()),
        "files": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
    }


def main() -> int:
    if os.environ.get("PYTHONMALLOC") != "malloc":
        environment = os.environ | {"PYTHONMALLOC": "malloc"}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)
    cycles = int(sys.argv[1]) if sys.argv[1:] else CYCLES
    warnings.simplefilter("ignore")  # so few epochs do not converge
    with tempfile.TemporaryDirectory() as folder:
        states = []
        for _ in range(4):
            for _ in range(cycles // 4):
                cycle(folder)
            states.append(used())
    grown = {
        name: min(after[name] - before[name] for before, after in itertools.pairwise(states))
        for name in states[0]
    }
    print(f"{cycles} cycles: each of the last three quarters added at least {grown}")
    memory = grown.pop("bytes")
    return int(memory > GROWTH or any(count > FEW for count in grown.values()))


if __name__ == "__main__":
    sys.exit(main())
