"""Learning rates that change from epoch to epoch, for `fit(schedule=...)`.

A schedule is any callable `schedule(epoch, learning_rate, logs) -> float` that returns the learning
rate of the next epoch. `fit` calls it at the beginning and after every epoch, the last one
included, with these arguments:

- `epoch`: the number of the next epoch, counted from 0 over the network's life (`epochs_trained`);
- `learning_rate`: the optimizer's own learning rate when `fit` began;
- `logs`: "loss" and, with validation data, "val_loss" of the epoch before; None at the beginning.

Because epochs are counted over the network's life, two fits of 5 epochs use the same rates as one
of 10. To start a schedule again for a network that has been trained for `start` epochs, pass
`lambda epoch, rate, logs: schedule(epoch - start, rate, logs)`.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

from fastmlp._float_mode import in_default_float_mode
from fastmlp._trainable import positive_integer, require_not_negative, require_number

__all__ = ["Constant", "Cosine", "OneCycle", "Plateau", "Schedule", "StepDecay"]

Logs = dict[str, float]
Schedule = Callable[[int, float, Logs | None], float]


@dataclass(frozen=True)
class Constant:
    """Always the optimizer's learning rate, as without a schedule.

    Examples
    --------
    >>> from fastmlp.schedules import Constant
    >>> Constant()(7, 0.1, None)
    0.1
    """

    def __call__(self, epoch: int, learning_rate: float, logs: Logs | None) -> float:
        """α_e = α."""
        return learning_rate


@dataclass(frozen=True)
class StepDecay:
    """Multiply the rate by gamma every few epochs: ``α_e = α gamma^⌊e / step_size⌋``.

    Parameters
    ----------
    step_size : int
        The number of epochs between two reductions; positive.
    gamma : float, default 0.1
        In (0, 1].

    Raises
    ------
    ValueError
        If a value is not as above.

    Examples
    --------
    >>> from fastmlp.schedules import StepDecay
    >>> schedule = StepDecay(2, gamma=0.5)
    >>> [schedule(epoch, 0.8, None) for epoch in range(5)]
    [0.8, 0.8, 0.4, 0.4, 0.2]
    """

    step_size: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        positive_integer("StepDecay", "step_size", self.step_size)
        require_number("StepDecay", "gamma", self.gamma, lambda g: 0.0 < g <= 1.0, "in (0, 1]")

    @in_default_float_mode
    def __call__(self, epoch: int, learning_rate: float, logs: Logs | None) -> float:
        """α_e = α gamma^⌊e / step_size⌋."""
        return learning_rate * _power(self.gamma, epoch // self.step_size)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine wave from the optimizer's learning rate down to a minimum.

    ``α_e = minimum + (α - minimum) (1 + cos(π e / epochs)) / 2`` for e < epochs (Loshchilov and
    Hutter, 2017, arXiv:1608.03983, without restarts). After these epochs the rate stays that of
    the last epoch, so it is positive even if the minimum is 0.

    Parameters
    ----------
    epochs : int
        Positive.
    minimum : float, default 0.0
        Finite, at least 0 and not above the optimizer's learning rate.

    Raises
    ------
    ValueError
        If a value is not as above.

    Examples
    --------
    >>> from fastmlp.schedules import Cosine
    >>> schedule = Cosine(4)
    >>> [round(schedule(epoch, 1.0, None), 3) for epoch in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.146]
    """

    epochs: int
    minimum: float = 0.0

    def __post_init__(self) -> None:
        positive_integer("Cosine", "epochs", self.epochs)
        require_not_negative("Cosine", "minimum", self.minimum)

    @in_default_float_mode
    def __call__(self, epoch: int, learning_rate: float, logs: Logs | None) -> float:
        """α_e = minimum + (α - minimum) (1 + cos(π e / epochs)) / 2."""
        _require_above_minimum("Cosine", self.minimum, learning_rate)
        return _wave(learning_rate, self.minimum, min(epoch, self.epochs - 1) / self.epochs)


@dataclass(frozen=True)
class OneCycle:
    """Raise the learning rate to a maximum, then lower it, each time along half a cosine wave.

    With w epochs of warm-up, ``α_e = α + (maximum - α) (1 - cos(π e / w)) / 2`` for e < w and
    ``α_e = minimum + (maximum - minimum) (1 + cos(π (e - w) / (epochs - w))) / 2`` for
    w ≤ e < epochs: the 1cycle policy (Smith and Topin, 2017, arXiv:1708.07120), annealed with
    cosines. It changes the learning rate only, not the momentum. After these epochs the rate stays
    that of the last epoch.

    Parameters
    ----------
    epochs : int
        The length of the cycle; at least 2.
    maximum : float
        The largest rate; finite. The cycle begins at the optimizer's rate, which must be lower.
    warmup : float, default 0.3
        The fraction of the epochs in which the rate rises, in (0, 1). It is rounded to a number of
        epochs from 1 to epochs - 1.
    minimum : float, default 0.0
        The rate at the end of the wave; finite, at least 0 and below the maximum.

    Raises
    ------
    ValueError
        If a value is not as above.

    Examples
    --------
    >>> from fastmlp.schedules import OneCycle
    >>> schedule = OneCycle(6, maximum=1.0, warmup=0.3)
    >>> [round(schedule(epoch, 0.1, None), 3) for epoch in range(6)]
    [0.1, 0.55, 1.0, 0.854, 0.5, 0.146]
    """

    epochs: int
    maximum: float
    warmup: float = 0.3
    minimum: float = 0.0

    def __post_init__(self) -> None:
        if positive_integer("OneCycle", "epochs", self.epochs) < 2:
            raise ValueError(f"OneCycle: epochs is {self.epochs}; it must be at least 2")
        require_number("OneCycle", "warmup", self.warmup, lambda w: 0.0 < w < 1.0, "in (0, 1)")
        require_not_negative("OneCycle", "minimum", self.minimum)
        rule = f"finite and above the minimum, {self.minimum!r}"
        require_number(
            "OneCycle", "maximum", self.maximum, lambda m: self.minimum < m < math.inf, rule
        )

    @in_default_float_mode
    def __call__(self, epoch: int, learning_rate: float, logs: Logs | None) -> float:
        """Rise from α to the maximum, then fall to the minimum."""
        if not learning_rate < self.maximum:
            raise ValueError(
                f"OneCycle: the optimizer's learning_rate is {learning_rate!r} and maximum is "
                f"{self.maximum!r}; the cycle must begin below its maximum"
            )
        peak = min(max(1, round(self.warmup * self.epochs)), self.epochs - 1)
        epoch = min(epoch, self.epochs - 1)
        if epoch < peak:
            return _wave(learning_rate, self.maximum, epoch / peak)
        return _wave(self.maximum, self.minimum, (epoch - peak) / (self.epochs - peak))


@dataclass
class Plateau:
    """Multiply the rate by a factor whenever the loss has not improved for too many epochs.

    It watches the validation loss or, without validation data, the training loss. It remembers the
    losses of earlier fits, so that two fits of 5 epochs equal one of 10. So make one object for
    each network. It forgets everything at the first epoch of a network's life.

    Parameters
    ----------
    factor : float, default 0.1
        In (0, 1).
    patience : int, default 10
        The number of epochs in a row without improvement that are accepted, at least 0: after one
        more the rate is reduced, as by PyTorch's ReduceLROnPlateau.
    min_delta : float, default 1e-4
        Only a loss lower by more than this counts as an improvement; finite and at least 0. A loss
        of NaN is never an improvement.
    minimum : float, default 0.0
        The rate is never reduced below this; finite, at least 0 and not above the optimizer's.

    Raises
    ------
    ValueError
        If a value is not as above.

    Examples
    --------
    >>> from fastmlp.schedules import Plateau
    >>> schedule = Plateau(factor=0.5, patience=1)
    >>> losses = [None, 1.0, 0.9, 0.9, 0.9, 0.5]
    >>> [schedule(e, 0.1, l and {"loss": l}) for e, l in enumerate(losses)]
    [0.1, 0.1, 0.1, 0.1, 0.05, 0.05]
    """

    factor: float = 0.1
    patience: int = 10
    min_delta: float = 1e-4
    minimum: float = 0.0

    def __post_init__(self) -> None:
        require_number("Plateau", "factor", self.factor, lambda f: 0.0 < f < 1.0, "in (0, 1)")
        positive_integer("Plateau", "patience", self.patience, least=0)
        require_not_negative("Plateau", "min_delta", self.min_delta)
        require_not_negative("Plateau", "minimum", self.minimum)
        self._forget()

    def _remembers(self) -> bool:
        return self._lowest < math.inf or self._epochs_waited > 0

    def _forget(self) -> None:
        self._lowest, self._epochs_waited, self._reductions = math.inf, 0, 0

    @in_default_float_mode
    def __call__(self, epoch: int, learning_rate: float, logs: Logs | None) -> float:
        """α_e = max(minimum, α factor^k) after k reductions."""
        _require_above_minimum("Plateau", self.minimum, learning_rate)
        if epoch == 0:
            self._forget()
        if logs is not None:
            self._watch(logs.get("val_loss", logs["loss"]))
        return max(self.minimum, learning_rate * _power(self.factor, self._reductions))

    def _watch(self, loss: float) -> None:
        if loss < self._lowest - self.min_delta:
            self._lowest, self._epochs_waited = loss, 0
            return
        self._epochs_waited += 1
        if self._epochs_waited > self.patience:
            self._epochs_waited = 0
            self._reductions += 1


# Rates must have the same bits everywhere, so powers and cosines are not computed by libm.


def _power(base: float, n: int) -> float:
    if n > 2**20:  # so many products would take longer than 5 ms
        half = _power(base, n // 2)
        return half * half * _power(base, n % 2)
    return math.prod(itertools.repeat(base, n), start=1.0)


def _wave(start: float, end: float, t: float) -> float:
    """Half a cosine wave from start, at t = 0, to end, at t = 1."""
    return start + (end - start) * _risen(t)


def _risen(t: float) -> float:
    """(1 - cos πt) / 2 for t in [0, 1]."""
    if t > 0.5:
        return 1.0 - _risen(1.0 - t)
    square = (math.pi * t) * (math.pi * t)
    series = 1.0
    for k in range(11, 1, -1):  # the terms left out are below (π/2)^24 / 24! = 8e-20
        series = 1.0 - square / ((2 * k - 1) * (2 * k)) * series
    return square / 4 * series


def _require_above_minimum(function: str, minimum: float, learning_rate: float) -> None:
    if learning_rate < minimum:
        raise ValueError(
            f"{function}: the optimizer's learning_rate is {learning_rate!r} and minimum is "
            f"{minimum!r}; the minimum must not be above it"
        )
