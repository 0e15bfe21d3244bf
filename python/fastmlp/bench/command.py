"""`fastmlp bench`: a short table of times, against the libraries that are installed."""

from __future__ import annotations

import argparse
import os

from fastmlp.bench.measure import measure, say
from fastmlp.bench.peers import PEERS
from fastmlp.bench.table import HEADER, compared, described, table
from fastmlp.bench.workloads import TRAINING, prediction

REPEATS, SECONDS = 5, 0.1  # turns of each library with a task, and the length of a turn
INTERRUPTED = 130  # as the shell reports a process that SIGINT ended


def processors() -> int:
    """Return the number of processors that the process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `fastmlp bench`."""
    names, most = [task.name for task in TRAINING], processors()
    parser.add_argument(
        "--networks", nargs="+", choices=names, default=names, metavar="NAME",
        help=f"some of {' '.join(names)} (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=int, choices=range(1, most + 1), default=most, metavar="N",
        help="threads of each library (default: all processors, here %(default)s)",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Measure, print the table, and return the exit status.

    The status is 1 if nothing could be measured, and 130 after Ctrl-C. After Ctrl-C the table has
    what was measured by then.
    """
    peers = {name: peer for name, peer in PEERS.items() if peer.is_installed()}
    for absent in (peer for name, peer in PEERS.items() if name not in peers):
        say(f"not installed: {absent.title} (pip install {absent.packages})")
    training = [task for task in TRAINING if task.name in options.networks]
    tasks = [*training, *prediction(training)]
    lines: list[list[str]] = []
    status = 0
    try:
        for results in measure(tasks, peers, [options.threads], REPEATS, SECONDS):
            task = tasks[len(lines)]
            lines.append([task.kind, described(task), *compared(results, peers)])
    except KeyboardInterrupt:
        say("interrupted")
        status = INTERRUPTED
    if not lines:
        return status or 1
    versions = ", ".join(f"{peer.title} {peer.version()}" for peer in peers.values())
    print(f"Microseconds in float32, least of {REPEATS}; threads: {options.threads}; {versions}\n")
    print(table(["", "network", *HEADER], lines), end="", flush=True)
    return status
