"""Tables of any kind, read into named columns of plain values.

Frames are read through narwhals, which is imported only if a frame is given; dicts of columns and
arrays are read without it. What becomes of a column in the network is decided in _columns.py.
Start at `read_table`.
"""

import datetime
import decimal
import importlib
import math
import numbers
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Holds = Literal["numbers", "booleans", "texts", "categories", "dates", "others"]

# Text that is a number or a date. "007" is neither: its zeros say that it is a code.
NUMBER = re.compile(r"[+-]?(?:0|[1-9]\d*|(?=\.\d))(?:\.\d*)?(?:[eE][+-]?\d{1,3})?", re.ASCII)
DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d(?:\.\d{1,9})?))?)?"
    r"(?:Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
# Texts that stand for a missing value among numbers or dates.
MISSING = {"?", "-", ".", "na", "n/a", "nan", "none", "null"}
# Beyond it, differences and squares would overflow.
LARGEST = 1e100
# From here on float64 has no longer every integer.
INTEGERS_END = 2.0**53
DAY = 86400.0
# What can be iterated and yet is no column. A set has no order.
NO_SEQUENCE = (str, bytes, Mapping, set, frozenset)
# In seconds. The days of later dates may not fit an integer.
LATEST = 1e18


@dataclass(frozen=True)
class Column:
    """A column of a table.

    `values` is a float64 array with NaN for a missing value (booleans are 0 and 1, dates are
    seconds since 1970 on the clock of their own time zone), or a list of texts with None for a
    missing one. "categories" are texts that the table itself declares to be categories. A column of
    "others" cannot be used: `values` is a TypeError for whoever tries.
    """

    name: str
    holds: Holds
    values: Any
    # The integers that a column of "numbers" was made of, if float64 does not have all of them.
    integers: list[int | None] | None = None
    place: Callable[[int], str] = "row {}".format  # where a value is in the user's table

    def __len__(self) -> int:
        self.require_usable()
        return len(self.values)

    def part(self, begin: int, end: int) -> "Column":
        """Return the rows from begin to end."""
        if self.holds == "others":
            return self
        return replace(
            self,
            values=self.values[begin:end],
            integers=self.integers and self.integers[begin:end],
            place=lambda row: self.place(begin + row),
        )

    def take(self, rows: Array) -> "Column":
        """Return these rows."""
        if self.holds == "others":
            return self

        def chosen(values: Any) -> Any:
            is_array = isinstance(values, np.ndarray)
            return values[rows] if is_array else values and [values[row] for row in rows.tolist()]

        return replace(
            self,
            values=chosen(self.values),
            integers=chosen(self.integers),
            place=lambda row: self.place(rows[row]),
        )

    def require_usable(self) -> None:
        """Raise TypeError if the column holds what no network can take."""
        if self.holds == "others":
            raise self.values

    def missing(self) -> Array:
        """Return for each row whether its value is missing."""
        self.require_usable()
        if isinstance(self.values, np.ndarray):
            return np.isnan(self.values)
        return np.array([text is None for text in self.values], dtype=bool)

    def numbers(self) -> Array:
        """Return the values as numbers, NaN for a missing one; refuse infinite ones."""
        self.require_usable()
        if self.holds == "dates":
            raise ValueError(f"column {self.name!r} holds dates; it must hold numbers")
        is_array = isinstance(self.values, np.ndarray)
        found: Array = self.values if is_array else self._parsed(_number, "a number")
        unfit = np.abs(found) > LARGEST  # False for NaN
        if unfit.any():
            row = int(np.argmax(unfit))
            raise ValueError(
                f"column {self.name!r} has {found[row]} at {self.place(row)}; a number must be "
                f"finite and within {LARGEST:.0e}: correct it, or set it to NaN, which counts as "
                "missing"
            )
        return found

    def texts(self) -> list[str | None]:
        """Return the values as texts, None for a missing one; 3.0 becomes "3"."""
        self.require_usable()
        if not isinstance(self.values, np.ndarray):
            found: list[str | None] = self.values
            return found
        if self.holds == "booleans":
            return [None if math.isnan(value) else str(value == 1) for value in self.values]
        if self.holds == "dates":
            return [None if math.isnan(value) else _date_text(value) for value in self.dates()]
        if self.integers is not None:
            return [None if value is None else str(value) for value in self.integers]
        return [None if math.isnan(value) else _number_text(value) for value in self.values]

    def dates(self) -> Array:
        """Return the values as seconds since 1970, NaN for a missing one."""
        self.require_usable()
        if self.holds == "numbers":
            found = self.numbers()
            _warn_of_digits(self.name, found)
        elif isinstance(self.values, np.ndarray):
            found = np.asarray(self.values)
        else:
            found = self._parsed(_seconds, "a date such as 2017-01-31 or 2017-01-31T06:00:42")
        unfit = np.abs(found) > LATEST
        if unfit.any():
            row = int(np.argmax(unfit))
            raise ValueError(
                f"column {self.name!r} has {found[row]} at {self.place(row)}; it must hold dates, "
                f"or seconds since 1970, within {LATEST:.0e} seconds of 1970"
            )
        return found

    def booleans(self) -> Array:
        """Return 0, 1 or NaN for each value."""
        self.require_usable()
        found = self.values
        if not isinstance(found, np.ndarray):
            found = self._parsed(_boolean, "true or false")
        unfit = ~((found == 0) | (found == 1) | np.isnan(found))
        if self.holds == "dates" or unfit.any():
            row = int(np.argmax(unfit))
            raise ValueError(
                f"column {self.name!r} has {self.part(row, row + 1).texts()[0]} at "
                f"{self.place(row)}; it must hold true or false, or 1 or 0"
            )
        return np.asarray(found)

    def _parsed(self, parse: Any, what: str) -> Array:
        """Return what `parse` makes of each text; refuse a text for which that is None."""
        found = np.full(len(self.values), math.nan)
        for row, text in enumerate(self.values):
            if text is None or text.strip().lower() in MISSING:
                continue
            value = parse(text)
            if value is None:
                raise ValueError(
                    f"column {self.name!r} has {text!r:.40} at {self.place(row)}; it must hold "
                    f"{what}"
                )
            found[row] = value
        return found

    def is_text_of(self, parse: Any) -> bool:
        """Return whether these are texts, and all that do not stand for missing are parsed."""
        if self.holds != "texts":
            return False
        there = {text for text in self.values if text is not None}
        there = {text for text in there if text.strip().lower() not in MISSING}
        return bool(there) and all(parse(text) is not None for text in there)

    def as_numbers(self) -> "Column":
        """Return the column with texts such as "1.5" as numbers."""
        found = self.numbers()
        integers = self.integers

        def parsed() -> list[int | None]:
            pairs = zip(found, self.values, strict=True)
            return [None if math.isnan(x) else int(text) for x, text in pairs]

        if not isinstance(self.values, np.ndarray):
            with suppress(ValueError):
                integers = _large_integers(found, parsed)
        return replace(self, holds="numbers", values=found, integers=integers)

    def is_text_of_numbers(self) -> bool:
        """Return whether these are texts such as "1.5"."""
        return self.is_text_of(_number)

    def is_text_of_dates(self) -> bool:
        """Return whether these are texts such as "2017-01-31"."""
        return self.is_text_of(_seconds)


def joined_numbers(parts: Sequence[Column]) -> Column:
    """Return columns whose values are arrays as one."""
    integers: list[int | None] | None = None
    if any(part.integers is not None for part in parts):
        integers = []
        for part in parts:
            integers += part.integers or [None if x != x else int(x) for x in part.values]
    values = np.concatenate([part.values for part in parts])
    return replace(parts[0], values=values, integers=integers)


@dataclass(frozen=True)
class Table:
    """Named columns with the same number of rows."""

    columns: dict[str, Column]
    rows: int
    named: bool  # by the user; the columns of an array are called x0, x1, …

    def part(self, begin: int, end: int) -> "Table":
        """Return the rows from begin to end."""
        parts = {name: column.part(begin, end) for name, column in self.columns.items()}
        return Table(parts, min(end, self.rows) - begin, self.named)

    def take(self, rows: Array) -> "Table":
        """Return these rows."""
        parts = {name: column.take(rows) for name, column in self.columns.items()}
        return Table(parts, len(rows), self.named)

    def without(self, names: Iterable[str]) -> "Table":
        """Return the table without some columns."""
        left_out = set(names)
        kept = {name: column for name, column in self.columns.items() if name not in left_out}
        return Table(kept, self.rows, self.named)


def read_table(X: Any) -> Table:
    """Return the columns of a frame, a dict of columns, a list of rows as dicts, or an array."""
    if isinstance(X, Table):
        return X
    refuse_other_objects(X)
    if isinstance(X, list | tuple) and X and all(isinstance(row, Mapping) for row in X):
        names = dict.fromkeys(name for row in X for name in row)
        X = {name: [row.get(name) for row in X] for name in names}
    if isinstance(X, Mapping):
        return _checked({_name(key): X[key] for key in X}, len(X), named=True)
    frame = _frame(X)
    if frame is not None:
        # Not `frame[name]`, which is a row if the name is a number.
        columns = {_name(one.name): one for one in frame.iter_columns()}
        return _checked(columns, len(frame.columns), named=True)
    array = _array(X)
    return _checked(
        {f"x{index}": array[:, index] for index in range(array.shape[1])}, array.shape[1], False
    )


def _checked(columns: dict[str, Any], count: int, named: bool) -> Table:
    if len(columns) != count:
        raise ValueError("two columns of the table have the same name as text; rename one")
    read, lengths = {}, {}
    for name, values in columns.items():
        try:
            read[name] = read_column(name, values)
            lengths[name] = len(read[name])
        except TypeError as error:
            if not hasattr(values, "__len__") or isinstance(
                values, str | bytes | Mapping | set | frozenset
            ):
                raise
            read[name], lengths[name] = Column(name, "others", error), len(values)
    if len(set(lengths.values())) > 1:
        of = ", ".join(f"{name!r} has {length}" for name, length in list(lengths.items())[:5])
        raise ValueError(f"the columns of the table have different numbers of rows: {of}")
    return Table(read, next(iter(lengths.values()), 0), named)


def _name(key: Any) -> str:
    """Return the name of a column as text: 0 is called "0", ("a", "b") is called "a b"."""
    return " ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def refuse_other_objects(X: Any) -> None:
    """Refuse what is no table, with the call that helps."""
    if hasattr(X, "tocsr"):
        raise TypeError(
            "X is a sparse matrix; a table has named columns: give a frame, or X.toarray()"
        )
    if isinstance(X, str | bytes):
        raise TypeError(f"X is the text {X!r:.80}; read the file first, for example by pandas")


# Frames


def _narwhals() -> Any:
    try:
        return importlib.import_module("narwhals.stable.v2")
    except ImportError as error:
        raise ImportError(
            "reading a data frame needs narwhals, which is not installed: "
            "pip install 'fastmlp[tabular]'"
        ) from error


def _frame(X: Any) -> Any:
    """Return a narwhals frame; None if X is no frame."""
    if isinstance(X, np.ndarray | Sequence) or not _is_frame(X):
        return None
    nw = _narwhals()
    try:
        frame = nw.from_native(X, allow_series=True, pass_through=True)
    except Exception as error:
        if type(error).__name__ == "DuplicateError":
            raise ValueError(
                f"two columns of the table have the same name; rename one: {error}"
            ) from error
        raise
    if isinstance(frame, nw.Series):
        raise TypeError("X is a single column; give a frame, such as X.to_frame()")
    if isinstance(frame, nw.LazyFrame):
        call = "X.collect()" if frame.implementation.is_polars() else "X.arrow() or X.collect()"
        raise TypeError(f"X is a {type(X).__name__}, which is lazy; give {call}")
    if isinstance(frame, nw.DataFrame):
        return frame
    if hasattr(X, "__arrow_c_stream__"):
        for backend in ("pyarrow", "polars", "pandas"):
            try:
                return nw.from_arrow(X, backend=backend)
            except ImportError:
                continue
        raise ImportError(
            f"reading a {type(X).__name__} needs pyarrow, polars or pandas: pip install pyarrow"
        )
    return None


def _is_frame(X: Any) -> bool:
    """Return whether X looks like a frame or a lazy one, without importing its library."""
    marks = ("__arrow_c_stream__", "__dataframe__", "__narwhals_dataframe__", "columns", "iloc")
    return any(hasattr(type(X), mark) for mark in marks)  # asked of a lazy frame, `columns` warns


def read_column(name: str, values: Any) -> Column:
    """Return a column of a frame, an array or a sequence, as plain values."""
    if not isinstance(values, np.ndarray | list | tuple) and (
        hasattr(values, "dtype") or hasattr(values, "type")
    ):
        nw = _narwhals()
        series = nw.from_native(values, series_only=True, pass_through=True)
        if isinstance(series, nw.Series):
            return _from_series(name, series, nw)
    if hasattr(values, "__array__"):
        values = np.asanyarray(values)
    if isinstance(values, NO_SEQUENCE) or not isinstance(values, Iterable):
        raise TypeError(
            f"column {name!r} is {values!r:.40}; it must be a sequence of values, one for each row "
            "and in the order of the rows"
        )
    array: Any = values if isinstance(values, np.ndarray) else _objects(list(values))
    if isinstance(array, np.ma.MaskedArray):
        array = _unmasked(array)
    if array.ndim != 1:
        raise ValueError(f"column {name!r} has shape {array.shape}; it must have one axis")
    kind = array.dtype.kind
    if kind in "iuf":
        found = array.astype(np.float64)
        integers = None if kind == "f" else _large_integers(found, array.tolist)
        return Column(name, "numbers", found, integers)
    if kind == "b":
        return Column(name, "booleans", array.astype(np.float64))
    if kind == "M":
        return Column(name, "dates", _from_datetime64(array))
    if kind == "m":
        return Column(name, "numbers", _from_timedelta64(array))
    if kind == "U":
        return Column(name, "texts", [_text(text) for text in array.tolist()])
    if kind == "O":
        return _from_objects(name, array.tolist())
    raise TypeError(
        f"column {name!r} has dtype {array.dtype}; it must hold numbers, texts, booleans or dates"
    )


def _from_series(name: str, series: Any, nw: Any) -> Column:
    dtype = series.dtype
    if dtype.is_numeric():
        found = _floats(series, nw)
        integers = _large_integers(found, lambda: _integers(series)) if dtype.is_integer() else None
        return Column(name, "numbers", found, integers)
    if dtype == nw.Boolean:
        return Column(name, "booleans", _floats(series, nw))
    if dtype == nw.String:
        return Column(name, "texts", _texts(series, nw))
    if dtype in (nw.Categorical, nw.Enum):
        return Column(name, "categories", _texts(series, nw))
    if dtype == nw.Date or dtype == nw.Datetime:
        local = series.cast(nw.Datetime("us")) if dtype == nw.Date else series
        if getattr(dtype, "time_zone", None):
            local = local.dt.replace_time_zone(None)  # the clock of the column's own zone
        seconds = _floats(local.dt.timestamp("us"), nw) / 1e6
        return Column(
            name, "dates", _unless_far(seconds, _floats(local.dt.timestamp("ms"), nw) / 1e3)
        )
    if dtype == nw.Duration:
        return Column(name, "numbers", _floats(series.dt.total_microseconds(), nw) / 1e6)
    if dtype in (nw.Object, nw.Unknown):
        missing = series.is_null().to_list()
        values = series.to_list()
        return _from_objects(
            name, [None if gone else v for v, gone in zip(values, missing, strict=True)]
        )
    raise TypeError(
        f"column {name!r} has the type {dtype}; it must hold numbers, texts, booleans, categories "
        f"or dates: convert it, or leave it out by ignore=[{name!r}]"
    )


def _floats(series: Any, nw: Any) -> Array:
    try:
        return np.array(series.cast(nw.Float64).to_numpy(), dtype=np.float64)
    except ValueError:  # pyarrow refuses to round integers beyond 2**53
        return _filled(series.to_list(), _float)


def _integers(series: Any) -> list[int | None]:
    missing = series.is_null().to_list()
    return [None if gone else int(v) for v, gone in zip(series.to_list(), missing, strict=True)]


def _large_integers(
    found: Array, integers: Callable[[], list[int | None]]
) -> list[int | None] | None:
    """Return the integers that these numbers were made of, if float64 does not have all of them."""
    sizes = np.abs(found)
    return integers() if np.any(sizes >= INTEGERS_END) and not np.any(sizes > LARGEST) else None


def _texts(series: Any, nw: Any) -> list[str | None]:
    """Return texts and None: never by `to_numpy`, for which pyarrow may give a wrong level."""
    missing = series.is_null().to_list()  # before the cast, which may turn NaN into text
    values = series.cast(nw.String).to_list()
    return [None if gone else _text(v) for v, gone in zip(values, missing, strict=True)]


# Arrays and objects


def _array(X: Any) -> Array:
    """Return an array with two axes; a list that mixes numbers and texts keeps both."""
    array = np.ma.asanyarray(X) if isinstance(X, np.ma.MaskedArray) else np.asarray(X)
    if array.dtype.kind in "US" and not isinstance(X, np.ndarray):
        array = np.asarray(X, dtype=object)
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: X has dtype {array.dtype}")
    if array.ndim != 2:
        hint = {
            0: "a table has rows and columns",
            1: "Reshape your data either using array.reshape(-1, 1) if your data has a single "
            "feature or array.reshape(1, -1) if it contains a single sample.",
        }.get(array.ndim, "a table has two axes")
        raise ValueError(f"X has shape {array.shape}. Expected 2D array: {hint}")
    return array


def _objects(values: list[Any]) -> Array:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _unmasked(array: Any) -> Any:
    """Return a masked array as a plain one, with None where a value is masked."""
    if not np.ma.is_masked(array):
        return array.data
    plain = array.data.astype(object)
    plain[np.ma.getmaskarray(array)] = None
    return plain


def _from_objects(name: str, values: list[Any]) -> Column:
    """Return a column of Python objects; what they are decides what it holds."""
    values = [None if _is_missing(value) else value for value in values]
    there = [value for value in values if value is not None]
    if not there:
        return Column(name, "numbers", np.full(len(values), math.nan))
    if all(isinstance(value, bool | np.bool_) for value in there):
        return Column(name, "booleans", _filled(values, float))
    if all(map(_is_real, there)):
        found = _filled(values, _float)
        is_whole = all(isinstance(value, numbers.Integral) for value in there)
        integers = _large_integers(found, lambda: _as_int(values)) if is_whole else None
        return Column(name, "numbers", found, integers)
    if all(isinstance(value, datetime.date | np.datetime64) for value in there):
        return Column(name, "dates", _filled(values, _seconds_of))
    if all(isinstance(value, datetime.timedelta | np.timedelta64) for value in there):
        found = _filled(values, lambda v: _from_timedelta64(np.array([np.timedelta64(v)]))[0])
        return Column(name, "numbers", found)
    known = str | bool | np.bool_
    odd = next((v for v in there if not isinstance(v, known) and not _is_real(v)), None)
    if odd is not None:
        raise TypeError(
            f"column {name!r} holds {odd!r:.40} of type {type(odd).__name__}; argument must be a "
            "string or a number, a boolean or a date: convert the column, or leave it out by "
            f"ignore=[{name!r}]"
        )
    return Column(name, "texts", [None if v is None else _text(_object_text(v)) for v in values])


def _filled(values: list[Any], convert: Any) -> Array:
    return np.array([math.nan if value is None else convert(value) for value in values], float)


def _is_real(value: Any) -> bool:
    is_real = isinstance(value, numbers.Real | decimal.Decimal)
    return is_real and not isinstance(value, np.timedelta64)  # NumPy calls it an integer


def _float(value: Any) -> float:
    """Return a number as float64; one that is too large becomes infinite."""
    try:
        return float(value)
    except OverflowError:
        return -math.inf if value < 0 else math.inf


def _as_int(values: list[Any]) -> list[int | None]:
    return [None if value is None else int(value) for value in values]


def _is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, NaT or pandas.NA."""
    if value is None or type(value).__name__ == "NAType":
        return True
    if isinstance(value, decimal.Decimal):
        return value.is_nan()  # a signaling NaN cannot be compared
    if isinstance(value, float | np.floating | np.datetime64 | np.timedelta64):
        return bool(value != value)
    return type(value).__name__ == "NaTType"


def _object_text(value: Any) -> str:
    if isinstance(value, str | bool | np.bool_):
        return str(value)
    number = _float(value)
    is_whole = isinstance(value, numbers.Integral) and abs(number) < LARGEST
    return str(int(value)) if is_whole else _number_text(number)


def _text(text: str | None) -> str | None:
    """Return the text; an empty one counts as missing."""
    return None if text is None or not text.strip() else text


def _number(text: str) -> float | None:
    text = text.strip()
    return float(text) if NUMBER.fullmatch(text) else None


def _boolean(text: str) -> float | None:
    return {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}.get(text.strip().lower())


def _number_text(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(float(value))


# Dates


def _seconds(text: str) -> float | None:
    """Return the seconds from 1970 to a date in ISO 8601, on the clock of its own time zone."""
    found = DATE.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second = found.groups()
    try:
        days = datetime.date(int(year), int(month), int(day)).toordinal() - EPOCH
    except ValueError:
        return None
    if int(hour or 0) > 23 or int(minute or 0) > 59 or float(second or 0) >= 60:
        return None
    return days * DAY + int(hour or 0) * 3600 + int(minute or 0) * 60 + float(second or 0)


def _warn_of_digits(name: str, found: Array) -> None:
    """Warn of numbers that all are dates without dashes, such as 20170131."""
    there = found[~np.isnan(found)]
    if len(there) and np.all((there >= 18000101) & (there <= 22001231) & (there % 1 == 0)):
        digits = [str(int(value)) for value in np.unique(there)]
        if all(_seconds(f"{text[:4]}-{text[4:6]}-{text[6:]}") is not None for text in digits):
            warnings.warn(
                f"column {name!r} holds numbers such as {digits[0]}, which are taken as seconds "
                "since 1970; for a date, give a text such as "
                f"'{digits[0][:4]}-{digits[0][4:6]}-{digits[0][6:]}'",
                UserWarning,
                stacklevel=2,
            )


def _seconds_of(value: Any) -> float:
    if isinstance(value, np.datetime64):
        return float(_from_datetime64(np.array([value]))[0])
    days = float(value.toordinal() - EPOCH) * DAY
    if not isinstance(value, datetime.datetime):
        return days
    seconds = value.second + value.microsecond / 1e6
    return float(days + value.hour * 3600 + value.minute * 60 + seconds)


def _from_datetime64(array: Array) -> Array:
    seconds = array.astype("datetime64[us]").astype(np.int64) / 1e6
    days = array.astype("datetime64[D]").astype(np.int64)
    return np.where(np.isnat(array), math.nan, _unless_far(seconds, days * DAY))


def _from_timedelta64(array: Array) -> Array:
    seconds = array.astype("timedelta64[us]").astype(np.float64) / 1e6
    days = array.astype("timedelta64[D]").astype(np.float64)
    return np.where(np.isnat(array), math.nan, _unless_far(seconds, days * DAY))


def _unless_far(seconds: Array, rough: Array) -> Array:
    """Return seconds; infinity where microseconds have overflowed, unlike a rougher unit."""
    return np.where(np.abs(rough - seconds) > DAY, np.copysign(math.inf, rough), seconds)


def _date_text(seconds: float) -> str:
    if not 1 <= seconds // DAY + EPOCH <= datetime.date.max.toordinal():
        return str(np.datetime64(int(seconds), "s"))
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    return moment.date().isoformat() if seconds % DAY == 0 else moment.isoformat()


EPOCH = datetime.date(1970, 1, 1).toordinal()
