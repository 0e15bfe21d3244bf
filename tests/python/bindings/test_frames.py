"""Data frames: what they hold is used as an array of the same numbers is, or refused by name."""

import datetime
import decimal
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import SGD, _frames, _training_data, ops, reference

ROWS = 7
NAMES = ("age", "income", "member")
ARRAY = np.stack([np.arange(ROWS) - 3, np.arange(ROWS) / 4, np.arange(ROWS) % 2], axis=1)
Y = np.array([0.0, 1, 1, 0, 1, 0, 1])


def columns() -> dict[str, np.ndarray]:
    age, income, member = ARRAY.T
    return {"age": age.astype(int), "income": income.copy(), "member": member.astype(bool)}


def pandas_of(dtypes: dict[str, str]) -> Callable[[], Any]:
    def make() -> Any:
        pd = pytest.importorskip("pandas")
        if any("pyarrow" in dtype for dtype in dtypes.values()):
            pytest.importorskip("pyarrow")
        return pd.DataFrame(columns()).astype(dtypes)

    return make


def polars_frame() -> Any:
    return pytest.importorskip("polars").DataFrame(columns())


def arrow_table() -> Any:
    return pytest.importorskip("pyarrow").table(columns())


class Stream:
    """Offers only the Arrow C stream interface; like many streams, only once."""

    def __init__(self, table: Any) -> None:
        self.tables = [table]

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.tables.pop().__arrow_c_stream__(requested_schema)


class Interchange:
    """Offers only the interchange protocol."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def __dataframe__(self, *args: Any, **options: Any) -> Any:
        return self.table.__dataframe__(*args, **options)


class ArrayLike:
    """Offers only `__array__`."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return ARRAY.astype(dtype or ARRAY.dtype)


FRAMES: dict[str, Callable[[], Any]] = {
    "pandas": pandas_of({}),
    "pandas, one dtype": pandas_of(dict.fromkeys(NAMES, "float64")),
    "pandas, float32": pandas_of(dict.fromkeys(NAMES, "float32")),
    "pandas, int8 and float16": pandas_of({"age": "int8", "income": "float16"}),
    "pandas, nullable": pandas_of({"age": "Int64", "income": "Float32", "member": "boolean"}),
    "pandas, arrow": pandas_of(
        {"age": "int64[pyarrow]", "income": "double[pyarrow]", "member": "bool[pyarrow]"}
    ),
    "pandas, objects": pandas_of(dict.fromkeys(NAMES, "object")),
    "pandas, sparse": pandas_of({"age": "Sparse[int]", "member": "Sparse[bool]"}),
    "pandas, numeric categories": pandas_of({"age": "category"}),
    "polars": polars_frame,
    "pyarrow": arrow_table,
    "pyarrow, several chunks": lambda: pytest.importorskip("pyarrow").concat_tables(
        [arrow_table()[:3], arrow_table()[3:]]
    ),
    "pyarrow record batch": lambda: arrow_table().to_batches()[0],
    "a stream": lambda: Stream(arrow_table()),
    "an Arrow reader": lambda: arrow_table().to_reader(),
    "the interchange protocol": lambda: Interchange(arrow_table()),
    "an array-like": ArrayLike,
}
EVERY_FRAME = pytest.mark.parametrize("kind", FRAMES)


def network(**options: Any) -> fastmlp.Network:
    return fastmlp.Network([3, 4, 1], **{"seed": 0, **options})


# The same numbers


@EVERY_FRAME
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_frame_is_its_numbers(kind: str, dtype: str) -> None:
    net = network(dtype=dtype)
    np.testing.assert_array_equal(net.forward(FRAMES[kind]()), net.forward(ARRAY))
    np.testing.assert_array_equal(net.predict(FRAMES[kind]()), net.predict(ARRAY))
    assert net.loss(FRAMES[kind](), Y) == net.loss(ARRAY, Y)


def step(net: fastmlp.Network, X: Any) -> None:
    net.step(X, Y, 0.1)


def train_epoch(net: fastmlp.Network, X: Any) -> None:
    net.train_epoch(X, Y, np.arange(ROWS), batch_size=3, optimizer=SGD())


def half_squared_error(outputs: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    return 0.0, (outputs - y) / len(y)


TRAINS: dict[str, Callable[[fastmlp.Network, Any], Any]] = {
    "fit": lambda net, X: net.fit(X, Y, epochs=2, batch_size=3),
    "fit by L-BFGS": lambda net, X: net.fit(X, Y, epochs=2, optimizer="lbfgs"),
    "step": step,
    "train_epoch": train_epoch,
    "loss_and_gradients": lambda net, X: net.loss_and_gradients(X, Y),
    "accumulate_gradients": lambda net, X: net.accumulate_gradients(X, Y),
    "backward gradients": lambda net, X: net.backward(X, Y),
    "fit on a loss of the user": lambda net, X: net.fit(X, Y, epochs=2, loss=half_squared_error),
}


@EVERY_FRAME
@pytest.mark.parametrize("call", TRAINS)
@pytest.mark.sparse
def test_training_on_a_frame_is_training_on_its_numbers(kind: str, call: str) -> None:
    a, b = network(), network()
    TRAINS[call](a, FRAMES[kind]())
    TRAINS[call](b, ARRAY)
    np.testing.assert_array_equal(a.parameters, b.parameters)
    if "gradients" in call:  # an update may leave anything there
        np.testing.assert_array_equal(a.gradients, b.gradients)


@pytest.mark.parametrize("kind", ["pandas", "polars", "a stream"])
def test_gradients_are_checked_on_frames(kind: str) -> None:
    net = fastmlp.Network([3, 1], seed=0)
    with fastmlp.threads(1):
        assert net.check_gradients(FRAMES[kind](), Y) == net.check_gradients(ARRAY, Y) < 1e-6


def test_the_twin_is_fitted_to_frames() -> None:
    a, b = reference.Network([3, 4, 1], seed=0), reference.Network([3, 4, 1], seed=0)
    a.fit(FRAMES["pandas"](), Y, epochs=2)
    b.fit(ARRAY, Y, epochs=2)
    np.testing.assert_array_equal(a.parameters, b.parameters)
    assert a.feature_names == NAMES


COLUMNS: dict[str, Callable[[], Any]] = {
    "pandas": lambda: pytest.importorskip("pandas").Series(Y),
    "pandas, nullable": lambda: pytest.importorskip("pandas").Series(Y).astype("Int64"),
    "pandas, categories": lambda: pytest.importorskip("pandas").Series(Y).astype("category"),
    "pandas, an extension array": lambda: pytest.importorskip("pandas").array(Y, "Float64"),
    "pandas, a frame": lambda: pytest.importorskip("pandas").DataFrame({"y": Y}),
    "polars": lambda: pytest.importorskip("polars").Series(Y),
    "pyarrow": lambda: pytest.importorskip("pyarrow").array(Y),
    "pyarrow, chunks": lambda: pytest.importorskip("pyarrow").chunked_array([Y[:2], Y[2:]]),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_is_y_and_sample_weight(kind: str) -> None:
    a, b, column = network(), network(), COLUMNS[kind]()
    weight = Y if kind == "pandas, a frame" else column
    assert a.loss(ARRAY, column, weight) == b.loss(ARRAY, Y, Y)
    a.fit(ARRAY, column, sample_weight=weight, epochs=2, validation_data=(ARRAY, column))
    b.fit(ARRAY, Y, sample_weight=Y, epochs=2, validation_data=(ARRAY, Y))
    np.testing.assert_array_equal(a.parameters, b.parameters)


def test_several_targets_may_be_a_frame() -> None:
    pd = pytest.importorskip("pandas")
    targets = np.stack([Y, 1 - Y], axis=1)
    a, b = fastmlp.Network([3, 2], seed=0), fastmlp.Network([3, 2], seed=0)
    a.fit(ARRAY, pd.DataFrame(targets, columns=["a", "b"]).astype({"a": bool}), epochs=2)
    b.fit(ARRAY, targets, epochs=2)
    np.testing.assert_array_equal(a.parameters, b.parameters)


def test_dummies_beside_numbers_are_taken() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.get_dummies(pd.DataFrame({"n": [1, 2, 3], "c": ["a", "b", "a"]}))
    frame["mixed"] = pd.Series([True, 2, 0.5], dtype=object)
    net = fastmlp.Network([4, 1], seed=0)
    expected = [[1, 1, 0, 1], [2, 0, 1, 2], [3, 1, 0, 0.5]]
    np.testing.assert_array_equal(net.forward(frame), net.forward(expected))


@pytest.mark.parametrize("rows", [0, 1, 2, 5000])
def test_a_frame_may_have_any_number_of_rows_and_columns(rows: int) -> None:
    pd = pytest.importorskip("pandas")
    X = np.random.default_rng(rows).normal(size=(rows, 37))
    frame = pd.DataFrame(X).astype({0: "float32", 36: "Float64"})
    X[:, 0] = X[:, 0].astype(np.float32)
    net = fastmlp.Network([37, 3], output="identity", dtype="float64", seed=0)
    np.testing.assert_array_equal(net.forward(frame), net.forward(X))


def test_a_column_may_have_any_name() -> None:
    pd = pytest.importorskip("pandas")
    names = ["tocsr", "null_count", "get_columns"]
    net = network()
    frame = pd.DataFrame(ARRAY, columns=names).astype({"tocsr": "Int64"})
    np.testing.assert_array_equal(net.forward(frame), net.forward(ARRAY))
    net.fit(frame, Y, epochs=1)
    assert list(net.feature_names) == names


def test_large_frames_have_the_bits_of_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = FRAMES["pandas, one dtype"]() / 3
    expected = network().forward(frame)
    monkeypatch.setattr(_frames, "FEW_NUMBERS", 0)
    np.testing.assert_array_equal(network().forward(frame), expected)


def test_operations_take_frames() -> None:
    frame = FRAMES["pandas, float32"]()
    np.testing.assert_array_equal(ops.relu(frame), np.maximum(ARRAY, 0))
    assert ops.relu(frame).dtype == np.float32


# The names of the columns


@pytest.mark.parametrize("kind", [k for k in FRAMES if k != "an array-like"])
def test_fit_remembers_the_names_of_the_columns(kind: str) -> None:
    net = network()
    net.forward(FRAMES[kind]())
    assert net.feature_names is None
    net.fit(FRAMES[kind](), Y, epochs=1)
    assert net.feature_names == NAMES
    assert net.copy().feature_names == NAMES


def test_arrays_have_no_names_and_are_taken() -> None:
    net = network()
    net.fit(ARRAY, Y, epochs=1)
    assert net.feature_names is None
    net.fit(polars_frame(), Y, epochs=1)
    net.fit(ARRAY, Y, epochs=1)
    net.forward(ARRAY)
    assert net.feature_names == NAMES


def test_names_that_are_not_all_strings_or_not_unique_are_no_names() -> None:
    pd = pytest.importorskip("pandas")
    net = network()
    for names in ([0, 1, 2], ["a", 1, "b"], ["a", "b", "a"]):
        net.fit(pd.DataFrame(ARRAY, columns=names), Y, epochs=1)
        assert net.feature_names is None
    net.feature_names = NAMES
    net.forward(pd.DataFrame(ARRAY))


USES: dict[str, Callable[[fastmlp.Network, Any], Any]] = {
    "forward": lambda net, X: net.forward(X),
    "predict": lambda net, X: net.predict(X),
    "loss": lambda net, X: net.loss(X, Y),
    **TRAINS,
    "check_gradients": lambda net, X: net.check_gradients(X, Y),
    "validation_data": lambda net, X: net.fit(ARRAY, Y, epochs=1, validation_data=(X, Y)),
}


@pytest.mark.parametrize("use", USES)
def test_other_columns_are_refused(use: str) -> None:
    pd = pytest.importorskip("pandas")
    net = network()
    net.feature_names = NAMES
    frame = pd.DataFrame(ARRAY, columns=list(NAMES))
    before = net.parameters.copy()
    for changed, message in (
        (frame[["income", "age", "member"]], "has its columns in another order; give X"),
        (frame.assign(city=1.0), "has the column 'city', which the network was not trained on"),
        (
            frame.rename(columns={"age": "years", "income": "pay"}),
            "lacks the columns 'age', 'income', which .* and has the columns 'years', 'pay'",
        ),
        (frame.drop(columns="age"), "lacks the column 'age'"),
        (
            pd.concat([frame, frame[["age"]]], axis=1),
            "has some columns more than once; leave the others out",
        ),
    ):
        with pytest.raises(ValueError, match=f": X {message}"):
            USES[use](net, changed)
    np.testing.assert_array_equal(net.parameters, before)


def test_the_names_of_targets_are_not_those_of_features() -> None:
    pd = pytest.importorskip("pandas")
    net = network()
    net.feature_names = NAMES
    net.fit(ARRAY, pd.DataFrame({"y": Y}), epochs=1)
    assert net.feature_names == NAMES


def test_a_value_far_down_is_named_by_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_training_data, "FINITE_CHECK_ELEMENTS", 6)
    frame = FRAMES["pandas"]()
    frame.loc[5, "income"] = np.inf
    with pytest.raises(ValueError, match="fit: X has inf at row 5 of column 'income'"):
        network().fit(frame, Y, epochs=1)


def test_the_way_out_of_another_order_works() -> None:
    net, frame = network(), polars_frame()
    net.fit(frame, Y, epochs=1)
    other = frame[["member", "age", "income"]]
    with pytest.raises(ValueError, match=r"give X\[list\(network.feature_names\)\]"):
        net.forward(other)
    np.testing.assert_array_equal(net.forward(other[list(net.feature_names)]), net.forward(ARRAY))


def test_many_names_are_shortened() -> None:
    with pytest.raises(ValueError, match=r"lacks the columns '0', '1', '2', '3', '4' and 15 more"):
        _frames.require_names("forward: X", ("a",), tuple(map(str, range(20))))


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 0},
        {"epochs": 1, "sample_weight": np.zeros(ROWS)},
        {"epochs": 1, "resume": "no such file"},
    ],
)
def test_a_refused_fit_remembers_no_names(options: dict[str, Any]) -> None:
    net = network()
    with pytest.raises((ValueError, OSError)):
        net.fit(polars_frame(), Y, **options)
    assert net.feature_names is None


# What cannot be used


def pandas_frame(values: Any, dtype: Any = None) -> Any:
    pd = pytest.importorskip("pandas")
    return pd.DataFrame({"age": [1, 2, 3], "city": pd.Series(values, dtype=dtype), "x": 0.5})


def polars_with(values: Any) -> Any:
    pl = pytest.importorskip("polars")
    return pl.DataFrame({"age": [1, 2, 3], "city": pl.Series(values), "x": [0.5] * 3})


TODAY = datetime.date(2020, 2, 29)
CANNOT: dict[str, tuple[Callable[[], Any], str]] = {
    "strings": (lambda: pandas_frame(["a", "b", None]), r"strings, such as 'a'"),
    "pandas strings": (lambda: pandas_frame(["a", "b", None], "string"), "strings, such as 'a'"),
    "categories": (lambda: pandas_frame(["a", "b", "a"], "category"), r"strings.*dtype category"),
    "dates": (lambda: pandas_frame([TODAY] * 3, "datetime64[ns]"), "dates"),
    "dates with a zone": (lambda: pandas_frame([TODAY] * 3, "datetime64[ns, UTC]"), "dates"),
    "date objects": (lambda: pandas_frame([TODAY] * 3), "dates"),
    "durations": (lambda: pandas_frame([1, 2, 3], "timedelta64[ns]"), "durations"),
    "complex numbers": (lambda: pandas_frame([1j, 2, 3]), "values of dtype complex128"),
    "lists": (lambda: pandas_frame([[1], [2], [3]]), "objects of type list"),
    "numbers and a string": (lambda: pandas_frame([1, "2", 3]), "strings, such as '2'"),
    "polars strings": (lambda: polars_with(["a", "b", None]), r"strings.*dtype String"),
    "polars dates": (lambda: polars_with([TODAY] * 3), r"dates \(dtype Date"),
    "polars lists": (lambda: polars_with([[1], [2], [3]]), "objects of type ndarray"),
    "polars structs": (lambda: polars_with([{"a": 1}] * 3), "several values in a row"),
    "pyarrow strings": (lambda: polars_with(["a", "b", None]).to_arrow(), "strings.*large_string"),
    "pyarrow dictionary": (
        lambda: pytest.importorskip("pyarrow").table(
            {
                "age": [1, 2, 3],
                "city": pytest.importorskip("pyarrow").array(["a", "b", "a"]).dictionary_encode(),
                "x": [0.5] * 3,
            }
        ),
        "strings.*dictionary",
    ),
}


@pytest.mark.parametrize("case", CANNOT)
def test_a_column_that_holds_no_numbers_is_named(case: str) -> None:
    make, content = CANNOT[case]
    message = rf"X: column 'city' holds {content}.*\): encode it, or use fastmlp.tabular"
    for call in (USES["forward"], USES["predict"], USES["fit"], USES["loss"]):
        with pytest.raises(TypeError, match=message):
            call(network(), make())


MISSING: dict[str, Callable[[], Any]] = {
    "nullable integers": lambda: pandas_frame([1, None, None], "Int64"),
    "nullable floats": lambda: pandas_frame([None, None, 0.5], "Float64"),
    "nullable booleans": lambda: pandas_frame([True, None, None], "boolean"),
    "objects": lambda: pandas_frame([1, None, float("nan")], object),
    "polars integers": lambda: polars_with([1, None, None]),
    "polars floats": lambda: polars_with([1.5, None, None]),
    "polars booleans": lambda: polars_with([True, None, None]),
    "pyarrow integers": lambda: polars_with([1, None, None]).to_arrow(),
    "pyarrow floats": lambda: polars_with([1.5, None, None]).to_arrow(),
}


@pytest.mark.parametrize("case", MISSING)
def test_missing_values_are_counted(case: str) -> None:
    for call in (USES["forward"], USES["fit"], USES["loss"]):
        with pytest.raises(ValueError, match=r": X: column 'city' has 2 missing values: fill"):
            call(network(), MISSING[case]())


def test_nan_in_floats_of_pandas_is_a_missing_value_where_nan_is_refused() -> None:
    frame = pandas_frame([1.5, np.nan, np.nan])
    message = "X: column 'city' has 2 missing values"
    with pytest.raises(ValueError, match=f"fit: {message}"):
        network().fit(frame, Y[:3], epochs=1)
    with pytest.raises(ValueError, match=f"predict: {message}"):
        network().predict(frame)
    assert np.isnan(network().forward(frame)[1:]).all()


def test_a_number_too_large_is_named_by_its_column() -> None:
    for value, name in ((np.inf, "inf"), (-1e300, "-1e\\+300")):
        with pytest.raises(ValueError, match=f"fit: X has {name} at row 1 of column 'city'; every"):
            network().fit(pandas_frame([1.0, value, 2.0]), Y[:3], epochs=1)


def test_labels_in_y_are_told_how_to_become_numbers() -> None:
    labels = ["yes", "no", "no", "yes", "yes", "no", "no"]
    given: list[Any] = [labels, np.array(labels), np.array(labels, object), tuple(labels)]
    for library in ("pandas", "polars"):
        given.append(pytest.importorskip(library).Series(labels))
    for y in given:
        for call in (
            network().loss,
            network().loss_and_gradients,
            lambda X, y: network().step(X, y, 1),
        ):
            with pytest.raises(TypeError, match=r"y .*strings, such as 'yes'.*numpy.unique\(y, re"):
                call(ARRAY, y)
        with pytest.raises(TypeError, match=r"^fit: y .*strings, such as 'yes'.*fastmlp.tabular"):
            network().fit(ARRAY, y, epochs=1)


def test_the_way_out_of_labels_works() -> None:
    labels, numbers = np.unique(["yes", "no", "no", "yes", "yes", "no", "no"], return_inverse=True)
    network().fit(ARRAY, numbers, epochs=1)
    assert labels.tolist() == ["no", "yes"]


def test_numbers_in_an_array_of_objects_are_told_to_become_floats() -> None:
    with pytest.raises(TypeError, match=r"X has dtype object; .*: call astype\(float\) on it"):
        network().forward(ARRAY.astype(object))
    with pytest.raises(TypeError, match=r"X has dtype object; it must be real numbers, none mis"):
        network().forward([[1.0, None, 2.0]])


def test_decimals_are_numbers() -> None:
    frame = pandas_frame([decimal.Decimal("0.5"), decimal.Decimal(2), decimal.Decimal(3)])
    expected = network().forward([[1, 0.5, 0.5], [2, 2, 0.5], [3, 3, 0.5]])
    np.testing.assert_array_equal(network().forward(frame), expected)


def test_odd_objects_among_numbers_are_named() -> None:
    for value in (10**400, -(10**400)):
        with pytest.raises(ValueError, match=r"column '.*' has an integer that is too large for"):
            network().forward(pandas_frame([value, 2, 3]))
    for nan in ("NaN", "sNaN"):
        with pytest.raises(ValueError, match=r"column '.*' has 1 missing value"):
            network().forward(pandas_frame([decimal.Decimal(nan), 2, 3]))
        with pytest.raises(TypeError, match=r"X has dtype object; .*none missing"):
            network().forward([[1.0, decimal.Decimal(nan), 2.0]])


@pytest.mark.parametrize("form", ["csc", "coo", "bsr"])
def test_a_sparse_matrix_of_another_format_is_told_its_way_out(form: str) -> None:
    sparse = pytest.importorskip("scipy.sparse").random(ROWS, 3, 0.5, form)
    for use in ("forward", "predict", "loss", "step", "train_epoch", "accumulate_gradients"):
        with pytest.raises(
            TypeError, match=rf"X is a sparse matrix, in the format '{form}'; call to"
        ):
            USES[use](network(), sparse)
    for use in ("fit", "fit by L-BFGS", "validation_data"):
        with pytest.raises(
            TypeError, match=r"X is a sparse matrix, which fit .*give X.toarray\(\)"
        ):
            USES[use](network(), sparse)
    with pytest.raises(TypeError, match=r"y is a sparse matrix.*; call toarray\(\) on it"):
        network().loss(ARRAY, sparse)
    with pytest.raises(TypeError, match=r"give y.toarray\(\)"):
        network().fit(ARRAY, sparse, epochs=1)


def test_a_lazy_frame_is_told_to_collect() -> None:
    for call in (USES["forward"], USES["fit"]):
        with pytest.raises(TypeError, match=r"X is a LazyFrame; call collect\(\) on it"):
            call(network(), polars_frame().lazy())


def test_without_a_library_an_unreadable_frame_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Stream(arrow_table())
    monkeypatch.setattr(_frames, "READERS", {"__arrow_c_stream__": (("no_such_module", "table"),)})
    with pytest.raises(ImportError, match="forward: X is a Stream, which needs pyarrow: pip"):
        network().forward(given)


# In passing


def test_a_frame_is_not_changed() -> None:
    frame = FRAMES["pandas"]()
    before = frame.copy(deep=True)
    network().fit(frame, Y, epochs=1)
    pytest.importorskip("pandas").testing.assert_frame_equal(frame, before)
