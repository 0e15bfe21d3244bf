#!/usr/bin/env python3
"""The whole benchmark in one command; sets itself up. See README.md beside it.

Started by any Python, it makes an environment of its own, installs every library to compare with
and this package into it, and continues there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
VENV = HERE / ".venv"
README = ROOT / "README.md"
IMAGE = ROOT / "docs" / "benchmark.png"


def main() -> int:
    """Set up, measure, and show."""
    if {"-h", "--help"} & set(sys.argv):  # the options need the package, which is not there yet
        print((HERE / "README.md").read_text(encoding="utf-8"), end="")
        return 0
    if "--no-install" not in sys.argv:
        python = set_up()
        command = [str(python), str(HERE / "run.py"), "--no-install", *sys.argv[1:]]
        # What is measured is what is installed there.
        os.execve(python, command, {k: v for k, v in os.environ.items() if k != "PYTHONPATH"})
    options = parsed()
    record, status = measured(options) if options.read is None else (loaded(options.read), 0)
    if not record.results:
        return status or 1
    if status:  # half a run is no plot, no page and no section of the README
        options.plot, options.readme = None, False
    show(record, options)
    return status


def set_up() -> Path:
    """Make the environment, install into it, and return its Python."""
    python = VENV / "bin" / "python"
    if not python.with_name("pip").exists():  # made last
        print(f"making {VENV}", file=sys.stderr)
        venv.create(VENV, with_pip=True, clear=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for what in (["-r", str(HERE / "requirements.txt")], [str(ROOT)]):
        print("installing", *what, file=sys.stderr)
        if status := subprocess.run([*pip, *what]).returncode:
            raise SystemExit(status)  # pip has said why
    return python


def parsed() -> argparse.Namespace:
    """Read the command line."""
    from fastmlp.bench.command import processors

    parser = argparse.ArgumentParser(prog="benchmarks/run.py", usage="see --help", add_help=False)
    add = parser.add_argument
    add("--no-install", action="store_true")
    add("--quick", action="store_true")
    add("--threads", nargs="+", type=whole, default=sorted({1, processors()}))
    add("--repeats", type=whole, default=7)
    add("--seconds", type=float, default=0.1)
    add("--json", type=writable)
    add("--from", dest="read", type=Path)
    add("--plot", type=writable)
    add("--readme", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.repeats, options.seconds = min(3, options.repeats), min(0.05, options.seconds)
    return options


def whole(text: str) -> int:
    """Read a whole number from 1 on."""
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")


def writable(text: str) -> Path:
    """Read the path of a file to be written."""
    path = Path(text)
    if path.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written")
    return path


def loaded(path: Path) -> Any:
    """Return the record that was written to a file."""
    from comparison.record import Record

    try:
        return Record.load(path)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SystemExit(f"{path} is no file that --json wrote: {error}") from None


def tasks_of(quick: bool) -> tuple[list[Any], list[Any]]:
    """Return the tasks for all numbers of threads, and those of the plot, for one thread."""
    from comparison import workloads

    training = workloads.TRAINING[: 4 if quick else None]
    tasks = [*training, *workloads.prediction(training)]
    tasks += workloads.prediction(training, workloads.BULK_ROWS)
    if quick:
        tasks += workloads.products(["float32"], [64, 256, 1024], ["tall"], [""])
    else:
        tasks += workloads.products(
            ["float32", "float64"], workloads.SQUARES, list(workloads.SHAPES), workloads.TRANSPOSES
        )
    return tasks, workloads.widths()[: -2 if quick else None]


def measured(options: argparse.Namespace) -> tuple[Any, int]:
    """Measure everything; after Ctrl-C return what there is, and the status 130."""
    from comparison import roofline
    from comparison.peers import PEERS
    from comparison.record import Record
    from fastmlp.bench.command import INTERRUPTED
    from fastmlp.bench.measure import measure, say

    try:
        roofline.build()
    except RuntimeError as error:
        say(f"the roofline cannot be built, so shares of the peak are missing: {error}")
    peers = {name: peer for name, peer in PEERS.items() if peer.is_installed()}
    for name in [name for name in PEERS if name not in peers]:
        say(f"cannot be used here: {PEERS[name].title}")
    record = Record(versions={name: peer.version() for name, peer in peers.items()})
    tasks, widths = tasks_of(options.quick)
    try:
        for some, threads in ((tasks, options.threads), (widths, [1])):
            for results in measure(some, peers, threads, options.repeats, options.seconds):
                record.results += results
                if options.json:
                    record.save(options.json)
    except KeyboardInterrupt:
        say("interrupted")
        return record, INTERRUPTED
    return record, 0


def show(record: Any, options: argparse.Namespace) -> None:
    """Print the tables; draw and write what the options ask for."""
    from comparison import pages

    turns = len(record.results[0].seconds)
    results = pages.results_part(record, turns)
    print(results, end="", flush=True)
    if options.plot or options.readme:
        from comparison.plot import draw

        for path in [options.plot, IMAGE if options.readme else None]:
            if path:
                draw(record, path)
    if options.readme:
        pages.write(README, "benchmark", pages.readme_part(record))
        pages.write(ROOT / pages.RESULTS, "libraries", results)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
