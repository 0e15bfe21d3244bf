"""The project's goals, and whether a run reaches them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from comparison.report import Row
from fastmlp.bench.table import table

# For one thread and for two.
STEP_RATIOS = {  # times faster than the best peer
    "tiny": (5.0, 5.0),
    "small": (3.0, 3.0),
    "medium": (1.15, 1.5),
    "large": (1.25, 1.25),
    "wide": (1.2, 1.25),
}
STEP_SHARES = {  # of the FMA peak
    "small": (0.75, None),
    "medium": (0.85, 0.80),
    "large": (0.92, 0.90),
    "wide": (0.93, 0.92),
}
SPEEDUPS = {"tiny": 0.97, "small": 0.97, "medium": 0.97, "large": 1.9, "wide": 1.9}  # 2 threads
ROW_RATIOS = {"tiny": 5.0, "small": 5.0, "medium": 1.5}
ROW_READS = {"large": 1.3, "wide": 1.3}  # at most so many times the reading of the weights
BULK_RATIOS = {"tiny": 2.0, "small": 1.4, "medium": 1.05, "large": 1.05, "wide": 1.05}
SQUARE_SHARES = (0.95, 0.92)  # of the FMA peak, by squares from SQUARE_SIDE on
SQUARE_SIDE = 512

KINDS = {"step": "step of", "row": "one row of", "bulk": "bulk of", "product": "product"}


@dataclass(frozen=True)
class Goal:
    """A goal and what was measured."""

    row: Row
    measure: str
    value: float
    goal: float
    at_most: bool = False

    @property
    def is_reached(self) -> bool:
        """Whether the value is on the right side of the goal."""
        return self.value <= self.goal if self.at_most else self.value >= self.goal


def on(threads: int, goals: Sequence[float | None]) -> float | None:
    """Return the goal for so many threads, of those for one and for two."""
    return goals[threads - 1] if threads <= len(goals) else None


def goals_of(row: Row) -> Iterator[Goal]:
    """Yield the goals of one task, apart from those that need two rows."""
    name, ratio, share = row.task.name, row.ratio, row.share()
    wanted: float | None = None
    if row.kind == "step":
        wanted = on(row.threads, STEP_RATIOS.get(name, ()))
    elif row.kind == "row":
        wanted = ROW_RATIOS.get(name)
    elif row.kind == "bulk":
        wanted = BULK_RATIOS.get(name)
    if ratio is not None and wanted is not None:
        yield Goal(row, f"times faster than {row.rival_title}", ratio, wanted)
    if share is None:
        return
    if row.kind == "row":
        if name in ROW_READS:
            yield Goal(row, "times the reading of the weights", 1 / share, ROW_READS[name], True)
        return
    wanted = on(row.threads, STEP_SHARES.get(name, ())) if row.kind == "step" else None
    if row.kind == "product" and len({*row.task.sizes}) == 1 and row.task.sizes[0] >= SQUARE_SIDE:
        wanted = on(row.threads, SQUARE_SHARES)
    if wanted is not None:
        yield Goal(row, "share of the FMA peak", share, wanted)


def speedups(rows: Sequence[Row]) -> Iterator[Goal]:
    """Yield the goals of steps on two threads against one."""
    single = {row.task: row.results.get("fastmlp") for row in rows if row.threads == 1}
    for row in rows:
        one, two = single.get(row.task), row.results.get("fastmlp")
        if row.threads == 2 and one and two and row.task.name in SPEEDUPS:
            wanted = SPEEDUPS[row.task.name]
            yield Goal(row, "times faster than on 1 thread", one.best / two.best, wanted)


def goals_table(goals: Sequence[Goal]) -> str:
    """Return a table of goals; "" if there are none."""
    header = ["task", "threads", "measure", "value", "goal", "result"]
    lines = [
        [
            f"{KINDS[goal.row.kind]} {goal.row.name}",
            str(goal.row.threads),
            goal.measure,
            f"{goal.value:.2f}",
            f"{'at most ' if goal.at_most else ''}{goal.goal:g}",
            "reached" if goal.is_reached else "missed",
        ]
        for goal in goals
    ]
    return table(header, lines) if goals else ""
