"""`fit(standardize=True)`: the scaling of the rows, and the epochs trained on scaled rows.

The network holds the scaling and does the arithmetic (`docs/mathematics.md`, "Scaling"). Its
parameters are those for raw rows except during an epoch. Start at `measured`.
"""

from collections.abc import Callable

import numpy as np

from fastmlp._trainable import Array, Data, Trainable

Scaling = dict[str, Array]

# A float32 has 24 bits. Up to this quotient of mean and scale, at least 8 of them are left for the
# differences between the rows.
MOST_QUOTIENT = 65536.0


def measured(
    network: Trainable, data: Data, names: tuple[str, ...] | None, of_targets: bool
) -> Scaling | None:
    """Return the scaling of these rows; None if the network has one, which it keeps."""
    if network.scaling is not None:
        return None
    scaling: Scaling = network._measure_scaling(*(data if of_targets else data._replace(y=None)))
    if network.dtype == np.float32:
        _check_quotients(scaling, "input", names or network.feature_names)
        _check_quotients(scaling, "output", None)
    return scaling


def _check_quotients(scaling: Scaling, side: str, names: tuple[str, ...] | None) -> None:
    if f"{side}_mean" not in scaling:
        return
    mean, scale = scaling[f"{side}_mean"], scaling[f"{side}_scale"]
    wrong = np.flatnonzero(np.abs(mean) / scale > MOST_QUOTIENT)
    if wrong.size:
        j = int(wrong[0])
        column = f"column {names[j]!r} of X" if names else f"column {j} of X"
        raise ValueError(
            f"fit: {column if side == 'input' else f'column {j} of y'} has mean {mean[j]:.6g} and "
            f"standard deviation {scale[j]:.3g}; |mean| / deviation must be at most 65536, because "
            "float32 cannot tell its values apart. Subtract a constant from the column, or use "
            "dtype='float64'"
        )


def begin(network: Trainable, scaling: Scaling) -> None:
    """Give the network its scaling before the first epoch."""
    if network.epochs_trained > 0:
        network.scaling = scaling  # it goes on from what it has learned on raw rows
    else:
        network.fold_scaling(**scaling)  # its weights were drawn for scaled rows


def on_scaled_rows(network: Trainable, epoch: Callable[[], float]) -> float:
    """Run an epoch with the scaling taken out of the parameters; put it back whatever happens."""
    try:
        network._unfold_scaling()
        return epoch()
    finally:
        network._refold_scaling()
