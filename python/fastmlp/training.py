"""`fit` and `predict` with the checks of their arguments, for the native network and the twin.

The loop over epochs is in _training_loop.py. Shapes, dtypes and ranges of arrays are checked by the
network itself, in `_validate`. Start at `TrainingMixin.fit`; the checks follow in its order.
"""

from __future__ import annotations  # annotations alone must not import numpy.random

import copy
import importlib
import math
import operator
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fastmlp._checkpoint import state_in, target_or_none
from fastmlp._class_weight import weights_by_class
from fastmlp._core import Optimizer
from fastmlp._float_mode import in_default_float_mode
from fastmlp._frames import feature_names, frame_of, readable
from fastmlp._history import History
from fastmlp._metadata import MetadataMixin
from fastmlp._own_loss import checked_loss
from fastmlp._standardize import measured
from fastmlp._summary import summary
from fastmlp._trainable import Array, Callback, OwnLoss, Trainable, positive_integer
from fastmlp._training_data import (
    checked_split,
    divided,
    training_data,
    validation_data_or_none,
)
from fastmlp._training_loop import EarlyStopping, Plan, logger, train
from fastmlp._training_metrics import metric_functions
from fastmlp.formats.safetensors import AnyPath
from fastmlp.lbfgs import LBFGS
from fastmlp.metrics import Metric
from fastmlp.optimizers import BY_NAME
from fastmlp.schedules import Constant, Cosine, OneCycle, Plateau, Schedule, StepDecay

__all__ = ["EarlyStopping", "History", "TrainingMixin", "resolve_seed"]

Method = TypeVar("Method", bound=Callable[..., Any])

# What other libraries take as callbacks, by the argument of `fit` that takes it.
OTHER_ARGUMENTS: dict[str, Any] = {
    "early_stopping": EarlyStopping,
    "schedule": (Constant, Cosine, OneCycle, Plateau, StepDecay),
}
# The names that `fit` takes for an optimizer with its default settings.
OPTIMIZERS: dict[str, Any] = {**BY_NAME, "lbfgs": LBFGS}


def of_network(method: Method) -> Method:
    """Let Python's own errors, and pickles, name a method by the class that users know."""
    method.__module__, method.__qualname__ = "fastmlp", f"Network.{method.__name__}"
    return method


class TrainingMixin(MetadataMixin):
    """`fit`, `predict` and `summary`, built on `train_epoch`, `loss` and `forward`."""

    @in_default_float_mode
    @of_network
    def fit(
        self: Trainable,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        epochs: int,
        batch_size: int = 32,
        optimizer: str | Optimizer | LBFGS = "sgd",
        learning_rate: float | None = None,
        schedule: Schedule | None = None,
        dropout: float | Sequence[float] | None = None,
        standardize: bool = False,
        shuffle: bool = True,
        sample_weight: npt.ArrayLike | None = None,
        class_weight: dict[int, float] | str | None = None,
        loss: OwnLoss | None = None,
        validation_data: tuple[npt.ArrayLike, ...] | None = None,
        validation_split: float = 0.0,
        metrics: str | Metric | Iterable[str | Metric] = (),
        early_stopping: int | EarlyStopping | None = None,
        callbacks: Iterable[Callback] = (),
        progress: bool = False,
        verbose: bool | int = False,
        seed: int | np.random.Generator | None = None,
        checkpoint: AnyPath | None = None,
        every: int = 1,
        resume: AnyPath | None = None,
    ) -> History:
        """Train by mini-batch gradient descent or by L-BFGS (`docs/mathematics.md`, "Update").

        Two calls of 5 epochs with the same optimizer object give the same parameters as one call of
        10. (An optimizer's name makes a new object in each call.) If an exception is raised during
        training, by Ctrl-C or by a callback, the network keeps the parameters of that moment; with
        L-BFGS it keeps those of the last complete iteration.

        `fit` owns the network until it returns. Callbacks may use the network as they like; calls
        from other threads raise RuntimeError. They may use a copy that a callback made by `copy()`.

        Parameters
        ----------
        X : array_like or data frame of shape (m, n_in), real
            The names of a frame's columns are remembered as `feature_names`, and later frames must
            have the same columns in the same order. A frame is copied.
        y : array_like of shape (m,) or (m, n_out), real
            As for `loss`.
        epochs, batch_size : int
            The number of passes over the rows, and the number of rows in one step. The last batch
            of an epoch may be smaller. With L-BFGS an epoch is one iteration over all rows at once;
            batch_size and shuffle then make no difference.
        optimizer : str, or an optimizer object such as Adam(1e-3)
            A name ("sgd", "adam", "adamw", "rmsprop", "lion", "lbfgs") stands for that optimizer
            with its default settings.
        learning_rate : float, optional
            The default is the optimizer's own. Give it only if optimizer is a name, and not for
            L-BFGS.
        schedule : callable, optional
            `schedule(epoch, learning_rate, logs)` returns the learning rate of each epoch, counted
            over the network's life: see `fastmlp.schedules`. At the end the optimizer has the
            learning rate that it had before. Not for L-BFGS.
        dropout : float or sequence of float, optional
            The fraction of the hidden units, in [0, 1), that each step leaves out: one number for
            all hidden layers, or one for each (`docs/mathematics.md`, "Dropout"). Not for L-BFGS.
        standardize : bool
            Train on scaled rows: each column of X, and of y for the output "identity", minus its
            mean and divided by its standard deviation (`docs/mathematics.md`, "Scaling"). After
            each epoch the scaling is folded into the first and the last layer, so that the network
            takes raw rows. The first such `fit` measures the scaling, with sample_weight if it is
            given; later ones keep it. A network that has been trained before goes on from what it
            has learned.
        shuffle : bool
            Whether each epoch takes the rows in a new order, which depends on seed and
            `epochs_trained`. If False, every epoch takes them in the order of X.
        sample_weight : array_like of shape (m,), optional
            The weight of each row in the loss, not negative. Only the ratios of the weights count;
            their sum must not be 0.
        class_weight : dict or "balanced", optional
            The weight of each class number; it multiplies the weights of the training rows. A class
            that the dict does not have gets 1. "balanced" gives every class the same total weight.
            For softmax and for one sigmoid output.
        loss : callable, optional
            A loss of your own instead of the network's. For each batch, `loss(Y, y)` gets the
            outputs Y (m, n_out) and the rows of y. It returns a number and the gradient of this
            number with respect to Y, in the shape of Y. If the loss is a mean over the rows, both
            have the factor 1 / m. With one output, Y is (m,), and so is a y of one column. y may be
            any array with one row for each row of X: `fit` does not look at its values. standardize
            scales X alone. Put row weights into y; sample_weight and class_weight are refused.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Rows whose loss is computed after each epoch.
        validation_split : float
            The share of the rows to validate with instead of training on them, in [0, 1). The seed
            and the number of rows alone choose them, so a second `fit` holds out the same rows.
            Both parts are copies.
        metrics : str, callable or iterable of them
            What else to compute after each epoch, on the validation rows or, without any, on the
            training rows: names of `fastmlp.metrics` ("accuracy", "balanced_accuracy",
            "log_loss", "roc_auc"; "mae", "r2", "rmse") or callables `metric(y, outputs)`. These
            get the outputs of `forward` and y in the same shape, (m,) for one output; with softmax
            y is the class numbers (m,). Rows count equally.
        early_stopping : int or EarlyStopping, optional
            An int is the patience in epochs. Needs validation_data or validation_split. At the end
            the network is as it was after the epoch of the lowest validation loss,
            `epochs_trained` included.
        callbacks : iterable of callable
            Functions of your own, or objects of `fastmlp.callbacks`. After each epoch, each is
            called as `callback(network, epoch, logs)`: epoch counts from 0 in this call, and logs
            holds "loss" and the metrics, such as "accuracy". With validation rows it holds "loss",
            "val_loss" and metrics such as "val_accuracy". Training stops after an epoch in which
            one of them returned True.
        progress : bool
            Show a progress bar; needs tqdm.
        verbose : bool or int
            Print a line after each epoch or, with a number n, after every n epochs and the last.
        seed : int or numpy.random.Generator, optional
            The seed of the shuffling, the dropout and validation_split; by default the network's
            or, with resume, that of the run in the checkpoint.
        checkpoint : str, bytes or path, optional
            A file that is replaced, as by `save`, after every `every` epochs and after the last
            one that is run. It holds all that `resume` needs, and `Network.load` reads the network
            in it.
        every : int
            The number of epochs between two checkpoints.
        resume : str, bytes or path, optional
            A checkpoint to continue from, until `epochs` epochs have been run in all. The network
            and the optimizer get its state, and the result is that of a run that never stopped, bit
            for bit. Give the same data and arguments; the values in X and y are not compared. Only
            epochs, the numbers in early_stopping, callbacks, progress, checkpoint and every may
            differ. The schedule is called again for past epochs; the callbacks are not. A run that
            had finished all its epochs continues if epochs is now larger, and one that early
            stopping ended if patience is. A run that a callback ended does not continue.

        Returns
        -------
        History

        Raises
        ------
        ValueError, TypeError
            If an argument is not as above, X or y is not finite or has masked values, or there are
            no rows, or the run in the checkpoint had other arguments. The network is then
            unchanged.
        OSError
            If the checkpoint cannot be read or written. After an error in writing, the network
            keeps its parameters and the old file is whole.
        RuntimeError
            If another thread is in `fit` with this network or trains it.
        FloatingPointError
            If the loss or a parameter is no longer finite. The network is then as it was after the
            last finite epoch.
        ImportError
            If progress is True and tqdm is not installed.

        Examples
        --------
        >>> import fastmlp
        >>> network = fastmlp.Network([2, 8, 1], hidden="tanh", seed=0)
        >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 1]
        >>> history = network.fit(X, y, epochs=300, batch_size=4, learning_rate=0.5)
        >>> network.predict(X).tolist()
        [0, 1, 1, 1]
        """
        asked = SimpleNamespace(**locals())
        with self._own():
            plan = planned(self, asked)
            if seed is not None:
                resolve_seed(seed, "fit")  # draws from the generator itself
            logger.info("fit: %r, %d rows, %d epochs", self, len(plan.data.X), plan.epochs)
            history = train(self, plan)
            logger.info("fit: %r", history)
            return history

    @in_default_float_mode
    @of_network
    def predict(self: Trainable, X: npt.ArrayLike, threshold: float = 0.5) -> Array:
        """Return labels for the rows of X; a network for regression returns its outputs.

        Parameters
        ----------
        X : array_like of shape (m, n_in), real
            A single row may be given as (n_in,); the result then has one axis less.
        threshold : float
            The label of a sigmoid output is 1 if its probability is at least this.

        Returns
        -------
        ndarray of int64, shape (m,)
            For one sigmoid output, 0 or 1. For softmax, the class of the highest probability. If
            the network has `classes`, their labels instead.
        ndarray of int64, shape (m, n_out)
            For several sigmoid outputs, 0 or 1 each.
        ndarray of the network's dtype, shape (m,) or (m, n_out)
            For the outputs "identity" and "exp", the values of `forward`: (m,) if there is one
            output, so that they can be compared with a y of shape (m,).

        Raises
        ------
        ValueError
            If X does not fit the network, threshold is not a number, or a probability is NaN.

        Examples
        --------
        >>> import fastmlp
        >>> fastmlp.Network([2, 3], output="softmax", seed=0).predict([[0.0, 0.0]]).tolist()
        [0]
        """
        at_least = _threshold(threshold)
        outputs = self.forward(X)
        if self._labels is None:
            return _per_row(self, outputs)
        if np.isnan(outputs).any():
            frame = frame_of(X)
            if frame is not None:
                frame.refuse_any_nan("predict: X")
            raise ValueError(
                "predict: a probability is NaN; X and the parameters must not contain NaN"
            )
        if self._labels == "largest":
            return self._labelled(outputs.argmax(axis=-1).astype(np.int64))
        labels = _per_row(self, (outputs >= at_least).astype(np.int64))
        return self._labelled(labels) if self.layers[-1] == 1 else labels

    @of_network
    def summary(self: Trainable) -> str:
        """Return a table of the layers, with their parameters and multiply-adds.

        Returns
        -------
        str
            To print. The first line has the sums and the bytes of the parameters; the
            multiply-adds are those of one row in `forward`.

        Examples
        --------
        >>> import fastmlp
        >>> fastmlp.Network([30, 64, 1], seed=0).summary()
        2,049 parameters of float32 in 8.2 kB; 1,984 multiply-adds a row
        <BLANKLINE>
        layer  units  activation  parameters  multiply-adds
        input     30
        1         64  relu             1,984          1,920
        2          1  sigmoid             65             64
        """
        return summary(self)

    def _repr_html_(self) -> str | None:
        from fastmlp._html import network_html  # its imports take milliseconds

        return network_html(self)


def _per_row(network: Trainable, values: Array) -> Array:
    """Return values without the last axis if the network has one output."""
    per_row: Array = values[..., 0][()] if network.layers[-1] == 1 else values
    return per_row


def planned(network: Trainable, asked: SimpleNamespace) -> Plan:
    """Return the arguments of `fit` as a plan; refuse what is wrong and change nothing."""
    X = readable("fit: X", asked.X)  # the names of its columns can be read again
    optimizer = optimizer_object(asked.optimizer, asked.learning_rate)
    split = checked_split(asked.validation_split, asked.validation_data)
    validates = split > 0 or asked.validation_data is not None
    # A call that is refused must not draw from the caller's generator, so a copy draws the seed.
    seed = None if asked.seed is None else resolve_seed(copy.deepcopy(asked.seed), "fit")
    loss = checked_loss("fit", asked.loss)
    if loss is not None and not (asked.sample_weight is None and asked.class_weight is None):
        raise ValueError(
            "fit: sample_weight and class_weight are for the losses of the library; let loss apply "
            "them itself, for example as a column of y"
        )
    plan = Plan(
        loss=loss,
        epochs=positive_integer("fit", "epochs", asked.epochs),
        batch_size=positive_integer("fit", "batch_size", asked.batch_size),
        optimizer=optimizer,
        schedule=schedule_or_none(asked.schedule, optimizer),
        dropout=dropout_rates(asked.dropout, len(network.layers) - 2, optimizer),
        data=training_data(network, "fit", X, asked.y, asked.sample_weight, loss),
        validation=validation_data_or_none(network, asked.validation_data, loss),
        early_stopping=early_stopping_or_none(asked.early_stopping, validates),
        callbacks=callback_tuple(asked.callbacks),
        bar_class=progress_bar_class() if asked.progress else None,
        shuffle=bool(asked.shuffle),
        standardize=bool(asked.standardize),
        checkpoint=target_or_none(asked.checkpoint, asked.every),
        seed=network.seed if seed is None else seed,
        validation_split=split,
        metrics=metric_functions(network, asked.metrics),
        verbose=epochs_between_lines(asked.verbose),
        feature_names=feature_names(X),
    )
    whole, plan = plan, with_rows(network, plan, asked.class_weight)
    if asked.resume is not None:
        plan = resumed(network, plan, asked.resume, seed is None)
        whole = replace(whole, state=plan.state, seed=plan.seed)  # the seed chooses the rows
        plan = with_rows(network, whole, asked.class_weight)
    refuse_memory(plan, network.epochs_trained)
    if plan.standardize and plan.state is None:
        plan = replace(plan, scaling=measured(network, plan.data, plan.feature_names, loss is None))
    return plan


def optimizer_object(optimizer: Any, learning_rate: float | None) -> Optimizer | LBFGS:
    """Return an optimizer object, made from a name or given as one."""
    if isinstance(optimizer, LBFGS) or (isinstance(optimizer, str) and optimizer == "lbfgs"):
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
    """Return the schedule; refuse a schedule that is not callable, and any schedule for L-BFGS."""
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


def refuse_memory(plan: Plan, epochs_trained: int) -> None:
    """Refuse a checkpoint of a run that depends on the losses of earlier ones."""
    if plan.checkpoint is None or not isinstance(plan.schedule, Plateau):
        return
    first_epoch = plan.state.training["first_epoch"] if plan.state else epochs_trained
    if first_epoch > 0 and plan.schedule._remembers():  # at epoch 0 it forgets
        raise ValueError(
            f"fit: schedule is {plan.schedule!r}, which remembers the losses of an earlier fit; a "
            "checkpoint does not hold them. Make a new Plateau"
        )


def with_rows(network: Trainable, plan: Plan, class_weight: Any) -> Plan:
    """Return the plan of all rows with those to train on and those to validate with."""
    if not plan.validation_split and class_weight is None:
        return plan
    data, validation = divided(
        network, plan.data, plan.validation, plan.validation_split, plan.seed
    )
    data = data._replace(sample_weight=weights_by_class(network, class_weight, data))
    if class_weight is not None:
        network._validate("fit", *data)  # all rows may have the weight 0 now
    return replace(plan, data=data, validation=validation)


def resumed(network: Trainable, plan: Plan, resume: Any, takes_its_seed: bool) -> Plan:
    """Return the plan with the state that it continues from, and maybe the seed of that run."""
    state = state_in(resume, network, plan, takes_its_seed)
    return replace(plan, state=state, seed=state.training["seed"] if takes_its_seed else plan.seed)


def dropout_rates(dropout: Any, n_hidden: int, optimizer: Any) -> tuple[float, ...] | None:
    """Return a rate for each hidden layer, or None if all rates are 0."""
    if dropout is None:
        return None
    rule = "it must be a number in [0, 1), or one for each of the hidden layers"
    try:
        if np.asarray(dropout).dtype.kind not in "biuf":
            raise ValueError
        rates = np.asarray(dropout, dtype=float)
        if rates.shape not in ((), (n_hidden,)):
            raise ValueError
        each = tuple(np.broadcast_to(rates, n_hidden).tolist())
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"fit: dropout is {dropout!r}; {rule}, {n_hidden} here") from None
    if not all(0 <= rate < 1 for rate in each):
        raise ValueError(f"fit: dropout is {dropout!r}; {rule}")
    if any(each) and not isinstance(optimizer, Optimizer):
        raise ValueError(
            f"fit: dropout is {dropout!r}; {type(optimizer).__name__} takes all rows at once and "
            "cannot use dropout; leave dropout out"
        )
    return each if any(each) else None


def early_stopping_or_none(early_stopping: Any, validates: bool) -> EarlyStopping | None:
    """Return an `EarlyStopping`, made from a patience or given as one, or None."""
    if early_stopping is None:
        return None
    if not validates:
        raise ValueError(
            f"fit: early_stopping is {early_stopping!r} and there are no rows to validate with; "
            "it needs validation_data or validation_split"
        )
    if isinstance(early_stopping, EarlyStopping):
        return early_stopping
    return EarlyStopping(early_stopping)


def epochs_between_lines(verbose: Any) -> int:
    """Return after how many epochs to print a line; 0 for never."""
    try:
        number = operator.index(verbose)
    except TypeError:
        number = -1
    if number < 0:
        raise ValueError(
            f"fit: verbose is {verbose!r}; it must be True, False or a number of epochs"
        )
    return number


def callback_tuple(callbacks: Iterable[Callback]) -> tuple[Callback, ...]:
    """Return the callbacks as a tuple; refuse any that cannot be called."""
    rule = "it must be a sequence of callables"
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"fit: callbacks is {callbacks!r}; {rule}")
    collected = tuple(callbacks)
    for callback in collected:
        if isinstance(callback, type):
            raise TypeError(
                f"fit: callbacks has the class {callback.__name__}; give an object of it"
            )
        for argument, kinds in OTHER_ARGUMENTS.items():
            if isinstance(callback, kinds):
                raise TypeError(
                    f"fit: callbacks has {callback!r}, which is no callback; give it as {argument}="
                )
    if not all(callable(callback) for callback in collected):
        raise TypeError(f"fit: callbacks is {collected!r}; {rule}")
    return collected


def progress_bar_class() -> Any:
    """Return tqdm's bar for this terminal or notebook."""
    try:
        return importlib.import_module("tqdm.auto").tqdm
    except ImportError as error:
        raise ImportError(
            "fit: progress=True needs tqdm, which is not installed: pip install 'fastmlp[progress]'"
        ) from error


def resolve_seed(seed: Any, function: str = "Network") -> int:
    """Return a seed of 64 bits.

    Parameters
    ----------
    seed : int, numpy.random.Generator or None
        An int is returned as it is. A generator draws one. None asks the operating system for
        random bytes.
    function : str
        The name that messages begin with.

    Returns
    -------
    int
        In [0, 2**64).

    Raises
    ------
    TypeError
        If seed has another type; True and False are refused too.
    ValueError
        If the int is outside [0, 2**64).

    Examples
    --------
    >>> resolve_seed(7)
    7
    """
    if seed is None:
        return int.from_bytes(os.urandom(8), "little")
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(2**64 - 1, dtype=np.uint64, endpoint=True))
    rule = "it must be an int in [0, 2**64), a numpy.random.Generator or None"
    try:
        number = None if isinstance(seed, bool) else operator.index(seed)
    except TypeError:
        number = None
    if number is None:
        raise TypeError(f"{function}: seed is {seed!r}; {rule}")
    if not 0 <= number < 2**64:
        raise ValueError(f"{function}: seed is {number}; {rule}")
    return number


def _threshold(threshold: Any) -> float:
    try:
        number = math.nan if isinstance(threshold, str | bytes) else float(threshold)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isnan(number):
        raise ValueError(f"predict: threshold is {threshold!r}; it must be a number")
    return min(max(number, -1.0), 2.0)  # like a probability, this fits float32
