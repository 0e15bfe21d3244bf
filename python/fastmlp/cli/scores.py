"""Scores of predictions, as a dict for JSON and as lines for a terminal."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp import metrics
from fastmlp.cli.output import amount, clipped, count, facts, score, table, width

Array = npt.NDArray[Any]
Scores = dict[str, Any]

BINS = 10  # of the calibration
MOST_CLASSES = 12  # of a confusion matrix that is shown as a whole
MOST_CONFUSIONS = 10


def of_classes(classes: Sequence[Any], places: Array, probabilities: Array) -> Scores:
    """Score probabilities; `places` has for each row the place of its label in `classes`."""
    predicted = probabilities.argmax(axis=1)
    n = len(classes)
    confusion = np.bincount(n * places + predicted, minlength=n * n).reshape(n, n)
    scored = probabilities[:, 1] if n == 2 else probabilities
    most = int(confusion.sum(axis=1).argmax())
    bins = _calibration(places == predicted, probabilities.max(axis=1))
    if n == 2:
        bins = _calibration(places == 1, probabilities[:, 1])
    return {
        "rows": len(places),
        "accuracy": int(np.trace(confusion)) / len(places),
        "most_frequent": {
            "label": classes[most],
            "accuracy": int(confusion[most].sum()) / len(places),
        },
        "roc_auc": metrics.roc_auc(places, scored),
        "log_loss": metrics.log_loss(places, scored),
        "classes": list(classes),
        "confusion_matrix": confusion.tolist(),
        "calibration": bins,
        "calibration_error": sum(b["rows"] * abs(b["predicted"] - b["observed"]) for b in bins)
        / len(places),
    }


def _calibration(right: Array, probability: Array) -> list[dict[str, Any]]:
    """Return for each range of probabilities their mean and how often they were right."""
    places = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    found = []
    for place in range(BINS):
        here = places == place
        if here.any():
            found.append(
                {
                    "from": place / BINS,
                    "to": (place + 1) / BINS,
                    "rows": int(np.count_nonzero(here)),
                    "predicted": float(probability[here].mean()),
                    "observed": float(right[here].mean()),
                }
            )
    return found


def of_amounts(y: Array, predicted: Array) -> Scores:
    """Score predicted amounts."""
    return {
        "rows": len(y),
        "rmse": metrics.rmse(y, predicted),
        "mae": metrics.mae(y, predicted),
        "r2": metrics.r2(y, predicted),
        "mean_rmse": metrics.rmse(y, np.full(len(y), float(np.mean(y)))),
    }


def of_quantiles(y: Array, predicted: Array, quantiles: Sequence[float]) -> Scores:
    """Score predicted quantiles: how many rows are below each, and the pinball loss."""
    found = []
    for quantile, column in zip(quantiles, predicted.reshape(len(y), -1).T, strict=True):
        errors = y - column
        loss = np.maximum(quantile * errors, (quantile - 1) * errors)
        found.append(
            {
                "quantile": quantile,
                "below": float(np.mean(y <= column)),
                "pinball_loss": float(np.mean(loss)),
            }
        )
    return {"rows": len(y), "quantiles": found}


def summary(scores: Scores) -> list[str]:
    """Return lines with the scores, beside those of an answer that is always the same."""
    if "accuracy" in scores:
        usual = scores["most_frequent"]
        answer = f"always {clipped(str(usual['label']))!r}: {score(usual['accuracy'])}"
        return facts(
            [
                ("accuracy", f"{score(scores['accuracy'])}   ({answer})"),
                ("ROC AUC", score(scores["roc_auc"])),
                ("log loss", score(scores["log_loss"])),
            ]
        )
    if "quantiles" in scores:
        rows = [
            [str(one["quantile"]), f"{one['below']:.3f}", amount(one["pinball_loss"])]
            for one in scores["quantiles"]
        ]
        return table(["quantile", "rows below it", "pinball loss"], rows)
    lines = [
        ("RMSE", f"{amount(scores['rmse'])}   (always the mean: {amount(scores['mean_rmse'])})")
    ]
    lines += [("MAE", amount(scores["mae"])), ("R²", score(scores["r2"]))]
    return facts(lines)


def details(scores: Scores) -> list[str]:
    """Return the confusion matrix and the calibration of classes."""
    if "accuracy" not in scores:
        return []
    names = [clipped(str(label), 14) for label in scores["classes"]]
    lines = ["", *_confusion(names, scores["confusion_matrix"])]
    what = f"probability of {names[1]!r}" if len(names) == 2 else "highest probability"
    rows = [
        [
            f"{b['from']:.1f} to {b['to']:.1f}",
            f"{b['rows']:,}",
            f"{b['predicted']:.3f}",
            f"{b['observed']:.3f}",
        ]
        for b in scores["calibration"]
    ]
    lines += ["", f"calibration: mean error {score(scores['calibration_error'])}"]
    lines += table([what, "rows", "predicted", "observed"], rows)
    return lines


def _confusion(names: list[str], matrix: list[list[int]]) -> list[str]:
    rows = [[name, *(f"{n:,}" for n in row)] for name, row in zip(names, matrix, strict=True)]
    header = ["true \\ predicted", *names]
    widths = [max(map(len, cells)) + 2 for cells in zip(header, *rows, strict=True)]
    if len(names) <= MOST_CLASSES and sum(widths) - 2 <= width():
        title = "confusion matrix: a row for each true label, a column for each prediction"
        return [title, *table(header, rows)]
    wrong = [
        (n, true, predicted)
        for true, row in zip(names, matrix, strict=True)
        for predicted, n in zip(names, row, strict=True)
        if n and predicted != true
    ]
    wrong.sort(key=lambda one: -one[0])
    shown = [[true, predicted, f"{n:,}"] for n, true, predicted in wrong[:MOST_CONFUSIONS]]
    title = f"the most frequent confusions, of {count(len(wrong), 'kind')}"
    return [title, *table(["true", "predicted", "rows"], shown)] if wrong else ["no confusions"]
