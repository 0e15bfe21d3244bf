"""The column to predict: which task it makes, and which rows lack it. Start at `guess`."""

from typing import NamedTuple

import numpy as np

from fastmlp.cli.errors import CommandError
from fastmlp.cli.output import clipped, count
from fastmlp.tabular._table import Column

MOST_INTEGERS = 20  # more distinct whole numbers are amounts


class Guess(NamedTuple):
    """What is learned."""

    task: str  # "classification" or "regression"
    target: Column
    reason: str


def guess(column: Column, task: str | None) -> Guess:
    """Return the task that suits a target without missing values, or the one that the user names.

    Texts, booleans and whole numbers of at most 20 values are classes, everything else is amounts.
    """
    if column.holds == "dates" or column.is_text_of_dates():
        raise CommandError(f"--target: {column.name!r} holds dates, which cannot be predicted")
    if column.holds == "numbers":
        values = np.unique(column.numbers())
        whole = bool(np.all(values == np.floor(values)))
        classes = whole and len(values) <= MOST_INTEGERS
        what = f"{count(len(values), 'different value')}" + (", all whole" if whole else "")
    else:
        values = np.unique([str(text) for text in column.texts()])
        classes = True
        what = "true and false" if column.holds == "booleans" else "text"
    guessed = "classification" if classes else "regression"
    if task is None and column.holds == "texts":
        _refuse_too_many(column, len(values))
    if task == "regression" and column.holds != "numbers":
        raise CommandError(
            f"--task regression: {column.name!r} holds {what}, such as "
            f"{clipped(str(column.texts()[0]))!r}; it must hold numbers"
        )
    reason = (
        f"{column.name!r} has {what}"
        if column.holds == "numbers"
        else f"{column.name!r} holds {what}"
    )
    return Guess(task or guessed, column, reason)


def _refuse_too_many(column: Column, classes: int) -> None:
    """Refuse texts that are most likely no labels, such as numbers with commas."""
    if classes > max(20, len(column) // 2):
        odd = next(
            text for text in column.texts() if not Column("", "texts", [text]).is_text_of_numbers()
        )
        raise CommandError(
            f"--target: {column.name!r} has {classes:,} different texts in {len(column):,} rows, "
            f"such as {clipped(str(odd))!r}; numbers are written like 1234.5; if these are "
            "classes, add --task classification"
        )
