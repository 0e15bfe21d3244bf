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
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp._checkpoint import state_in, target_or_none
from fastmlp._core import Optimizer
from fastmlp._float_mode import in_default_float_mode
from fastmlp._metadata import MetadataMixin
from fastmlp._standardize import measured
from fastmlp._trainable import Array, Callback, Data, Trainable, positive_integer, refuse_masked
from fastmlp._training_loop import EarlyStopping, History, Plan, train
from fastmlp.formats.safetensors import AnyPath
from fastmlp.lbfgs import LBFGS
from fastmlp.optimizers import BY_NAME
from fastmlp.schedules import Plateau, Schedule

__all__ = ["EarlyStopping", "History", "TrainingMixin", "resolve_seed"]

# The names that `fit` takes for an optimizer with its default settings.
OPTIMIZERS: dict[str, Any] = {**BY_NAME, "lbfgs": LBFGS}

# Finiteness is checked in blocks of 512 KiB of float64: a block stays in cache, and no data set is
# ever converted as a whole.
FINITE_CHECK_ELEMENTS = 65536


class TrainingMixin(MetadataMixin):
    """`fit` and `predict`, built on the network's `train_epoch`, `loss` and `forward`."""

    @in_default_float_mode
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
        validation_data: tuple[npt.ArrayLike, ...] | None = None,
        early_stopping: int | EarlyStopping | None = None,
        callbacks: Iterable[Callback] = (),
        progress: bool = False,
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
        X : array_like of shape (m, n_in), real
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
        validation_data : (X, y) or (X, y, sample_weight), optional
            Rows whose loss is computed after each epoch.
        early_stopping : int or EarlyStopping, optional
            An int is the patience in epochs. Needs validation_data. At the end the network is as it
            was after the epoch of the lowest validation loss, `epochs_trained` included.
        callbacks : iterable of callable
            After each epoch, each is called as `callback(network, epoch, logs)`: epoch counts from
            0 in this call, and logs holds "loss" and, with validation data, "val_loss". Training
            stops after an epoch in which one of them returned True.
        progress : bool
            Show a progress bar; needs tqdm.
        seed : int or numpy.random.Generator, optional
            The seed of the shuffling and the dropout; by default the network's or, with resume,
            that of the run in the checkpoint.
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
        with self._own():
            chosen = optimizer_object(optimizer, learning_rate)
            plan = Plan(
                epochs=positive_integer("fit", "epochs", epochs),
                batch_size=positive_integer("fit", "batch_size", batch_size),
                optimizer=chosen,
                schedule=schedule_or_none(schedule, chosen),
                dropout=dropout_rates(dropout, len(self.layers) - 2, chosen),
                data=training_data(self, "fit", X, y, sample_weight),
                validation=validation_data_or_none(self, validation_data),
                early_stopping=early_stopping_or_none(early_stopping, validation_data),
                callbacks=callback_tuple(callbacks),
                bar_class=progress_bar_class() if progress else None,
                shuffle=bool(shuffle),
                standardize=bool(standardize),
                checkpoint=target_or_none(checkpoint, every),
                # Last, because a call that is refused must not draw from the caller's generator.
                seed=self.seed if seed is None else resolve_seed(copy.deepcopy(seed), "fit"),
            )
            if resume is not None:
                plan = resumed(self, plan, resume, seed is None)
            refuse_memory(plan, self.epochs_trained)
            if plan.standardize and plan.state is None:
                plan = replace(plan, scaling=measured(self, plan.data))
            if seed is not None:
                resolve_seed(seed, "fit")  # draws from the generator itself
            return train(self, plan)

    @in_default_float_mode
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
            raise ValueError(
                "predict: a probability is NaN; X and the parameters must not contain NaN"
            )
        if self._labels == "largest":
            return self._labelled(outputs.argmax(axis=-1).astype(np.int64))
        labels = _per_row(self, (outputs >= at_least).astype(np.int64))
        return self._labelled(labels) if self.layers[-1] == 1 else labels


def _per_row(network: Trainable, values: Array) -> Array:
    """Return values without the last axis if the network has one output."""
    per_row: Array = values[..., 0][()] if network.layers[-1] == 1 else values
    return per_row


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


def training_data(network: Trainable, prefix: str, X: Any, y: Any, sample_weight: Any) -> Data:
    """Return the data as arrays that this network can be trained on.

    Every message begins with `prefix`. Finiteness is checked before `_validate` is called, because
    the range check there would refuse a NaN in y without saying where it is.
    """
    data = Data(
        X=_apart(network, _real_array(prefix, "X", X)),
        y=_apart(network, _real_array(prefix, "y", y)),
        sample_weight=(
            None
            if sample_weight is None
            else _apart(network, _real_array(prefix, "sample_weight", sample_weight))
        ),
    )
    for name, values in data._asdict().items():
        if values is not None:
            dtype = np.dtype(np.float64) if name == "sample_weight" else network.dtype
            _check_finite(f"{prefix}: {name}", values, dtype)
    network._validate(prefix, *data)
    if len(data.X) == 0:
        raise ValueError(f"{prefix}: X has shape {data.X.shape}; there must be at least one row")
    return data


def _apart(network: Trainable, array: Array) -> Array:
    """Return the array, or a copy if it may be a view of the parameters, which training changes."""
    return array.copy() if np.may_share_memory(array, network.parameters) else array


def _real_array(prefix: str, name: str, values: Any) -> Array:
    refuse_masked(f"{prefix}: {name}", values)
    if hasattr(values, "tocsr"):
        raise TypeError(
            f"{prefix}: {name} is a sparse matrix, which fit does not take; give "
            f"{name}.toarray(), or train with train_epoch, which takes CSR matrices"
        )
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{prefix}: {name} has dtype {array.dtype}; it must hold real numbers "
            "(bool, integer or floating point)"
        )
    return array


def _check_finite(what: str, values: Array, dtype: np.dtype[Any]) -> None:
    """Refuse values that are not finite in this dtype; 1e300 is infinite in float32."""
    if values.dtype.kind != "f" or values.ndim not in (1, 2):
        return  # Integers are finite in both dtypes; `_validate` refuses other shapes.
    table = values if values.ndim == 2 else values[:, np.newaxis]
    rows = max(1, FINITE_CHECK_ELEMENTS // max(1, table.shape[1]))
    for start in range(0, len(table), rows):
        block = table[start : start + rows]
        with np.errstate(over="ignore"):  # The error below reports an overflow.
            finite = np.isfinite(block.astype(dtype, copy=False))
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise ValueError(
                f"{what} has {block[row, column]} at row {start + row}, column {column}; "
                f"every value must be finite in {dtype}"
            )


def validation_data_or_none(network: Trainable, given: Any) -> Data | None:
    """Return the validation data as arrays, or None."""
    if given is None:
        return None
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        size = f" of {len(given)} items" if isinstance(given, tuple | list) else ""
        raise ValueError(
            f"fit: validation_data is a {type(given).__name__}{size}; "
            "it must be (X, y) or (X, y, sample_weight)"
        )
    X, y, sample_weight = given if len(given) == 3 else (*given, None)
    return training_data(network, "fit: validation_data", X, y, sample_weight)


def early_stopping_or_none(early_stopping: Any, validation_data: object) -> EarlyStopping | None:
    """Return an `EarlyStopping`, made from a patience or given as one, or None."""
    if early_stopping is None:
        return None
    if validation_data is None:
        raise ValueError(
            f"fit: early_stopping is {early_stopping!r} and validation_data is None; "
            "early stopping needs validation_data"
        )
    if isinstance(early_stopping, EarlyStopping):
        return early_stopping
    return EarlyStopping(early_stopping)


def callback_tuple(callbacks: Iterable[Callback]) -> tuple[Callback, ...]:
    """Return the callbacks as a tuple; refuse any that cannot be called."""
    rule = "it must be a sequence of callables"
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"fit: callbacks is {callbacks!r}; {rule}")
    collected = tuple(callbacks)
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
