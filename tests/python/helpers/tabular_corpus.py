"""Two small tabular models, rows with odd values, and what Python predicts for each.

tests/data/ has them: the files of the models, and tabular.json with the rows and the predictions as
hexadecimal numbers, or null for a row that is refused. tests/python/tabular/test_cpp.py and
tests/cpp/io/test_tabular.cpp compare both languages with it. `python tabular_corpus.py --write`
writes them anew, after a change of the format or of the cases below.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np

from fastmlp.tabular import TabularClassifier, TabularRegressor

FOLDER = Path(__file__).parents[2] / "data"
CODES = [1.0, 1.5, 0.1, 1e22, 123456.75, 1e-5, 2.0**-44]  # as texts: "1", "1e+22", …
QUICK = {"hidden": (5,), "n_members": 2, "epochs": 3, "batch_size": 32, "n_bins": 4}


def path_of(name):
    """The file of a model: "classifier" or "regressor"."""
    return FOLDER / f"tabular_{name}.safetensors"


def table(rows=200):
    """A table with a column of each kind, with missing values, and two targets."""
    draw = np.random.RandomState(0)
    size = draw.normal(50, 20, rows)
    levels = (
        ["red", "green", "blue"] * 12 + ["grün"] * 4 + [f"rare {k}" for k in range(16)] + [None] * 4
    )
    moments = np.datetime64("2020-01-01T00:00:42") + draw.randint(0, 20000, rows) * np.timedelta64(
        3600, "s"
    )
    return {
        "size": [None if draw.rand() < 0.1 else value for value in size],
        "weight": [str(round(value, 2)) for value in draw.gamma(2.0, 3.0, rows)],
        "code": draw.choice(CODES, rows).tolist(),
        "color": [levels[k] for k in draw.randint(0, len(levels), rows)],
        "side": draw.choice(["left", "right"], rows).tolist(),
        "good": [None if draw.rand() < 0.1 else bool(draw.rand() < 0.5) for _ in range(rows)],
        "day": [None if draw.rand() < 0.1 else str(moment) for moment in moments],
        "same": [1] * rows,
        "class": [int(value > 50) - int(value < 30) for value in size],
        "amount": (size / 10 + draw.normal(size=rows)).tolist(),
    }


def models():
    """The models by name; both leave out a column."""
    data = table()
    targets = {"classifier": data.pop("class"), "regressor": data.pop("amount")}
    classifier = TabularClassifier(**QUICK, column_types={"code": "category"}, ignore=["same"])
    regressor = TabularRegressor(
        **QUICK, scaling="quantile", quantiles=[0.1, 0.5, 0.9], ignore=["same"]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return {
            "classifier": classifier.fit(data, targets["classifier"]),
            "regressor": regressor.fit(data, targets["regressor"]),
        }


NUMBERS = [None, 0, -0.0, 50.125, 1e100, -1e100, 5e-324, "7.5", " +7.5e-1\u3000", ".5", "5.", "0"]
NUMBERS += ["", " ", "?", "N/A", "NaN", "-", True, False]
NO_NUMBERS = [
    1e101,
    "x",
    "007",
    "1e9999",
    "1,5",
    "0x10",
    "inf",
    "1_000",
    "1e",
    ".",
    "+",
    "2020-01-01",
]
TEXTS = [
    None,
    "red",
    "tan",
    "grün",
    "Red",
    "never",
    " red",
    "",
    " \u2003\u00a0",
    "?",
    1,
    1.5,
    1.0,
    3,
]
TEXTS += [*CODES, "1", "1.5", "1.0", 1e16, -1.5, 2.0**89, True, False]
TRUTHS = [None, True, False, 1, 0, "true", " FALSE ", "1", "0", "na", ""]
NO_TRUTHS = [2, 0.5, "yes", "truer", "2"]
DATES = [None, "2020-02-29", "1969-12-31T23:59:59.999999999", "0001-01-01", "9999-12-31 23:59:59Z"]
DATES += ["2020-02-29T06:00+02:00", "2020-02-29 06:00:42.5-0130", "?", "", 0, -1, 1e9, -3e10, 1.5e9]
NO_DATES = ["2021-02-29", "2020-13-01", "2020-1-1", "0000-01-01", "2020-01-01T24:00", "today"]
NO_DATES += [
    1e19,
    "2020-01-01T00:00:60",
    "2020-01-01T1",
    "2020-01-01T00:00:00.",
    "20200101",
    "2020-01-01 ",
]
VALUES = {
    "size": NUMBERS + NO_NUMBERS,
    "weight": NUMBERS + NO_NUMBERS,
    "code": TEXTS,
    "color": TEXTS,
    "side": ["left", "right", "Left", None, 1],
    "good": TRUTHS + NO_TRUTHS,
    "day": DATES + NO_DATES,
    "same": [None, "anything"],
}


def rows():
    """Rows of which one value is odd, as dicts by the name of the column."""
    base = {name: values[0] for name, values in table().items() if name in VALUES}
    for name, values in VALUES.items():
        for value in values:
            yield {**base, name: value}


def predictions(model, row):
    """What Python predicts for a row, as hexadecimal numbers; None if the row is refused."""
    frame = {name: [value] for name, value in row.items()}
    is_classifier = isinstance(model, TabularClassifier)
    try:
        found = model.predict_proba(frame) if is_classifier else model.predict(frame)
    except ValueError:
        return None
    return [value.hex() for value in found.ravel().tolist()]


def as_json(models):
    """The text of tabular.json."""
    cases = {}
    for name, model in models.items():
        lines = [json.dumps([list(row.values()), predictions(model, row)]) for row in rows()]
        cases[name] = "[\n" + ",\n".join(lines) + "\n]"
    return "{" + ",\n".join(f'"{name}": {text}' for name, text in cases.items()) + "}\n"


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    made = models()
    for name, model in made.items():
        model.save(path_of(name))
    (FOLDER / "tabular.json").write_text(as_json(made))
