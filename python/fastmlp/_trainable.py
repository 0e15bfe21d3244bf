"""The types that `fit`, its loop and L-BFGS share, and two small checks.

Nothing is trained here: `fit` is in training.py, the loop over epochs in _training_loop.py.
"""

import math
import numbers
import operator
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from fastmlp._core import Optimizer

Array = npt.NDArray[Any]
Callback = Callable[[Any, int, dict[str, float]], object]
OwnLoss = Callable[[Array, Any], tuple[float, Any]]


class Data(NamedTuple):
    """Rows to train on or to validate with, as arrays."""

    X: Array
    y: Any  # an array, which only a loss of the user's own reads, or whose values are checked
    sample_weight: Array | None


class Trainable(Protocol):
    """The members of a network that training uses; the native class and the twin both have them."""

    epochs_trained: int

    @property
    def feature_names(self) -> tuple[str, ...] | None: ...
    @feature_names.setter
    def feature_names(self, names: Sequence[str] | None) -> None: ...
    @property
    def layers(self) -> tuple[int, ...]: ...
    @property
    def output(self) -> str: ...
    @property
    def loss_name(self) -> str | None: ...
    @property
    def delta(self) -> float: ...
    @property
    def quantiles(self) -> tuple[float, ...]: ...
    @property
    def _labels(self) -> str | None: ...  # how predict makes labels: "threshold" or "largest"
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def seed(self) -> int: ...
    @property
    def parameters(self) -> Array: ...
    @property
    def gradients(self) -> Array: ...
    def forward(self, X: npt.ArrayLike) -> Array: ...
    def loss(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> float: ...
    def loss_and_gradients(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> float: ...
    def train_epoch(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        order: npt.NDArray[np.int64],
        *,
        batch_size: int,
        optimizer: Optimizer,
        sample_weight: npt.ArrayLike | None = None,
        dropout: float | Sequence[float] | None = None,
        seed: int | None = None,
        loss: OwnLoss | None = None,
    ) -> float: ...
    def backward(self, X: npt.ArrayLike, dY: npt.ArrayLike) -> Array: ...
    def input_gradients(self, X: npt.ArrayLike, dY: npt.ArrayLike) -> Array: ...
    def jacobian(self, X: npt.ArrayLike) -> Array: ...
    def activations(self, X: npt.ArrayLike) -> list[Array]: ...
    def fold_scaling(
        self,
        *,
        input_mean: npt.ArrayLike | None = None,
        input_scale: npt.ArrayLike | None = None,
        output_mean: npt.ArrayLike | None = None,
        output_scale: npt.ArrayLike | None = None,
    ) -> None: ...
    @property
    def scaling(self) -> dict[str, Array] | None: ...
    @scaling.setter
    def scaling(self, scaling: dict[str, Array] | None) -> None: ...
    def _measure_scaling(
        self, X: npt.ArrayLike, y: npt.ArrayLike | None, sample_weight: npt.ArrayLike | None
    ) -> dict[str, Array]: ...
    def _unfold_scaling(self) -> None: ...
    def _refold_scaling(self) -> None: ...
    def _labelled(self, indices: Array) -> Array: ...
    def _own(self) -> AbstractContextManager[object]: ...
    def _restore(self, parameters: Array, epochs_trained: int, seed: int | None = None) -> None: ...
    def _optimizer_state(self, optimizer: Any) -> tuple[Any, ...]: ...
    def _set_optimizer_state(self, optimizer: Any, state: tuple[Any, ...]) -> None: ...
    def _validate(
        self,
        function_name: str,
        X: npt.ArrayLike,
        y: npt.ArrayLike | None,
        sample_weight: npt.ArrayLike | None,
    ) -> None: ...
    def _permutation(self, rows: int, seed: int, epoch: int) -> npt.NDArray[np.int64]: ...
    def _dot(self, a: Array, b: Array) -> float: ...


def dtype_name(network: Any) -> str:
    """Return "float32" or "float64". `network.dtype.name` imports, and fails while Python ends."""
    return "float32" if network.dtype.itemsize == 4 else "float64"


def loss_arguments(network: Any) -> dict[str, Any]:
    """Return the arguments of the constructor for the loss; none for the output's own loss."""
    if network.loss_name is None:
        return {}
    arguments: dict[str, Any] = {"loss": network.loss_name}
    if network.delta != 1.0:
        arguments["delta"] = network.delta
    if network.quantiles:
        arguments["quantiles"] = list(network.quantiles)
    return arguments


def positive_integer(function: str, name: str, value: Any, least: int = 1) -> int:
    """Return value as an int below 2^63, or raise ValueError; True does not count as 1."""
    try:
        number = least - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = least - 1
    if not least <= number < 2**63:
        rule = "a positive integer" if least == 1 else f"an integer of at least {least}"
        most = " below 2**63" if number > 0 else ""
        raise ValueError(f"{function}: {name} is {value!r}; it must be {rule}{most}")
    return number


def require_number(
    function: str, name: str, value: Any, allowed: Callable[[float], bool], rule: str
) -> None:
    """Raise ValueError, with the rule in words, unless value is a number that `allowed` accepts."""
    try:
        number = float(value) if isinstance(value, numbers.Real) else math.nan
    except OverflowError:
        number = math.inf
    if not allowed(number):
        raise ValueError(f"{function}: {name} is {value!r}; it must be {rule}")


def require_not_negative(function: str, name: str, value: Any) -> None:
    """Raise ValueError unless value is a finite number and at least 0."""
    rule = "finite and at least 0"
    require_number(function, name, value, lambda number: 0.0 <= number < math.inf, rule)


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
