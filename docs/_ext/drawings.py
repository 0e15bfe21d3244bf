"""The pictures of the pages, one function for each. Curves come from real training runs."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from palette import Palette

import fastmlp

Point = tuple[float, float]


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure of that size in inches, and axes over all of it in the same unit."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    return figure, axes


def box(
    axes: Axes, centre: Point, size: Point, lines: Sequence[str], edge: str, palette: Palette
) -> None:
    """Draw a rounded box with lines of text."""
    (x, y), (width, height) = centre, size
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=palette.paper,
            edgecolor=edge,
            linewidth=1.4,
        )
    )
    step = 0.27
    for n, line in enumerate(lines):
        axes.text(x, y + step * ((len(lines) - 1) / 2 - n), line, ha="center", va="center")


def arrow(axes: Axes, start: Point, end: Point, color: str, label: str = "") -> None:
    """Draw an arrow; a horizontal one has its label above, a vertical one beside it."""
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=11,
            shrinkA=0,
            shrinkB=0,
            color=color,
            linewidth=1.4,
        )
    )
    x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    if start[1] == end[1]:
        axes.text(x, y + 0.08, label, ha="center", va="bottom", color=color)
    else:
        axes.text(x + 0.08, y, label, ha="left", va="center", color=color)


def data_flow(palette: Palette) -> Figure:
    """Draw one training step of a network with two hidden layers."""
    figure, axes = canvas(9.2, 4.3)
    forward, update, backward = 3.55, 2.2, 0.8
    x = (2.25, 4.55, 6.85)
    wide = 1.62
    for y, color, label in (
        (forward, palette.blue, "forward"),
        (update, palette.green, "update"),
        (backward, palette.orange, "backward"),
    ):
        axes.text(0.06, y, label, color=color, weight="bold", va="center")

    inputs = ("X", "A_1", "A_2")
    outputs = ("A_1", "A_2", r"\hat{Y}")
    for n, (centre, given, made) in enumerate(zip(x, inputs, outputs, strict=True), start=1):
        lines = [rf"$Z_{n} = {given} \cdot W_{n} + b_{n}$", rf"${made} = g_{n}(Z_{n})$"]
        box(axes, (centre, forward), (wide, 0.8), lines, palette.blue, palette)
        box(axes, (centre, update), (0.95, 0.44), [rf"$W_{n},\ b_{n}$"], palette.green, palette)
        gradients = [rf"$dW_{n} = {given}^T \cdot dZ_{n}$", rf"$db_{n} = \Sigma_i \, (dZ_{n})_i$"]
        if n < 3:
            first = rf"$dZ_{n} = dA_{n} \odot g_{n}'(Z_{n})$"
        else:
            first = r"$dZ_3 = (\hat{Y} - Y) / m$"
        box(axes, (centre, backward), (wide, 1.1), [first, *gradients], palette.orange, palette)
        arrow(axes, (centre, update + 0.24), (centre, forward - 0.42), palette.muted)
        step = rf"$-\alpha \, (dW_{n},\ db_{n})$"
        arrow(axes, (centre, backward + 0.57), (centre, update - 0.24), palette.green, step)

    half = wide / 2 + 0.02
    loss = 8.72
    arrow(axes, (1.1, forward), (x[0] - half, forward), palette.blue, "$X$")
    for left, right, label in ((x[0], x[1], "$A_1$"), (x[1], x[2], "$A_2$")):
        arrow(axes, (left + half, forward), (right - half, forward), palette.blue, label)
    arrow(axes, (x[2] + half, forward), (loss - 0.4, forward), palette.blue, r"$\hat{Y}$")
    for left, right, label in ((x[0], x[1], "$dA_1$"), (x[1], x[2], "$dA_2$")):
        arrow(axes, (right - half, backward), (left + half, backward), palette.orange, label)

    box(axes, (loss, forward), (0.76, 0.8), ["loss", r"$\mathcal{L}$"], palette.pink, palette)
    box(axes, (loss, update), (0.76, 0.44), ["$Y$"], palette.pink, palette)
    arrow(axes, (loss, update + 0.24), (loss, forward - 0.42), palette.pink)
    axes.plot([loss, loss], [update - 0.23, backward], color=palette.pink, linewidth=1.4)
    arrow(axes, (loss, backward), (x[2] + half, backward), palette.pink)
    axes.text(loss - 0.1, (update + backward) / 2, r"$\hat{Y} - Y$", ha="right", va="center",
              color=palette.pink)  # fmt: skip
    return figure


def matrix(axes: Axes, corner: Point, size: Point, name: str, shape: str, palette: Palette) -> None:
    """Draw a matrix as a rectangle from its upper left corner."""
    (x, y), (width, height) = corner, size
    axes.add_patch(
        Rectangle((x, y - height), width, height, facecolor=palette.paper, edgecolor=palette.muted)
    )
    axes.text(x + width / 2, y + 0.1, f"{name}  ({shape})", ha="center", va="bottom")


def band(axes: Axes, corner: Point, size: Point, color: str, *, strong: bool) -> None:
    """Draw a part of a matrix from its upper left corner."""
    (x, y), (width, height) = corner, size
    axes.add_patch(
        Rectangle(
            (x, y - height),
            width,
            height,
            facecolor=color,
            edgecolor=color,
            alpha=0.9 if strong else 0.22,
            linewidth=0.8,
        )
    )


def product(palette: Palette) -> Figure:
    """Draw panels of A and B, the tile of C that they give, and the registers that hold it."""
    figure, axes = canvas(9.2, 5.4)
    rows, cols, terms = 2.1, 2.4, 1.5
    a, b, c = (0.1, 2.75), (1.95, 4.9), (1.95, 2.75)
    mr, nr = 0.42, 0.8
    matrix(axes, a, (terms, rows), "$A$", "m, k", palette)
    matrix(axes, b, (cols, terms), "$B$", "k, n", palette)
    axes.add_patch(
        Rectangle((c[0], c[1] - rows), cols, rows, facecolor=palette.paper, edgecolor=palette.muted)
    )
    axes.text(c[0] + cols / 2, c[1] - rows - 0.1, "$C = A \\cdot B$  (m, n)", ha="center", va="top")
    for n in range(5):
        band(axes, (a[0], a[1] - n * mr), (terms, mr), palette.blue, strong=n == 1)
    for n in range(3):
        band(axes, (b[0] + n * nr, b[1]), (nr, terms), palette.orange, strong=n == 1)
    tile = (c[0] + nr, c[1] - mr)
    band(axes, tile, (nr, mr), palette.green, strong=True)
    for y in (c[1] - mr, c[1] - 2 * mr):
        axes.plot([a[0] + terms, tile[0]], [y, y], color=palette.blue, linewidth=0.8, ls=":")
    for x in (tile[0], tile[0] + nr):
        axes.plot([x, x], [b[1] - terms, tile[1]], color=palette.orange, linewidth=0.8, ls=":")
    white = "#ffffff" if palette.name == "light" else "#101214"
    axes.text(a[0] + terms / 2, a[1] - 1.5 * mr, "panel: 12 rows", ha="center", va="center",
              color=white)  # fmt: skip
    axes.text(b[0] + 1.5 * nr, b[1] - terms / 2, "panel:\n32\ncolumns", ha="center", va="center",
              color=white)  # fmt: skip
    axes.text(tile[0] + nr / 2, tile[1] - mr / 2, "tile", ha="center", va="center", color=white)

    # The registers of the tile.
    left, top, width, height = 5.75, 4.35, 1.6, 0.185
    axes.text(left - 0.32, top + 0.72, "one tile in AVX-512 registers (float32)", weight="bold",
              va="bottom")  # fmt: skip
    for v in range(2):
        x = left + v * width
        axes.add_patch(
            Rectangle((x, top + 0.14), width - 0.06, height, facecolor=palette.orange, alpha=0.9)
        )
        for i in range(12):
            axes.add_patch(
                Rectangle((x, top - (i + 1) * height), width - 0.06, height - 0.035,
                          facecolor=palette.green, alpha=0.9)
            )  # fmt: skip
    for i in range(12):
        axes.add_patch(
            Rectangle((left - 0.32, top - (i + 1) * height), 0.2, height - 0.035,
                      facecolor=palette.blue, alpha=0.9)
        )  # fmt: skip
    axes.text(left + width - 0.03, top + 0.4, "2 vectors of 16 from one row of B's panel",
              ha="center", va="bottom", color=palette.orange, fontsize=9.5)  # fmt: skip
    axes.text(left - 0.62, top - 6 * height, "12 numbers from one\ncolumn of A's panel",
              ha="center", va="center", rotation=90, color=palette.blue, fontsize=9.5)  # fmt: skip
    axes.text(left + width - 0.03, top - 12 * height - 0.1, "24 accumulators of 16 sums each",
              ha="center", va="top", color=palette.green, fontsize=9.5)  # fmt: skip
    lines = [
        r"for each $p$:  sum = fma($a_{ip}$, $b_{pj}$, sum), 24 times",
        r"at the end, once:  $C_{ij}$ = activation(sum + bias)",
    ]
    for n, line in enumerate(lines):
        axes.text(left - 0.32, 1.62 - 0.27 * n, line, va="center")

    # The packed copy of a panel of B in memory.
    cell, y = 0.62, 0.62
    start = left - 0.32
    axes.text(start, y + 0.18, "a packed panel of B in memory: row after row", va="bottom",
              color=palette.orange, fontsize=9.5)  # fmt: skip
    for n, name in enumerate(("$b_{0}$", "$b_{1}$", "$b_{2}$", r"$\cdots$", "$b_{k-1}$")):
        axes.add_patch(
            Rectangle((start + n * cell, y - 0.22), cell - 0.04, 0.34, facecolor=palette.orange,
                      alpha=0.22, edgecolor=palette.orange)
        )  # fmt: skip
        axes.text(start + (n + 0.47) * cell, y - 0.05, name, ha="center", va="center")
    axes.text(start, y - 0.32, "32 numbers each, read from left to right", va="top",
              color=palette.muted, fontsize=9.5)  # fmt: skip
    return figure


def scaled_parts() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the training and validation rows of "Getting started", as that page makes them."""
    X, y = fastmlp.datasets.load_breast_cancer()
    order = np.random.default_rng(0).permutation(len(X))
    train, validation = order[:341], order[341:455]
    X = ((X - X[train].mean(axis=0)) / X[train].std(axis=0)).astype("float32")
    return X[train], y[train], X[validation], y[validation]


def plot(palette: Palette, ylabel: str) -> tuple[Figure, Axes]:
    """Return a figure with one plot over epochs."""
    figure = Figure(figsize=(7.6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel="epoch", ylabel=ylabel)
    axes.grid(linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=0)
    return figure, axes


def loss_curves(palette: Palette) -> Figure:
    """Plot the training with early stopping of the page "Getting started"."""
    X, y, X_validation, y_validation = scaled_parts()
    net = fastmlp.Network([30, 64, 32, 1], seed=0)
    history = net.fit(
        X, y, epochs=500, optimizer="adam", dropout=0.2,
        validation_data=(X_validation, y_validation), early_stopping=10,
    )  # fmt: skip
    figure, axes = plot(palette, "binary cross-entropy")
    epochs = np.arange(1, history.epochs + 1)
    axes.plot(epochs, history.loss, color=palette.blue, linewidth=2)
    axes.plot(epochs, history.val_loss, color=palette.orange, linewidth=2)
    best = int(np.argmin(history.val_loss))
    axes.plot(epochs[best], history.val_loss[best], "o", color=palette.orange, markersize=8)
    axes.annotate(
        f"best epoch: {epochs[best]}; fit restores it", (epochs[best], history.val_loss[best]),
        (epochs[best], 0.22), ha="center", color=palette.orange,
        arrowprops={"arrowstyle": "-", "color": palette.orange, "shrinkB": 7},
    )  # fmt: skip
    axes.text(epochs[-1] + 0.4, history.loss[-1], "training", color=palette.blue, va="center")
    axes.text(epochs[-1] + 0.4, history.val_loss[-1], "validation", color=palette.orange,
              va="center")  # fmt: skip
    axes.set_xlim(0, epochs[-1] * 1.14)
    axes.set_ylim(0, 0.5)
    return figure


def optimizers(palette: Palette) -> Figure:
    """Plot the training loss of one network for several optimizers."""
    X, y, _, _ = scaled_parts()
    found = {
        "SGD": fastmlp.SGD(0.05),
        "SGD, momentum 0.9": fastmlp.SGD(0.05, momentum=0.9),
        "Adam": fastmlp.Adam(0.001),
        "L-BFGS": fastmlp.LBFGS(),
    }
    colors = (palette.muted, palette.green, palette.blue, palette.orange)
    figure, axes = plot(palette, "training loss")
    for color, (name, optimizer) in zip(colors, found.items(), strict=True):
        net = fastmlp.Network([30, 64, 32, 1], seed=0, dtype="float64")
        loss = [net.loss(X, y), *net.fit(X, y, epochs=30, optimizer=optimizer).loss]
        axes.plot(loss, color=color, linewidth=2)
        axes.text(len(loss) - 0.6, loss[-1], name, color=color, va="center")
    axes.set_yscale("log")
    axes.set_xlim(0, 38)
    return figure
