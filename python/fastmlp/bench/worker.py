"""The process of one library: it prepares a task, then times it whenever it is asked to.

`measure.py` starts it as `python -m fastmlp.bench.worker`. Requests are pickled tuples on standard
input, answers are pickled dictionaries on standard output. The first request is the class of the
library and its number of threads. Every other is a task to prepare and the seconds that a turn
should take; with None in place of the task, the prepared one is timed.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
from typing import Any

from fastmlp.bench.peers import Peer, Timed


class Server:
    """Answers the requests for one library."""

    def __init__(self) -> None:
        self.peer: Peer | None = None
        self.timed: Timed | None = None
        self.times = 1

    def answer(self, first: Any, second: Any) -> dict[str, Any]:
        """Return the answer to a request."""
        if self.peer is None:
            if hasattr(os, "sched_setaffinity"):  # limits threads beyond the library's setting too
                os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:second])
            self.peer = first(second)
        elif first is not None:
            self.timed = None  # frees what the last task needed
            self.timed = self.peer.prepare(first)
            self.times = calibrated(self.timed, second) if self.timed else 1
        elif self.timed:
            return {"seconds": elapsed(self.timed, self.times) / self.times}
        return {"offered": self.timed is not None}


def calibrated(timed: Timed, seconds: float) -> int:
    """Return the number of calls that fit into the seconds, after the slow first calls."""
    timed(1)
    timed(1)
    times = 1
    while (taken := elapsed(timed, times)) < seconds / 4:
        times *= 2 if taken > seconds / 64 else 8
    return max(1, round(times * seconds / taken))


def elapsed(timed: Timed, times: int) -> float:
    """Return the seconds that this number of calls takes."""
    start = time.perf_counter()
    timed(times)
    return time.perf_counter() - start


def main() -> None:
    """Answer requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints must not come between the answers
    server = Server()
    while True:
        try:
            answer = server.answer(*pickle.load(sys.stdin.buffer))
        except EOFError:
            return
        except Exception as error:  # the benchmark reports it and continues
            answer = {"error": repr(error)}
        answers.write(pickle.dumps(answer))


if __name__ == "__main__":
    main()
