"""Tables of any library are read into the same plain columns."""

import datetime as dt
import decimal
import fractions
import math
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastmlp.tabular import TabularClassifier
from fastmlp.tabular._table import read_table

nan = math.nan
NEW_YEAR = 1767225600.0  # 1 January 2026
BACKENDS = ("pandas", "polars", "pyarrow")


@pytest.fixture(params=BACKENDS)
def make(request):
    """Makes a frame of a library from a dict of lists."""
    pytest.importorskip("narwhals")
    library = pytest.importorskip(request.param)
    return library.table if request.param == "pyarrow" else library.DataFrame


def read(X, name="a"):
    column = read_table(X).columns[name]
    values = column.values
    return column.holds, values.tolist() if isinstance(values, np.ndarray) else values


def assert_reads(X, holds, values, name="a"):
    found = read(X, name)
    assert found[0] == holds
    if holds in ("texts", "categories"):
        assert found[1] == values
    else:
        assert_array_equal(found[1], values)


@pytest.mark.parametrize(
    ("values", "holds", "expected"),
    [
        ([1, 2, 3], "numbers", [1, 2, 3]),
        ([1.5, nan, None], "numbers", [1.5, nan, nan]),
        ([1, None, 3], "numbers", [1, nan, 3]),
        ([True, None, False], "booleans", [1, nan, 0]),
        (["x", None, "y"], "texts", ["x", None, "y"]),
        (["x", "", "  "], "texts", ["x", None, None]),
        ([dt.date(2026, 1, 1), None], "dates", [NEW_YEAR, nan]),
        ([dt.datetime(2026, 1, 1, 6, 0, 42), None], "dates", [NEW_YEAR + 21642, nan]),
        ([dt.timedelta(hours=1), None], "numbers", [3600, nan]),
        ([decimal.Decimal("1.5"), None], "numbers", [1.5, nan]),
    ],
)
def test_a_column_is_the_same_in_every_library(make, values, holds, expected):
    assert_reads(make({"a": values}), holds, expected)
    assert_reads({"a": values}, holds, expected)  # and without any


def test_a_column_without_values(make):
    for X in (make({"a": [None, None]}), {"a": [None, None]}):
        assert read_table(X).columns["a"].missing().all()


def test_a_dictionary_of_pyarrow_with_nulls_keeps_its_levels():
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("narwhals")
    column = pa.array(["x", "y", None, "x"]).dictionary_encode()
    assert_reads(pa.table({"a": column}), "categories", ["x", "y", None, "x"])


def test_categories_of_pandas_are_texts():
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    for values, expected in (
        (pd.Categorical(["y", None, "x"], categories=["unused", "x", "y"]), ["y", None, "x"]),
        (pd.Categorical(["lo", "hi"], categories=["lo", "hi"], ordered=True), ["lo", "hi"]),
        (pd.Categorical([3, 1, 3]), ["3", "1", "3"]),
    ):
        assert_reads(pd.DataFrame({"a": values}), "categories", expected)


def test_categories_of_pandas_on_arrow_are_texts():
    pa = pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas")
    dictionary = pa.chunked_array([pa.array(["p", "q", None]).dictionary_encode()])
    frame = pd.DataFrame({"a": pd.Series(pd.arrays.ArrowExtensionArray(dictionary))})
    assert_reads(frame, "categories", ["p", "q", None])


def test_categories_of_polars_are_texts():
    pl = pytest.importorskip("polars")
    for dtype in (pl.Categorical, pl.Enum(["y", "x"])):
        assert_reads(
            pl.DataFrame({"a": pl.Series(["x", None, "y"], dtype=dtype)}),
            "categories",
            ["x", None, "y"],
        )


@pytest.mark.parametrize(
    ("dtype", "values", "holds", "expected"),
    [
        ("Int64", [1, None, 3], "numbers", [1, nan, 3]),
        ("Float64", [1.5, None], "numbers", [1.5, nan]),
        ("boolean", [True, None], "booleans", [1, nan]),
        ("string", ["x", None], "texts", ["x", None]),
        ("object", [1, 2.5, None], "numbers", [1, 2.5, nan]),
        ("object", [True, None], "booleans", [1, nan]),
        ("object", [1, "x", None, 2.5], "texts", ["1", "x", None, "2.5"]),
        ("object", [dt.date(2026, 1, 1), None], "dates", [NEW_YEAR, nan]),
        ("float16", [0.5, nan], "numbers", [0.5, nan]),
        ("uint64", [2**63, 1], "numbers", [2.0**63, 1]),
    ],
)
def test_dtypes_of_pandas(dtype, values, holds, expected):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    assert_reads(pd.DataFrame({"a": pd.Series(values, dtype=dtype)}), holds, expected)


def test_missing_objects_of_pandas():
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    values = ["x", pd.NA, pd.NaT, nan, None]
    assert_reads({"a": values}, "texts", ["x", *[None] * 4])
    assert_reads(pd.DataFrame({"a": pd.Series(values, dtype=object)}), "texts", ["x", *[None] * 4])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_date_is_on_the_clock_of_its_own_zone(unit):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    berlin = pd.to_datetime(["2026-01-01"]).tz_localize("Europe/Berlin").as_unit(unit)
    assert_reads(pd.DataFrame({"a": berlin}), "dates", [NEW_YEAR])
    assert_reads(pd.DataFrame({"a": berlin.tz_localize(None)}), "dates", [NEW_YEAR])


def test_a_date_with_a_zone_in_polars_and_pyarrow():
    pl = pytest.importorskip("polars")
    pa = pytest.importorskip("pyarrow")
    moment = dt.datetime(2026, 1, 1)
    series = pl.Series([moment]).dt.replace_time_zone("Europe/Berlin")
    assert_reads(pl.DataFrame({"a": series}), "dates", [NEW_YEAR])
    utc = pa.array([moment], pa.timestamp("ns", "Europe/Berlin"))  # midnight in UTC
    assert_reads(pa.table({"a": utc}), "dates", [NEW_YEAR + 3600])


@pytest.mark.parametrize("values", [[[1], [2]], [b"a", b"b"], [{"k": 1}, {"k": 2}]])
def test_a_column_of_other_things_is_refused_by_name(make, values):
    column = read_table(make({"odd": values, "a": [1, 2]})).columns["odd"]
    for use in (column.numbers, column.texts, column.dates, column.booleans, column.missing):
        with pytest.raises(TypeError, match="column 'odd'"):
            use()


def test_odd_columns_of_pandas_are_refused_by_name():
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    for values in (pd.period_range("2026-01", periods=2, freq="M"), np.array([1j, 2j])):
        column = read_table(pd.DataFrame({"odd": values})).columns["odd"]
        with pytest.raises(TypeError, match=r"column 'odd' .*ignore=\['odd'\]"):
            column.numbers()


def test_two_columns_of_the_same_name_are_refused():
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    for names in (["a", "a"], [1, "1"]):
        with pytest.raises(ValueError, match="same name"):
            read_table(pd.DataFrame([[1, 2]], columns=names))
    with pytest.raises(ValueError, match="same name"):
        read_table({1: [1], "1": [2]})


def test_names_become_texts():
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    assert list(read_table(pd.DataFrame([[1, 2]])).columns) == ["0", "1"]
    pairs = pd.DataFrame({("a", "b"): [1], ("a", "c"): [2]})
    assert list(read_table(pairs).columns) == ["a b", "a c"]


def test_a_lazy_frame_is_refused_with_the_call_that_helps():
    pl = pytest.importorskip("polars")
    with pytest.raises(TypeError, match=r"lazy; give X.collect\(\)"):
        read_table(pl.DataFrame({"a": [1]}).lazy())


def test_an_object_with_an_arrow_stream_is_read():
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("narwhals")

    class Stream:
        def __arrow_c_stream__(self, requested_schema=None):
            return pa.table({"a": [1, None]}).__arrow_c_stream__(requested_schema)

    assert_reads(Stream(), "numbers", [1, nan])


def test_a_frame_without_rows(make):
    table = read_table(make({"a": []}))
    assert (table.rows, list(table.columns)) == (0, ["a"])


def test_a_single_column_is_refused_with_the_call_that_helps():
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    with pytest.raises(TypeError, match="to_frame"):
        read_table(pd.Series([1, 2]))


def test_large_integers_keep_their_digits(make):
    values = [2**53 + 1, 2**60 + 1, None, 3]
    for X in (
        make({"a": values}),
        {"a": values},
        make({"a": values[:2]}),
        {"a": np.array(values[:2])},
    ):
        column = read_table(X).columns["a"]
        expected = [value and str(value) for value in values][: len(column)]
        if len(column) == 4 and column.integers is None:  # pandas has made floats of them
            continue
        assert column.texts() == expected
        assert column.part(1, 2).texts() == expected[1:2]
        assert column.take(np.array([1, 0])).texts() == expected[1::-1]
    assert read_table({"a": [1, 2]}).columns["a"].integers is None


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([10**400, 1], "inf"),
        ([-(10**5000), 1], "-inf"),
        ([fractions.Fraction(10**400), 1.5], "inf"),
        ([decimal.Decimal("-1e500"), 1], "-inf"),
        ([np.timedelta64(10**12, "D"), np.timedelta64(1, "D")], "inf"),
        (np.array([10**12, 1], "m8[D]"), "inf"),
    ],
)
def test_a_number_beyond_float64_is_refused_by_name(values, text):
    column = read_table({"a": values}).columns["a"]
    with pytest.raises(ValueError, match=f"column 'a' has {text} at row 0"):
        column.numbers()
    assert read({"a": [10**400, "x"]}) == ("texts", ["inf", "x"])
    assert read({"a": [2**60 + 1, "x"]}) == ("texts", [str(2**60 + 1), "x"])


def test_durations_of_numpy():
    day, minute = np.timedelta64(1, "D"), np.timedelta64(1, "m")
    assert_reads({"a": [day, minute, None]}, "numbers", [86400, 60, nan])
    column = read_table({"a": [day, 1]}).columns["a"]
    with pytest.raises(TypeError, match=r"column 'a' holds .* of type timedelta64"):
        column.numbers()


def test_a_signaling_nan_is_missing():
    assert_reads({"a": [decimal.Decimal("sNaN"), decimal.Decimal(2)]}, "numbers", [nan, 2])


@pytest.mark.parametrize("unit", ["Y", "M", "D", "s", "ms"])
def test_a_date_that_overflows_is_refused_by_name(unit):
    far = np.array([400_000], "M8[Y]").astype(f"M8[{unit}]")
    column = read_table({"a": np.concatenate([np.array(["2020"], far.dtype), far])}).columns["a"]
    for use in (column.dates, column.texts):
        with pytest.raises(ValueError, match="column 'a' has inf at row 1; it must hold dates"):
            use()


def test_a_date_that_overflows_in_pandas_is_refused_by_name():
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    far = np.array(["2020", "400000"], "M8[s]")
    column = read_table(pd.DataFrame({"a": far})).columns["a"]
    with pytest.raises(ValueError, match="column 'a' has inf at row 1"):
        column.dates()


def test_a_year_beyond_those_of_python_is_a_category():
    texts = read_table({"a": np.array(["12345-06-07", "2020-01-01"], "M8[D]")}).columns["a"].texts()
    assert texts == ["12345-06-07T00:00:00", "2020-01-01"]


# Without a frame


def test_arrays():
    table = read_table(np.array([[1, 2], [3, 4]]))
    assert list(table.columns) == ["x0", "x1"]
    assert not table.named
    assert_reads(np.array([[True], [False]]), "booleans", [1, 0], "x0")
    assert_reads(np.array([["x"], ["y"]]), "texts", ["x", "y"], "x0")
    assert_reads(np.array([["2026-01-01"], ["NaT"]], "M8[D]"), "dates", [NEW_YEAR, nan], "x0")
    assert_reads(np.array([[90], ["NaT"]], "m8[m]"), "numbers", [5400, nan], "x0")
    assert_reads(np.array([[1], ["x"], [None]], dtype=object), "texts", ["1", "x", None], "x0")
    masked = np.ma.masked_array([[1, 2], [3, 4]], [[False, True], [False, False]])
    assert_reads(masked, "numbers", [nan, 4], "x1")


def test_a_list_keeps_numbers_and_texts():
    assert_reads([[1, "x"], [2, "y"]], "numbers", [1, 2], "x0")
    assert_reads([[1, "x"], [2, "y"]], "texts", ["x", "y"], "x1")


def test_objects():
    assert_reads({"a": [True, "x", 2.0]}, "texts", ["True", "x", "2"])
    moments = [dt.datetime(2026, 1, 1, 0, 0, 1, 500_000), np.datetime64("2026-01-01T00:00:02")]
    assert_reads({"a": moments}, "dates", [NEW_YEAR + 1.5, NEW_YEAR + 2])


def test_rows_as_dicts():
    rows = [{"a": 1, "b": "x"}, {"b": "y", "c": True}]
    assert_reads(rows, "numbers", [1, nan], "a")
    assert_reads(rows, "texts", ["x", "y"], "b")
    assert_reads(rows, "booleans", [nan, 1], "c")


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros(3), "Expected 2D array"),
        (np.zeros((2, 2, 2)), "Expected 2D array"),
        (None, "Expected 2D array"),
        (np.zeros((2, 2), complex), "Complex data"),
        ("data.csv", "read the file first"),
        ({"a": [1, 2], "b": [1]}, "'a' has 2, 'b' has 1"),
        ({"a": 3}, "column 'a' is 3"),
        ({"a": "text"}, "column 'a' is 'text'"),
        ({"a": np.zeros((2, 2))}, "one axis"),
        ({"a": {1, 2}}, r"column 'a' is \{1, 2\}; .* in the order of the rows"),
        ({"a": frozenset([1])}, "column 'a' is frozenset"),
    ],
)
def test_what_is_no_table_is_refused(X, message):
    with pytest.raises((TypeError, ValueError), match=message):
        read_table(X)


def test_a_column_that_cannot_be_used_is_refused_only_if_it_is_used():
    rows = {"a": [float(i % 7) for i in range(30)], "odd": [object()] * 30, "y": [0, 1, 1] * 10}
    model = TabularClassifier(epochs=1, n_members=1, hidden=(2,))
    with pytest.raises(TypeError, match=r"column 'odd' holds <object .*ignore=\['odd'\]"):
        model.fit(rows, "y")
    with pytest.raises(TypeError, match="column 'odd' holds <object"):
        model.fit({"a": rows["a"], "odd": rows["odd"]}, "odd")
    model.set_params(ignore=["odd"]).fit(rows, "y").predict(rows)
    with pytest.raises(TypeError, match="column 'a' holds <object"):
        model.predict({"a": [object()]})


def test_a_sparse_matrix_is_refused_with_the_call_that_helps():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"X.toarray\(\)"):
        read_table(sparse.eye(2).tocsr())


def test_arrays_and_dicts_are_read_without_narwhals():
    code = (
        "import sys; sys.modules['narwhals'] = None\n"
        "from fastmlp.tabular import TabularClassifier\n"
        "model = TabularClassifier(epochs=1)\n"
        "X = [[1, 'x'], [2, 'y'], [3, 'x']] * 5\n"
        "model.fit(X, ['p', 'q', 'q'] * 5).predict([[1, 'x']])\n"
        "model.fit({'a': [1, 2, 5], 'y': [0, 1, 1]}, 'y')\n"
        "assert not {'sklearn', 'pandas'} & set(sys.modules)\n"
        "class Frame:\n    columns = ['a']\n"
        "try:\n    model.fit(Frame(), 'y')\n"
        "except ImportError as error:\n    assert 'fastmlp[tabular]' in str(error)\n"
        "else:\n    raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
