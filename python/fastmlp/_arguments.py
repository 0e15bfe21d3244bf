"""The arguments of `fit` and of the constructors: what is allowed, and the errors for the rest.

Shapes, dtypes and ranges of arrays are the networks' own to check, in `_validate`.
"""

import importlib
import operator
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastmlp._core import Optimizer

if TYPE_CHECKING:
    from fastmlp._training_loop import Trainable

Array = npt.NDArray[Any]
Callback = Callable[[Any, int, dict[str, float]], object]

# 512 KiB of float64 at a time: a block stays in cache, and a data set is never converted at once.
FINITE_CHECK_ELEMENTS = 65536


class Data(NamedTuple):
    """Rows to train on or to validate with, as arrays."""

    X: Array
    y: Array
    sample_weight: Array | None


def positive_integer(function: str, name: str, value: Any) -> int:
    """Value as an int, or a ValueError; a bool is no integer here."""
    try:
        number = 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"{function}: {name} is {value!r}; it must be a positive integer")
    return number


def resolve_seed(seed: Any, function: str = "Network") -> int:
    """Make a seed of 64 bits.

    Parameters
    ----------
    seed : int, numpy.random.Generator or None
        An int is taken as it is; from a generator one is drawn; None is fresh entropy.
    function : str
        For the messages: whose seed it is.

    Returns
    -------
    int
        In [0, 2**64).

    Raises
    ------
    TypeError
        If seed is none of these; a bool is not an int here.
    ValueError
        If the int is outside [0, 2**64).

    Examples
    --------
    >>> resolve_seed(7)
    7
    """
    if seed is None:
        return int.from_bytes(os.urandom(8), "little")
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(2**64 - 1, dtype=np.uint64, endpoint=True))
    rule = "it must be an int in [0, 2**64), a numpy.random.Generator or None"
    try:
        number = None if isinstance(seed, bool) else operator.index(seed)
    except TypeError:
        number = None
    if number is None:
        raise TypeError(f"{function}: seed is {seed!r}; {rule}")
    if not 0 <= number < 2**64:
        raise ValueError(f"{function}: seed is {number}; {rule}")
    return number


def callback_tuple(callbacks: Iterable[Callback]) -> tuple[Callback, ...]:
    """Return the callbacks, each sure to be callable."""
    rule = "it must be a sequence of callables"
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"fit: callbacks is {callbacks!r}; {rule}")
    collected = tuple(callbacks)
    if not all(callable(callback) for callback in collected):
        raise TypeError(f"fit: callbacks is {collected!r}; {rule}")
    return collected


def dropout_rates(dropout: Any, n_hidden: int, optimizer: Any) -> tuple[float, ...] | None:
    """Return a rate for each hidden layer, or None where no unit is left out."""
    if dropout is None:
        return None
    rule = "it must be a number in [0, 1), or one for each of the hidden layers"
    try:
        rates = np.asarray(dropout, dtype=float)
        if rates.shape not in ((), (n_hidden,)):
            raise ValueError
        each = tuple(np.broadcast_to(rates, n_hidden).tolist())
    except (TypeError, ValueError):
        raise ValueError(f"fit: dropout is {dropout!r}; {rule}, {n_hidden} here") from None
    if not all(0 <= rate < 1 for rate in each):
        raise ValueError(f"fit: dropout is {dropout!r}; {rule}")
    if any(each) and not isinstance(optimizer, Optimizer):
        raise ValueError(
            f"fit: dropout is {dropout!r}; {type(optimizer).__name__} takes all rows "
            "at once, with the same units each time"
        )
    return each if any(each) else None


def progress_bar_class() -> Any:
    """Return tqdm's bar for this terminal or notebook."""
    try:
        return importlib.import_module("tqdm.auto").tqdm
    except ImportError as error:
        raise ImportError(
            "fit: progress=True needs tqdm, which is not installed: pip install 'fastmlp[progress]'"
        ) from error


def training_data(network: "Trainable", prefix: str, X: Any, y: Any, sample_weight: Any) -> Data:
    """Return the data as arrays that this network can be trained on.

    `prefix` opens the messages. Finiteness comes before `_validate`, whose range check would name
    a NaN in y without its place.
    """
    data = Data(
        X=_apart(network, _real_array(prefix, "X", X)),
        y=_apart(network, _real_array(prefix, "y", y)),
        sample_weight=(
            None if sample_weight is None else _real_array(prefix, "sample_weight", sample_weight)
        ),
    )
    for name, values in data._asdict().items():
        if values is not None:
            _check_finite(f"{prefix}: {name}", values, network.dtype)
    network._validate(prefix, *data)
    if len(data.X) == 0:
        raise ValueError(f"{prefix}: X has shape {data.X.shape}; there must be at least one row")
    return data


def validation_data_or_none(network: "Trainable", given: Any) -> Data | None:
    """Return the validation data as arrays, or None."""
    if given is None:
        return None
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        size = f" of {len(given)} items" if isinstance(given, tuple | list) else ""
        raise ValueError(
            f"fit: validation_data is a {type(given).__name__}{size}; "
            "it must be (X, y) or (X, y, sample_weight)"
        )
    X, y, sample_weight = given if len(given) == 3 else (*given, None)
    return training_data(network, "fit: validation_data", X, y, sample_weight)


def _apart(network: "Trainable", array: Array) -> Array:
    """Return the array, or a copy where training would change what it is a view of."""
    return array.copy() if np.may_share_memory(array, network.parameters) else array


def _real_array(prefix: str, name: str, values: Any) -> Array:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{prefix}: {name} has dtype {array.dtype}; it must hold real numbers "
            "(bool, integer or floating point)"
        )
    return array


def _check_finite(what: str, values: Array, dtype: np.dtype[Any]) -> None:
    """Refuse values that are not finite in the network's dtype, where 1e300 may be infinite."""
    if values.dtype.kind != "f" or values.ndim not in (1, 2):
        return  # Integers are finite in both dtypes; other shapes are `_validate`'s to refuse.
    table = values if values.ndim == 2 else values[:, np.newaxis]
    rows = max(1, FINITE_CHECK_ELEMENTS // max(1, table.shape[1]))
    for start in range(0, len(table), rows):
        block = table[start : start + rows]
        with np.errstate(over="ignore"):  # What overflows is reported below.
            finite = np.isfinite(block.astype(dtype, copy=False))
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise ValueError(
                f"{what} has {block[row, column]} at row {start + row}, column {column}; "
                f"every value must be finite in {dtype}"
            )
