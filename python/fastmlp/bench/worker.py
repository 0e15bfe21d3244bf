"""One library in a process of its own: prepares a task, then times it whenever it is asked to.

Started by `measure.py` as `python -m fastmlp.bench.worker PEER THREADS`. It reads a JSON object a
line from standard input and answers each with one on standard output.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

import numpy as np

from fastmlp.bench.peers import PEERS, Peer
from fastmlp.bench.works import Task

Timed = Callable[[int], object]  # takes how often


def main(name: str, threads: int) -> None:
    """Serve until standard input ends.

    Parameters
    ----------
    name : str
        A key of `PEERS`.
    threads : int
        How many the library may use; the process is held to as many processors.
    """
    if hasattr(os, "sched_setaffinity"):
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, processors[:threads])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints must not come between the answers
    try:
        peer = PEERS[name](threads)
        answer(answers, {"version": peer.version()})
    except Exception as error:  # a broken installation is reported, not an end of the benchmark
        answer(answers, {"error": repr(error)})
        return
    timed: Timed | None = None
    times = 1
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "task" in request:
                timed = None  # frees what the last task needed
                timed = prepared(peer, Task.from_json(request["task"]))
                times = calibrated(timed, request["seconds"]) if timed else 1
                answer(answers, {"offered": timed is not None})
            elif timed is None:
                answer(answers, {"error": "there is nothing to time"})
            else:
                answer(answers, {"seconds": elapsed(timed, times) / times})
        except Exception as error:
            answer(answers, {"error": repr(error)})


def answer(to: TextIO, fields: dict[str, Any]) -> None:
    """Write one answer."""
    to.write(json.dumps(fields) + "\n")


def prepared(peer: Peer, task: Task) -> Timed | None:
    """Return what to time, or None where the library does not offer it."""
    rng = np.random.default_rng(0)
    offered: Any = getattr(peer, task.kind, None)
    if offered is None:
        return None
    if task.kind == "matmul":
        m, n, k = task.sizes
        a = rng.uniform(-1, 1, (k, m) if "A" in task.transposed else (m, k)).astype(task.dtype)
        b = rng.uniform(-1, 1, (n, k) if "B" in task.transposed else (k, n)).astype(task.dtype)
        return repeated(
            offered(a.T if "A" in task.transposed else a, b.T if "B" in task.transposed else b)
        )
    rows = task.epoch_rows if task.kind == "train" else task.rows
    X = rng.standard_normal((rows, task.sizes[0])).astype(task.dtype)
    if task.kind == "predict":
        return repeated(offered(task.sizes, X))
    y = (X[:, :1] + 0.1 * rng.standard_normal((rows, 1)) > 0).astype(task.dtype)
    timed: Timed = offered(task.sizes, X, y, task.rows)
    return timed


def repeated(call: Callable[[], object]) -> Timed:
    """Return a function that calls `call` so often."""

    def run(times: int) -> None:
        for _ in range(times):
            call()

    return run


def calibrated(timed: Timed, seconds: float) -> int:
    """Return how often it is done in about so many seconds, after what is slow only at first."""
    timed(1)
    timed(1)
    times = 1
    while (taken := elapsed(timed, times)) < seconds / 4:
        times *= 2 if taken > seconds / 64 else 8
    return max(1, round(times * seconds / taken))


def elapsed(timed: Timed, times: int) -> float:
    """Return the seconds that it takes."""
    start = time.perf_counter()
    timed(times)
    return time.perf_counter() - start


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
