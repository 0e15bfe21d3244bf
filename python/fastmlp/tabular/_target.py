"""What a model predicts: the labels of classes, or amounts with the scale that training uses."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp.tabular._columns import order_statistic
from fastmlp.tabular._table import INTEGERS_END, Column, _number

Array = npt.NDArray[Any]

ROBUST_LOSSES = ("huber", "absolute_error", "pinball")
# The quartiles of a normal distribution are 1.349 standard deviations apart.
QUARTILES_OF_NORMAL = 1.349
# Longer texts are not taken as labels; in an array each takes as much memory as the longest.
LONGEST_LABEL = 1000
# No output gets as far, and a loss that is not moved by extreme values has the same gradient.
LARGEST_TARGET = 1e9


def refuse_missing(column: Column, function: str) -> None:
    """Refuse a target with missing values, and name the way out."""
    missing = column.missing()
    if missing.any():
        name = column.name
        raise ValueError(
            f"{function}: the target {name!r} contains NaN or is missing in {int(missing.sum())} "
            f"of {len(column)} rows, first in {column.place(int(np.argmax(missing)))}; leave these "
            f"rows out, for example by frame.dropna(subset=[{name!r}]) in pandas or "
            f"frame.drop_nulls({name!r}) in polars"
        )


# Classes


def labels(column: Column, function: str = "fit") -> list[Any]:
    """Return the label of each row: text, bool or int."""
    if column.holds in ("texts", "categories"):
        for text in set(column.values):
            if len(text) > LONGEST_LABEL or "\0" in text:
                where = column.place(column.values.index(text))
                raise ValueError(
                    f"{function}: the target {column.name!r} has {text!r:.40} at {where}, a text "
                    f"of {len(text):,} characters; a label has at most {LONGEST_LABEL:,}, and no "
                    "NUL"
                )
        return list(column.values)
    if column.holds == "booleans":
        return [value == 1 for value in column.values.tolist()]
    if column.holds == "dates":
        raise ValueError(
            f"{function}: the target {column.name!r} holds dates, which are no classes"
        )
    integers: Any = column.integers
    if integers is not None:
        odd = [not -(2**63) <= integer < 2**63 for integer in integers]
    else:
        values = column.numbers()
        odd = ((values != np.floor(values)) | (np.abs(values) > INTEGERS_END)).tolist()
    if any(odd):
        row = odd.index(True)
        raise ValueError(
            f"{function}: the target {column.name!r} has {column.part(row, row + 1).texts()[0]} at "
            f"{column.place(row)}. Unknown label type: continuous. Classes are texts, booleans or "
            "integers of 64 bits; to predict other numbers, use TabularRegressor"
        )
    return integers if integers is not None else [int(value) for value in values.tolist()]


def classes_of(column: Column) -> tuple[Array, Array]:
    """Return the different labels, sorted, and the place of the label of each row among them."""
    found = labels(column)
    classes = sorted(set(found))
    place_of = {label: place for place, label in enumerate(classes)}
    places = np.array([place_of[label] for label in found], dtype=np.int64)
    return np.array(classes, dtype=np.int64 if type(classes[0]) is int else None), places


def places_among(classes: Array, column: Column, function: str) -> Array:
    """Return the place of the label of each row among these classes, -1 for an unknown label.

    Labels of another type are refused; an unknown one is named in a warning.
    """
    found, known = labels(column, function), classes.tolist()
    if found and isinstance(found[0], str) != isinstance(known[0], str):
        raise ValueError(
            f"{function}: the target {column.name!r} has {found[0]!r:.40}, and the classes of the "
            f"model are {known!r:.80}; give labels of the same type"
        )
    place_of = {label: place for place, label in enumerate(known)}
    places = np.array([place_of.get(label, -1) for label in found], dtype=np.int64)
    unknown = np.flatnonzero(places < 0)
    if len(unknown):
        row = int(unknown[0])
        warnings.warn(
            f"{function}: the target {column.name!r} has {found[row]!r:.40} at "
            f"{column.place(row)}, which is not a class of the model and counts as wrong; its "
            f"classes are {known!r:.80}",
            UserWarning,
            stacklevel=4,
        )
    return places


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


def amounts_of(column: Column, function: str) -> Array:
    """Return the targets of a regression as numbers."""
    if column.holds in ("texts", "categories") and not column.is_text_of_numbers():
        row = next(i for i, text in enumerate(column.values) if _number(text) is None)
        raise ValueError(
            f"{function}: the target {column.name!r} has {column.values[row]!r:.40} at "
            f"{column.place(row)}, which is not a number; to predict classes, use TabularClassifier"
        )
    try:
        return column.numbers()
    except ValueError as error:
        raise ValueError(f"{function}: the target: {error}") from None


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
        _, exponent = math.frexp(float(np.abs(deviations).max()))
        deviations = np.ldexp(deviations, -exponent)  # exact; squares of tiny ones would be 0
        scale = math.ldexp(math.sqrt(math.fsum(deviations * deviations) / len(y)), exponent)
        return cls(center, scale if scale > 0 else 1.0, least, largest)

    def targets(self, y: Array) -> Array:
        """Return y as the networks learn it, float32."""
        targets: Array = (y - self.center) / self.scale
        return np.clip(targets, -LARGEST_TARGET, LARGEST_TARGET).astype(np.float32)

    def amounts(self, outputs: Array, clip: bool) -> Array:
        """Return amounts, float64, from outputs."""
        found = self.center + self.scale * outputs
        return np.clip(found, self.least, self.largest) if clip else found
