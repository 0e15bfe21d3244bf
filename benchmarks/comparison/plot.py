"""Draws the time of a training step against the width of the network, one line for each library."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from comparison.peers import PEERS
from comparison.record import Record
from comparison.report import rows_of

# Okabe and Ito's colours, which stay apart for the colour-blind; each line has a marker of its own.
STYLES = {
    "roofline": ("#8a8a8a", ""),
    "fastmlp": ("#D55E00", "o"),
    "numpy": ("#0072B2", "s"),
    "sklearn": ("#CC79A7", "^"),
    "torch": ("#009E73", "v"),
    "jax": ("#000000", "P"),
}
NAMES = {"roofline": "FMA peak"}
GAP = 0.062  # of the axis' height, the least between two names


def draw(record: Record, path: Path) -> None:
    """Draw the plot and write it as a PNG.

    Parameters
    ----------
    record : Record
        With the training steps of `workloads.widths()`.
    path : Path
    """
    found = rows_of(record.results, "width")
    if not found:
        raise ValueError("the run has no training steps by width to draw")
    lines = {
        name: [(r.task.sizes[0], 1e6 * r.results[name].best) for r in found if name in r.results]
        for name in STYLES
    }
    lines = {name: line for name, line in lines.items() if line}
    with plt.rc_context({"font.size": 13}):
        figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
        for name, line in lines.items():
            color, marker = STYLES[name]
            ours, least = name == "fastmlp", name == "roofline"
            axes.plot(
                *zip(*line, strict=True), color=color, marker=marker, markersize=8 if ours else 5,
                linewidth=3.5 if ours else 1.6, linestyle="--" if least else "-",
                zorder=4 if ours else 3,
            )  # fmt: skip
        decorate(axes, [row.task.sizes[0] for row in found], found[0].threads)
        label(axes, {name: line[0] for name, line in lines.items()})
        figure.savefig(path, dpi=144)
    plt.close(figure)


def decorate(axes: Axes, widths: list[int], threads: int) -> None:
    """Give the plot its scales, grid and titles."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(widths, [str(width) for width in widths])
    axes.minorticks_off()
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xlabel("width n of a network n-n-n-1")
    count = "one thread" if threads == 1 else f"{threads} threads"
    axes.set_title(
        f"Microseconds per training step, batch of 128, float32, {count} (lower is faster)",
        loc="left", fontsize=13, pad=12,
    )  # fmt: skip
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")


def label(axes: Axes, starts: dict[str, tuple[int, float]]) -> None:
    """Write the libraries' names before their lines, pushed apart where they are close.

    At that end the lines are far apart; at the other they all meet the peak.
    """
    axes.set_xlim(left=next(iter(starts.values()))[0] / 4.2)  # room for the names
    axes.figure.draw_without_rendering()
    to_axes = axes.transData + axes.transAxes.inverted()
    below = -1.0
    for name, start in sorted(starts.items(), key=lambda pair: pair[1][1]):
        x, y = to_axes.transform(start)
        below = max(y, below + GAP)
        axes.text(
            x - 0.02, below, NAMES.get(name, PEERS[name].title), transform=axes.transAxes,
            color=STYLES[name][0], ha="right", va="center",
            fontweight="bold" if name == "fastmlp" else "normal",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )  # fmt: skip
