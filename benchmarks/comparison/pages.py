"""Writes what a run found into the results page of the docs and into the README."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from textwrap import fill

from comparison import goals, report
from comparison.peers import LIBRARIES, PEERS
from comparison.record import Record
from comparison.report import Row, rows_of
from comparison.workloads import BULK_ROWS
from fastmlp.bench.table import HEADER, compared, described, table

RESULTS = "docs/benchmark_results.md"
BULK = f"Bulk predictions, {BULK_ROWS} rows in a call"
NO_LOSS = "No other library is faster in any of the tasks."


def replaced(text: str, name: str, part: str) -> str:
    """Return a page with another text between the comments that begin and end a part.

    Parameters
    ----------
    text : str
        The page.
    name : str
        What the comments call the part.
    part : str
        The new text.

    Raises
    ------
    ValueError
        If the page does not have the two comments.
    """
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"the page lacks the lines\n{begin}{end}")
    return before + begin + part + end + after


def write(path: Path, name: str, part: str) -> None:
    """Put a text between the comments of a file."""
    path.write_text(replaced(path.read_text(encoding="utf-8"), name, part), encoding="utf-8")


def thread_text(threads: int) -> str:
    """Return "1 thread", "2 threads", and so on."""
    return "1 thread" if threads == 1 else f"{threads} threads"


# The README


def readme_part(record: Record) -> str:
    """Return the README's tables: steps and single rows on as many threads as were measured."""
    steps, singles = rows_of(record.results, "step"), rows_of(record.results, "row")
    most = max((row.threads for row in steps + singles), default=1)

    def short(rows: list[Row]) -> str:
        lines = [
            [described(row.task), *compared(row.results.values(), LIBRARIES)]
            for row in rows
            if row.threads == most
        ]
        return table(["network", *HEADER], lines) if lines else ""

    threads = thread_text(most)
    if most == record.machine["processors"]:
        threads += " (all processors, which is the default)"
    paragraphs = [
        f"Microseconds per training step on {threads}. Training is plain SGD in float32, on data "
        "that lies in memory and is shuffled.",
        "Microseconds per prediction of a single row, from a NumPy vector to an array, on "
        f"{thread_text(most)}.",
        f"{measured_text(record)} {losses_text(record)}",
    ]
    first, second, last = (
        fill(text, 100, break_long_words=False, break_on_hyphens=False) for text in paragraphs
    )
    link = f"[Benchmark results]({RESULTS})"
    return (
        f"{first}\n\n{short(steps)}\n{second}\n\n{short(singles)}\n{last}\n"
        f"{link} has every library, one thread, bulk predictions, matrix products and goals.\n"
    )


def measured_text(record: Record) -> str:
    """Return a sentence with the machine, the date and the versions."""
    facts, config = record.machine, record.machine["config"]
    return (
        f"Measured on {facts['cpu']}, {facts['processors']} processors, {facts['date']}: fastmlp "
        f"{config['fastmlp']} ({config['isa']}), {versions_text(record)}."
    )


def versions_text(record: Record) -> str:
    """Return the other libraries with their versions."""
    names = [name for name in record.versions if name not in ("roofline", "fastmlp", "skylakex")]
    return ", ".join(f"{PEERS[name].title} {record.versions[name]}" for name in names)


def losses_text(record: Record) -> str:
    """Return sentences on where other libraries are faster."""
    products = [row for row in rows_of(record.results, "product") if row.ratio is not None]
    slower = report.losses(products)
    others = report.losses(rows_of(record.results, "step", "row", "bulk"))
    sentences = others
    if len(others) > 3:
        sentences = [f"Another library is faster in {len(others)} steps and predictions."]
    if slower:
        number = f"{len(slower)} of {len(products)} matrix products"
        sentences = [*sentences, f"Another library is faster in {number}."]
    return " ".join(sentences or [NO_LOSS])


# The page of the docs


def results_part(record: Record, turns: int) -> str:
    """Return the tables of the results page.

    Parameters
    ----------
    record : Record
    turns : int
        How often each library had its turn with a task.
    """
    steps = rows_of(record.results, "step")
    bulk = rows_of(record.results, "bulk")
    products = rows_of(record.results, "product")
    singles = rows_of(record.results, "row")
    everything = [*steps, *singles, *bulk, *products]
    met = [goal for row in [*steps, *singles, *bulk] for goal in goals.goals_of(row)]
    met += goals.speedups(steps)
    sections = {
        "Training steps": steps and report.times_table(steps, "FMA peak"),
        "More threads": report.speedup_table(steps),
        "One row": singles and report.times_table(singles, "reading the weights"),
        BULK: bulk and report.times_table(bulk, "FMA peak"),
        "Matrix products": products and report.product_table(products),
        "Goals": goals.goals_table(met),
        "Goals of matrix products": products_goals(products),
    }
    text = machine_text(record)
    text += f"\nEach time is the least of {turns} turns.\n"
    for title, body in sections.items():
        if body:
            text += f"\n## {title}\n\n{NOTES.get(title, '')}{body}"
    lost = report.losses(everything) or [NO_LOSS]
    return text + "\n## Where another library is faster\n\n" + listed(lost)


NOTES = {
    "Training steps": "Microseconds per SGD step.\n\n",
    "More threads": "Times faster per training step than on one thread.\n\n",
    "One row": "Microseconds per call, from a NumPy vector to an array.\n\n",
    BULK: "Microseconds per row.\n\n",
    "Matrix products": "The share is that of the FMA peak. A transposed operand is a view.\n\n",
    "Goals": "The goals are the project's own. fastmlp can miss one and still be the fastest.\n\n",
}


def products_goals(products: list[Row]) -> str:
    """Return the goals of square products, the least value of each number of threads and type."""
    least: dict[tuple[int, str], goals.Goal] = {}
    for row in products:
        for goal in goals.goals_of(row):
            key = (row.threads, row.task.dtype)
            if key not in least or goal.value < least[key].value:
                least[key] = goal
    note = (
        f"Squares from {goals.SQUARE_SIDE} on; of each type and number of threads the product that "
        "is the furthest from the peak.\n\n"
    )
    return note + goals.goals_table(list(least.values())) if least else ""


def machine_text(record: Record) -> str:
    """Return the machine, its limits and the versions, as a list."""
    facts = record.machine
    config = facts["config"]
    lines = [
        f"{facts['cpu']}, {facts['processors']} processors, {facts['date']}",
        f"fastmlp {config['fastmlp']}, {config['isa']}, {config['compiler']}; "
        f"Python {config['python']}, {config['platform']}",
    ]
    for dtype in ("float32", "float64"):
        if peaks := record.peaks(dtype):
            lines.append(f"FMA peak in {dtype}: {_by_threads(peaks, 'GFLOP/s')}")
    for network in goals.ROW_READS:
        if rates := record.bandwidths(network):
            lines.append(f"Reading the weights of {network}: {_by_threads(rates, 'GB/s')}")
    return listed([*lines, versions_text(record)])


def _by_threads(rates: dict[int, float], unit: str) -> str:
    return ", ".join(f"{rate / 1e9:.0f} {unit} on {thread_text(n)}" for n, rate in rates.items())


def listed(lines: Iterable[str]) -> str:
    """Return a list in Markdown."""
    return "".join(f"- {line}\n" for line in lines)
