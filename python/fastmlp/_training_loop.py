"""The loop over epochs: it trains, decides when to stop, and undoes an epoch that diverged.

After a resume, `History` already has the epochs of the checkpoint when the loop begins.

The arithmetic of an epoch is in `train_epoch` of the network or, for L-BFGS, in lbfgs.py. `fit` in
training.py checks the arguments and makes the `Plan`. Start at `train`.
"""

from __future__ import annotations  # some types are used before they are defined

import contextlib
import logging
import math
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastmlp._advice import ABSURD, LEAST_ABSURD, about_scales, is_absurd, too_large
from fastmlp._checkpoint import State, Target, Writer
from fastmlp._core import Optimizer
from fastmlp._history import Ending, History
from fastmlp._own_loss import mean_loss
from fastmlp._standardize import Scaling, begin, on_scaled_rows
from fastmlp._trainable import (
    Array,
    Callback,
    Data,
    OwnLoss,
    Trainable,
    positive_integer,
    require_not_negative,
)
from fastmlp._training_metrics import Metrics
from fastmlp.callbacks import TerminateOnNaN
from fastmlp.lbfgs import LBFGS, Descent
from fastmlp.metrics import Metric
from fastmlp.schedules import Logs, Schedule

# docs/callbacks.md lists what is logged. Without this handler, Python would print the warnings of a
# program that has not set up logging.
logger = logging.getLogger("fastmlp")
logger.addHandler(logging.NullHandler())


@dataclass(frozen=True)
class EarlyStopping:
    """Stop `fit` when the validation loss has not improved for some epochs.

    Parameters
    ----------
    patience : int
        Training stops after this many epochs without improvement; at least 1.
    min_delta : float
        Only a loss lower by more than this counts as an improvement. At the end the network gets
        the parameters of the lowest validation loss, however small the difference.

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
        require_not_negative("EarlyStopping", "min_delta", self.min_delta)


@dataclass(frozen=True)
class Plan:
    """The arguments of `fit`, checked."""

    epochs: int
    batch_size: int
    optimizer: Optimizer | LBFGS
    schedule: Schedule | None
    dropout: tuple[float, ...] | None
    data: Data
    validation: Data | None
    early_stopping: EarlyStopping | None
    callbacks: tuple[Callback, ...]
    bar_class: Any
    shuffle: bool
    seed: int
    standardize: bool = False
    scaling: Scaling | None = None  # for the network, which had none
    checkpoint: Target | None = None
    state: State | None = None  # to go on from
    validation_split: float = 0.0
    metrics: dict[str, Metric] = field(default_factory=dict)
    verbose: int = 0  # after how many epochs a line is printed; 0 for never
    feature_names: tuple[str, ...] | None = None  # which the network is to remember
    loss: OwnLoss | None = None  # instead of the network's
    rows: Array | None = None  # of the data to train on; None for all
    label: str = "fit"  # with which the lines that are logged begin


def train(network: Trainable, plan: Plan) -> History:
    """Run the epochs of a plan until they are done or something ends them early."""
    best = None if plan.early_stopping is None else BestEpoch(network, plan.early_stopping)
    history, first_epoch, ending = _past(network, plan, best)
    writer = None if plan.checkpoint is None else Writer(network, plan, first_epoch)
    before = Snapshot(network, plan.optimizer)
    with contextlib.ExitStack() as stack:
        rates = _rates(plan, stack)
        try:
            if rates is not None:
                rates.replay(first_epoch, history)
            if plan.state is not None:
                plan.state.apply(network, plan)
            if plan.feature_names is not None:
                network.feature_names = plan.feature_names
        except BaseException:
            if rates is not None:
                rates.undo_replay()
            raise
        method = (
            Descent(plan.optimizer, network, plan.data, plan.loss)
            if isinstance(plan.optimizer, LBFGS)
            else Batches(plan.optimizer, network, plan)
        )
        bar = plan.bar_class and stack.enter_context(
            plan.bar_class(total=plan.epochs, initial=history.epochs, unit="epoch")
        )
        metrics = _metrics(network, plan, history)
        for epoch in range(history.epochs, plan.epochs if ending is None else 0):
            if rates is not None:
                rates.use(network.epochs_trained)
            loss = _train_epoch(method, epoch, before, plan)
            if loss is None:
                if writer is not None and history.epochs:  # a run from there may go on
                    writer.write(history, best.snapshot.parameters if best else None)
                history.stopped_by = "not_finite"
                break
            if epoch == 0 and loss > LEAST_ABSURD and plan.loss is None:
                warn_of_absurd(network, loss, plan)
            history.learning_rate.append(method.learning_rate)
            logs = _recorded(loss, network, plan, metrics, history)
            ending = method.ended
            if best is not None and best.update(logs["val_loss"]):
                ending = "early_stopping"
            if rates is not None:
                rates.ask(network.epochs_trained, {k: v for k, v in logs.items() if k in LOSSES})
            # All callbacks are called, even if one of them has asked to stop.
            answers = [callback(network, epoch, dict(logs)) for callback in plan.callbacks]
            if any(isinstance(answer, bool | np.bool_) and answer for answer in answers):
                ending = ending or "callback"
            history.stopped_by = ending or "epochs"
            _report(history, plan, logs, ending, bar)
            if writer is not None and (ending or writer.is_due(history.epochs)):
                writer.write(history, best.snapshot.parameters if best else None)
            if ending is not None:
                break
    if best is not None:
        best.restore()
    return history


def _recorded(
    loss: float, network: Trainable, plan: Plan, metrics: Metrics | None, history: History
) -> Logs:
    """Add an epoch to the history: its loss, the validation loss and the metrics; return them."""
    logs = {"loss": loss}
    history.loss.append(loss)
    history.epochs += 1
    if plan.validation is not None:
        logs["val_loss"] = (
            network.loss(*plan.validation)
            if plan.loss is None
            else mean_loss(network, plan.loss, plan.validation)
        )
        history.val_loss.append(logs["val_loss"])
    for name, value in metrics.values() if metrics else ():
        logs[name] = value
        history.metrics[name].append(value)
    return logs


# What a schedule is told: a resumed run can tell it the same again.
LOSSES = ("loss", "val_loss")


def _metrics(network: Trainable, plan: Plan, history: History) -> Metrics | None:
    """Return the metrics if there are any, with NaN for epochs before a resume."""
    if not plan.metrics:
        return None
    data, prefix = (plan.data, "") if plan.validation is None else (plan.validation, "val_")
    metrics = Metrics(plan.metrics, network, data, prefix)
    history.metrics = {name: [math.nan] * history.epochs for name in metrics.functions}
    return metrics


def _report(history: History, plan: Plan, logs: Logs, ending: Ending | None, bar: Any) -> None:
    """Show an epoch in the progress bar, print a line about it if it is time, and log it."""
    if bar is not None:
        bar.set_postfix(logs, refresh=False)
        bar.update()
    epochs, last, every = history.epochs, plan.epochs, plan.verbose
    if every and (ending or epochs == last or epochs % every == 0):
        print(line(history, last, logs))
    if logger.isEnabledFor(logging.DEBUG):
        logger.debug("%s: %s", plan.label, line(history, last, logs))


def line(history: History, epochs: int, logs: Logs) -> str:
    """Return what is printed after an epoch."""
    values = "  ".join(f"{name} {value:.4g}" for name, value in logs.items())
    return f"epoch {history.epochs:>{len(str(epochs))}}/{epochs}  {values}"


def _past(
    network: Trainable, plan: Plan, best: BestEpoch | None
) -> tuple[History, int, Ending | None]:
    """Return the checkpoint's history, the number of epochs before it, and what ended it if any."""
    state = plan.state
    if state is None:
        return History(), network.epochs_trained, None
    history = History(
        state.list_of("loss"),
        state.list_of("val_loss"),
        state.list_of("learning_rate"),
        state.training["epochs"],
        state.training["stopped_by"],
    )
    first_epoch: int = state.training["first_epoch"]
    if history.stopped_by == "early_stopping":  # with more patience it may go on
        history.stopped_by = "epochs"
    if best is not None:
        best.replay(state.tensors["training.best"], history.val_loss, first_epoch)
        if best.is_over:
            history.stopped_by = "early_stopping"
    return history, first_epoch, None if history.stopped_by == "epochs" else history.stopped_by


def _rates(plan: Plan, stack: contextlib.ExitStack) -> Rates | None:
    """Return the rates if there is a schedule."""
    if plan.schedule is None or isinstance(plan.optimizer, LBFGS):
        return None
    return stack.enter_context(Rates(plan.optimizer, plan.schedule))


def _train_epoch(
    method: Batches | Descent, epoch: int, before: Snapshot, plan: Plan
) -> float | None:
    """Train one epoch and return its loss; undo it if the loss or a parameter is not finite.

    Then return None if a callback is a `TerminateOnNaN`, or raise.
    """
    before.save()
    network = before.network
    scaling = plan.scaling if epoch == 0 else None
    if scaling is not None:
        begin(network, scaling)
    try:
        loss = on_scaled_rows(network, method.epoch) if plan.standardize else method.epoch()
    except Exception:  # of a loss of the user; after Ctrl-C the network keeps what it has learned
        if scaling is not None:
            before.restore()
            network.scaling = None
        raise
    if math.isfinite(loss) and before.is_finite():
        return loss
    before.restore()
    if scaling is not None:
        network.scaling = None
    what, cause = "a parameter is not finite", None
    if not math.isfinite(loss):
        what = f"the loss is {loss}"
        if epoch == 0 and plan.loss is None:
            cause = too_large(before.network, method.data)
    at, advice = "", cause
    if isinstance(method, Batches) and cause is None:
        at = f" at learning rate {method.learning_rate}"
        advice = "a lower learning rate or smaller values in X and y may help"
        if not plan.standardize and (scales := _about_scales(network, plan)):
            advice = f"{scales}, or a lower learning rate may help"
    message = f"fit: {what} in epoch {epoch}{at}; the network is as before that epoch"
    message += f": {advice}" if advice else ""
    if any(isinstance(callback, TerminateOnNaN) for callback in plan.callbacks):
        logger.warning(message)
        return None
    raise FloatingPointError(message)


def _about_scales(network: Trainable, plan: Plan) -> str | None:
    data = plan.data if plan.loss is None else plan.data._replace(y=None)
    return about_scales(network, data, plan.feature_names or network.feature_names)


def warn_of_absurd(network: Trainable, loss: float, plan: Plan) -> None:
    """Warn if the loss of the first epoch is absurd, and say what may be the cause."""
    if not is_absurd(network, loss, plan.data):
        return
    if not plan.standardize:
        advice = _about_scales(network, plan) or (
            "fit(..., standardize=True), which scales the rows, or a lower learning rate may help"
        )
    elif plan.scaling is None:
        advice = (
            "the network keeps the scaling of its first fit; if that had other rows, train a new "
            "network, else a lower learning rate may help"
        )
    else:
        advice = "a lower learning rate may help"
    warnings.warn(
        f"fit: the loss of the first epoch is {loss:.3g}, more than {ABSURD:.0f} times that of the "
        f"best constant answer; {advice}",
        stacklevel=5,  # the caller of fit, which is behind `train` and a decorator
    )


class Batches:
    """Trains an epoch by one step for each batch."""

    ended: Ending | None = None  # unlike L-BFGS, this never ends the training by itself

    def __init__(self, optimizer: Optimizer, network: Trainable, plan: Plan) -> None:
        self.optimizer = optimizer
        self.network = network
        self.plan = plan
        self.data = plan.data

    @property
    def learning_rate(self) -> float:
        return self.optimizer.learning_rate

    def epoch(self) -> float:
        data, chosen = self.data, self.plan.rows
        rows = len(data.X if chosen is None else chosen)
        order = (
            self.network._permutation(rows, self.plan.seed, self.network.epochs_trained)
            if self.plan.shuffle
            else np.arange(rows, dtype=np.int64)
        )
        return self.network.train_epoch(
            data.X,
            data.y,
            order if chosen is None else chosen[order],
            batch_size=min(self.plan.batch_size, rows),
            optimizer=self.optimizer,
            sample_weight=data.sample_weight,
            dropout=self.plan.dropout,
            seed=self.plan.seed,
            loss=self.plan.loss,
        )


class Snapshot:
    """The network, and an optimizer if one is given, as they were at the last `save`.

    The memory is allocated once and used by every `save`. Allocating it each time would be slow:
    compared with a few steps of a small network, and because of page faults for a large one.
    """

    def __init__(self, network: Trainable, optimizer: Optimizer | LBFGS | None = None) -> None:
        self.network = network
        self.optimizer = optimizer
        self.parameters = np.zeros(network.parameters.shape, network.dtype)
        self.finite = np.empty(self.parameters.shape, dtype=bool)
        self.epochs_trained: int | None = None  # None before the first save
        self.optimizer_state: Any = None

    def save(self) -> None:
        self.parameters[...] = self.network.parameters
        self.epochs_trained = self.network.epochs_trained
        if self.optimizer is not None:
            self.optimizer_state = self.optimizer._state()

    def restore(self) -> None:
        """Go back to the last `save`; do nothing if there was none."""
        if self.epochs_trained is None:
            return
        self.network._restore(self.parameters, self.epochs_trained)
        if self.optimizer is not None:
            self.optimizer._set_state(self.optimizer_state)

    def is_finite(self) -> bool:
        """Whether every parameter of the network is finite now."""
        finite = np.isfinite(self.network.parameters, out=self.finite)
        return bool(np.logical_and.reduce(finite))


class BestEpoch:
    """The epoch of the lowest validation loss, and the number of epochs without improvement."""

    def __init__(self, network: Trainable, rule: EarlyStopping) -> None:
        self.rule = rule
        self.lowest = math.inf
        self.reference = math.inf  # the loss that the next one must beat by min_delta
        self.epochs_waited = 0
        # The optimizer is left as it is after the last epoch.
        self.snapshot = Snapshot(network)

    @property
    def is_over(self) -> bool:
        """Whether patience has run out."""
        return self.epochs_waited >= self.rule.patience

    def update(self, val_loss: float) -> bool:
        """Record an epoch; return whether patience has run out."""
        if self._count(val_loss):
            self.snapshot.save()
        return self.is_over

    def _count(self, val_loss: float) -> bool:
        """Count an epoch; return whether it is the best so far. NaN is never an improvement."""
        is_best = val_loss < self.lowest
        if is_best:
            self.lowest = val_loss
        if val_loss < self.reference - self.rule.min_delta:
            self.reference = val_loss
            self.epochs_waited = 0
        else:
            self.epochs_waited += 1
        return is_best

    def replay(self, parameters: Array, val_losses: list[float], first_epoch: int) -> None:
        """Count the epochs of a checkpoint, in which the best epoch had these parameters."""
        self.snapshot.parameters[...] = parameters
        for epoch, val_loss in enumerate(val_losses):
            if self.is_over:
                raise ValueError(
                    f"fit: {self.rule!r} would have ended the training after {epoch} epochs; the "
                    f"checkpoint has {len(val_losses)}; give early_stopping more patience"
                )
            if self._count(val_loss):
                self.snapshot.epochs_trained = first_epoch + epoch + 1

    def restore(self) -> None:
        self.snapshot.restore()
        if self.lowest < math.inf:
            logger.info("fit: the network is as after the epoch of val_loss %.4g", self.lowest)


class Rates:
    """Sets an optimizer's learning rate by a schedule, and restores the old rate at the end."""

    def __init__(self, optimizer: Optimizer, schedule: Schedule) -> None:
        self.optimizer = optimizer
        self.schedule = schedule
        self.base = optimizer.learning_rate
        self.next: Any = self.base
        self.before = dict(getattr(schedule, "__dict__", {}))  # Plateau's memory

    def __enter__(self) -> Rates:
        return self

    def __exit__(self, *exception: object) -> None:
        self.optimizer.learning_rate = self.base

    def ask(self, epoch: int, logs: Logs | None) -> None:
        """Ask the schedule for the rate of the next epoch; logs are those of the epoch before."""
        self.next = self.schedule(epoch, self.base, logs and dict(logs))

    def replay(self, first_epoch: int, history: History) -> None:
        """Ask for the first epoch and after every epoch of the past."""
        self.ask(first_epoch, None)
        for epoch, (loss, rate) in enumerate(
            zip(history.loss, history.learning_rate, strict=True), start=first_epoch
        ):
            if self._checked(epoch) != rate:
                raise ValueError(
                    f"fit: schedule gave {self.next!r} as the learning rate of epoch {epoch}, for "
                    f"which the checkpoint has {rate}; give the schedule of that run, as a new "
                    "object if calls change it"
                )
            logs = {"loss": loss}
            if history.val_loss:
                logs["val_loss"] = history.val_loss[epoch - first_epoch]
            self.ask(epoch + 1, logs)

    def undo_replay(self) -> None:
        """Give the schedule the attributes that it had."""
        getattr(self.schedule, "__dict__", {}).update(self.before)

    def use(self, epoch: int) -> None:
        """Set the rate that `ask` got."""
        self.optimizer.learning_rate = self._checked(epoch)

    def _checked(self, epoch: int) -> float:
        """Return the rate that `ask` got.

        `ask` does not check it, because it is also called after the last epoch.
        """
        try:
            rate = math.nan if isinstance(self.next, bool | str) else float(self.next)
        except (TypeError, ValueError, OverflowError):
            rate = math.nan
        if not 0.0 < rate < math.inf:
            raise ValueError(
                f"fit: schedule gave {self.next!r} as the learning rate of epoch {epoch}; "
                "it must be a positive and finite number"
            )
        return rate
