"""The kinds of columns: what each learns from the training rows, and the inputs it makes of values.

Encoding is float64 arithmetic of single elements (+ - * / sqrt and comparisons), rounded to float32
at the end, and nothing is summed or interpolated by a library: any other program can make the same
bits. To add a kind, write a class like `Boolean` and list it in `KINDS`. Start at `Kind`.
"""

import math
from collections import Counter
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from fastmlp.tabular._recipe import Recipe
from fastmlp.tabular._table import DAY, Column

Array = npt.NDArray[Any]
Settings = dict[str, Any]  # what JSON can hold
Tensors = dict[str, Array]  # float64, one axis

LARGEST_SCALED = 1e6  # its square is finite; the smooth clip is flat long before
IDENTIFIER_ROWS = 20  # fewer distinct values may be so by chance


class LeftOutError(Exception):
    """A column has nothing to learn from; the text says why, as "is constant"."""


class Kind:
    """What became of a column: the base of the kinds."""

    name: ClassVar[str]  # in `column_types` and in files
    width: int  # the number of inputs

    @classmethod
    def suits(cls, column: Column) -> bool:
        """Return whether a column is of this kind if the user does not say."""
        raise NotImplementedError

    @classmethod
    def learn(cls, column: Column, recipe: Recipe, chosen: bool) -> Self:
        """Learn from the training rows; `chosen` is whether the user named this kind.

        Raises LeftOutError if nothing can be learned from the column.
        """
        raise NotImplementedError

    def describe(self) -> str:
        """Return in a line what becomes of a value."""
        raise NotImplementedError

    def inputs(self, name: str) -> list[str]:
        """Return a name for each input, for a column of this name."""
        raise NotImplementedError

    def encode(self, column: Column, out: Array) -> None:
        """Write the inputs of each row into `out`, float32 of shape (rows, width)."""
        raise NotImplementedError

    def settings(self) -> tuple[Settings, Tensors]:
        """Return what was learned: as JSON, and as float64 arrays."""
        raise NotImplementedError

    @classmethod
    def restore(cls, settings: Settings, tensors: Tensors) -> Self:
        """Return the kind that has these settings; ValueError if they cannot be."""
        raise NotImplementedError


def order_statistic(ordered: Array, part: int, parts: int) -> float:
    """Return the quantile part / parts by nearest rank: one of the values, never a mean of two."""
    return float(ordered[max(0, -(-part * len(ordered) // parts) - 1)])


class Number(Kind):
    """A number: scaled, and once more as its place among the quantiles.

    The scaled value is z / sqrt(1 + (z / 3)²) with z = (x - center) · scale: outliers end at ±3.
    The place is a piecewise linear code (Gorishniy et al., 2022, arXiv:2203.05556): input t goes
    from 0 at edge t - 1 to 1 at edge t. A missing value is the center, and 1 in an own input.
    """

    name = "number"

    def __init__(
        self, center: float, scale: float, edges: Array, has_missing: bool, parsed: bool = False
    ) -> None:
        self.center, self.scale, self.edges = center, scale, edges
        self.has_missing, self.parsed = has_missing, parsed
        self.bins = max(0, len(edges) - 1)
        self.width = (scale > 0) + self.bins + has_missing

    @classmethod
    def suits(cls, column: Column) -> bool:
        return column.holds == "numbers" or column.is_text_of_numbers()

    @classmethod
    def learn(cls, column: Column, recipe: Recipe, chosen: bool) -> Self:
        values = column.numbers()
        missing = np.isnan(values)
        ordered = np.sort(values[~missing])
        if len(ordered) == 0:
            raise LeftOutError("has no values")
        has_missing = bool(missing.any())
        least, largest = float(ordered[0]), float(ordered[-1])
        if least == largest and not has_missing:
            raise LeftOutError("is constant")
        counts = len(ordered) >= IDENTIFIER_ROWS and bool(np.all(np.diff(ordered) == 1))
        if counts and not chosen:
            raise LeftOutError("numbers the rows")
        spread = order_statistic(ordered, 3, 4) - order_statistic(ordered, 1, 4)
        scale = _inverse(1.0, spread) or _inverse(2.0, largest - least)
        edges = np.unique([order_statistic(ordered, t, recipe.n_bins) for t in _bins(recipe)])
        if len(edges) < 3 or not np.all(np.diff(edges) > 0):
            edges = np.zeros(0)
        center = order_statistic(ordered, 1, 2)
        return cls(center, scale, edges, has_missing, parsed=column.holds == "texts")

    def describe(self) -> str:
        parts = [f"scaled around {self.center:g}"] if self.scale > 0 else []
        if self.bins:
            parts.append(f"its place among {self.bins} quantiles")
        if self.has_missing:
            parts.append("whether it is missing")
        read = "number, read from text: " if self.parsed else "number: "
        return read + ", ".join(parts)

    def inputs(self, name: str) -> list[str]:
        scaled = [name] if self.scale > 0 else []
        places = [f"{name} to {edge:g}" for edge in self.edges[1:]]
        return scaled + places + [f"{name} missing"] * self.has_missing

    def encode(self, column: Column, out: Array) -> None:
        values = column.numbers()
        missing = np.isnan(values)
        x = np.where(missing, self.center, values)
        place = 0
        if self.scale > 0:
            z = np.clip((x - self.center) * self.scale, -LARGEST_SCALED, LARGEST_SCALED)
            third = z / 3.0
            out[:, 0] = z / np.sqrt(1.0 + third * third)
            place = 1
        for low, high in zip(self.edges[:-1], self.edges[1:], strict=True):
            out[:, place] = np.clip((x - low) / (high - low), 0.0, 1.0)
            place += 1
        if self.has_missing:
            out[:, place] = missing

    def settings(self) -> tuple[Settings, Tensors]:
        settings = {"has_missing": self.has_missing, "parsed": self.parsed}
        scaling = np.array([self.center, self.scale])
        return settings, {"scaling": scaling, "edges": self.edges}

    @classmethod
    def restore(cls, settings: Settings, tensors: Tensors) -> Self:
        scaling, edges = tensors["scaling"], tensors["edges"]
        if scaling.shape != (2,) or not np.isfinite(scaling).all() or scaling[1] < 0:
            raise ValueError("scaling must be a center and a scale")
        if len(edges) == 1 or not np.isfinite(edges).all() or not np.all(np.diff(edges) > 0):
            raise ValueError("edges must rise")
        center, scale = scaling.tolist()
        return cls(center, scale, edges, settings["has_missing"], settings["parsed"])


def _inverse(one: float, spread: float) -> float:
    """Return one / spread; 0 if that is not a usable number."""
    inverse = one / spread if spread > 1e-300 else 0.0
    return inverse if math.isfinite(inverse) else 0.0


def _bins(recipe: Recipe) -> range:
    return range(recipe.n_bins + 1) if recipe.n_bins > 0 else range(0)


class Boolean(Kind):
    """True is 1, false is -1, missing is 0."""

    name = "boolean"
    width = 1

    @classmethod
    def suits(cls, column: Column) -> bool:
        return column.holds == "booleans"

    @classmethod
    def learn(cls, column: Column, recipe: Recipe, chosen: bool) -> Self:
        values = column.booleans()
        there = values[~np.isnan(values)]
        if len(there) == 0:
            raise LeftOutError("has no values")
        if len(there) == len(values) and bool(np.all(there == there[0])):
            raise LeftOutError("is constant")
        return cls()

    def describe(self) -> str:
        return "boolean: true is 1, false is -1, missing is 0"

    def inputs(self, name: str) -> list[str]:
        return [name]

    def encode(self, column: Column, out: Array) -> None:
        values = column.booleans()
        out[:, 0] = np.where(np.isnan(values), 0.0, 2.0 * values - 1.0)

    def settings(self) -> tuple[Settings, Tensors]:
        return {}, {}

    @classmethod
    def restore(cls, settings: Settings, tensors: Tensors) -> Self:
        return cls()


class Category(Kind):
    """One input for each level, so that each level has a row of the first layer's weights.

    Levels that are rare in the training rows share an input, and missing values have one if there
    were any. A value that never occurred is the mean of the training rows: each input is the share
    of its level.
    """

    name = "category"

    def __init__(
        self, levels: list[str], shares: Array, has_rare: bool, has_missing: bool, cut: int = 0
    ) -> None:
        self.levels, self.shares, self.cut = levels, shares, cut
        self.has_rare, self.has_missing = has_rare, has_missing
        self.width = len(levels) + has_rare + has_missing
        self.places = {level: place for place, level in enumerate(levels)}

    @classmethod
    def suits(cls, column: Column) -> bool:
        return column.holds in ("texts", "categories")

    @classmethod
    def learn(cls, column: Column, recipe: Recipe, chosen: bool) -> Self:
        texts = column.texts()
        counts = Counter(text for text in texts if text is not None)
        present, rows = counts.total(), len(texts)
        if not counts:
            raise LeftOutError("has no values")
        if len(counts) == 1 and present == rows:
            raise LeftOutError("is constant")
        if len(counts) == present >= IDENTIFIER_ROWS and not chosen:
            raise LeftOutError("has a different text in every row")
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        levels = [text for text, n in ranked if n >= recipe.min_count][: recipe.max_levels]
        rare = present - sum(counts[level] for level in levels)
        if not levels and present == rows:
            raise LeftOutError(f"has no text that occurs {recipe.min_count} times")
        has_rare = rare >= recipe.min_count
        amounts = [counts[level] for level in levels] + [rare] * has_rare
        amounts += [rows - present] * (present < rows)
        shares = np.array([amount / rows for amount in amounts])
        return cls(levels, shares, has_rare, present < rows, len(counts) - len(levels))

    def describe(self) -> str:
        parts = [f"category: an input for each of {len(self.levels)} levels"]
        if self.has_rare:
            parts.append(f"one for {self.cut} rare levels")
        if self.has_missing:
            parts.append("one for missing")
        return ", ".join(parts)

    def inputs(self, name: str) -> list[str]:
        levels = [f"{name} {level}" for level in self.levels]
        return levels + [f"{name} rare"] * self.has_rare + [f"{name} missing"] * self.has_missing

    def encode(self, column: Column, out: Array) -> None:
        rare = len(self.levels) if self.has_rare else -1
        missing = self.width - 1 if self.has_missing else -1
        places = np.array(
            [missing if text is None else self.places.get(text, rare) for text in column.texts()],
            dtype=np.int64,
        )
        unknown = places < 0
        out[:] = 0.0
        out[np.arange(len(places)), places] = 1.0
        out[unknown] = self.shares

    def settings(self) -> tuple[Settings, Tensors]:
        settings = {
            "levels": self.levels,
            "has_rare": self.has_rare,
            "has_missing": self.has_missing,
            "cut": self.cut,
        }
        return settings, {"shares": self.shares}

    @classmethod
    def restore(cls, settings: Settings, tensors: Tensors) -> Self:
        kind = cls(
            settings["levels"],
            tensors["shares"],
            settings["has_rare"],
            settings["has_missing"],
            settings["cut"],
        )
        if len(kind.places) != len(kind.levels):
            raise ValueError("a level stands twice")
        if kind.shares.shape != (kind.width,) or not np.isfinite(kind.shares).all():
            raise ValueError("shares must have a number for each input")
        return kind


class Date(Kind):
    """A date: days since 1970 as a number, month, weekday and hour as categories.

    The hour and every other part is left out if it is the same in all training rows.
    """

    name = "date"
    PARTS: ClassVar[dict[str, type[Kind]]] = {
        "day": Number,
        "month": Category,
        "weekday": Category,
        "hour": Category,
    }

    def __init__(self, parts: dict[str, Kind], parsed: bool = False) -> None:
        self.parts, self.parsed = parts, parsed
        self.width = sum(part.width for part in parts.values())

    @classmethod
    def suits(cls, column: Column) -> bool:
        return column.holds == "dates" or column.is_text_of_dates()

    @classmethod
    def learn(cls, column: Column, recipe: Recipe, chosen: bool) -> Self:
        parts: dict[str, Kind] = {}
        reason = ""
        for name, part in _date_parts(column).items():
            try:
                parts[name] = cls.PARTS[name].learn(part, recipe, chosen=True)
            except LeftOutError as error:
                reason = reason or str(error)
        if not parts:
            raise LeftOutError(reason)
        return cls(parts, parsed=column.holds == "texts")

    def describe(self) -> str:
        names = {"day": "days since 1970", "month": "month", "weekday": "weekday", "hour": "hour"}
        read = "date, read from text: " if self.parsed else "date: "
        return read + ", ".join(names[part] for part in self.parts)

    def inputs(self, name: str) -> list[str]:
        return [one for part, kind in self.parts.items() for one in kind.inputs(f"{name} {part}")]

    def encode(self, column: Column, out: Array) -> None:
        begin = 0
        values = _date_parts(column)
        for name, kind in self.parts.items():
            kind.encode(values[name], out[:, begin : begin + kind.width])
            begin += kind.width

    def settings(self) -> tuple[Settings, Tensors]:
        learned = {name: part.settings() for name, part in self.parts.items()}
        tensors = {
            f"{name}.{key}": values
            for name, (_, found) in learned.items()
            for key, values in found.items()
        }
        parts = {name: settings for name, (settings, _) in learned.items()}
        return {"parsed": self.parsed, "parts": parts}, tensors

    @classmethod
    def restore(cls, settings: Settings, tensors: Tensors) -> Self:
        parts: dict[str, Kind] = {}
        for name, kind in cls.PARTS.items():
            if name in settings["parts"]:
                own = {
                    key.removeprefix(f"{name}."): values
                    for key, values in tensors.items()
                    if key.startswith(f"{name}.")
                }
                parts[name] = kind.restore(settings["parts"][name], own)
        return cls(parts, settings["parsed"])


def _date_parts(column: Column) -> dict[str, Column]:
    """Return the parts of dates, by whole numbers: after H. Hinnant's `civil_from_days`."""
    seconds = column.dates()
    missing = np.isnan(seconds)
    here = np.where(missing, 0.0, seconds)
    days = np.floor(here / DAY)
    hour = np.floor((here - days * DAY) / 3600.0).astype(np.int64)
    shifted = days.astype(np.int64) + 719468  # days since the first of March of year 0
    of_era = shifted % 146097  # an era has 400 years
    of_years = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * of_years + of_years // 4 - of_years // 100)
    month = ((5 * of_year + 2) // 153 + 2) % 12 + 1
    weekday = (days.astype(np.int64) + 3) % 7 + 1  # 1 January 1970 was a Thursday; Monday is 1
    named = {"month": month, "weekday": weekday, "hour": hour}
    parts = {"day": Column(column.name, "numbers", np.where(missing, math.nan, here / DAY))}
    for name, values in named.items():
        texts = [None if gone else str(v) for v, gone in zip(values.tolist(), missing, strict=True)]
        parts[name] = Column(column.name, "texts", texts)
    return parts


# The first kind that suits is taken if the user does not say; every column of `read_table` has one.
KINDS: tuple[type[Kind], ...] = (Boolean, Number, Date, Category)
BY_NAME = {kind.name: kind for kind in KINDS}
