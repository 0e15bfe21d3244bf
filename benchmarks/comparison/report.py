"""Puts the libraries' times of a task side by side, and makes Markdown tables of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from comparison.peers import LIBRARIES, PEERS
from comparison.workloads import NETWORKS, Product, Task
from fastmlp.bench.measure import Result
from fastmlp.bench.table import number, table


@dataclass(frozen=True)
class Row:
    """All libraries' times of one task with one number of threads."""

    task: Task
    threads: int
    results: dict[str, Result] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Return "step", "row", "bulk", "product", or "width" for a step of the plot."""
        if self.task.kind == "train":
            return "step" if self.task.name in NETWORKS else "width"
        if self.task.kind == "predict":
            return "row" if self.task.rows == 1 else "bulk"
        return "product"

    @property
    def name(self) -> str:
        """Return the name of the network, or a product's shape, type and transposed operands."""
        if not isinstance(self.task, Product):
            return self.task.name
        shape = f"{self.task.dtype} {'x'.join(map(str, self.task.sizes))}"
        return f"{shape}, {self.task.transposed} transposed" if self.task.transposed else shape

    @property
    def rival(self) -> Result | None:
        """The fastest other library."""
        others = [
            self.results[name] for name in LIBRARIES if name in self.results and name != "fastmlp"
        ]
        return min(others, key=lambda result: result.best, default=None)

    @property
    def rival_title(self) -> str:
        """The name of the fastest other library."""
        return PEERS[self.rival.peer].title if self.rival else "-"

    @property
    def ratio(self) -> float | None:
        """How many times faster than the fastest other library fastmlp is."""
        ours, rival = self.results.get("fastmlp"), self.rival
        return rival.best / ours.best if ours and rival else None

    def share(self, name: str = "fastmlp") -> float | None:
        """Return the roofline's time as a part of the library's."""
        least, result = self.results.get("roofline"), self.results.get(name)
        return least.best / result.best if least and result else None


def rows_of(results: Iterable[Result], *kinds: str) -> list[Row]:
    """Return rows of these kinds, in the order in which the results came."""
    found: dict[tuple[Task, int], Row] = {}
    for result in results:
        key = (result.task, result.threads)
        found.setdefault(key, Row(*key)).results[result.peer] = result
    return [row for row in found.values() if row.kind in kinds]


def microseconds(result: Result | None) -> str:
    """Return the least time."""
    return "-" if result is None else number(1e6 * result.best)


def ratio_text(value: float | None) -> str:
    """Return a ratio with two decimals."""
    return "-" if value is None else f"{value:.2f}"


def times_table(rows: Sequence[Row], roofline: str) -> str:
    """Return the microseconds of all libraries.

    Parameters
    ----------
    rows : sequence of Row
    roofline : str
        The heading of the roofline's column.
    """
    others = [n for n in PEERS if n != "fastmlp" and any(n in row.results for row in rows)]
    titles = [roofline if name == "roofline" else PEERS[name].title for name in others]
    return table(
        ["network", "threads", "fastmlp", "times faster", *titles],
        (
            [
                row.name,
                str(row.threads),
                microseconds(row.results.get("fastmlp")),
                ratio_text(row.ratio),
                *(microseconds(row.results.get(name)) for name in others),
            ]
            for row in rows
        ),
    )


def speedup_table(rows: Sequence[Row]) -> str:
    """Return how many times faster each library is on more threads than on one; "" without rows."""
    single = {row.task: row.results for row in rows if row.threads == 1}
    more = [row for row in rows if row.threads > 1 and row.task in single]
    present = [name for name in PEERS if any(name in row.results for row in more)]

    def cell(row: Row, name: str) -> str:
        one, many = single[row.task].get(name), row.results.get(name)
        return ratio_text(one.best / many.best if one and many else None)

    header = ["network", "threads", *(PEERS[name].title for name in present)]
    lines = ([r.name, str(r.threads), *(cell(r, name) for name in present)] for r in more)
    return table(header, lines) if more else ""


def product_table(rows: Sequence[Row]) -> str:
    """Return the matrix products, with shares of the FMA peak."""
    return table(
        ["product", "threads", "us", "share of peak", "best peer", "its share", "times faster"],
        (
            [
                row.name,
                str(row.threads),
                microseconds(row.results.get("fastmlp")),
                ratio_text(row.share()),
                row.rival_title,
                ratio_text(row.share(row.rival.peer) if row.rival else None),
                ratio_text(row.ratio),
            ]
            for row in rows
        ),
    )


def losses(rows: Iterable[Row]) -> list[str]:
    """Return a sentence for each row in which another library is faster."""
    sentences = []
    for row in rows:
        ours, rival, ratio = row.results.get("fastmlp"), row.rival, row.ratio
        if ours and rival and ratio is not None and ratio < 1:
            sentences.append(
                f"{row.rival_title} is faster {described(row)}: {number(1e6 * rival.best)} us, "
                f"fastmlp {number(1e6 * ours.best)} us."
            )
    return sentences


def described(row: Row) -> str:
    """Return what a row is, in words that follow "is faster"."""
    threads = "1 thread" if row.threads == 1 else f"{row.threads} threads"
    what = {"step": "at training steps of", "row": "at one row of", "product": "at the product"}
    return f"{what.get(row.kind, 'at bulk predictions of')} {row.name} on {threads}"
