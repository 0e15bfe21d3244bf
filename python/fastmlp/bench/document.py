"""Puts the tables of a run together: the whole report, and the section of the README."""

from __future__ import annotations

from fastmlp.bench import report
from fastmlp.bench.peers import PEERS
from fastmlp.bench.record import Record
from fastmlp.bench.works import BULK_ROWS, PRODUCT_SIDE, READ_GOALS

LEGEND = f"""\
Times are the least of all repeats{{medians}}. "vs best peer" is how many times faster than the
fastest other library `fastmlp` is, and which that is; "of FMA peak" is the time that the fused
multiply-adds alone take, as a part of the whole; "vs reading" is how many times as long as reading
the weights once it takes. After a slash stands the goal, and{report.MISSED} where it is missed."""


def machine_text(record: Record) -> str:
    """Return the machine, what bounds it, and the versions, as a list in Markdown."""
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
    for network in READ_GOALS:
        if rates := record.bandwidths(network):
            lines.append(f"reading the weights of {network}: {_by_threads(rates, 'GB/s')}")
    others = [
        f"{PEERS[name].title} {version}"
        for name, version in record.versions.items()
        if name not in ("floor", "fastmlp", "skylakex")  # the last is NumPy once more
    ]
    if others:
        lines.append("; ".join(others))
    return "".join(f"- {line}\n" for line in lines)


def _by_threads(rates: dict[int, float], unit: str) -> str:
    each = (
        f"{rate / 1e9:.0f} {unit} on {n} thread{'s' if n > 1 else ''}" for n, rate in rates.items()
    )
    return ", ".join(each)


def product_summary(record: Record) -> str:
    """Return a sentence or two on the matrix products; "" where there are none."""
    found = [(row, row.ratio) for row in report.product_rows(record)]
    compared = [(row, ratio) for row, ratio in found if ratio is not None]
    if not compared:
        return ""
    slower = [row for row, ratio in compared if ratio < 1]
    worst, least = min(compared, key=lambda pair: pair[1])
    text = (
        f"Matrix products: of {len(compared)} (types, shapes, transposes, threads) `fastmlp` is "
        f"the fastest in {len(compared) - len(slower)}; at worst it is {least:.2f} times as fast "
        f"as the best peer ({report.described(worst)})."
    )
    for threads in sorted({row.threads for row, _ in found}):
        shares = [
            share
            for row, _ in found
            if row.threads == threads and report.share_goal(row) and (share := row.share())
        ]
        if shares:
            text += (
                f" Squares from {PRODUCT_SIDE} on reach {min(shares):.2f} to "
                f"{max(shares):.2f} of the peak with threads: {threads}."
            )
    return text + "\n"


def report_text(record: Record) -> str:
    """Return all tables for which there are times, and where a peer is faster."""
    sections = {
        "Training, microseconds per SGD step": (
            report.training_rows(record) and report.training_table(record)
        ),
        "More threads: times faster per step than one": report.speedup_table(record),
        "One row from Python, microseconds": (
            report.prediction_rows(record, one=True) and report.row_table(record)
        ),
        f"In bulk ({BULK_ROWS} rows), microseconds per row": (
            report.prediction_rows(record, one=False) and report.bulk_table(record)
        ),
        "Matrix products": report.product_rows(record)
        and product_summary(record) + "\n" + report.product_table(record),
    }
    legend = LEGEND.format(medians=", medians in parentheses")
    text = f"{machine_text(record)}\n{legend}\n"
    for title, body in sections.items():
        if body:
            text += f"\n## {title}\n\n{body}"
    losses = report.losses(record) or ["none"]
    text += "\n## Where a peer is faster\n\n" + "".join(f"- {line}\n" for line in losses)
    return text


def readme_text(record: Record, image: str) -> str:
    """Return the section of the README.

    Parameters
    ----------
    record : Record
    image : str
        Where the plot lies, as the README links to it.
    """
    losses = report.losses(record)
    products = [line for line in losses if line.startswith("product")]
    others = [line for line in losses if not line.startswith("product")]
    text = f"""\
Microseconds per SGD step in float32, data in memory, shuffled batches:

{report.training_table(record, medians=False)}
One row from Python, microseconds:

{report.row_table(record, medians=False)}
In bulk, {BULK_ROWS} rows at a time, microseconds per row:

{report.bulk_table(record, medians=False)}
{product_summary(record)}
![Time of a training step against the width of the network, for each library]({image})

{LEGEND.format(medians="")}

{machine_text(record)}
A peer is faster in {len(products)} of the products and in {len(others)} of the other tasks"""
    return text + (":\n\n" + "".join(f"- {line}\n" for line in others) if others else ".\n")
