"""`fastmlp bench`: the benchmark with whatever libraries are installed."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from fastmlp.bench import works
from fastmlp.bench.document import report_text
from fastmlp.bench.measure import measure
from fastmlp.bench.peers import PEERS
from fastmlp.bench.record import Record, processors
from fastmlp.bench.works import Task

INTERRUPTED = 130  # as the shell reports a process that SIGINT ended


def _products(_: Sequence[str]) -> list[Task]:
    return works.products(("float32",), works.SQUARES, list(works.SHAPES), ("",))


KINDS: dict[str, Callable[[Sequence[str]], list[Task]]] = {
    "train": works.training,
    "row": lambda names: works.prediction(names, 1),
    "bulk": lambda names: works.prediction(names, works.BULK_ROWS),
    "matmul": _products,
}


def names_of(allowed: Sequence[str]) -> Callable[[str], list[str]]:
    """Return what reads a list such as `tiny,small` and refuses names that are not allowed."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(allowed)}")
        return list(dict.fromkeys(names))

    return read


def thread_counts(text: str) -> list[int]:
    """Read a list such as `1,2`, each from 1 to the number of processors."""
    most = processors()
    counts = [int(part) if part.isdecimal() else 0 for part in text.split(",")]
    if not all(1 <= count <= most for count in counts):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of numbers from 1 to {most}, the processors there are"
        )
    return sorted(set(counts))


def positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    """Return what reads a positive number of the kind."""

    def read(text: str) -> float:
        with suppress(ValueError):
            value = kind(text)
            if 0 < value < float("inf"):
                return value
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")

    return read


def installed_peers(text: str) -> list[str]:
    """Read a list of peers and refuse those that are unknown or not installed."""
    names = names_of(list(PEERS))(text)
    for name in names:
        if not PEERS[name].is_installed():
            how = f": pip install {PEERS[name].packages}" if PEERS[name].packages else " here"
            raise argparse.ArgumentTypeError(f"{name!r} cannot be used{how}")
    return names


def writable(text: str) -> Path:
    """Read the path of a file to be written."""
    path = Path(text)
    if path.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written")
    return path


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `fastmlp bench`."""
    add = parser.add_argument
    add(
        "--only", type=names_of(list(KINDS)), default=["train", "row"], metavar="KINDS",
        help=f"what to measure, of {','.join(KINDS)} (default: train,row)",
    )  # fmt: skip
    add(
        "--networks", type=names_of(list(works.NETWORKS)), metavar="NAMES",
        default=["tiny", "small", "medium", "large"],
        help=f"of {','.join(works.NETWORKS)} (default: all but wide)",
    )  # fmt: skip
    add(
        "--peers", type=installed_peers, metavar="NAMES",
        help=f"of {','.join(PEERS)} (default: all that are installed)",
    )  # fmt: skip
    add_measuring_options(parser, repeats=5)


def add_measuring_options(parser: argparse.ArgumentParser, repeats: int) -> None:
    """Add the options that say how it is measured, and where the times go."""
    add = parser.add_argument
    add(
        "--threads", type=thread_counts, default=sorted({1, processors()}), metavar="COUNTS",
        help="such as 1,2 (default: 1 and all processors)",
    )  # fmt: skip
    add(
        "--repeats", type=positive(int), default=repeats, metavar="N",
        help="how often every library has its turn with a task (default: %(default)s)",
    )  # fmt: skip
    add(
        "--seconds", type=positive(float), default=0.1, metavar="S",
        help="about how long a turn takes (default: %(default)s)",
    )  # fmt: skip
    add("--json", type=writable, metavar="FILE", help="also write all times to FILE")


def missing() -> str:
    """Return a line on the libraries that are not installed; "" where none is missing."""
    absent = [peer for peer in PEERS.values() if peer.packages and not peer.is_installed()]
    if not absent:
        return ""
    titles = ", ".join(peer.title for peer in absent)
    packages = " ".join(peer.packages for peer in absent)
    return f"not installed: {titles} (pip install {packages})"


def run(options: argparse.Namespace) -> int:
    """Measure, print the tables and write the file.

    Parameters
    ----------
    options : argparse.Namespace
        Those of :func:`add_options`.

    Returns
    -------
    int
        Exit status: 0; 1 where nothing could be measured; 130 after Ctrl-C, which shows and keeps
        what there is by then.
    """
    if absent := missing():
        say(absent)
    peers = options.peers or installed()
    tasks = [task for kind in options.only for task in KINDS[kind](options.networks)]
    record = Record()
    status = 0
    try:
        measure(
            tasks, peers, options.threads, repeats=options.repeats, seconds=options.seconds,
            say=say, keep=record.keeper(options.json),
        )  # fmt: skip
    except KeyboardInterrupt:
        say("interrupted")
        status = INTERRUPTED
    if record.results:
        print(report_text(record), end="", flush=True)
        return status
    return status or 1


def installed() -> list[str]:
    """Return the names of the libraries that can be used here."""
    return [name for name, peer in PEERS.items() if peer.is_installed()]


def say(line: str) -> None:
    """Say what is going on, apart from the tables."""
    print(line, file=sys.stderr, flush=True)
