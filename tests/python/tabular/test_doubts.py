"""Columns whose values suggest another use than the one they get are named in a warning."""

import random
import re
import warnings

import numpy as np
import pytest

from fastmlp.tabular import TabularRegressor

ROWS = 300
PRICES = [f"{random.Random(i).gauss(50, 10):.2f}" for i in range(ROWS)]
QUICK = {"epochs": 1, "n_members": 1, "hidden": (4,)}
Y = np.arange(ROWS) % 17


def fitted(values, name="a", **arguments):
    """Return the model, and what it warned of."""
    table = {name: values, "other": [i * 7 % 11 for i in range(len(values))]}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = TabularRegressor(**QUICK, **arguments).fit(table, Y[: len(values)])
    return model, [str(one.message) for one in caught]


def warned(values, **arguments):
    found = [text for text in fitted(values, **arguments)[1] if "left out." not in text]
    return found[0] if found else None


def with_one(odd, row=123, values=PRICES):
    return [odd if i == row else value for i, value in enumerate(values)]


# Texts


@pytest.mark.parametrize("odd", ["n.a.", "inf", "0x10", "1_000", "unknown", "12..5"])
def test_one_odd_text_among_numbers_is_named(odd):
    for values in (with_one(odd), with_one(odd, values=list(map(float, PRICES)))):
        text = warned(values)
        assert (
            f"'a' is taken as a category, though 299 of its 300 values look like numbers: {odd!r}"
            in (text.replace("left out", "taken as a category"))
        )
        assert "row 123" in text
        assert "like 1234.5" in text
    assert warned(with_one(odd), column_types={"a": "category"}) is None


def test_a_column_that_an_odd_text_leaves_out_is_named():
    text = warned(with_one("n.a.", row=5, values=PRICES[:60]))
    assert text.startswith("fit: column 'a' is left out, though 59 of its 60 values")


@pytest.mark.parametrize(
    "written",
    [
        "{:.1f}".format,
        lambda x: f"{x:.1f}".replace(".", ","),
        lambda x: f"{x * 1000:,.2f}",
        lambda x: f"{x * 1e6:,.0f}".replace(",", "."),  # "59.420" would be 59.42
        lambda x: f"{x * 1000:,.0f}".replace(",", " "),
        lambda x: f"{x:.0f}%",
        lambda x: f"{x:.1f} %",
        lambda x: f"${x * 100:,.2f}",
        lambda x: f"-{x:.1f} €",
    ],
)
def test_numbers_that_are_written_otherwise_are_named(written):
    values = [written(float(price)) for price in PRICES]
    text = warned(values)
    if values[0] == f"{float(PRICES[0]):.1f}":
        assert text is None
    else:
        assert (
            f"300 of its 300 values look like numbers: {values[0]!r} at row 0 is not read as one"
            in text
        )


@pytest.mark.parametrize(
    "form", ["%d/%m/%Y", "%m-%d-%y", "%d.%m.%Y %H:%M", "%Y/%m/%d", "%d %b %Y", "%B %d, %Y"]
)
def test_dates_that_are_written_otherwise_are_named(form):
    days = np.datetime64("2020-01-01") + np.arange(ROWS)
    values = [day.astype(object).strftime(form) for day in days]
    text = warned(values)
    assert f"values look like dates: {values[0]!r} at row 0 is not read as one" in text
    assert "like 2017-01-31" in text


def test_one_odd_text_among_dates_is_named():
    days = list(map(str, np.datetime64("2020-01-01") + np.arange(ROWS)))
    for odd, alike in (("soon", 299), ("2020-02-30", 300)):
        text = warned(with_one(odd, values=days))
        assert (
            f"{alike} of its 300 values look like dates: {odd!r} at row 123 is not read as one"
            in text
        )


@pytest.mark.parametrize(
    "values",
    [
        PRICES,
        with_one("?"),
        with_one(None),
        ["red", "blue", "green"] * 100,
        ["0", "1", "2", "3+"] * 75,
        [f"{i * 937:05d}" for i in range(100)] * 3,  # codes, some with leading zeros
        [f"10.0.0.{i % 90}" for i in range(ROWS)],
        [f"{i % 90}B" for i in range(ROWS)],
        ["007"] * 300,
        ["1,5"] * 300,
    ],
)
def test_other_texts_raise_no_doubt(values):
    assert warned(values) is None


def test_texts_that_are_mostly_rare_are_named():
    names = [f"name {i}" if i % 3 else "smith" for i in range(ROWS)]
    text = warned(names)
    assert "most of its texts are rare: 200 of 300 rows" in text
    assert "ignore=['a']" in text
    assert warned(names, ignore=["a"]) is None
    assert warned(names, column_types={"a": "category"}) is None
    common = [f"name {i}" if i % 3 == 0 else "smith" for i in range(ROWS)]
    assert warned(common) is None
    assert warned([name if i < 100 else None for i, name in enumerate(names)]) is None


@pytest.mark.filterwarnings("ignore:fit. some columns are left out")
def test_a_row_is_counted_in_the_table_of_the_user():
    table = {"a": with_one("n.a."), "b": Y % 3}
    weight = (np.arange(ROWS) % 2).astype(float)
    with pytest.warns(UserWarning, match="'n.a.' at row 123 is not read as one"):
        TabularRegressor(**QUICK).fit(table, Y, sample_weight=weight)


def test_at_most_ten_columns_are_named():
    table = {f"a{i}": [*with_one("n.a."), str(i)] for i in range(25)} | {
        "b": np.arange(ROWS + 1) % 7
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        TabularRegressor(**QUICK).fit(table, np.arange(ROWS + 1))
    assert len(caught) == 12  # the first is of all columns that are left out
    assert "15 more columns" in str(caught[-1].message)


# Identifiers


def sample(of, seed=0):
    """Return three quarters of some integers, in another order."""
    order = np.random.RandomState(seed).permutation(len(of))
    return np.asarray(of)[order[: len(of) * 3 // 4]]


IDS = sample(np.arange(1, 401))


@pytest.mark.parametrize(
    "name", ["id", "ID", "customer_id", "customerId", "Unnamed: 0", "user key"]
)
def test_an_identifier_is_left_out_by_its_name(name):
    for values in (
        IDS,
        IDS.astype(float),
        sample(np.arange(400) ** 2),
        sample(2**60 + np.arange(400)),
    ):
        model, texts = fitted(values, name)
        assert model.columns()[0].kind == "left out"
        assert len(texts) == 1
        assert "different integer" in texts[0]
    model, texts = fitted(IDS, name, column_types={name: "number"})
    assert (model.columns()[0].kind, texts) == ("number", [])


@pytest.mark.parametrize("name", ["grid", "paid", "price index", "valid", "monkey"])
def test_integers_in_a_narrow_range_are_doubted_and_used(name):
    model, (text,) = fitted(IDS, name)
    assert model.columns()[0].kind == "number"
    assert re.search("looks like an identifier: 300 of its 300 values .* from [1-9] to 400", text)
    assert fitted(IDS, name, column_types={name: "number"})[1] == []


def test_an_identifier_that_was_drawn_with_repetition_is_doubted():
    drawn = np.random.RandomState(0).randint(0, 300, 300)
    assert "looks like an identifier" in warned(drawn, name="id")
    assert warned(drawn, name="a") is None


@pytest.mark.parametrize(
    "values",
    [
        np.random.RandomState(0).permutation(200_000)[:ROWS],  # prices
        1_500_000_000 + 3600 * np.arange(ROWS),  # times
        np.sort(np.random.RandomState(0).normal(size=ROWS)),
        np.random.RandomState(0).randint(0, 900, ROWS),
        np.arange(50) * 2,  # too few to tell
        np.arange(ROWS) / 2,
    ],
)
def test_other_numbers_raise_no_doubt(values):
    model, texts = fitted(values)
    assert (model.columns()[0].kind, texts) == ("number", [])
