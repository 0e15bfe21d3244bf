"""Data frames and other objects that hold numbers: how they become one array.

The bindings and `fit` call `as_array` for everything that is no NumPy array, list or tuple. A frame
is read column by column through what its library offers to NumPy; no library of frames is imported
unless the object is one that only pyarrow, polars or pandas can read. Start at `as_array`.
"""

from __future__ import annotations  # annotations alone must not import numpy.random

import importlib
import numbers
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

ENCODE = "encode it, or use fastmlp.tabular"
# Names in a message, of at most so many columns.
SHOWN = 5
# The result has its rows one after the other. It is written block by block, and a line of the cache
# holds 16 columns of float32.
COLUMNS_AT_ONCE, ROWS_AT_ONCE = 16, 4096
# So few numbers are converted faster as a whole, if pandas has them in one NumPy dtype.
FEW_NUMBERS = 65536
# The devices of DLPack whose memory NumPy can read: the CPU, and memory of CUDA and ROCm that is in
# or mapped to main memory.
MAIN_MEMORY = (1, 3, 11, 13)
BUILTIN_DTYPES = 24  # numbered from 0; the numbers of other dtypes are larger, or negative


class Frame(NamedTuple):
    """The columns of a data frame. NumPy can read each of them."""

    names: Sequence[Any]
    columns: Sequence[Any]

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """The names; None if not all of them are strings."""
        names = tuple(self.names)
        return names if names and all(isinstance(name, str) for name in names) else None

    def refuse_nan(self, what: str, column: int) -> None:
        """Raise ValueError if there is NaN in this column, which is one of floats."""
        count = int(np.isnan(np.asarray(self.columns[column], np.float64)).sum())
        if count:
            raise missing_values(f"{what}: column {self.names[column]!r}", count)

    def refuse_any_nan(self, what: str) -> None:
        """Raise ValueError if there is NaN in a column."""
        for i, column in enumerate(self.columns):
            if np.asarray(column).dtype.kind == "f":
                self.refuse_nan(what, i)

    def value(self, row: int, column: int) -> Any:
        """One value, before it is converted to the dtype of a network."""
        return np.asarray(self.columns[column])[row]


def frame_of(values: Any) -> Frame | None:
    """Return the columns of a frame of pandas, polars or pyarrow; None for anything else."""
    if isinstance(values, np.ndarray | list | tuple):
        return None
    if hasattr(values, "iloc") and getattr(values, "ndim", 0) == 2:  # pandas
        return Frame(list(values.columns), [column for _, column in values.items()])
    if hasattr(values, "get_columns"):  # polars
        return Frame(values.columns, values.get_columns())
    if hasattr(values, "column_names") and hasattr(values, "columns"):  # pyarrow
        return Frame(values.column_names, values.columns)
    return None


def feature_names(values: Any) -> tuple[str, ...] | None:
    """Return the names of a frame's columns to remember; None for an array.

    None also if they are not all strings, or if one is there twice.
    """
    frame = frame_of(values)
    names = None if frame is None else frame.feature_names
    return names if names is not None and len(set(names)) == len(names) else None


# The functions that read an object with this attribute, in the order of preference.
READERS = {
    "__arrow_c_stream__": (("pyarrow", "table"), ("polars", "DataFrame")),
    "__dataframe__": (
        ("pyarrow.interchange", "from_dataframe"),
        ("pandas.api.interchange", "from_dataframe"),
    ),
}


def readable(what: str, values: Any) -> Any:
    """Return values, or what a library makes of it if NumPy cannot read its columns.

    An Arrow stream is used up by this.
    """
    if type(values).__name__ == "LazyFrame":
        raise TypeError(f"{what} is a LazyFrame; call collect() on it")
    # NumPy reads what has `__array__`; without columns it is an array and no frame.
    if hasattr(values, "__array__") and not hasattr(values, "columns"):
        return values
    if any(hasattr(values, name) for name in ("iloc", "get_columns", "column_names")):
        return values
    for attribute, readers in READERS.items():
        for module, function in readers if hasattr(values, attribute) else ():
            try:
                read = getattr(importlib.import_module(module), function)
            except ImportError:
                continue
            return read(values)
        if hasattr(values, attribute) and not hasattr(values, "__array__"):
            raise ImportError(
                f"{what} is a {type(values).__name__}, which needs pyarrow: pip install pyarrow"
            )
    return values


def as_array(what: str, values: Any, network: Any = None) -> Array:
    """Return a frame, a column or anything else that holds numbers as an array.

    Parameters
    ----------
    what : str
        The function and the argument, such as "forward: X", with which every message begins.
    values : object
        A frame becomes an array of two dimensions and of the network's dtype, a column one of one
        dimension. Anything else is read by `numpy.asarray`.
    network : Network, optional
        The one that the call is for. The columns of X must be those of its `feature_names`.

    Returns
    -------
    ndarray
        Its dtype may be one that `require_real` refuses, if values is no frame and no column.
    """
    if is_sparse(values):
        refuse_sparse(what, values)
    values = readable(what, values)
    frame = frame_of(values)
    if frame is not None:
        if network is None:
            return np.stack([numbers_in(*column) for column in _described(what, frame)], axis=1)
        if what.endswith(": X"):
            require_names(what, frame.feature_names, getattr(network, "feature_names", None))
        if len(values) * len(frame.names) <= FEW_NUMBERS and _has_one_dtype(values):
            return np.asarray(values)
        return joined(what, frame, network.dtype)
    if hasattr(values, "isna") or hasattr(values, "null_count"):  # pandas; polars and pyarrow
        return numbers_in(what, values)
    return _read(what, values)


def _read(what: str, values: Any) -> Array:
    """Return what NumPy reads as an array; a tensor in main memory is not copied."""
    is_tensor = hasattr(values, "__dlpack__") or hasattr(values, "__cuda_array_interface__")
    if isinstance(values, np.ndarray) or not is_tensor:
        return np.asarray(values)
    library, _, dtype = str(getattr(values, "dtype", "")).rpartition(".")
    try:
        # PyTorch has its own small floats ("torch.bfloat16"), JAX those of ml_dtypes ("bfloat16").
        if library and dtype.startswith(("bfloat16", "float8")):
            values = values.float()
        if hasattr(values, "__array__"):
            return np.asarray(values)
        if not hasattr(values, "__dlpack__") or values.__dlpack_device__()[0] not in MAIN_MEMORY:
            raise TypeError("it is in the memory of a GPU; copy it to main memory first")
        return np.from_dlpack(values)
    except MemoryError:
        raise
    except Exception as error:  # each library has its own
        kind, reason = type(values), str(error).partition("\n")[0]
        name = f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
        raise TypeError(f"{what} is a {name}, which NumPy cannot read: {reason}") from error


def refuse_masked(what: str, values: Any) -> None:
    """Refuse a masked array, or a list of arrays, in which a value is masked.

    A conversion to a plain array drops the mask and uses the hidden values. The bindings have the
    same function for what native calls are given (array.cpp).
    """
    for item in (values, *(values if isinstance(values, list | tuple) else ())):
        mask = getattr(item, "mask", None) if isinstance(item, np.ndarray) else None
        if isinstance(mask, np.ndarray) and mask.any():
            raise ValueError(
                f"{what} has masked values; replace them, for example by filled(), or leave their "
                "rows out"
            )


def joined(what: str, frame: Frame, dtype: np.dtype[Any]) -> Array:
    """Return the columns side by side."""
    columns = list(_described(what, frame))
    rows = len(frame.columns[0]) if columns else 0
    table = np.empty((rows, len(columns)), dtype)
    with np.errstate(all="ignore"):  # as in every other conversion to float32
        for first in range(0, len(columns), COLUMNS_AT_ONCE):
            group = columns[first : first + COLUMNS_AT_ONCE]
            arrays = [numbers_in(*column) for column in group]
            for start in range(0, rows, ROWS_AT_ONCE):
                block = slice(start, start + ROWS_AT_ONCE)
                for i, array in enumerate(arrays, start=first):
                    table[block, i] = array[block]
    return table


def _has_one_dtype(values: Any) -> bool:
    """Whether this is a frame of pandas whose columns have the same NumPy dtype, of numbers."""
    dtypes = set(values.dtypes) if hasattr(values, "iloc") else set()
    return len(dtypes) == 1 and all(isinstance(d, np.dtype) and d.kind in "biuf" for d in dtypes)


def _described(what: str, frame: Frame) -> Iterator[tuple[str, Any]]:
    """Yield each column after the words that a message names it by."""
    for name, column in zip(frame.names, frame.columns, strict=True):
        yield f"{what}: column {name!r}", column


def numbers_in(what: str, column: Any) -> Array:
    """Return a column as an array; refuse it unless all of its values are real numbers."""
    try:
        array = np.asarray(column)
    except MemoryError:
        raise
    except Exception as error:  # each library has its own
        raise TypeError(
            f"{what} has dtype {_dtype(column)}, which NumPy cannot read: {error}"
        ) from None
    if array.ndim != 1 or array.dtype.kind not in "biufO":
        raise TypeError(f"{what} holds {content(array)} (dtype {_dtype(column)}): {advice(what)}")
    missing = _missing(column)
    if array.dtype.kind == "O":
        others = [value for value in array if not _is_number(value)]
        given = [value for value in others if not _is_missing(value)]
        if given:
            raise TypeError(
                f"{what} holds {content(array)} (dtype {_dtype(column)}): {advice(what)}"
            )
        missing = missing or len(others)
    if missing:
        raise missing_values(what, missing)
    if array.dtype.kind != "O":
        return array
    try:
        return array.astype(np.float64)
    except OverflowError:
        raise ValueError(f"{what} has an integer that is too large for float64") from None


def missing_values(what: str, count: int) -> ValueError:
    """Return the error for a column that has missing values."""
    return ValueError(
        f"{what} has {count} missing value{'s' if count > 1 else ''}: fill them in or leave their "
        "rows out, or use fastmlp.tabular"
    )


def _dtype(column: Any) -> Any:
    """Return what the column's library calls its type."""
    return getattr(column, "dtype", None) or getattr(column, "type", None) or "object"


def _missing(column: Any) -> int:
    """Count the missing values. NaN in a plain column of floats is a number."""
    if hasattr(column, "isna"):  # pandas
        return 0 if isinstance(column.dtype, np.dtype) else int(column.isna().sum())
    count = getattr(column, "null_count", 0)  # polars has a method, pyarrow a property
    return int(count() if callable(count) else count)


def _is_number(value: Any) -> bool:
    """Whether this is a real number and not NaN."""
    if isinstance(value, Decimal):
        return not value.is_nan()  # a signaling NaN cannot be compared
    return isinstance(value, numbers.Real | np.bool_) and bool(value == value)


def _is_missing(value: Any) -> bool:
    return isinstance(value, float | Decimal) or type(value).__name__ in MISSING


MISSING = ("NoneType", "NAType", "NaTType")
KINDS = {"S": "bytes", "T": "strings", "M": "dates", "m": "durations"}


def content(array: Array) -> str:
    """Say in a word or two what an array holds that are no numbers."""
    if array.ndim != 1 and array.dtype.kind in "biuf":
        return "several values in a row"
    if array.dtype.kind not in "OU":
        return KINDS.get(array.dtype.kind, f"values of dtype {array.dtype}")
    for value in array.flat:
        if isinstance(value, str):
            return f"strings, such as {str(value[:40])!r}"
        if hasattr(value, "isoformat"):
            return "dates"
        if not _is_number(value) and not _is_missing(value):
            return f"objects of type {type(value).__name__}"
    return "numbers as objects"


def advice(what: str) -> str:
    """Say what to do about values that are no numbers."""
    if what.endswith(": y"):
        return (
            "numpy.unique(y, return_inverse=True) gives the labels and their class numbers; "
            "give the numbers as y. fastmlp.tabular and fastmlp.sklearn take the labels themselves"
        )
    return ENCODE


def is_real(dtype: np.dtype[Any]) -> bool:
    """Whether this is a dtype of real numbers: one of NumPy's, or a small one of ml_dtypes."""
    if 0 <= dtype.num < BUILTIN_DTYPES:
        return dtype.kind in "biuf"
    is_known = dtype.itemsize == 1 or dtype.name == "bfloat16"  # as array_convert.cpp does
    return is_known and np.can_cast(dtype, np.float32)


def require_real(what: str, array: Array) -> None:
    """Raise TypeError for an array that does not hold real numbers."""
    if is_real(array.dtype):
        return
    rule = f"{what} has dtype {array.dtype}; it must be real numbers"
    held = content(array) if array.dtype.kind in "UTO" and array.ndim > 0 else ""
    if held == "numbers as objects":
        missing = any(not _is_number(value) for value in array.flat)
        raise TypeError(f"{rule}, none missing" if missing else f"{rule}: call astype(float) on it")
    if held.startswith("strings"):
        raise TypeError(f"{rule}, and holds {held}: {advice(what)}")
    raise TypeError(rule)


def is_sparse(values: Any) -> bool:
    """Whether this is a sparse matrix of SciPy. A frame may have a column of any name."""
    return hasattr(type(values), "tocsr")


def refuse_sparse(what: str, values: Any) -> NoReturn:
    """Raise TypeError for a sparse matrix where the call takes none, or not of this format."""
    form = f", in the format {values.format!r}" if hasattr(values, "format") else ""
    way_out = "call toarray() on it"
    if what.endswith(": X") and getattr(values, "format", "") != "csr":
        way_out = "call tocsr() on it, or toarray()"
    raise TypeError(f"{what} is a sparse matrix{form}; {way_out}")


def require_names(
    what: str, given: tuple[str, ...] | None, expected: tuple[str, ...] | None
) -> None:
    """Refuse columns that are not those of training, in their order."""
    if given is None or expected is None or given == tuple(expected):
        return
    absent = [name for name in expected if name not in set(given)]
    new = [name for name in given if name not in set(expected)]
    parts = []
    if absent:
        parts.append(f"lacks the {_listed(absent)}, which the network was trained on")
    if new:
        parts.append(f"has the {_listed(new)}, which the network was not trained on")
    way_out = "give X[list(network.feature_names)]"
    if absent:
        way_out = "the network's feature_names lists the columns"
    elif len(set(given)) < len(given):
        parts.append("has some columns more than once")
        way_out = "leave the others out"
    elif not new:
        parts.append("has its columns in another order")
    raise ValueError(f"{what} {' and '.join(parts)}; {way_out}")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:SHOWN]))
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"column{'s' if len(names) > 1 else ''} {shown}{more}"
