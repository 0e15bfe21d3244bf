"""The loop over epochs: what is trained when, when to stop, and what is undone.

The arithmetic of an epoch is `train_epoch`'s, the checks are in `_arguments.py`. Start at `train`.
"""

import contextlib
import math
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from fastmlp._arguments import Array, Callback, Data, positive_integer
from fastmlp._core import Optimizer


class Trainable(Protocol):
    """What `TrainingMixin` needs of a network: the native class and the twin both give it."""

    epochs_trained: int

    @property
    def layers(self) -> tuple[int, ...]: ...
    @property
    def output(self) -> str: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def seed(self) -> int: ...
    @property
    def parameters(self) -> Array: ...
    def forward(self, X: npt.ArrayLike) -> Array: ...
    def loss(
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
    ) -> float: ...
    def _validate(
        self,
        function_name: str,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None,
    ) -> None: ...
    def _permutation(self, rows: int, seed: int, epoch: int) -> npt.NDArray[np.int64]: ...


@dataclass
class History:
    """What `fit` did, epoch by epoch.

    Attributes
    ----------
    loss : list of float
        Mean loss of each epoch, every row's at the time its batch was seen.
    val_loss : list of float
        Loss of the validation data after each epoch; empty without validation data.
    epochs : int
        Epochs run, which is `len(loss)`.
    stopped_by : {"epochs", "early_stopping", "callback"}
        What ended the training.
    """

    loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    epochs: int = 0
    stopped_by: Literal["epochs", "early_stopping", "callback"] = "epochs"


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
            self.state = _state(network)
        if val_loss < self.reference - self.rule.min_delta:
            self.reference = val_loss
            self.epochs_waited = 0
        else:
            self.epochs_waited += 1
        return self.epochs_waited >= self.rule.patience


@dataclass(frozen=True)
class Plan:
    """What `fit` was asked to do, checked."""

    epochs: int
    batch_size: int
    optimizer: Optimizer
    data: Data
    validation: Data | None
    best: BestEpoch | None
    callbacks: tuple[Callback, ...]
    bar_class: Any
    shuffle: bool
    seed: int


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


def _state(network: Trainable) -> tuple[Array, int]:
    return network.parameters.copy(), network.epochs_trained


def _restore(network: Trainable, state: tuple[Array, int]) -> None:
    network.parameters[:], network.epochs_trained = state


class Undo:
    """The state before an epoch, and whether the parameters after it are finite.

    Its memory is taken once for all epochs: for a small network that is what an epoch's steps are
    measured against, for a large one new pages cost as much as a step.
    """

    def __init__(self, network: Trainable, optimizer: Optimizer) -> None:
        self.network = network
        self.optimizer = optimizer
        self.optimizer_state = optimizer._state()
        self.before = np.empty_like(network.parameters)
        self.finite = np.empty(self.before.shape, dtype=bool)
        self.epochs_trained = 0

    def remember(self) -> None:
        self.before[...] = self.network.parameters
        self.optimizer_state = self.optimizer._state()
        self.epochs_trained = self.network.epochs_trained

    def restore(self) -> None:
        _restore(self.network, (self.before, self.epochs_trained))
        self.optimizer._set_state(self.optimizer_state)

    def is_finite(self) -> bool:
        finite = np.isfinite(self.network.parameters, out=self.finite)
        return bool(np.logical_and.reduce(finite))


def train(network: Trainable, plan: Plan) -> History:
    """Run the epochs of a plan, until one of its ends is reached."""
    history = History()
    undo = Undo(network, plan.optimizer)
    with contextlib.ExitStack() as stack:
        bar = plan.bar_class and stack.enter_context(
            plan.bar_class(total=plan.epochs, unit="epoch")
        )
        for epoch in range(plan.epochs):
            logs = {"loss": _train_epoch(network, plan, epoch, undo)}
            out_of_patience = False
            history.loss.append(logs["loss"])
            history.epochs += 1
            if plan.validation is not None:
                logs["val_loss"] = network.loss(*plan.validation)
                history.val_loss.append(logs["val_loss"])
                if plan.best is not None:
                    out_of_patience = plan.best.update(network, logs["val_loss"])
            if bar is not None:
                bar.set_postfix(logs, refresh=False)
                bar.update()
            # Every callback sees every epoch, also after one has asked to stop.
            answers = [callback(network, epoch, dict(logs)) for callback in plan.callbacks]
            if out_of_patience:
                history.stopped_by = "early_stopping"
                break
            if any(isinstance(answer, bool | np.bool_) and answer for answer in answers):
                history.stopped_by = "callback"
                break
    if plan.best is not None and plan.best.state is not None:
        _restore(network, plan.best.state)
    return history


def _train_epoch(network: Trainable, plan: Plan, epoch: int, undo: Undo) -> float:
    """Train one epoch and return its loss; undo it if it leaves something that is not finite."""
    undo.remember()
    rows = len(plan.data.X)
    loss = network.train_epoch(
        plan.data.X,
        plan.data.y,
        network._permutation(rows, plan.seed, network.epochs_trained)
        if plan.shuffle
        else np.arange(rows, dtype=np.int64),
        batch_size=min(plan.batch_size, rows),
        optimizer=plan.optimizer,
        sample_weight=plan.data.sample_weight,
    )
    if math.isfinite(loss) and undo.is_finite():
        return loss
    undo.restore()
    what = "a parameter is not finite" if math.isfinite(loss) else f"the loss is {loss}"
    raise FloatingPointError(
        f"fit: {what} in epoch {epoch} at learning rate {plan.optimizer.learning_rate}; "
        "the network is as before that epoch, and a lower learning rate may help"
    )
