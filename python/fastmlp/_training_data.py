"""The data that `fit` is given, as arrays: what is refused, and with which advice.

Shapes and ranges are checked by the network itself, in `_validate`. Frames become arrays in
_frames.py. Start at `training_data`.
"""

from typing import Any

import numpy as np

from fastmlp._advice import about_targets
from fastmlp._frames import Frame, as_array, frame_of, is_sparse, refuse_masked, require_real
from fastmlp._own_loss import targets
from fastmlp._trainable import Array, Data, OwnLoss, Trainable, require_number

# Finiteness is checked in blocks of 512 KiB of float64: a block stays in cache, and no data set is
# ever converted as a whole.
FINITE_CHECK_ELEMENTS = 65536


# The epoch whose shuffle chooses the rows of `validation_split`. No training reaches it, because
# `epochs_trained` is at most 2^62.
SPLIT_EPOCH = 2**62 + 1


def divided(
    network: Trainable, data: Data, validation: Data | None, split: float, seed: int
) -> tuple[Data, Data | None]:
    """Return the rows to train on and those to validate with, both in their old order.

    With a split these are parts of data, which depend on the seed and the number of rows alone.
    """
    if not split:
        return data, validation
    rows, weight = len(data.X), data.sample_weight
    held_out = max(1, round(split * rows))
    if held_out >= rows:
        raise ValueError(
            f"fit: validation_split is {split} and X has {rows} row{'s' if rows > 1 else ''}; at "
            "least one must be left to train on"
        )
    order = network._permutation(rows, seed, SPLIT_EPOCH)
    training, validation = (
        Data(data.X[chosen], data.y[chosen], weight if weight is None else weight[chosen])
        for chosen in (np.sort(order[held_out:]), np.sort(order[:held_out]))
    )
    for part, name in ((training, "the rows to train on"), (validation, "the validation rows")):
        if part.sample_weight is not None and not part.sample_weight.any():
            raise ValueError(f"fit: with validation_split={split}, {name} all have weight 0")
    return training, validation


def checked_split(split: Any, validation_data: object) -> float:
    """Return the share of the rows to validate with."""
    require_number(
        "fit", "validation_split", split, lambda share: 0.0 <= share < 1.0, "at least 0 and below 1"
    )
    if split and validation_data is not None:
        raise ValueError(
            f"fit: validation_split is {split!r} and validation_data is given; give one of them"
        )
    return float(split)


def training_data(
    network: Trainable, prefix: str, X: Any, y: Any, sample_weight: Any, loss: OwnLoss | None = None
) -> Data:
    """Return the data as arrays that this network, or `loss` of the user, can be trained on.

    Every message begins with `prefix`. Finiteness is checked before `_validate` is called, because
    the range check there would refuse a NaN in y without saying where it is.
    """
    given = {"X": X, "y": y, "sample_weight": sample_weight}
    if loss is not None:
        del given["y"]
    arrays: dict[str, Any] = {
        name: _apart(network, _real_array(f"{prefix}: {name}", values, network))
        for name, values in given.items()
        if name != "sample_weight" or values is not None
    }
    data = Data(**{"y": None, "sample_weight": None, **arrays})
    for name, values in arrays.items():
        dtype = np.dtype(np.float64) if name == "sample_weight" else network.dtype
        _check_finite(f"{prefix}: {name}", values, dtype, frame_of(given[name]))
    try:
        network._validate(prefix, *data)
    except ValueError as error:
        advice = about_targets(network, data.y) if ": y" in str(error) else None
        if advice is None:
            raise
        raise ValueError(f"{error}; {advice}") from None
    if len(data.X) == 0:
        raise ValueError(f"{prefix}: X has shape {data.X.shape}; there must be at least one row")
    return data if loss is None else data._replace(y=targets(prefix, loss, y, len(data.X)))


def _apart(network: Trainable, array: Array) -> Array:
    """Return the array, or a copy if it may be a view of the parameters, which training changes."""
    return array.copy() if np.may_share_memory(array, network.parameters) else array


def _real_array(what: str, values: Any, network: Trainable) -> Array:
    refuse_masked(what, values)
    if is_sparse(values):
        name = what.rpartition(": ")[2]
        raise TypeError(
            f"{what} is a sparse matrix, which fit does not take; give {name}.toarray(), or train "
            "with train_epoch, which takes CSR matrices"
        )
    array = as_array(what, values, network)
    require_real(what, array)
    return array


def _check_finite(what: str, values: Array, dtype: np.dtype[Any], frame: Frame | None) -> None:
    """Refuse values that are not finite in this dtype; 1e300 is infinite in float32."""
    if values.dtype.kind in "biu" or values.ndim not in (1, 2):
        return  # Integers are finite in both dtypes; `_validate` refuses other shapes.
    table = values if values.ndim == 2 else values[:, np.newaxis]
    rows = max(1, FINITE_CHECK_ELEMENTS // max(1, table.shape[1]))
    for start in range(0, len(table), rows):
        block = table[start : start + rows]
        with np.errstate(all="ignore"):  # The error below reports both.
            finite = np.isfinite(block.astype(dtype, copy=False))
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            value, at = block[row, column], f"row {start + row}"
            at += f", column {column}" if values.ndim == 2 else ""
            if frame is not None:
                frame.refuse_nan(what, column)
                value, at = frame.value(start + row, column), f"row {start + row} of column "
                at += repr(frame.names[column])
            raise ValueError(f"{what} has {value} at {at}; every value must be finite in {dtype}")


def validation_data_or_none(network: Trainable, given: Any, loss: OwnLoss | None) -> Data | None:
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
    if loss is not None and sample_weight is not None:
        raise ValueError(
            "fit: validation_data has a sample_weight, which is for the losses of the library; let "
            "loss apply it itself"
        )
    return training_data(network, "fit: validation_data", X, y, sample_weight, loss)
