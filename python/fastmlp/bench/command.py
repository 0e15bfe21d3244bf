"""`fastmlp bench`: a short table of times, against the libraries that are installed."""

from __future__ import annotations

import os
from collections.abc import Sequence

from fastmlp.bench.measure import Result, measure, say
from fastmlp.bench.peers import PEERS, Peer
from fastmlp.bench.table import compared
from fastmlp.bench.workloads import TRAINING, prediction
from fastmlp.cli import output
from fastmlp.cli.errors import FAILED, INTERRUPTED

HEADER = ["", "network", "rows", "fastmlp", "best other", "which is", "ratio"]
REPEATS, SECONDS = 5, 0.1  # turns of each library with a task, and the length of a turn


def processors() -> int:
    """Return the number of processors that the process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(networks: Sequence[str], threads: int, as_json: bool = False) -> int:
    """Measure, print the table and a verdict, and return the exit status.

    The status is 1 if nothing could be measured, and 130 after Ctrl-C. After Ctrl-C the table has
    what was measured by then.
    """
    peers = {name: peer for name, peer in PEERS.items() if peer.is_installed()}
    for absent in (peer for name, peer in PEERS.items() if name not in peers):
        say(f"not installed: {absent.title} (pip install {absent.packages})")
    versions = {peer.title: peer.version() for peer in peers.values()}
    training = [task for task in TRAINING if task.name in networks]
    measured: list[list[Result]] = []
    status = 0
    try:
        tasks = [*training, *prediction(training)]
        for results in measure(tasks, peers, [threads], REPEATS, SECONDS):
            measured.append(results)
    except KeyboardInterrupt:
        say("fastmlp: interrupted")
        status = INTERRUPTED
    if not any(measured):
        return status or FAILED
    if as_json:
        output.say_json({"threads": threads, "versions": versions, "results": as_dicts(measured)})
        return status
    output.say(
        f"Microseconds in float32, the least of {REPEATS}; {output.count(threads, 'thread')}; "
        "ratio: other / fastmlp",
        "",
        *output.table(HEADER, lines(measured, peers)),
        "",
        *output.facts(
            [
                ("verdict", verdict(measured, peers)),
                ("versions", ", ".join(" ".join(one) for one in versions.items())),
            ]
        ),
    )
    return status


def lines(measured: Sequence[Sequence[Result]], peers: dict[str, type[Peer]]) -> list[list[str]]:
    """Return the cells under HEADER for each task that was measured."""
    found = []
    for results in filter(None, measured):
        task = results[0].task
        ours, best, ratio = compared(results, peers)
        time, _, title = best.partition(", ")
        name = f"{task.name} {'-'.join(map(str, task.sizes))}"
        found.append([task.kind, name, str(task.rows), ours, time, title, ratio])
    return found


def verdict(measured: Sequence[Sequence[Result]], peers: dict[str, type[Peer]]) -> str:
    """Return in a sentence where fastmlp is the fastest, and where it is not."""
    slower, tasks = [], 0
    for kind, name, _, _, _, title, ratio in lines(measured, peers):
        if ratio != "-":
            tasks += 1
            if float(ratio) < 1:
                slower.append(
                    f"{kind} {name.split()[0]} ({title} is {1 / float(ratio):.2f} times as fast)"
                )
    if tasks == 0:
        return "no other library was measured"
    wins = f"fastmlp is the fastest in {tasks - len(slower)} of {output.count(tasks, 'task')}"
    return wins + ("; it is not in " + ", ".join(slower) if slower else "")


def as_dicts(measured: Sequence[Sequence[Result]]) -> list[dict[str, object]]:
    """Return each time as an object for JSON."""
    return [
        {
            "kind": result.task.kind,
            "network": result.task.name,
            "layers": list(result.task.sizes),
            "rows": result.task.rows,
            "library": result.peer,
            "seconds": list(result.seconds),
        }
        for results in measured
        for result in results
    ]
