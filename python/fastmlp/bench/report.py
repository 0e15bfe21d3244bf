"""Makes Markdown tables of a run, and says where another library is faster."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from fastmlp.bench.measure import Result
from fastmlp.bench.peers import OURS, PEERS
from fastmlp.bench.record import Record
from fastmlp.bench.works import (
    BULK_GOALS,
    GOALS,
    NETWORKS,
    PRODUCT_SHARES,
    PRODUCT_SIDE,
    READ_GOALS,
    ROW_GOALS,
    Task,
)

NOTHING = "-"
MISSED = " ✗"  # after a number that is short of its goal


@dataclass(frozen=True)
class Row:
    """All libraries' times of one task with one number of threads.

    Parameters
    ----------
    task : Task
    threads : int
    results : dict of str to Result
        By library.
    """

    task: Task
    threads: int
    results: dict[str, Result] = field(default_factory=dict)

    @property
    def rival(self) -> Result | None:
        """The fastest peer."""
        peers = (result for name, result in self.results.items() if name not in OURS)
        return min(peers, key=lambda result: result.best, default=None)

    @property
    def ratio(self) -> float | None:
        """How many times faster than the fastest peer this library is."""
        ours, rival = self.results.get("fastmlp"), self.rival
        return rival.best / ours.best if ours and rival else None

    def share(self, name: str = "fastmlp") -> float | None:
        """Return the least time possible as a part of the library's time."""
        floor, result = self.results.get("floor"), self.results.get(name)
        return floor.best / result.best if floor and result else None


def rows(results: Iterable[Result]) -> list[Row]:
    """Put the results of the libraries side by side, in the order in which they came."""
    found: dict[tuple[Task, int], Row] = {}
    for result in results:
        key = (result.task, result.threads)
        found.setdefault(key, Row(*key)).results[result.peer] = result
    return list(found.values())


def training_rows(record: Record) -> list[Row]:
    """Return the training steps of the networks that have goals."""
    return [r for r in rows(record.results) if r.task.kind == "train" and r.task.name in NETWORKS]


def prediction_rows(record: Record, one: bool) -> list[Row]:
    """Return the predictions of one row, or of many."""
    found = rows(record.results)
    return [r for r in found if r.task.kind == "predict" and (r.task.rows == 1) == one]


def product_rows(record: Record) -> list[Row]:
    """Return the matrix products."""
    return [row for row in rows(record.results) if row.task.kind == "matmul"]


# Cells


def number(value: float) -> str:
    """Return three significant digits, and all of those before the point."""
    digits = 2 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:.{max(0, digits)}f}"


def microseconds(result: Result | None, medians: bool) -> str:
    """Return the minimum, with the median in parentheses if asked for."""
    if result is None:
        return NOTHING
    median = f" ({number(1e6 * result.median)})" if medians else ""
    return number(1e6 * result.best) + median


def held(value: float | None, goal: float | None, at_most: bool = False) -> str:
    """Return a number and its goal, and whether it is short of it."""
    if value is None:
        return NOTHING
    if goal is None:
        return f"{value:.2f}"
    missed = value > goal if at_most else value < goal
    return f"{value:.2f} / {goal:g}" + (MISSED if missed else "")


def versus(row: Row, goal: float | None) -> str:
    """Return how many times faster than the fastest peer this library is, the goal, and who it is.

    Without a goal it is not to be slower.
    """
    ratio, rival = row.ratio, row.rival
    if ratio is None or rival is None:
        return NOTHING
    mark = MISSED if goal is None and ratio < 1 else ""
    return f"{held(ratio, goal)}{mark}, {PEERS[rival.peer].title}"


def on(threads: int, goals: Sequence[float | None]) -> float | None:
    """Return the goal for so many threads, of those for one and for two."""
    return goals[threads - 1] if threads <= len(goals) else None


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    rule = ["---" if title in ("network", "shape", "dtype") else "---:" for title in header]
    return "".join(f"| {' | '.join(line)} |\n" for line in [header, rule, *lines])


# Tables


def times_table(
    found: Sequence[Row],
    further: dict[str, Callable[[Row], str]],
    medians: bool,
    floor: str,
) -> str:
    """Return a table of all libraries' microseconds.

    Parameters
    ----------
    found : sequence of Row
    further : dict of str to callable
        Columns that follow the times: title, and the cell of a row.
    medians : bool
        Whether medians stand beside the minima.
    floor : str
        What the least possible time is called.
    """
    present = [name for name in PEERS if any(name in row.results for row in found)]
    titles = [floor if name == "floor" else PEERS[name].title for name in present]
    return table(
        ["network", "threads", *titles, *further],
        (
            [
                row.task.name,
                str(row.threads),
                *(microseconds(row.results.get(name), medians) for name in present),
                *(cell(row) for cell in further.values()),
            ]
            for row in found
        ),
    )


def training_table(record: Record, medians: bool = True) -> str:
    """Return the times of a training step."""
    further: dict[str, Callable[[Row], str]] = {
        "vs best peer / goal": lambda row: versus(row, on(row.threads, GOALS[row.task.name].ratio)),
        "of FMA peak / goal": lambda row: held(
            row.share(), on(row.threads, GOALS[row.task.name].share)
        ),
    }
    return times_table(training_rows(record), further, medians, "FMAs alone")


def row_table(record: Record, medians: bool = True) -> str:
    """Return the times of a prediction of one row, from Python."""
    further: dict[str, Callable[[Row], str]] = {
        "vs best peer / goal": lambda row: versus(row, ROW_GOALS.get(row.task.name)),
        "vs reading / goal": lambda row: (
            held(1 / share, READ_GOALS[row.task.name], at_most=True)
            if row.task.name in READ_GOALS and (share := row.share())
            else NOTHING
        ),
    }
    return times_table(prediction_rows(record, one=True), further, medians, "reading the weights")


def bulk_table(record: Record, medians: bool = True) -> str:
    """Return the times for a row of a prediction of many."""
    further: dict[str, Callable[[Row], str]] = {
        "vs best peer / goal": lambda row: versus(row, BULK_GOALS[row.task.name]),
        "of FMA peak": lambda row: held(row.share(), None),
    }
    return times_table(prediction_rows(record, one=False), further, medians, "FMAs alone")


def speedup_table(record: Record) -> str:
    """Return how many times faster a training step is on more threads than on one; "" without."""
    found = training_rows(record)
    single = {row.task: row.results for row in found if row.threads == 1}
    more = [row for row in found if row.threads > 1 and row.task in single]
    present = [name for name in PEERS if any(name in row.results for row in found)]

    def cell(row: Row, name: str) -> str:
        one, many = single[row.task].get(name), row.results.get(name)
        goal = GOALS[row.task.name].speedup if name == "fastmlp" and row.threads == 2 else None
        return held(one.best / many.best if one and many else None, goal)

    titles = ("FMAs alone" if name == "floor" else PEERS[name].title for name in present)
    header = ["network", "threads", *titles]
    cells = ([r.task.name, str(r.threads), *(cell(r, name) for name in present)] for r in more)
    return table(header, cells) if more else ""


def product_table(record: Record) -> str:
    """Return the matrix products, as shares of the peak."""

    def cells(row: Row) -> list[str]:
        ours, rival = row.results.get("fastmlp"), row.rival
        return [
            row.task.dtype,
            "x".join(map(str, row.task.sizes)),
            row.task.transposed or NOTHING,
            str(row.threads),
            microseconds(ours, medians=False),
            held(row.share(), share_goal(row)),
            held(row.share(rival.peer) if rival else None, None),
            versus(row, None),
        ]

    header = ["dtype", "shape", "transposed", "threads", "us"]
    header += ["of FMA peak / goal", "best peer's", "vs best peer"]
    return table(header, map(cells, product_rows(record)))


def share_goal(row: Row) -> float | None:
    """Return the share of the peak that a product should reach."""
    m, n, k = row.task.sizes
    return on(row.threads, PRODUCT_SHARES) if m == n == k >= PRODUCT_SIDE else None


def losses(record: Record) -> list[str]:
    """Return a line for each time that a peer is faster than this library, in any table."""
    lines = []
    for row in rows(record.results):
        ours, rival, ratio = row.results.get("fastmlp"), row.rival, row.ratio
        if ours and rival and ratio is not None and ratio < 1:
            lines.append(
                f"{described(row)}: {PEERS[rival.peer].title} {number(1e6 * rival.best)} us, "
                f"fastmlp {number(1e6 * ours.best)} us ({ratio:.3f})"
            )
    return lines


def described(row: Row) -> str:
    """Return what a row is, in words."""
    task = row.task
    threads = "1 thread" if row.threads == 1 else f"{row.threads} threads"
    if task.kind == "matmul":
        transposed = f", {task.transposed} transposed" if task.transposed else ""
        return f"product {'x'.join(map(str, task.sizes))} {task.dtype}{transposed}, {threads}"
    if task.kind == "train":
        width = "" if task.name in NETWORKS else "width "
        return f"training step {width}{task.name}, {threads}"
    return f"{'one row' if task.rows == 1 else 'in bulk'} {task.name}, {threads}"
