"""From the columns of a table to the inputs of a network. Start at `Encoder.learn`."""

import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp.tabular._columns import BY_NAME, KINDS, Kind, LeftOutError, Number
from fastmlp.tabular._doubts import doubt
from fastmlp.tabular._recipe import Recipe
from fastmlp.tabular._table import Column, Table

Array = npt.NDArray[Any]

BLOCK = 8192  # rows that are encoded at once
MOST_DOUBTS = 10  # warnings about single columns


@dataclass(frozen=True)
class ColumnSummary:
    """What became of a column of the table.

    Attributes
    ----------
    name : str
        The name of the column.
    kind : str
        "number", "boolean", "category", "date" or, if the column is not used, "left out".
    inputs : int
        The number of inputs of the network that it became.
    description : str
        A line that says how a value is encoded, or why the column is not used.
    """

    name: str
    kind: str
    inputs: int
    description: str


class Encoder:
    """The columns that are used, in the order of the table, and why others are not."""

    def __init__(self, names: list[str], kinds: dict[str, Kind], left_out: dict[str, str]) -> None:
        self.names = names  # of all columns of the table
        self.kinds = kinds
        self.left_out = left_out
        self.width = sum(kind.width for kind in kinds.values())

    @classmethod
    def learn(
        cls,
        table: Table,
        suited: Mapping[str, type[Kind]],
        recipe: Recipe,
        column_types: Collection[str] = (),
        ignore: Collection[str] = (),
    ) -> "Encoder":
        """Learn from the training rows; warn, by name, of the columns that are of no use.

        `suited` is the kind of each column; of those in column_types the user has named it.
        """
        kinds: dict[str, Kind] = {}
        left_out: dict[str, str] = dict.fromkeys(ignore, "is ignored")
        seen: dict[int, list[Column]] = {}
        # The second time, if there is nothing else, identifiers are taken.
        for chosen in (set(column_types), set(suited)):
            for name, kind in suited.items():
                column = table.columns[name]
                try:
                    learned = kind.learn(column, recipe, name in chosen)
                except LeftOutError as reason:
                    left_out[name] = str(reason)
                    continue
                twin = _twin(column, seen)
                if twin is not None and name not in chosen:
                    left_out[name] = f"equals {twin!r}"
                else:
                    kinds[name] = learned
                    left_out.pop(name, None)
            if kinds:
                break
        _warn({name: why for name, why in left_out.items() if name not in ignore})
        guessed = set(suited) - set(column_types)
        # An identifier that was taken because there is nothing else is beyond doubt.
        guessed -= {name for name in chosen if isinstance(kinds.get(name), Number)}
        _warn_of_doubts(
            doubt(table.columns[name], kinds.get(name)) for name in suited if name in guessed
        )
        if not kinds:
            raise ValueError(
                f"fit: none of the {len(table.columns)} columns can be used: "
                + "; ".join(f"{name!r} {why}" for name, why in list(left_out.items())[:10])
            )
        return cls(list(table.columns), kinds, left_out)

    def encode(self, table: Table) -> Array:
        """Return the inputs of the network, float32 of shape (rows, width)."""
        inputs = np.empty((table.rows, self.width), dtype=np.float32)
        for first in range(0, table.rows, BLOCK):  # what is made on the way stays small
            block = inputs[first : first + BLOCK]
            begin = 0
            for name, kind in self.kinds.items():
                part = table.columns[name].part(first, first + BLOCK)
                kind.encode(part, block[:, begin : begin + kind.width])
                begin += kind.width
        return inputs

    def inputs(self) -> list[str]:
        """Return a name for each input."""
        return [one for name, kind in self.kinds.items() for one in kind.inputs(name)]

    def summaries(self) -> list[ColumnSummary]:
        """Return what became of each column of the table."""
        found = []
        for name in self.names:
            kind = self.kinds.get(name)
            if kind is None:
                found.append(ColumnSummary(name, "left out", 0, f"left out: {self.left_out[name]}"))
            else:
                found.append(ColumnSummary(name, kind.name, kind.width, kind.describe()))
        return found


def suited_kinds(
    table: Table, column_types: Mapping[str, str], ignore: Collection[str]
) -> dict[str, type[Kind]]:
    """Return the kind of each column that is not ignored: the user's choice, or the first fit."""
    kinds = {}
    for name, column in table.columns.items():
        if name not in ignore:
            column.require_usable()
            suited = next(kind for kind in KINDS if kind.suits(column))
            kinds[name] = BY_NAME[column_types[name]] if name in column_types else suited
    return kinds


def _twin(column: Column, seen: dict[int, list[Column]]) -> str | None:
    """Return the name of an earlier column with the same values; remember this one."""
    is_array = isinstance(column.values, np.ndarray)
    key = hash(column.values.tobytes() if is_array else tuple(column.values))
    for other in seen.setdefault(key, []):
        if other.holds == column.holds and (
            np.array_equal(other.values, column.values, equal_nan=True)
            if is_array
            else other.values == column.values
        ):
            return other.name
    seen[key].append(column)
    return None


def _warn(left_out: dict[str, str]) -> None:
    by_reason: dict[str, list[str]] = {}
    for name, why in left_out.items():
        by_reason.setdefault(why, []).append(name)
    if by_reason:
        which = "; ".join(
            ", ".join(map(repr, names[:10]))
            + (f" and {len(names) - 10} more" if len(names) > 10 else "")
            + f": {why}"
            for why, names in by_reason.items()
        )
        warnings.warn(
            f"fit: some columns are left out. {which}. To use one, name its type in column_types; "
            "to silence this, name it in ignore",
            UserWarning,
            stacklevel=5,
        )


def _warn_of_doubts(doubts: Iterable[str | None]) -> None:
    found = [text for text in doubts if text is not None]
    if len(found) > MOST_DOUBTS:
        more = len(found) - MOST_DOUBTS
        found[MOST_DOUBTS:] = [f"there are such doubts about {more} more columns"]
    for text in found:
        warnings.warn(f"fit: {text}", UserWarning, stacklevel=5)
