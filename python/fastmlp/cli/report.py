"""The picture of `fastmlp evaluate --plot`: scores, and the importance of the columns."""

import importlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp import metrics
from fastmlp.cli.errors import CommandError
from fastmlp.cli.models import Model
from fastmlp.cli.output import clipped
from fastmlp.formats.safetensors import replace_file
from fastmlp.tabular._table import Table

Array = npt.NDArray[Any]

ENDINGS = (".png", ".pdf", ".svg")
MOST_LABELS = 20  # of a confusion matrix with labels and numbers


def check(path: str) -> None:
    """Refuse a picture that cannot be drawn, before anything is computed."""
    if not path.endswith(ENDINGS):
        raise CommandError(f"--plot: {path!r} must end in one of {', '.join(ENDINGS)}")
    try:
        importlib.import_module("matplotlib")
    except ImportError:
        raise CommandError("--plot needs matplotlib: pip install 'fastmlp[plot]'") from None


def draw(path: str, model: Model, truth: Array, answers: Array, first: Table) -> None:
    """Write the picture."""
    from matplotlib.figure import Figure

    from fastmlp import plot

    figure = Figure(figsize=(10, 4 if model.classes is None else 8), layout="constrained")
    shuffled = Shuffled(model, first)
    if model.classes is None:
        axes = figure.subplots(1, 2)
        plot.residuals(truth, _middle(answers), axes[0])
        importance = axes[1]
    else:
        axes = figure.subplots(2, 2)
        labels = [model.classes[place] for place in truth.tolist()]
        if len(set(labels)) == len(model.classes):  # a curve needs rows of every class
            plot.roc(labels, answers, axes[0, 0], classes=model.classes)
        _confusion(axes[1, 0], model.classes, truth, answers)
        plot.calibration(labels, answers, axes[0, 1], classes=model.classes)
        importance = axes[1, 1]
    y = truth[: first.rows]
    plot.permutation_importance(shuffled, shuffled.places, y, importance, names=list(first.columns))
    score = "R²" if model.classes is None else "accuracy"
    importance.set_xlabel(f"fall of {score} if the column is shuffled")
    drawn = io.BytesIO()
    figure.savefig(drawn, format=Path(path).suffix[1:])
    replace_file(path, drawn.getvalue())


class Shuffled:
    """A model that takes places of rows, one for each column: a column can be shuffled."""

    def __init__(self, model: Model, table: Table) -> None:
        self.model, self.table = model, table
        places = np.arange(table.rows)[:, np.newaxis]
        self.places = np.repeat(places, len(table.columns), axis=1)

    def score(self, places: Array, y: Array) -> float:
        """Return the accuracy or R² of the rows that the places make."""
        columns = {
            name: column.take(here)
            for (name, column), here in zip(self.table.columns.items(), places.T, strict=True)
        }
        answers = self.model.answers(Table(columns, len(places), self.table.named))
        if self.model.classes is None:
            return metrics.r2(y, _middle(answers))
        return float(np.mean(answers.argmax(axis=1) == y))


def _middle(amounts: Array) -> Array:
    """Return the amounts, or those of the quantile in the middle."""
    if amounts.ndim == 1:
        return amounts
    middle: Array = amounts[:, amounts.shape[1] // 2]
    return middle


def _confusion(axes: Any, classes: Sequence[Any], truth: Array, answers: Array) -> None:
    n = len(classes)
    counts = np.bincount(n * truth + answers.argmax(axis=1), minlength=n * n).reshape(n, n)
    axes.imshow(
        counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1
    )
    axes.set(xlabel="predicted", ylabel="true", title="confusion matrix")
    if n <= MOST_LABELS:
        names = [clipped(str(label), 12) for label in classes]
        axes.set_xticks(range(n), names, rotation=90 if n > 4 else 0)
        axes.set_yticks(range(n), names)
        for (row, column), number in np.ndenumerate(counts):
            dark = number > counts[row].sum() / 2
            axes.text(
                column,
                row,
                f"{number:,}",
                ha="center",
                va="center",
                color="white" if dark else "black",
                fontsize=8,
            )
