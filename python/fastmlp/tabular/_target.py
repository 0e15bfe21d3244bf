"""What a model predicts: the labels of classes, or amounts with the scale that training uses."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp.tabular._columns import order_statistic
from fastmlp.tabular._table import Column

Array = npt.NDArray[Any]

ROBUST_LOSSES = ("huber", "absolute_error", "pinball")
# The quartiles of a normal distribution are 1.349 standard deviations apart.
QUARTILES_OF_NORMAL = 1.349


def refuse_missing(column: Column) -> None:
    """Refuse a target with missing values, and name the way out."""
    missing = column.missing()
    if missing.any():
        raise ValueError(
            f"fit: the target {column.name!r} contains NaN or is missing in {int(missing.sum())} "
            f"of {len(column)} rows, first in row {int(np.argmax(missing))}; leave these rows out, "
            "for example by frame.dropna(subset=[target])"
        )


# Classes


def labels(column: Column) -> Array:
    """Return the label of each row: int64, bool or text."""
    if column.holds in ("texts", "categories"):
        return np.array(column.values, dtype=str)
    if column.holds == "booleans":
        return np.asarray(column.values == 1)
    if column.holds == "dates":
        raise ValueError(f"fit: the target {column.name!r} holds dates, which are no classes")
    values = column.numbers()
    odd = (values != np.floor(values)) | (np.abs(values) > 2**53)
    if odd.any():
        row = int(np.argmax(odd))
        raise ValueError(
            f"fit: the target {column.name!r} has {values[row]} at row {row}. Unknown label type: "
            "continuous. Classes are texts, booleans or whole numbers below 2**53; to "
            "predict other numbers, use TabularRegressor"
        )
    whole: Array = values.astype(np.int64)
    return whole


def class_weights(class_weight: Any, classes: Array, places: Array) -> Array | None:
    """Return the weight of each row by its class, float64; None if all are equal."""
    if class_weight is None:
        return None
    counts = np.bincount(places, minlength=len(classes))
    if isinstance(class_weight, str) and class_weight == "balanced":
        return (len(places) / (len(classes) * counts))[places]
    if not isinstance(class_weight, Mapping):
        raise ValueError(
            f"fit: class_weight is {class_weight!r}; it must be None, 'balanced' or a dict of "
            "label: weight"
        )
    known = {label: place for place, label in enumerate(classes.tolist())}
    weights = np.ones(len(classes))
    for label, weight in class_weight.items():
        if label not in known:
            raise ValueError(
                f"fit: class_weight has the label {label!r}, which the target does not have; its "
                f"labels are {classes.tolist()[:20]}"
            )
        try:
            weights[known[label]] = weight
        except (TypeError, ValueError):
            weights[known[label]] = math.nan
    if not np.isfinite(weights).all() or weights.min() < 0:
        raise ValueError(
            f"fit: class_weight is {class_weight!r}; each weight must be finite and not negative"
        )
    return weights[places]


# Amounts


class Amounts:
    """The scale of the targets of a regression: amount = center + scale · output."""

    def __init__(self, center: float, scale: float, least: float, largest: float) -> None:
        self.center, self.scale, self.least, self.largest = center, scale, least, largest

    @classmethod
    def learn(cls, y: Array, loss: str) -> "Amounts":
        """Measure the training targets."""
        least, largest = float(y.min()), float(y.max())
        if loss == "poisson":
            if least < 0 or largest == 0:
                raise ValueError(
                    f"fit: y has values from {least} to {largest}; loss='poisson' takes counts, "
                    "which are not negative and not all 0"
                )
            return cls(0.0, math.fsum(y) / len(y), least, largest)
        if loss in ROBUST_LOSSES:  # not moved by a few extreme values
            ordered = np.sort(y)
            center = order_statistic(ordered, 1, 2)
            spread = order_statistic(ordered, 3, 4) - order_statistic(ordered, 1, 4)
            if spread > 0:
                return cls(center, spread / QUARTILES_OF_NORMAL, least, largest)
        center = math.fsum(y) / len(y)
        deviations = y - center
        scale = math.sqrt(math.fsum(deviations * deviations) / len(y))
        return cls(center, scale if scale > 0 else 1.0, least, largest)

    def targets(self, y: Array) -> Array:
        """Return y as the networks learn it, float32."""
        targets: Array = ((y - self.center) / self.scale).astype(np.float32)
        return targets

    def amounts(self, outputs: Array, clip: bool) -> Array:
        """Return amounts, float64, from outputs."""
        found = self.center + self.scale * outputs
        return np.clip(found, self.least, self.largest) if clip else found
