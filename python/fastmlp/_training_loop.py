"""The loop over epochs: what is trained when, when to stop, and what is undone.

The arithmetic of an epoch is `train_epoch`'s or that of lbfgs.py, the checks are in `_arguments.py`
and `_optimizers.py`. Start at `train`.
"""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from fastmlp._arguments import Array, Callback, Data
from fastmlp._core import Optimizer
from fastmlp._early_stopping import BestEpoch
from fastmlp._optimizers import Rates
from fastmlp.lbfgs import LBFGS, Descent
from fastmlp.schedules import Schedule


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
    ) -> float: ...
    def _validate(
        self,
        function_name: str,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None,
    ) -> None: ...
    def _permutation(self, rows: int, seed: int, epoch: int) -> npt.NDArray[np.int64]: ...
    def _dot(self, a: Array, b: Array) -> float: ...


Ending = Literal["epochs", "early_stopping", "callback", "converged", "line_search"]


@dataclass
class History:
    """What `fit` did, epoch by epoch.

    Attributes
    ----------
    loss : list of float
        Mean loss of each epoch, every row's at the time its batch was seen; with L-BFGS the loss
        after the epoch.
    val_loss : list of float
        Loss of the validation data after each epoch; empty without validation data.
    learning_rate : list of float
        Learning rate of each epoch; with L-BFGS the length of its step, 0.0 where there was none.
    epochs : int
        Epochs run, which is `len(loss)`.
    stopped_by : {"epochs", "early_stopping", "callback", "converged", "line_search"}
        What ended the training; the last two are L-BFGS's.
    """

    loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    epochs: int = 0
    stopped_by: Ending = "epochs"


@dataclass(frozen=True)
class Plan:
    """What `fit` was asked to do, checked."""

    epochs: int
    batch_size: int
    optimizer: Optimizer | LBFGS
    schedule: Schedule | None
    dropout: tuple[float, ...] | None
    data: Data
    validation: Data | None
    best: BestEpoch | None
    callbacks: tuple[Callback, ...]
    bar_class: Any
    shuffle: bool
    seed: int


def _restore(network: Trainable, state: tuple[Array, int]) -> None:
    network.parameters[:], network.epochs_trained = state


class Undo:
    """The state before an epoch, and whether the parameters after it are finite.

    Its memory is taken once for all epochs: for a small network that is what an epoch's steps are
    measured against, for a large one new pages cost as much as a step.
    """

    def __init__(self, network: Trainable, optimizer: Optimizer | LBFGS) -> None:
        self.network = network
        self.optimizer = optimizer
        self.optimizer_state: Any = optimizer._state()
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


class Batches:
    """Epochs of one step for each batch."""

    ended: Ending | None = None  # training goes on as long as it may

    def __init__(self, optimizer: Optimizer, network: Trainable, plan: Plan) -> None:
        self.optimizer = optimizer
        self.network = network
        self.plan = plan

    @property
    def learning_rate(self) -> float:
        return self.optimizer.learning_rate

    def epoch(self) -> float:
        data, rows = self.plan.data, len(self.plan.data.X)
        return self.network.train_epoch(
            data.X,
            data.y,
            self.network._permutation(rows, self.plan.seed, self.network.epochs_trained)
            if self.plan.shuffle
            else np.arange(rows, dtype=np.int64),
            batch_size=min(self.plan.batch_size, rows),
            optimizer=self.optimizer,
            sample_weight=data.sample_weight,
            dropout=self.plan.dropout,
            seed=self.plan.seed,
        )


def train(network: Trainable, plan: Plan) -> History:
    """Run the epochs of a plan, until one of its ends is reached."""
    history = History()
    undo = Undo(network, plan.optimizer)
    with contextlib.ExitStack() as stack:
        method, rates = _method_and_rates(network, plan, stack)
        bar = plan.bar_class and stack.enter_context(
            plan.bar_class(total=plan.epochs, unit="epoch")
        )
        for epoch in range(plan.epochs):
            if rates is not None:
                rates.use(network.epochs_trained)
            logs = {"loss": _train_epoch(method, epoch, undo)}
            history.learning_rate.append(method.learning_rate)
            history.loss.append(logs["loss"])
            history.epochs += 1
            if plan.validation is not None:
                logs["val_loss"] = network.loss(*plan.validation)
                history.val_loss.append(logs["val_loss"])
            ending = method.ended
            if plan.best is not None and plan.best.update(network, logs["val_loss"]):
                ending = "early_stopping"
            if rates is not None:
                rates.ask(network.epochs_trained, logs)
            if bar is not None:
                bar.set_postfix(logs, refresh=False)
                bar.update()
            # Every callback sees every epoch, also after one has asked to stop.
            answers = [callback(network, epoch, dict(logs)) for callback in plan.callbacks]
            if any(isinstance(answer, bool | np.bool_) and answer for answer in answers):
                ending = ending or "callback"
            if ending is not None:
                history.stopped_by = ending
                break
    if plan.best is not None and plan.best.state is not None:
        _restore(network, plan.best.state)
    return history


def _method_and_rates(
    network: Trainable, plan: Plan, stack: contextlib.ExitStack
) -> tuple[Batches | Descent, Rates | None]:
    """Return what runs an epoch, and what sets its learning rate where a schedule does."""
    if isinstance(plan.optimizer, LBFGS):
        return Descent(plan.optimizer, network, plan.data), None
    rates = None
    if plan.schedule is not None:
        rates = stack.enter_context(Rates(plan.optimizer, plan.schedule))
        rates.ask(network.epochs_trained, None)
    return Batches(plan.optimizer, network, plan), rates


def _train_epoch(method: Batches | Descent, epoch: int, undo: Undo) -> float:
    """Train one epoch and return its loss; undo it if it leaves something that is not finite."""
    undo.remember()
    loss = method.epoch()
    if math.isfinite(loss) and undo.is_finite():
        return loss
    undo.restore()
    what = "a parameter is not finite" if math.isfinite(loss) else f"the loss is {loss}"
    at, advice = "", ""
    if isinstance(method, Batches):
        at = f" at learning rate {method.learning_rate}"
        advice = ", and a lower learning rate may help"
    raise FloatingPointError(
        f"fit: {what} in epoch {epoch}{at}; the network is as before that epoch{advice}"
    )
