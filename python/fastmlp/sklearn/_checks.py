"""What the estimators refuse and scikit-learn does not, because the result would be wrong.

scikit-learn's own checks come first; these take over where they end. Start at `check_training`.
"""

from typing import Any

import numpy as np
from scipy.sparse import issparse

from fastmlp import _frames
from fastmlp.sklearn._network_mirror import Array, parameter_dtype


def refuse_masked(estimator: Any, **arrays: Any) -> None:
    """Refuse masked values: scikit-learn drops the mask and uses the hidden values."""
    for name, values in arrays.items():
        _frames.refuse_masked(f"{type(estimator).__name__}: {name}", values)


def check_training(estimator: Any, X: Any, y: Array, first_pass: bool) -> None:
    """Refuse rows, already checked by scikit-learn, that the network cannot be trained on."""
    if not first_pass:
        check_structure(estimator, y)
    if estimator.solver != "lbfgs":  # which trains in float64
        dtype = X.dtype if first_pass else parameter_dtype(estimator)
        check_range(estimator, "X", X, dtype)
        check_range(estimator, "y", y, dtype)


def check_structure(estimator: Any, y: Array) -> None:
    """Refuse to go on training a network that is not the one the parameters and y describe."""
    *hidden, n_outputs = [W.shape[1] for W in estimator.coefs_]
    sizes = np.atleast_1d(estimator.hidden_layer_sizes).tolist()
    if sizes != hidden:
        what = f"hidden_layer_sizes is {estimator.hidden_layer_sizes!r}, but the fitted network "
        what += f"has the hidden layers {tuple(hidden)}"
    elif y.reshape(len(y), -1).shape[1] != n_outputs:
        what = f"y has shape {y.shape}, but the fitted network has {n_outputs} outputs"
    elif estimator.loss != "log_loss" and output_of(estimator.loss) != estimator.out_activation_:
        what = f"loss is {estimator.loss!r}, but the fitted network has the output activation "
        what += repr(estimator.out_activation_)
    else:
        return
    raise ValueError(
        f"{type(estimator).__name__}: {what}. warm_start=True and partial_fit go on training the "
        "fitted network; for a new one use fit with warm_start=False"
    )


def output_of(loss: str) -> str:
    """Return the output activation that scikit-learn's regressor gives to a new network."""
    return "exp" if loss == "poisson" else "identity"


def check_range(estimator: Any, name: str, values: Any, dtype: np.dtype[Any]) -> None:
    """Refuse finite values that are infinite in the dtype of the parameters."""
    numbers = values.data if issparse(values) else values
    if numbers.dtype.itemsize <= dtype.itemsize or numbers.size == 0:
        return
    largest = max(float(numbers.max()), -float(numbers.min()))
    if largest > float(np.finfo(dtype).max):
        raise ValueError(
            f"{type(estimator).__name__}: {name} contains a value of magnitude {largest:g}, too "
            f"large for {dtype}, the dtype of coefs_; scale {name}, or fit on X of dtype float64"
        )


def row_weights(
    estimator: Any, y: Array, sample_weight: Array | None, incremental: bool = False
) -> Array | None:
    """Return the weights of the rows, those of their classes included; refuse useless ones."""
    if sample_weight is not None and (sample_weight < 0).any():
        row = int(np.argmax(sample_weight < 0))
        raise ValueError(
            f"{type(estimator).__name__}: sample_weight[{row}] is {sample_weight[row]}; weights "
            "must not be negative"
        )
    weights: Array | None = estimator._row_weights(y, sample_weight)
    # A batch of partial_fit may be all of a class whose weight is 0.
    if weights is not None and not weights.any() and not incremental:
        raise ValueError(
            f"{type(estimator).__name__}: by class_weight and sample_weight, all rows have weight 0"
        )
    return weights


def check_outputs(estimator: Any, outputs: Array, parameters: Array) -> None:
    """Refuse outputs that are not finite because an intermediate result was too large."""
    if not np.isfinite(outputs).all() and np.isfinite(parameters).all():
        raise ValueError(
            f"{type(estimator).__name__}: the outputs for some rows of X are too large for "
            f"{parameters.dtype}, the dtype of coefs_; scale X, or fit on X of dtype float64"
        )
