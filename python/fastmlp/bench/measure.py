"""Takes turns: every library times the same task, one after the other, several times over.

So what the machine does meanwhile, such as a change of its clock, meets all of them alike. A
library is a process of its own, with its number of threads fixed; while one computes, the others
wait.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, Self

from fastmlp.bench.peers import PEERS, environment
from fastmlp.bench.works import Task

# Threads of a library that has just computed spin for a while before they sleep.
PAUSE_SECONDS = 0.005


@dataclass(frozen=True)
class Result:
    """The times of one task in one library.

    Parameters
    ----------
    task : Task
    peer : str
        A key of `PEERS`.
    threads : int
    seconds : tuple of float
        One for each repeat: per SGD step, per row or per product.
    """

    task: Task
    peer: str
    threads: int
    seconds: tuple[float, ...]

    @property
    def best(self) -> float:
        """The least time."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The time that half of the repeats were below."""
        return statistics.median(self.seconds)

    def to_json(self) -> dict[str, Any]:
        """Return the times and the task, for a file."""
        return {
            "task": self.task.to_json(),
            "peer": self.peer,
            "threads": self.threads,
            "min": self.best,
            "median": self.median,
            "seconds": list(self.seconds),
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Result:
        """Return the result of `to_json`."""
        task = Task.from_json(fields["task"])
        return cls(task, fields["peer"], fields["threads"], tuple(fields["seconds"]))


class Worker:
    """A process with one library; see `worker.py`."""

    def __init__(self, peer: str, threads: int) -> None:
        self.peer, self.threads = peer, threads
        self.over = ""  # why, once the process has ended
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fastmlp.bench.worker", peer, str(threads)],
            env=environment(PEERS[peer], threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C is for this process, which ends them all
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()  # closes the pipes

    def receive(self) -> dict[str, Any]:
        """Return the next answer; an `error` where the process has died, which is then `over`."""
        line = self.process.stdout.readline() if self.process.stdout and not self.over else ""
        if line:
            fields: dict[str, Any] = json.loads(line)
            return fields
        if not self.over:
            self.over = f"the process has ended, status {self.process.wait()}"
        return {"error": self.over}

    def ask(self, **request: object) -> dict[str, Any]:
        """Send a request and return the answer."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # no answer will come
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        return self.receive()


def measure(
    tasks: Sequence[Task],
    peers: Sequence[str],
    threads: Sequence[int],
    *,
    repeats: int,
    seconds: float,
    say: Callable[[str], object],
    keep: Callable[[list[Result], dict[str, str]], object] = lambda results, versions: None,
) -> tuple[list[Result], dict[str, str]]:
    """Time every task in every library that offers it.

    Parameters
    ----------
    tasks : sequence of Task
    peers : sequence of str
        Keys of `PEERS`.
    threads : sequence of int
        Every library is measured with each of these.
    repeats : int
        How often every library has its turn with a task.
    seconds : float
        About how long a turn takes; longer where a single epoch, prediction or product does.
    say : callable
        Takes a line about what is going on.
    keep : callable, optional
        Takes the results of a task and the versions as soon as they are there.

    Returns
    -------
    results : list of Result
    versions : dict of str to str
        By library; what is wrong with one that does not start.
    """
    versions: dict[str, str] = {}
    results: list[Result] = []
    with ExitStack() as stack:
        workers = []
        for name in peers:
            for n in threads:
                worker = stack.enter_context(Worker(name, n))
                started = worker.receive()
                versions[name] = started.get("version") or started["error"]
                if "error" in started:
                    say(f"{name} does not start: {started['error']}")
                else:
                    workers.append(worker)
        for number, task in enumerate(tasks, start=1):
            transposed = f", {task.transposed} transposed" if task.transposed else ""
            say(f"{number}/{len(tasks)} {task.kind} {task.name} {task.dtype}{transposed}")
            taken = measure_task(task, workers, repeats, seconds, say)
            keep(taken, versions)
            results += taken
    return results, versions


def measure_task(
    task: Task,
    workers: Sequence[Worker],
    repeats: int,
    seconds: float,
    say: Callable[[str], object],
) -> list[Result]:
    """Let all workers take turns with one task; one that fails is left out from there on."""
    times: dict[Worker, list[float]] = {}
    for worker in workers:
        if worker.over:
            continue
        prepared = worker.ask(task=task.to_json(), seconds=seconds)
        if "error" in prepared:
            say(f"{worker.peer}, threads {worker.threads}, fails: {prepared['error']}")
        elif prepared["offered"]:
            times[worker] = []
    for _ in range(repeats):
        for worker in list(times):
            time.sleep(PAUSE_SECONDS)
            timed = worker.ask()
            if "error" in timed:
                say(f"{worker.peer}, threads {worker.threads}, fails: {timed['error']}")
                del times[worker]
            else:
                times[worker].append(timed["seconds"] / task.units)
    return [
        Result(task, worker.peer, worker.threads, tuple(taken))
        for worker, taken in times.items()
        if taken
    ]
