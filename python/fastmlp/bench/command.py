"""`fastmlp bench`: a short table of times, against the libraries that are installed."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

from fastmlp.bench.measure import measure, say
from fastmlp.bench.peers import PEERS
from fastmlp.bench.table import HEADER, compared, described, table
from fastmlp.bench.workloads import TRAINING, prediction

INTERRUPTED = 130  # as the shell reports a process that SIGINT ended


def processors() -> int:
    """Return how many processors the process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def count(most: int) -> Callable[[str], int]:
    """Return what reads a whole number from 1 to `most`."""

    def read(text: str) -> int:
        if text.isdecimal() and 1 <= int(text) <= most:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {most}")

    return read


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `fastmlp bench`."""
    names = [task.name for task in TRAINING]
    parser.add_argument(
        "--networks", nargs="+", choices=names, default=names, metavar="NAME",
        help=f"some of {' '.join(names)} (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=count(processors()), default=processors(), metavar="N",
        help="threads of each library (default: all processors, here %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--repeats", type=count(1000), default=5, metavar="N",
        help="turns of each library with a task (default: %(default)s)",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Measure and print the table.

    Parameters
    ----------
    options : argparse.Namespace
        Those of :func:`add_options`.

    Returns
    -------
    int
        Exit status: 0; 1 if nothing could be measured; 130 after Ctrl-C, which prints what has been
        measured by then.
    """
    peers = {name: peer for name, peer in PEERS.items() if peer.is_installed()}
    for name in [name for name in PEERS if name not in peers]:
        say(f"not installed: {PEERS[name].title} (pip install {PEERS[name].packages})")
    training = [task for task in TRAINING if task.name in options.networks]
    tasks = [*training, *prediction(training)]
    lines: list[list[str]] = []
    status = 0
    try:
        for results in measure(tasks, peers, [options.threads], options.repeats, seconds=0.1):
            task = tasks[len(lines)]
            what = "training step" if task.kind == "train" else "one row"
            lines.append([f"{what}, {described(task)}", *compared(results, peers)])
    except KeyboardInterrupt:
        say("interrupted")
        status = INTERRUPTED
    if not lines:
        return status or 1
    threads = "1 thread" if options.threads == 1 else f"{options.threads} threads"
    versions = ", ".join(f"{peer.title} {peer.version()}" for peer in peers.values())
    print(
        f"Microseconds in float32, {threads}; the least of {options.repeats} turns. {versions}.\n"
    )
    print(table(["", *HEADER], lines), end="", flush=True)
    return status
