"""The column to predict: which task it makes, and which rows lack it. Start at `guess`."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastmlp.cli.errors import CommandError
from fastmlp.cli.output import clipped, count
from fastmlp.tabular._table import INTEGERS_END, Column

MOST_INTEGERS = 20  # more distinct whole numbers are amounts


class Guess(NamedTuple):
    """What is learned."""

    task: str  # "classification" or "regression"
    target: Column
    reason: str


def guess(column: Column, task: str | None, place: Callable[[int], str]) -> Guess:
    """Return the task that suits a target without missing values, or the one that the user names.

    Texts, booleans and whole numbers of at most 20 values are classes, everything else is amounts.
    `place` says where a row of the column is.
    """
    if column.holds == "dates" or column.is_text_of_dates():
        raise CommandError(f"--target: {column.name!r} holds dates, which cannot be predicted")
    if column.holds == "numbers":
        numbers = column.numbers()
        values = np.unique(numbers)
        is_whole = numbers == np.floor(numbers)
        if column.integers is None:  # larger numbers were whole before they were rounded, or not
            is_whole &= np.abs(numbers) < INTEGERS_END
        whole = bool(is_whole.all())
        classes = whole and len(values) <= MOST_INTEGERS
        what = f"{count(len(values), 'different value')}" + (", all whole" if whole else "")
        if task == "classification" and not whole:
            row = int(np.argmin(is_whole))
            raise CommandError(
                f"{place(row)}: {column.texts()[row]} is not a whole number, and --task "
                "classification takes texts, booleans or whole numbers; for other numbers "
                "use --task regression"
            )
    else:
        values = np.unique([str(text) for text in column.texts()])
        classes = True
        what = "true and false" if column.holds == "booleans" else "text"
    guessed = "classification" if classes else "regression"
    if task is None and column.holds == "texts":
        _refuse_too_many(column, len(values), place)
    if task == "regression" and column.holds != "numbers":
        row = _row_without_number(column)
        raise CommandError(
            f"{place(row)}: {clipped(str(column.texts()[row]))!r} is not a number, and --task "
            "regression needs one in every row; numbers are written like 1234.5"
        )
    if task is not None:
        reason = f"--task {task} was given"
    else:
        reason = f"{column.name!r} {'has' if column.holds == 'numbers' else 'holds'} {what}"
    return Guess(task or guessed, column, reason)


def _refuse_too_many(column: Column, classes: int, place: Callable[[int], str]) -> None:
    """Refuse texts that are most likely no labels, such as numbers with commas."""
    if classes > max(20, len(column) // 2):
        row = _row_without_number(column)
        raise CommandError(
            f"{place(row)}: {clipped(str(column.texts()[row]))!r} is not a number, and there are "
            f"{classes:,} different texts in {len(column):,} rows; numbers are written like "
            "1234.5; if these are classes, add --task classification"
        )


def _row_without_number(column: Column) -> int:
    """Return the first row whose text is not a number, or 0 if there is none."""
    rows = (
        row
        for row, text in enumerate(column.texts())
        if not Column("", "texts", ["0", text]).is_text_of_numbers()
    )
    return next(rows, 0)
