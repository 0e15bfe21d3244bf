"""Tables for the tests of the command line, and a way to run it."""

import contextlib
import csv
import io
from types import SimpleNamespace

from fastmlp.__main__ import main

COLORS = ("red", "green", "dark blue")


def mixed(rows=200):
    """A small table with everything in it: the header and the rows, as texts."""
    header = ["size", "color", "day", "sold, fully", "kind"]
    table = []
    for i in range(rows):
        size = f"{(i * 37 % 101) / 10:.2f}" if i % 11 else ""
        color = COLORS[i * 7 % 3] if i % 13 else "NA"
        day = f"2024-{i * 5 % 12 + 1:02d}-{i % 28 + 1:02d}"
        sold = str(i % 5 == 0)
        kind = "large" if (i * 37 % 101) > 50 else "small"
        table.append([size, color, day, sold, kind])
    return header, table


def write_csv(path, header, rows, **options):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, **options)
        writer.writerows([header, *rows])
    return str(path)


def run(*arguments):
    """Run a command in this process; return its status and what it printed."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(list(map(str, arguments)))
        out.flush()
        err.flush()
    shown = out.buffer.getvalue().decode()
    return SimpleNamespace(status=status, out=shown, err=err.buffer.getvalue().decode())


def refused(*arguments):
    """Run a command that must fail; return its one line, without the program's name."""
    done = run(*arguments)
    assert done.status == 2, done
    assert done.err.count("\n") == 1, done.err
    assert done.err.startswith("fastmlp: error: ")
    return done.err.removeprefix("fastmlp: error: ").rstrip("\n")
