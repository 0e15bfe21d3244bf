"""Does everything 2,000 times and checks that the process does not grow.

`python tests/soak/memory.py [CYCLES]`. One cycle uses each part of the package, errors included.
The first quarter of the cycles fills caches. After it the allocated memory may grow by at most
GROWTH, and the number of Python's objects, of open files and of threads by at most FEW. Linux only:
glibc says how many bytes are allocated, and Python's memory comes from it too (PYTHONMALLOC).
"""

import copy
import ctypes
import gc
import os
import pickle
import sys
import tempfile

import numpy as np

import fastmlp
from fastmlp import schedules

CYCLES = 2000
GROWTH = 1 << 17  # bytes; 87 in each cycle
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
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(cycles // 4):
            cycle(folder)
        before = used()
        for _ in range(cycles - cycles // 4):
            cycle(folder)
        grown = {name: value - before[name] for name, value in used().items()}
    print(f"{cycles} cycles: the last three quarters added {grown}")
    memory = grown.pop("bytes")
    return int(memory > GROWTH or any(count > FEW for count in grown.values()))


if __name__ == "__main__":
    sys.exit(main())
