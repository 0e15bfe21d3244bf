"""Lets the libraries take turns: each times the same task, one after the other, and again.

So a change of the machine, for example of its clock, affects all of them. Each library runs in
a process of its own with its number of threads fixed. While one computes, the others wait.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

from fastmlp.bench.peers import Peer
from fastmlp.bench.workloads import Task

PAUSE_SECONDS = 0.005  # threads that have just computed spin for a while before they sleep
# These variables tune a library; every library is measured with its defaults. FASTMLP_ISA is passed
# on, so that another instruction set can be measured.
NOT_PASSED_ON = {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "FASTMLP_MIN_WORK"}
THREADS = [f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")]


@dataclass(frozen=True)
class Result:
    """The times of one task in one library: seconds per step, row or product, one for each turn."""

    task: Task
    peer: str  # the name of the library
    threads: int
    seconds: tuple[float, ...]

    @property
    def best(self) -> float:
        """The least time."""
        return min(self.seconds)


class Worker:
    """A process with one library; see `worker.py`."""

    def __init__(self, name: str, peer: type[Peer], threads: int) -> None:
        self.name, self.threads = name, threads
        self.over = ""  # once the process has ended, the reason
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "fastmlp.bench.worker"],  # -P: nothing from this folder
            env=environment(peer, threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process, which ends them all
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()  # closes the pipes

    def ask(self, *request: object) -> dict[str, Any]:
        """Return the answer to a request, and report an error in it."""
        assert self.process.stdin
        assert self.process.stdout
        answer: dict[str, Any] = {}
        try:
            self.process.stdin.write(pickle.dumps(request))
            self.process.stdin.flush()
            answer = pickle.load(self.process.stdout)
        except (BrokenPipeError, EOFError, pickle.UnpicklingError):
            answer["error"] = self.over = f"the process has ended, status {self.process.wait()}"
        if "error" in answer:
            say(f"{self.name}, threads {self.threads}, fails: {answer['error']}")
        return answer


def say(line: str) -> None:
    """Report progress on standard error; the tables go to standard output."""
    print(line, file=sys.stderr, flush=True)


def environment(peer: type[Peer], threads: int) -> dict[str, str]:
    """Return the environment that limits a library to this number of threads."""
    inherited = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
    limits = dict.fromkeys(THREADS, str(threads))
    return inherited | limits | peer.environment | {"PYTHONPATH": os.pathsep.join(sys.path)}


def measure(
    tasks: Sequence[Task],
    peers: Mapping[str, type[Peer]],
    threads: Iterable[int],
    repeats: int,
    seconds: float,
) -> Iterator[list[Result]]:
    """Yield the results of each task in every library that offers it, with each number of threads.

    A library has `repeats` turns with a task. A turn takes about `seconds`, or longer if a
    single epoch or prediction takes longer.
    """
    with ExitStack() as stack:
        started = []
        for count in threads:
            for name, peer in peers.items():
                worker = stack.enter_context(Worker(name, peer, count))
                if "error" not in worker.ask(peer, count):
                    started.append(worker)
        for number, task in enumerate(tasks, start=1):
            say(f"{number}/{len(tasks)} {task.kind} {task.name} {task.dtype}")
            yield measure_task(task, started, repeats, seconds)


def measure_task(
    task: Task, workers: Iterable[Worker], repeats: int, seconds: float
) -> list[Result]:
    """Let the workers take turns with one task; a worker that fails is left out from then on."""
    offering = [worker for worker in workers if not worker.over]
    offering = [worker for worker in offering if worker.ask(task, seconds).get("offered")]
    times: dict[Worker, list[float]] = {worker: [] for worker in offering}
    for _ in range(repeats):
        for worker in list(times):
            time.sleep(PAUSE_SECONDS)
            answer = worker.ask(None, 0)
            if "error" in answer:
                del times[worker]
            else:
                times[worker].append(answer["seconds"] / task.units)
    return [Result(task, w.name, w.threads, tuple(taken)) for w, taken in times.items()]
