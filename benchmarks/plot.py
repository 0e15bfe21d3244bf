"""Draws the time of a training step against the width of the network, one line for each library."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from fastmlp.bench.peers import PEERS
from fastmlp.bench.record import Record
from fastmlp.bench.report import rows
from fastmlp.bench.works import NETWORKS

# Okabe and Ito's colours, which stay apart for the colour-blind; each line has a marker of its own.
STYLES = {
    "floor": ("#999999", ""),
    "fastmlp": ("#D55E00", "o"),
    "numpy": ("#0072B2", "s"),
    "skylakex": ("#56B4E9", "D"),
    "sklearn": ("#CC79A7", "^"),
    "torch": ("#009E73", "v"),
    "jax": ("#000000", "P"),
}
GAP = 0.05  # of the axis' height, the least between two labels


def draw(record: Record, path: Path) -> None:
    """Draw the plot and write it as a PNG.

    Parameters
    ----------
    record : Record
        With the training steps of `works.widths()`.
    path : Path
    """
    found = [
        row
        for row in rows(record.results)
        if row.task.kind == "train" and row.task.name not in NETWORKS
    ]
    if not found:
        raise SystemExit("the run has no widths to plot")
    lines = {
        name: [
            (row.task.sizes[0], 1e6 * row.results[name].best)
            for row in found
            if name in row.results
        ]
        for name in STYLES
    }
    lines = {name: line for name, line in lines.items() if line}
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for name, line in lines.items():
        color, marker = STYLES[name]
        ours, floor = name == "fastmlp", name == "floor"
        axes.plot(
            *zip(*line, strict=True), color=color, marker=marker, markersize=7 if ours else 5,
            linewidth=3 if ours else 1.4, linestyle="--" if floor else "-",
            zorder=3 if ours else 2,
        )  # fmt: skip
    decorate(axes, [row.task.sizes[0] for row in found], record)
    label(axes, {name: line[0] for name, line in lines.items()})
    figure.savefig(path, dpi=150)
    plt.close(figure)


def decorate(axes: Axes, widths: list[int], record: Record) -> None:
    """Give the plot its scales, grid and titles."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(widths, [str(width) for width in widths])
    axes.minorticks_off()
    axes.grid(color="#dddddd", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("width n of the layers n-n-n-1")
    axes.set_ylabel("microseconds per training step")
    axes.set_title(
        "Training step, batch of 128, float32, one thread: lower is faster", loc="left", fontsize=11
    )
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    axes.text(
        0.99, 0.02, f"{record.machine['cpu']}, {record.machine['date']}",
        transform=axes.transAxes, ha="right", fontsize=9, color="#555555",
    )  # fmt: skip


def label(axes: Axes, starts: dict[str, tuple[int, float]]) -> None:
    """Write the libraries' names before their lines, pushed apart where they are close.

    At that end the lines are far apart; at the other they all meet the peak.
    """
    axes.set_xlim(left=next(iter(starts.values()))[0] / 4.5)  # room for the names
    axes.figure.draw_without_rendering()
    to_axes = axes.transData + axes.transAxes.inverted()
    below = -1.0
    for name, start in sorted(starts.items(), key=lambda pair: pair[1][1]):
        x, y = to_axes.transform(start)
        below = max(y, below + GAP)
        axes.text(
            x - 0.018, below, "FMAs alone" if name == "floor" else PEERS[name].title,
            transform=axes.transAxes, color=STYLES[name][0], ha="right", va="center",
            fontweight="bold" if name == "fastmlp" else "normal",
        )  # fmt: skip
