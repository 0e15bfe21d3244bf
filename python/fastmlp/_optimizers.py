"""What `fit` takes as optimizer and as schedule, and the learning rate that they give an epoch."""

import math
from typing import Any

from fastmlp._core import Optimizer
from fastmlp.lbfgs import LBFGS
from fastmlp.optimizers import BY_NAME
from fastmlp.schedules import Logs, Schedule

# The names that `fit` takes for an optimizer with its default settings.
OPTIMIZERS: dict[str, Any] = {**BY_NAME, "lbfgs": LBFGS}


def optimizer_object(optimizer: Any, learning_rate: float | None) -> Optimizer | LBFGS:
    """Return the optimizer that `fit` was asked for, by name or as an object."""
    if isinstance(optimizer, LBFGS) or optimizer == "lbfgs":
        if learning_rate is not None:
            raise ValueError(
                f"fit: learning_rate is {learning_rate!r} and optimizer is {optimizer!r}, which "
                "finds the length of each step itself; leave learning_rate out"
            )
        return LBFGS() if isinstance(optimizer, str) else optimizer
    if isinstance(optimizer, Optimizer):
        if learning_rate is not None:
            raise ValueError(
                f"fit: learning_rate is {learning_rate!r} and optimizer is an object, which has "
                f"its own ({optimizer.learning_rate}); give one of them"
            )
        return optimizer
    rule = f"it must be one of {sorted(OPTIMIZERS)} or an optimizer object such as SGD()"
    if not isinstance(optimizer, str):
        raise TypeError(f"fit: optimizer is {optimizer!r}; {rule}")
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"fit: optimizer is {optimizer!r}; {rule}")
    make: Any = OPTIMIZERS[optimizer]
    made: Optimizer = make() if learning_rate is None else make(learning_rate=learning_rate)
    return made


def schedule_or_none(schedule: Any, optimizer: Optimizer | LBFGS) -> Schedule | None:
    """Return the schedule, sure to be callable and of use to the optimizer."""
    if schedule is None:
        return None
    if not callable(schedule) or isinstance(schedule, type):
        raise TypeError(
            f"fit: schedule is {schedule!r}; it must be callable as schedule(epoch, "
            "learning_rate, logs), such as fastmlp.schedules.Cosine(50)"
        )
    if isinstance(optimizer, LBFGS):
        raise ValueError(
            f"fit: schedule is {schedule!r} and optimizer is {optimizer!r}, which finds the "
            "length of each step itself; leave schedule out"
        )
    checked: Schedule = schedule
    return checked


class Rates:
    """An optimizer's learning rate by a schedule; at the end of `with` as it was before."""

    def __init__(self, optimizer: Optimizer, schedule: Schedule) -> None:
        self.optimizer = optimizer
        self.schedule = schedule
        self.base = optimizer.learning_rate
        self.next: Any = self.base

    def __enter__(self) -> "Rates":
        return self

    def __exit__(self, *exception: object) -> None:
        self.optimizer.learning_rate = self.base

    def ask(self, epoch: int, logs: Logs | None) -> None:
        """Ask for the rate of the epoch to come, after one with these logs."""
        self.next = self.schedule(epoch, self.base, logs and dict(logs))

    def use(self, epoch: int) -> None:
        """Set the rate that was asked for. Only now, as there may not be a next epoch."""
        try:
            rate = math.nan if isinstance(self.next, bool | str) else float(self.next)
        except (TypeError, ValueError):
            rate = math.nan
        if not 0.0 < rate < math.inf:
            raise ValueError(
                f"fit: schedule gave {self.next!r} as the learning rate of epoch {epoch}; "
                "it must be a positive and finite number"
            )
        self.optimizer.learning_rate = rate
