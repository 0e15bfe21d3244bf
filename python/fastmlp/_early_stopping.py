"""When `fit` stops early, and which epoch was the best. The loop is in `_training_loop.py`."""

from __future__ import annotations  # Trainable is what only type checkers import

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastmlp._arguments import Array, positive_integer

if TYPE_CHECKING:
    from fastmlp._training_loop import Trainable


@dataclass(frozen=True)
class EarlyStopping:
    """Stop `fit` when the validation loss has not improved for some epochs.

    Parameters
    ----------
    patience : int
        Epochs without improvement after which training stops; at least 1.
    min_delta : float
        Only a loss lower by more than this counts as an improvement. The parameters restored at the
        end are those of the lowest validation loss, however small the difference.

    Raises
    ------
    ValueError
        If patience is not a positive integer or min_delta is negative or not finite.

    Examples
    --------
    >>> from fastmlp import EarlyStopping
    >>> EarlyStopping(5, min_delta=1e-3)
    EarlyStopping(patience=5, min_delta=0.001)
    """

    patience: int
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        positive_integer("EarlyStopping", "patience", self.patience)
        if not 0.0 <= self.min_delta < math.inf:
            raise ValueError(
                f"EarlyStopping: min_delta is {self.min_delta!r}; it must be finite and at least 0"
            )


class BestEpoch:
    """The epoch of the lowest validation loss, and how long ago the last improvement was."""

    def __init__(self, rule: EarlyStopping) -> None:
        self.rule = rule
        self.lowest = math.inf
        self.reference = math.inf  # the loss that the next one must beat by min_delta
        self.epochs_waited = 0
        self.state: tuple[Array, int] | None = None

    def update(self, network: Trainable, val_loss: float) -> bool:
        """Take note of an epoch; True if patience is at its end. NaN is never an improvement."""
        if val_loss < self.lowest:
            self.lowest = val_loss
            self.state = network.parameters.copy(), network.epochs_trained
        if val_loss < self.reference - self.rule.min_delta:
            self.reference = val_loss
            self.epochs_waited = 0
        else:
            self.epochs_waited += 1
        return self.epochs_waited >= self.rule.patience


def best_epoch(early_stopping: Any, validation_data: object) -> BestEpoch | None:
    """Return what `early_stopping` asks for: nothing, a patience or an `EarlyStopping`."""
    if early_stopping is None:
        return None
    if validation_data is None:
        raise ValueError(
            f"fit: early_stopping is {early_stopping!r} and validation_data is None; "
            "early stopping needs validation_data"
        )
    if not isinstance(early_stopping, EarlyStopping):
        early_stopping = EarlyStopping(early_stopping)
    return BestEpoch(early_stopping)
