#!/usr/bin/env python3
"""The whole benchmark in one command; sets itself up. See README.md beside it.

Started by any Python, it makes an environment of its own, installs every library to compare with
and this package into it, and goes on there.
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
IMAGE = "docs/benchmark.png"  # as the README links to it
MARKS = ("<!-- benchmark: begin -->\n", "<!-- benchmark: end -->\n")


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
    if status:  # half a run is no plot and no section of the README
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
    from fastmlp.bench.command import add_measuring_options, writable

    parser = argparse.ArgumentParser(prog="benchmarks/run.py", usage="see --help", add_help=False)
    add = parser.add_argument
    add("--no-install", action="store_true")
    add("--quick", action="store_true")
    add_measuring_options(parser, repeats=7)
    add("--from", dest="read", type=Path)
    add("--plot", type=writable)
    add("--readme", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.repeats, options.seconds = min(3, options.repeats), min(0.05, options.seconds)
    return options


def loaded(path: Path) -> Any:
    """Return the record that was written to a file."""
    from fastmlp.bench.record import Record

    try:
        return Record.load(path)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SystemExit(f"{path} is no file that --json wrote: {error}") from None


def measured(options: argparse.Namespace) -> tuple[Any, int]:
    """Measure everything; after Ctrl-C return what there is, and the status 130."""
    from fastmlp.bench import command, works
    from fastmlp.bench.measure import measure
    from fastmlp.bench.record import Record

    if absent := command.missing():
        command.say(absent)
    names = list(works.NETWORKS)[: 4 if options.quick else None]
    tasks = [*works.training(names), *works.prediction(names, 1)]
    tasks += works.prediction(names, works.BULK_ROWS)
    if options.quick:
        tasks += works.products(["float32"], [64, 256, 1024], ["tall"], [""])
    else:
        tasks += works.products(
            ["float32", "float64"], works.SQUARES, list(works.SHAPES), works.TRANSPOSES
        )
    widths = works.widths()[: -2 if options.quick else None]
    record = Record()
    how = {"repeats": options.repeats, "seconds": options.seconds, "say": command.say}
    keep = record.keeper(options.json)
    try:
        measure(tasks, command.installed(), options.threads, keep=keep, **how)
        measure(widths, command.installed(), [1], keep=keep, **how)
    except KeyboardInterrupt:
        command.say("interrupted")
        return record, command.INTERRUPTED
    return record, 0


def show(record: Any, options: argparse.Namespace) -> None:
    """Print the tables; draw and write what the options ask for."""
    from fastmlp.bench.document import readme_text, report_text

    print(report_text(record), end="", flush=True)
    if options.plot or options.readme:
        from plot import draw

        for path in [options.plot, ROOT / IMAGE if options.readme else None]:
            if path:
                draw(record, path)
    if options.readme:
        before, _, after = split(README.read_text(encoding="utf-8"))
        README.write_text(before + readme_text(record, IMAGE) + after, encoding="utf-8")


def split(text: str) -> tuple[str, str, str]:
    """Split the README before and after the text that a run replaces."""
    begin, end = (text.find(mark) for mark in MARKS)
    if not 0 <= begin < end:
        raise SystemExit(f"README.md lacks the lines\n{''.join(MARKS)}")
    begin += len(MARKS[0])
    return text[:begin], text[begin:end], text[end:]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
