"""The kinds of columns: what each learns from the training rows, and the inputs it makes of values.

Encoding is float64 arithmetic of single elements (+ - * / sqrt and comparisons), rounded to float32
at the end, and nothing is summed or interpolated by a library: any other program can make the same
bits. To add a kind, write a class like `Boolean` and list it in `KINDS`. Start at `Kind`.
"""

import math
import re
from collections import Counter
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from fastmlp.formats.safetensors import is_list
from fastmlp.tabular._recipe import Recipe
from fastmlp.tabular._table import DAY, Column

Array = npt.NDArray[Any]
Settings = dict[str, Any]  # what JSON can hold
Tensors = dict[str, Array]  # float64, one axis

LEAST_SPREAD = 1e-200  # below it, the largest numbers would overflow
QUANTILES = 100
ROOT_OF_3 = 1.7320508075688772
LARGEST_SCALED = 1e6  # its square is finite; the smooth clip is flat long before
IDENTIFIER_ROWS = 20  # fewer distinct values may be so by chance
# "id", "customer_id", "customerId", "index" and so on, but not "grid" or "price index".
NAME_OF_IDENTIFIER = re.compile(
    r"(?i:(?:.*[\W_])?(?:id|uuid|guid|key)|index|unnamed: 0)|.*[a-z](?:Id|ID|Key)"
)


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
        """Return what was learned: as JSON without floats, and as float64 arrays."""
        raise NotImplementedError

    @classmethod
    def restore(cls, settings: Settings, tensors: Tensors) -> Self:
        """Return the kind that has these settings; ValueError if they cannot be."""
        raise NotImplementedError


def check_types(settings: Any, types: dict[str, type]) -> None:
    """Refuse settings that do not have exactly these keys and types; a list is one of texts."""
    if not isinstance(settings, dict) or settings.keys() != types.keys():
        raise ValueError(f"{settings!r:.80} must have the keys {sorted(types)}")
    for key, wanted in types.items():
        value = settings[key]
        if type(value) is not wanted or (wanted is list and not is_list(value, str)):
            raise ValueError(f"{key} is {value!r:.80}; it must be a {wanted.__name__}")


def order_statistic(ordered: Array, part: int, parts: int) -> float:
    """Return the quantile part / parts by nearest rank: one of the values, never a mean of two."""
    return float(ordered[max(0, -(-part * len(ordered) // parts) - 1)])


def order_statistics(ordered: Array, parts: int) -> Array:
    """Return the quantiles 0, 1 / parts, …, 1; none if there are no parts."""
    count = parts + 1 if parts > 0 else 0
    return np.array([order_statistic(ordered, part, parts) for part in range(count)])


class Number(Kind):
    """A number: scaled, and once more as its place among the quantiles.

    Robust scaling gives z / sqrt(1 + (z / 3)²) with z = (x - center) · scale: outliers end at ±3.
    Quantile scaling gives sqrt(3) (2 p - 1), where p is the share of the training rows below x.
    The place is a piecewise linear code (Gorishniy et al., 2022, arXiv:2203.05556): input t goes
    from 0 at edge t - 1 to 1 at edge t, minus its mean. A missing value is the center, and 1 in an
    own input.
    """

    name = "number"

    def __init__(
        self,
        scaling: "Robust | Quantile | None",
        center: float,
        edges: Array,
        means: Array,
        has_missing: bool,
        parsed: bool,
    ) -> None:
        self.scaling, self.center, self.edges, self.means = scaling, center, edges, means
        self.has_missing, self.parsed = has_missing, parsed
        self.bins = len(means)
        self.width = (scaling is not None) + self.bins + has_missing

    @classmethod
    def suits(cls, column: Column) -> bool:
        return column.holds == "numbers" or column.is_text_of_numbers()

    @classmethod
    def learn(cls, column: Column, recipe: Recipe, chosen: bool) -> Self:
        numbers = column.as_numbers()
        values = numbers.values
        missing = np.isnan(values)
        ordered = np.sort(values[~missing] + 0.0)  # there is no -0.0, which would sort anywhere
        if len(ordered) == 0:
            raise LeftOutError("has no values")
        has_missing = bool(missing.any())
        is_constant = ordered[0] == ordered[-1]
        if not chosen:
            _refuse_identifier(numbers, ordered)
        if is_constant and not has_missing:
            differ = numbers.integers is not None and len(set(numbers.integers)) > 1
            raise LeftOutError(
                "has integers that differ too little for numbers; a category keeps them apart"
                if differ
                else "is constant"
            )
        scaling = None if is_constant else SCALINGS[recipe.scaling].learn(ordered)
        edges = _edges(ordered, recipe.n_bins)
        center = order_statistic(ordered, 1, 2)
        parsed = column.holds == "texts"
        return cls(scaling, center, edges, _means(ordered, edges), has_missing, parsed)

    def describe(self) -> str:
        parts = [self.scaling.describe()] if self.scaling is not None else []
        if self.bins:
            parts.append(f"its place among {self.bins} quantiles")
        if self.has_missing:
            parts.append("whether it is missing")
        read = "number, read from text: " if self.parsed else "number: "
        return read + ", ".join(parts)

    def inputs(self, name: str) -> list[str]:
        scaled = [name] if self.scaling is not None else []
        places = [f"{name} to {edge:g}" for edge in self.edges[1:]]
        return scaled + places + [f"{name} missing"] * self.has_missing

    def encode(self, column: Column, out: Array) -> None:
        values = column.numbers()
        missing = np.isnan(values)
        x = np.where(missing, self.center, values)
        place = 0
        if self.scaling is not None:
            out[:, 0] = self.scaling.scale(x)
            place = 1
        for low, high, mean in zip(self.edges[:-1], self.edges[1:], self.means, strict=True):
            with np.errstate(all="ignore"):  # an infinite place becomes 1
                out[:, place] = np.clip((x - low) / (high - low), 0.0, 1.0) - mean
            place += 1
        if self.has_missing:
            out[:, place] = missing

    def settings(self) -> tuple[Settings, Tensors]:
        settings = {"scaling": "none", "has_missing": self.has_missing, "parsed": self.parsed}
        tensors = {"center": np.array([self.center])}
        if self.bins:
            tensors |= {"edges": self.edges, "means": self.means}
        if self.scaling is not None:
            settings["scaling"] = self.scaling.name
            tensors |= self.scaling.tensors()
        return settings, tensors

    @classmethod
    def restore(cls, settings: Settings, tensors: Tensors) -> Self:
        check_types(settings, {"scaling": str, "has_missing": bool, "parsed": bool})
        name = settings["scaling"]
        _require(name == "none" or name in SCALINGS, f"scaling is {name!r:.80}, which is not known")
        names = () if name == "none" else SCALINGS[name].TENSORS
        without_places = {"edges": np.zeros(0), "means": np.zeros(0)}
        tensors = without_places | tensors
        _check_tensors(tensors, "center", *without_places, *names)
        center, edges, means = tensors["center"], tensors["edges"], tensors["means"]
        _require(center.shape == (1,), "center must be one number")
        _require(_rises(edges), "edges must rise")
        _require(len(means) == max(0, len(edges) - 1), "there must be a mean between two edges")
        scaling = None if name == "none" else SCALINGS[name].restore(tensors)
        flags = settings["has_missing"], settings["parsed"]
        return cls(scaling, float(center[0]), edges, means, *flags)


def _refuse_identifier(column: Column, ordered: Array) -> None:
    """Raise LeftOutError if the sorted numbers do no more than tell the rows apart."""
    if column.integers is not None:
        ordered = np.array(sorted(n for n in column.integers if n is not None), dtype=object)
    steps = np.diff(ordered)
    if len(ordered) < IDENTIFIER_ROWS or not np.all(steps > 0):
        return
    if np.all(steps == 1):
        raise LeftOutError("numbers the rows")
    if NAME_OF_IDENTIFIER.fullmatch(column.name) and np.all(ordered % 1 == 0):
        raise LeftOutError("has the name of an identifier and a different integer in every row")


def _edges(ordered: Array, bins: int) -> Array:
    """Return the edges between which a number has its place; none if they say nothing new."""
    edges = np.unique(order_statistics(ordered, bins))
    distinct = np.unique(ordered)
    if len(distinct) <= bins + 1:
        edges = distinct
    return edges if bins > 0 and len(edges) > 2 else np.zeros(0)


def _means(ordered: Array, edges: Array) -> Array:
    """Return about the mean of each input: a half for a row between its two edges."""
    below = np.searchsorted(ordered, edges[:-1], side="right")
    above = len(ordered) - np.searchsorted(ordered, edges[1:], side="left")
    between = len(ordered) - below - above
    means: Array = (above + 0.5 * between) / len(ordered)
    return means


class Robust:
    """Scales by the middle half of the values, and lets outliers end at ±3."""

    name = "robust"
    TENSORS = ("robust",)

    def __init__(self, center: float, factor: float) -> None:
        self.center, self.factor = center, factor

    @classmethod
    def learn(cls, ordered: Array) -> "Robust":
        """Measure sorted values, which are not all equal."""
        spread = order_statistic(ordered, 3, 4) - order_statistic(ordered, 1, 4)
        width = float(ordered[-1] - ordered[0])
        factor = 1.0 / spread if spread > LEAST_SPREAD else 2.0 / max(width, LEAST_SPREAD)
        return cls(order_statistic(ordered, 1, 2), factor)

    def describe(self) -> str:
        """Return what becomes of a value, in words."""
        return f"scaled around {self.center:g}"

    def scale(self, x: Array) -> Array:
        """Return scaled values, float64."""
        z = np.clip((x - self.center) * self.factor, -LARGEST_SCALED, LARGEST_SCALED)
        third = z / 3.0
        scaled: Array = z / np.sqrt(1.0 + third * third)
        return scaled

    def tensors(self) -> Tensors:
        """Return what was learned."""
        return {"robust": np.array([self.center, self.factor])}

    @classmethod
    def restore(cls, tensors: Tensors) -> "Robust":
        """Return the scaling that has these tensors."""
        robust = tensors["robust"]
        _require(robust.shape == (2,) and robust[1] > 0, "robust must be a center and a factor")
        return cls(float(robust[0]), float(robust[1]))


class Quantile:
    """Scales by rank: between two quantiles of the training rows linearly."""

    name = "quantile"
    TENSORS = ("quantiles", "shares")

    def __init__(self, quantiles: Array, shares: Array) -> None:
        self.quantiles, self.shares = quantiles, shares

    @classmethod
    def learn(cls, ordered: Array) -> "Quantile":
        """Measure sorted values, which are not all equal."""
        found = order_statistics(ordered, QUANTILES)
        quantiles = np.unique(found)
        first = np.searchsorted(found, quantiles, side="left")
        last = np.searchsorted(found, quantiles, side="right") - 1
        return cls(quantiles, (first + last) / (2 * QUANTILES))

    def describe(self) -> str:
        """Return what becomes of a value, in words."""
        return "scaled by rank"

    def scale(self, x: Array) -> Array:
        """Return scaled values, float64."""
        low = np.searchsorted(self.quantiles, x, side="right") - 1
        low = np.clip(low, 0, len(self.quantiles) - 2)
        begin, end = self.quantiles[low], self.quantiles[low + 1]
        with np.errstate(all="ignore"):
            part = np.clip((x - begin) / (end - begin), 0.0, 1.0)
        share = self.shares[low] + part * (self.shares[low + 1] - self.shares[low])
        scaled: Array = (2.0 * share - 1.0) * ROOT_OF_3  # of standard deviation 1
        return scaled

    def tensors(self) -> Tensors:
        """Return what was learned."""
        return {"quantiles": self.quantiles, "shares": self.shares}

    @classmethod
    def restore(cls, tensors: Tensors) -> "Quantile":
        """Return the scaling that has these tensors."""
        quantiles, shares = tensors["quantiles"], tensors["shares"]
        _require(len(quantiles) > 1 and _rises(quantiles), "quantiles must rise")
        _require(shares.shape == quantiles.shape, "there must be a share for each quantile")
        return cls(quantiles, shares)


SCALINGS: dict[str, type[Robust] | type[Quantile]] = {
    kind.name: kind for kind in (Robust, Quantile)
}


def _require(condition: bool, rule: str) -> None:
    if not condition:
        raise ValueError(rule)


def _check_tensors(tensors: Tensors, *names: str) -> None:
    _require(tensors.keys() == set(names), f"its tensors are {sorted(tensors)}, not {list(names)}")
    for name, values in tensors.items():
        _require(bool(np.isfinite(values).all()), f"{name} has a value that is not finite")


def _rises(values: Array) -> bool:
    return bool(np.all(np.diff(values) > 0))


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
        check_types(settings, {})
        _check_tensors(tensors)
        return cls()


class Category(Kind):
    """One input for each level, so that each level has a row of the first layer's weights.

    Levels that are rare in the training rows share an input, and missing values have one if there
    were any. If there are two levels, one input is -1 or 1. A value that never occurred is the mean
    of the training rows.
    """

    name = "category"

    def __init__(
        self, levels: list[str], shares: Array, has_rare: bool, has_missing: bool, cut: int
    ) -> None:
        self.levels, self.shares, self.cut = levels, shares, cut  # shares of the training rows
        self.has_rare, self.has_missing = has_rare, has_missing
        self.is_signed = len(levels) == 2 and not has_rare
        self.places = len(levels) + has_rare + has_missing
        self.width = self.places - self.is_signed
        self.place_of = {level: place for place, level in enumerate(levels)}

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
        if self.is_signed:
            parts = [f"category: {self.levels[1]!r} is 1, {self.levels[0]!r} is -1"]
        else:
            parts = [f"category: an input for each of {len(self.levels)} levels"]
        if self.has_rare:
            parts.append(f"one for {self.cut} rare levels")
        if self.has_missing:
            parts.append("one for missing")
        return ", ".join(parts)

    def inputs(self, name: str) -> list[str]:
        levels = [f"{name} {level}" for level in self.levels[self.is_signed :]]
        return levels + [f"{name} rare"] * self.has_rare + [f"{name} missing"] * self.has_missing

    def encode(self, column: Column, out: Array) -> None:
        rare = len(self.levels) if self.has_rare else -1
        missing = self.places - 1 if self.has_missing else -1
        found = [
            missing if text is None else self.place_of.get(text, rare) for text in column.texts()
        ]
        out[:] = self.rows()[np.array(found, dtype=np.int64)]

    def rows(self) -> Array:
        """Return the inputs for each place, and in the last row for what never occurred."""
        rows = np.vstack([np.eye(self.places), self.shares])
        if self.is_signed:
            rows = np.hstack([rows[:, 1:2] - rows[:, :1], rows[:, 2:]])
        return rows

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
        types = {"levels": list, "has_rare": bool, "has_missing": bool, "cut": int}
        check_types(settings, types)
        _check_tensors(tensors, "shares")
        kind = cls(
            settings["levels"],
            tensors["shares"],
            settings["has_rare"],
            settings["has_missing"],
            settings["cut"],
        )
        _require(len(kind.place_of) == len(kind.levels), "a level stands twice")
        _require(kind.shares.shape == (kind.places,), "there must be a share for each input")
        return kind


class Date(Kind):
    """A date: days since 1970 as a number, month, weekday and hour as categories.

    The hour and every other part is left out if it is the same in all training rows, and the
    weekday if the dates are one day of each year.
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
        date_parts = _date_parts(column)
        if _is_yearly(column):
            del date_parts["weekday"]
        for name, part in date_parts.items():
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
        check_types(settings, {"parsed": bool, "parts": dict})
        given = settings["parts"]
        _require(bool(given) and given.keys() <= cls.PARTS.keys(), f"parts are {given!r:.80}")
        own: dict[str, Tensors] = {name: {} for name in given}
        for key, values in tensors.items():
            part, _, rest = key.partition(".")
            _require(part in own, f"{key!r:.80} belongs to no part")
            own[part][rest] = values
        parts = {
            name: kind.restore(given[name], own[name])
            for name, kind in cls.PARTS.items()
            if name in given
        }
        return cls(parts, settings["parsed"])


def _is_yearly(column: Column) -> bool:
    """Return whether all dates are the same day of different years."""
    seconds = column.dates()
    seconds = seconds[~np.isnan(seconds)]
    days = np.unique(np.floor(seconds / DAY)).astype(np.int64).astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    days_of_month, months_of_year = days - months, months.astype(np.int64) % 12
    return len(days) > 1 and len(np.unique(days_of_month)) == len(np.unique(months_of_year)) == 1


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
