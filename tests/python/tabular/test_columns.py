"""What each kind of column learns, and the inputs that it makes, computed a second time by hand."""

import datetime as dt
import itertools
import json
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastmlp.tabular._columns import BY_NAME, KINDS, Boolean, Category, Date, LeftOutError, Number
from fastmlp.tabular._encoder import Encoder, suited_kinds
from fastmlp.tabular._recipe import default_recipe
from fastmlp.tabular._table import read_table

nan = math.nan
RECIPE = replace(
    default_recipe(1000, 4, True, "cross_entropy"), n_bins=4, min_count=2, max_levels=10
)


def column(values):
    return read_table({"a": values}).columns["a"]


def learn(kind, values, recipe=RECIPE, chosen=False):
    return kind.learn(column(values), recipe, chosen)


def encode(kind, values):
    out = np.full((len(values), kind.width), nan, dtype=np.float32)
    kind.encode(column(values), out)
    return out


def encoder_of(table, recipe=RECIPE, column_types=None, ignore=()):
    read, types = read_table(table), column_types or {}
    return Encoder.learn(read, suited_kinds(read, types, ignore), recipe, types, ignore)


def left_out(table, **arguments):
    with pytest.warns(UserWarning, match="left out"):
        return encoder_of(table, **arguments).left_out


# Numbers


def nearest_rank(values, part, parts):
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered) / parts) - 1)]


def robust_by_hand(x, values):
    spread = nearest_rank(values, 3, 4) - nearest_rank(values, 1, 4)
    factor = 1 / spread if spread > 0 else 2 / (max(values) - min(values))
    z = (x - nearest_rank(values, 1, 2)) * factor
    z = min(max(z, -1e6), 1e6)
    return z / math.sqrt(1 + z / 3 * (z / 3))


def places_by_hand(x, values, bins):
    edges = sorted({nearest_rank(values, t, bins) for t in range(bins + 1)})
    if len(set(values)) <= bins + 1:
        edges = sorted(set(values))
    places = []
    for low, high in itertools.pairwise(edges):
        above = sum(value >= high for value in values)
        between = sum(low < value < high for value in values)
        mean = (above + 0.5 * between) / len(values)
        places.append(min(max((x - low) / (high - low), 0), 1) - mean)
    return places


VALUES = [3.5, -1.25, 0.1, 7.0, 7.0, 2.0, 1e3, 0.3, -0.7, 1.1, 5.0]
NEW = [*VALUES, 0.0, -0.0, 1e100, -1e100, 5e-324, 1e-310, 1 / 3, 2.0**53]


def test_a_number_is_scaled_and_coded_by_quantiles():
    number = learn(Number, VALUES)
    by_hand = [[robust_by_hand(x, VALUES), *places_by_hand(x, VALUES, 4)] for x in NEW]
    assert_array_equal(encode(number, NEW), np.array(by_hand, dtype=np.float32))
    assert np.abs(encode(number, NEW)).max() <= 3


def test_a_number_with_few_values_has_an_edge_at_each():
    values = [1.0] + [2.0] * 20 + [3.0, 5.0]  # 3 is no quartile
    number = learn(Number, values)
    assert number.edges.tolist() == [1, 2, 3, 5]
    by_hand = [[robust_by_hand(x, values), *places_by_hand(x, values, 4)] for x in (1.5, 2.0)]
    assert_array_equal(encode(number, [1.5, 2.0]), np.array(by_hand, dtype=np.float32))


def test_a_number_with_two_values_has_no_places():
    values = [1.0, 3.0, 3.0, 1.0]
    expected = [[robust_by_hand(x, values)] for x in (1.0, 3.0)]
    assert_array_equal(encode(learn(Number, values), [1.0, 3.0]), np.float32(expected))


def test_places_have_a_mean_near_0():
    values = np.random.RandomState(0).normal(size=1000)
    assert np.abs(encode(learn(Number, values), values)[:, 1:].mean(axis=0)).max() < 0.1


def test_a_missing_number_is_the_median_and_has_an_input():
    values = [1.0, nan, 2.0, 4.0, 8.0]
    number = learn(Number, values)
    inputs = encode(number, [nan, 2.0])
    assert_array_equal(inputs[:, -1], [1, 0])
    assert_array_equal(inputs[0, :-1], inputs[1, :-1])
    assert encode(learn(Number, [1.0, 2.0, 4.0]), [nan]).shape == (1, 3)  # none, none was missing


def test_a_number_with_a_few_outliers_is_scaled_by_its_range():
    values = [0.0] * 9 + [4.0]  # the quartiles are equal
    number = learn(Number, values, replace(RECIPE, n_bins=0))
    expected = [robust_by_hand(x, values) for x in (0.0, 2.0, 4.0)]
    assert_array_equal(encode(number, [0.0, 2.0, 4.0])[:, 0], np.float32(expected))


@pytest.mark.parametrize("values", [[0.0, 5e-324], [0.0] * 9 + [1e-310], [-1e100, 1e100, 0.0]])
def test_extreme_numbers_stay_finite(values):
    for scaling in ("robust", "quantile"):
        number = learn(Number, values, replace(RECIPE, scaling=scaling))
        assert np.isfinite(encode(number, [*values, 0.0, 1e100, -1e100, nan])).all()


def test_scaling_by_rank():
    values = [float(i * i) for i in range(201)]
    number = learn(Number, values, replace(RECIPE, scaling="quantile", n_bins=0))
    scaled = encode(number, values)[:, 0]
    assert np.all(np.diff(scaled) > 0)
    assert abs(scaled.mean()) < 0.01
    assert abs(scaled.std() - 1) < 0.02
    ends = encode(number, [-1e9, 1e9])[:, 0]
    assert_array_equal(ends, np.float32([-math.sqrt(3), math.sqrt(3)]))


def test_scaling_by_rank_of_a_value_that_is_most_of_the_column():
    number = learn(Number, [0.0] * 80 + [1.0] * 20, replace(RECIPE, scaling="quantile"))
    low, high = encode(number, [0.0, 1.0])[:, 0]
    assert_array_equal([low, high], np.float32([(0.80 - 1) * 3**0.5, (1.81 - 1) * 3**0.5]))


def test_a_negative_zero_is_learned_as_zero():
    number = learn(Number, [-0.0, 0.0, -0.0, 1.0, 2.0, 3.0])
    tensors = number.settings()[1]
    assert not any(np.signbit(values).any() for values in (tensors["edges"], tensors["center"]))


def test_an_infinite_number_is_refused_by_name():
    for value in (math.inf, -math.inf, 1e101):
        with pytest.raises(ValueError, match=r"column 'a' has .* at row 1; .* finite"):
            learn(Number, [1.0, value])


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1", "-2.5", "3e4", ".5", "7."], Number),
        (["1", "?", "NA", "3"], Number),
        (["1", "", None, "3"], Number),
        (["1", "x", "3"], Category),
        (["007", "123"], Category),  # a code
        (["1,5", "2,5"], Category),
        (["0x10", "1_000"], Category),
        (["inf", "1"], Category),
        (["?", "NA"], Category),
        (["2017-01-01", "2018-12-31"], Date),
        (["2017-01-01T06:00:42Z", None], Date),
        (["2015-07-01 12:00", "2015-07-01 12:00:30.5+02:00"], Date),
        (["2017-01-01", "NaT-ish"], Category),
        (["2017-02-30"], Category),  # no such day
        (["20170101"], Number),
    ],
)
def test_texts_are_recognised(texts, kind):
    assert next(kind for kind in KINDS if kind.suits(column(texts))) is kind


def test_numbers_in_texts_are_read_and_said():
    number = learn(Number, ["1.5", "?", "3", "7"])
    assert "text" in number.describe()
    assert_array_equal(
        encode(number, ["1.5", "?"]), encode(learn(Number, [1.5, nan, 3, 7]), [1.5, nan])
    )
    with pytest.raises(ValueError, match=r"column 'a' has 'x' at row 1; it must hold a number"):
        encode(number, ["1", "x"])


@pytest.mark.parametrize("text", ["?", "-", ".", "na", "N/A", "nan", "None", " NULL "])
def test_texts_that_stand_for_a_missing_number(text):
    texts = ["1.5", text, "3", "7"]
    assert next(kind for kind in KINDS if kind.suits(column(texts))) is Number
    assert learn(Number, texts).has_missing


# Booleans


def test_booleans():
    boolean = learn(Boolean, [True, False, None])
    assert_array_equal(encode(boolean, [True, False, None])[:, 0], [1, -1, 0])
    assert_array_equal(encode(boolean, ["true", "FALSE", None])[:, 0], [1, -1, 0])
    assert_array_equal(encode(boolean, [1, 0, nan])[:, 0], [1, -1, 0])
    for odd in ([2], ["maybe"]):
        with pytest.raises(ValueError, match=r"column 'a' has (2|'maybe') at row 0"):
            encode(boolean, odd)


# Categories


def test_levels_are_ordered_by_count_and_then_by_text():
    category = learn(Category, ["b", "c", "a", "c", "b", "a", "d", "d", "d"])
    assert category.levels == ["d", "a", "b", "c"]
    assert_array_equal(encode(category, ["c", "d"]), [[0, 0, 0, 1], [1, 0, 0, 0]])


def test_rare_missing_and_unknown_levels():
    category = learn(Category, ["a"] * 5 + ["b", "c"] + [None] * 3)
    assert category.levels == ["a"]
    assert_array_equal(
        encode(category, ["a", "b", "c", None, "new"]),
        [[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 1, 0]],
    )
    common = learn(Category, ["a"] * 4 + ["b"] * 2 + ["c"] + [None] * 3)  # one row is too few
    assert_array_equal(encode(common, ["new"]), encode(common, ["c"]))


def test_one_level_is_used_if_it_may_be_missing():
    category = learn(Category, ["a", "a", None])
    assert_array_equal(encode(category, ["a", None]), [[1, 0], [0, 1]])


def test_two_levels_are_one_input():
    category = learn(Category, ["a"] * 5 + ["b"] * 3)
    assert_array_equal(encode(category, ["a", "b", "new"]), np.float32([[-1], [1], [-0.25]]))
    category = learn(Category, ["a"] * 5 + ["b"] * 3 + [None] * 2)
    expected = np.float32([[-1, 0], [1, 0], [0, 1], [0.3 - 0.5, 0.2]])
    assert_array_equal(encode(category, ["a", "b", None, "new"]), expected)


def test_a_value_that_never_occurred_is_the_mean_of_the_rows():
    texts = ["a"] * 4 + ["b"] * 3 + ["c"] * 3
    category = learn(Category, texts)
    shares = np.float32([0.4, 0.3, 0.3])
    assert_array_equal(encode(category, [None, "new"]), [shares, shares])


def test_levels_beyond_the_largest_number_are_rare():
    texts = [f"level {i}" for i in range(30)] * 3
    category = learn(Category, texts)
    assert len(category.levels) == 10
    assert category.width == 11


def test_numbers_as_categories():
    category = learn(Category, [3, 3, 1.5, 1.5, 1.5], chosen=True)
    assert category.levels == ["1.5", "3"]
    assert learn(Category, [True, True, False, False]).levels == ["False", "True"]


# Dates


@pytest.mark.parametrize("year", [1, 1582, 1899, 1900, 1969, 1970, 2000, 2024, 9999])
def test_the_parts_of_a_date(year):
    recipe = replace(RECIPE, min_count=1, max_levels=40)
    moments = [
        dt.datetime(year, month, day, (month * day) % 24, 59, 59)
        for month, day in [(1, 1), (2, 28), (3, 1), (6, 30), (7, 1), (12, 31), (12, 31)]
    ]
    date = learn(Date, moments, recipe)
    for moment in moments:
        row = encode(date, [moment])[0]
        begin = date.parts["day"].width
        for part, text in (
            ("month", moment.month),
            ("weekday", moment.isoweekday()),
            ("hour", moment.hour),
        ):
            kind = date.parts[part]
            expected = [level == str(text) for level in kind.levels]
            assert_array_equal(row[begin : begin + kind.width], expected)
            begin += kind.width


def test_dates_in_texts_are_those_of_objects():
    moments = [dt.datetime(2017, 1, 1, 6, 0, 42), dt.datetime(2018, 5, 2), dt.datetime(2019, 5, 7)]
    texts = [moment.isoformat() for moment in moments]
    date, read = learn(Date, moments), learn(Date, texts)
    assert_array_equal(encode(date, moments), encode(read, texts))
    assert_array_equal(encode(date, texts), encode(read, moments))
    assert "text" in read.describe()
    with pytest.raises(ValueError, match="column 'a' has 'soon' at row 0; it must hold a date"):
        encode(read, ["soon"])


def test_a_date_without_times_has_no_hour():
    date = learn(Date, [dt.date(2020, 1, day) for day in range(1, 29)])
    assert list(date.parts) == ["day", "weekday"]


def test_a_missing_date():
    date = learn(Date, [dt.date(2020, month, 5) for month in (1, 1, 2, 2, 3, 3)] + [None] * 2)
    assert np.isfinite(encode(date, [None])).all()


def test_yearly_dates_have_no_weekday():
    yearly = learn(Date, [dt.date(year, 1, 1) for year in range(1990, 2010)])
    assert list(yearly.parts) == ["day"]
    others = [
        [dt.date(2020, month, 1) for month in range(1, 13)],
        [dt.date(2020, 1, day) for day in range(1, 29)],
        [dt.date(year, 1, 1 + year % 2) for year in range(1990, 2010)],
    ]
    for moments in others:
        assert "weekday" in learn(Date, moments).parts


@pytest.mark.parametrize("date", [20200115.0, 19991231.0])
def test_digits_for_a_date_are_named(date):
    known = learn(Date, [dt.date(2020, 1, day) for day in range(1, 29)])
    with pytest.warns(
        UserWarning, match=rf"'a' holds numbers such as {date:.0f}, .*'\d+-\d\d-\d\d'"
    ):
        encode(known, [date, nan])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encode(known, [date, 3.5])
        encode(known, [20201315.0])  # no date either


# Which columns are used


def test_columns_without_use_are_left_out_by_name():
    rows = range(40)
    table = {
        "good": [i * 7 % 13 for i in rows],
        "same": [1] * 40,
        "same copy": [1] * 40,
        "empty": [None] * 40,
        "copy": [i * 7 % 13 for i in rows],
        "id": [100 + (i * 7) % 40 for i in rows],
        "key": [f"key {i}" for i in rows],
        "yes": [True] * 40,
        "letter": ["a", "b"] * 20,
        "letter copy": ["a", "b"] * 20,
        "day": ["2020-01-01"] * 40,
        "name": [f"name {i // 2}" for i in rows],
    }
    recipe = replace(RECIPE, min_count=3)
    assert left_out(table, recipe=recipe) == {
        "same": "is constant",
        "same copy": "is constant",
        "empty": "has no values",
        "copy": "equals 'good'",
        "id": "numbers the rows",
        "key": "has a different text in every row",
        "yes": "is constant",
        "letter copy": "equals 'letter'",
        "day": "is constant",
        "name": "has no text that occurs 3 times",
    }


def test_a_boolean_that_is_true_or_missing_is_used():
    assert_array_equal(encode(learn(Boolean, [True, None, True]), [True, None])[:, 0], [1, 0])


@pytest.mark.parametrize(("rows", "names"), [(19, {"x", "id", "key"}), (20, {"x"})])
def test_identifiers_have_at_least_20_values(rows, names):
    table = {
        "x": [i * i for i in range(rows)],
        "id": list(range(rows)),
        "key": [f"key {i}" for i in range(rows)],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert set(encoder_of(table, recipe=replace(RECIPE, min_count=1)).kinds) == names


def test_the_warning_names_the_columns_and_the_way_out():
    table = {"x": [1, 2, 4], "same": [1, 1, 1]}
    with pytest.warns(UserWarning, match=r"'same': is constant.*column_types.*ignore"):
        encoder_of(table)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert encoder_of(table, ignore=["same"]).left_out == {"same": "is ignored"}


def test_a_copy_has_the_same_missing_values_and_the_same_kind():
    number = [nan, 0.0, 1.0, 1.0]
    table = {"a": number, "copy": number, "truth": [None, False, True, True]}
    assert left_out(table) == {"copy": "equals 'a'"}
    assert list(encoder_of(table, column_types={"copy": "number"}).kinds) == [*table]


def test_the_type_of_a_column_can_be_chosen():
    rows = range(40)
    table = {"id": list(rows), "code": [i % 3 for i in rows], "text": ["1", "2"] * 20}
    types = {"id": "number", "code": "category", "text": "category"}
    encoder = encoder_of(table, column_types=types)
    assert {name: kind.name for name, kind in encoder.kinds.items()} == types


def test_large_integers_are_exact_categories():
    values = [2**60 + i % 3 for i in range(60)]
    for given in (values, np.array(values), [str(value) for value in values]):
        category = learn(Category, given, chosen=True)
        assert category.levels == [str(2**60 + i) for i in range(3)]
        assert_array_equal(encode(category, values[:3]), np.eye(3))
        with pytest.raises(LeftOutError, match="a category keeps them apart"):
            learn(Number, given, chosen=True)


def test_an_identifier_is_used_if_there_is_nothing_else():
    encoder = encoder_of({"x": list(range(100))})
    assert list(encoder.kinds) == ["x"]


def test_a_table_without_a_useful_column_is_refused():
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(ValueError, match=r"none of the 2 columns can be used: 'a' is constant"),
    ):
        encoder_of({"a": [1, 1], "b": ["x", "x"]})


def test_inputs_have_names():
    table = {
        "size": [1.0, 2.0, nan, 4.0, 9.0, 12.0],
        "color": ["red", "red", None, None, "tan", "sky"],
        "ok": [True, False] * 3,
        "day": [dt.date(2020, month, 1) for month in (1, 1, 2, 2, 3, 3)],
    }
    encoder = encoder_of(table)
    assert len(encoder.inputs()) == encoder.width == encoder.encode(read_table(table)).shape[1]
    assert len(set(encoder.inputs())) == encoder.width
    assert {"size", "size missing", "color red", "color rare", "ok", "day month 2"} <= set(
        encoder.inputs()
    )
    assert [one.kind for one in encoder.summaries()] == ["number", "category", "boolean", "date"]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("number", [1.0, nan, 0.1, 9.0, 12.0]),
        ("number", ["1", "?", "3"]),
        ("number", [5.0, nan]),
        ("boolean", [True, False, None]),
        ("category", ["ä", "b", None, "b", "ä", "x", "y"]),
        ("date", [dt.datetime(2020, 1, 1, 5), dt.datetime(2021, 7, 3, 6), None, None]),
        ("date", ["2020-01-01", "2021-06-03"]),
    ],
)
@pytest.mark.parametrize("scaling", ["robust", "quantile"])
def test_a_kind_is_restored_from_its_settings(kind, values, scaling):
    learned = learn(BY_NAME[kind], values, replace(RECIPE, scaling=scaling), chosen=True)
    settings, tensors = learned.settings()
    settings = json.loads(json.dumps(settings))
    assert all(array.dtype == np.float64 and array.ndim == 1 for array in tensors.values())
    restored = BY_NAME[kind].restore(settings, dict(tensors))
    assert restored.width == learned.width
    assert restored.describe() == learned.describe()
    assert_array_equal(encode(restored, values), encode(learned, values))


NUMBER = {"scaling": "none", "has_missing": True, "parsed": False}
PLACES = {"center": [0.0], "edges": [0.0, 1.0, 2.0], "means": [0.5, 0.5]}
ROBUST, QUANTILE = {**NUMBER, "scaling": "robust"}, {**NUMBER, "scaling": "quantile"}
CATEGORY = {"levels": ["a", "b", "c"], "has_rare": False, "has_missing": False, "cut": 0}


@pytest.mark.parametrize(
    ("kind", "settings", "tensors", "message"),
    [
        ("number", NUMBER, {**PLACES, "center": [0.0, 1.0]}, "center must be one number"),
        ("number", NUMBER, {**PLACES, "edges": [0.0, 2.0, 2.0]}, "edges must rise"),
        ("number", NUMBER, {**PLACES, "means": [0.5]}, "there must be a mean between two edges"),
        ("number", NUMBER, {**PLACES, "center": [nan]}, "center has a value that is not finite"),
        ("number", ROBUST, {**PLACES, "robust": [0.0, 0.0]}, "a center and a factor"),
        ("number", ROBUST, {**PLACES, "robust": [1.0]}, "a center and a factor"),
        ("number", ROBUST, PLACES, "its tensors are"),
        (
            "number",
            QUANTILE,
            {"center": [0.0], "quantiles": [0.0], "shares": [0.5]},
            "quantiles must rise",
        ),
        (
            "number",
            QUANTILE,
            {"center": [0.0], "quantiles": [1.0, 0.0], "shares": [0.0, 1.0]},
            "quantiles must rise",
        ),
        (
            "number",
            QUANTILE,
            {"center": [0.0], "quantiles": [0.0, 1.0], "shares": [1.0]},
            "a share for each quantile",
        ),
        ("category", CATEGORY, {"shares": [0.5, 0.5]}, "a share for each input"),
        (
            "category",
            {**CATEGORY, "levels": ["a", "b", "a"]},
            {"shares": [0.5, 0.25, 0.25]},
            "a level stands twice",
        ),
    ],
)
def test_what_no_kind_has_learned_is_refused(kind, settings, tensors, message):
    with pytest.raises(ValueError, match=message):
        BY_NAME[kind].restore(settings, {name: np.array(v) for name, v in tensors.items()})


def test_every_kind_is_known_by_its_name():
    assert (
        set(BY_NAME) == {kind.name for kind in KINDS} == {"number", "boolean", "category", "date"}
    )


def test_a_column_that_is_left_out_says_why():
    with pytest.raises(LeftOutError, match="is constant"):
        learn(Number, [1, 1])
