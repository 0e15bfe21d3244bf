"""Doubts about columns whose values suggest another use than the one that they get. See `doubt`."""

import re
from collections import Counter

import numpy as np

from fastmlp.tabular._columns import IDENTIFIER_ROWS, NAME_OF_IDENTIFIER, Category, Kind, Number
from fastmlp.tabular._table import MISSING, Column, _number, _seconds

# Numbers as people write them: 3,504 or 3.504,50 or 1 200 or 12 % or $5. Other programs write
# 0,5 for 0.5. "007" is none, and neither is "10.0.0.1".
WRITTEN_NUMBER = re.compile(
    r"[+-]?[$€£¥]? ?"
    r"(?:[1-9]\d{0,2}(?:[,.'\u2019 \u00a0\u202f]\d{3})+(?:[.,]\d+)?|(?:0|[1-9]\d*)(?:[.,]\d+)?)"
    r"[ \u00a0]?[%$€£¥]?",
    re.ASCII,
)
CODE = re.compile(r"[+-]?0\d+", re.ASCII)
# Dates as people write them: 31/12/1970, 12-31-70, 2017.1.31, 31 Dec 1970 or December 31, 1970.
WRITTEN_DATE = re.compile(
    r"(?:\d{1,2}([./-])\d{1,2}\1(?:\d{4}|\d\d)|\d{4}([./-])\d{1,2}\2\d{1,2}"
    r"|\d{1,2}[. -]{1,2}[A-Za-z]{3,9}\.?[ -]\d{2,4}|[A-Za-z]{3,9}\.? \d{1,2},? \d{4})"
    r"(?:[T ,]+\d{1,2}:\d\d.*)?",
    re.ASCII,
)
FEW_LEVELS = 10  # as categories they lose little
MANY_ROWS = 100  # fewer integers in a narrow range may all differ by chance


def doubt(column: Column, kind: Kind | None) -> str | None:
    """Return in words why a column is perhaps not what its kind says; None is no doubt.

    `kind` is None if the column is left out.
    """
    if column.holds == "texts" and (kind is None or isinstance(kind, Category)):
        found = _looks_like(column, kind, "numbers") or _looks_like(column, kind, "dates")
        if found is not None:
            return found
    if isinstance(kind, Category):
        return _is_mostly_rare(column, kind)
    return _looks_like_identifier(column) if isinstance(kind, Number) else None


def _looks_like(column: Column, kind: Kind | None, what: str) -> str | None:
    """Doubt that texts are categories if most of them are written like numbers or dates."""
    parse, written, example = {
        "numbers": (_number, WRITTEN_NUMBER, "1234.5"),
        "dates": (_seconds, WRITTEN_DATE, "2017-01-31"),
    }[what]
    counts = Counter(text for text in column.values if text is not None)
    counts = Counter({t: n for t, n in counts.items() if t.strip().lower() not in MISSING})
    read = {text for text in counts if parse(text) is not None}
    similar = {text for text in counts if text in read or written.fullmatch(text.strip())}
    alike, total = sum(counts[text] for text in similar), counts.total()
    if len(read) == len(counts) or len(counts) < 2 or 2 * alike <= total:
        return None
    if len(similar) <= FEW_LEVELS and 20 * alike < 19 * total:  # such as 0, 1, 2 and "3+"
        return None
    if what == "numbers" and any(CODE.fullmatch(text.strip()) for text in counts):
        return None
    row, odd = next((i, t) for i, t in enumerate(column.values) if t in counts and t not in read)
    use = "left out" if kind is None else "taken as a category"
    return (
        f"column {column.name!r} is {use}, though {alike:,} of its {total:,} values look "
        f"like {what}: {odd!r:.40} at {column.place(row)} is not read as "
        f"one. Write {what} like {example} and leave a cell empty if its value is missing; "
        f"column_types={{{column.name!r}: 'category'}} silences this"
    )


def _is_mostly_rare(column: Column, kind: Category) -> str | None:
    """Doubt that texts are categories if most of them are too rare for an input of their own."""
    rare = sum(text is not None and text not in kind.place_of for text in column.texts())
    if 2 * rare <= len(column):
        return None
    return (
        f"column {column.name!r} is taken as a category, though most of its texts are rare: "
        f"{rare:,} of {len(column):,} rows count as the same level. If they are names or "
        f"identifiers, leave it out by ignore=[{column.name!r}]; "
        f"column_types={{{column.name!r}: 'category'}} silences this"
    )


def _looks_like_identifier(column: Column) -> str | None:
    """Doubt that integers are amounts if almost each of them stands for a row."""
    numbers = column.numbers()
    numbers = numbers[~np.isnan(numbers)]
    if len(numbers) < IDENTIFIER_ROWS or np.any(numbers % 1 != 0):
        return None
    different = np.unique(numbers)
    width = different[-1] - different[0]
    if NAME_OF_IDENTIFIER.fullmatch(column.name):
        suspect = 2 * len(different) > len(numbers)
    else:
        suspect = len(different) == len(numbers) >= MANY_ROWS and width < 3 * len(numbers)
    if not suspect:
        return None
    return (
        f"column {column.name!r} is taken as a number, though it looks like an identifier: "
        f"{len(different):,} of its {len(numbers):,} values are different integers, from "
        f"{different[0]:.0f} to {different[-1]:.0f}. If it says nothing about other rows, leave it "
        f"out by ignore=[{column.name!r}]; column_types={{{column.name!r}: 'number'}} silences this"
    )
