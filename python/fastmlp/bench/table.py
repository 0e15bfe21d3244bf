"""Puts times side by side: fastmlp's, the best peer's with its name, and their ratio."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from fastmlp.bench.measure import Result
from fastmlp.bench.peers import Peer
from fastmlp.bench.workloads import Task

HEADER = ["fastmlp", "best peer", "times faster"]


def described(task: Task) -> str:
    """Return a network, and the rows of a step or a prediction."""
    what = f"batch of {task.rows}" if task.kind == "train" else "one row"
    return f"{task.name} {'-'.join(map(str, task.sizes))}, {what}"


def compared(results: Iterable[Result], peers: dict[str, type[Peer]]) -> list[str]:
    """Return the cells under `HEADER` for the results of one task; times in microseconds."""
    by_peer = {result.peer: result for result in results if result.peer in peers}
    ours = by_peer.pop("fastmlp", None)
    best = min(by_peer.values(), key=lambda result: result.best, default=None)
    ratio = best.best / ours.best if ours and best else 0
    return [
        number(1e6 * ours.best) if ours else "-",
        f"{number(1e6 * best.best)}, {peers[best.peer].title}" if best else "-",
        f"{ratio:.{1 if ratio >= 10 else 2}f}" if ratio else "-",
    ]


def number(value: float) -> str:
    """Return three significant digits, and every digit before the point."""
    digits = 2 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:.{max(0, digits)}f}"


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown; columns of numbers are aligned to the right."""
    lines = list(lines)
    columns = zip(*lines, strict=True)
    rule = [
        "---:" if all(c[0].isdigit() or c == "-" for c in cells) else "---" for cells in columns
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in [header, rule, *lines])
