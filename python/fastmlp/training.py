"""`fit` and `predict`, written once for the native network and the twin.

The arithmetic of an epoch is `train_epoch`'s or that of lbfgs.py, the loop over epochs is in
`_training_loop.py`, the checks of arguments are in `_arguments.py` and `_optimizers.py`. Start at
`TrainingMixin.fit`.
"""

from __future__ import annotations  # numpy.random is loaded by who uses it

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from fastmlp._arguments import (
    Array,
    Callback,
    callback_tuple,
    dropout_rates,
    positive_integer,
    progress_bar_class,
    resolve_seed,
    training_data,
    validation_data_or_none,
)
from fastmlp._core import Optimizer
from fastmlp._early_stopping import EarlyStopping, best_epoch
from fastmlp._optimizers import optimizer_object, schedule_or_none
from fastmlp._training_loop import History, Plan, Trainable, train
from fastmlp.lbfgs import LBFGS
from fastmlp.schedules import Schedule

__all__ = ["EarlyStopping", "History", "TrainingMixin", "resolve_seed"]


class TrainingMixin:
    """`fit` and `predict`, over `train_epoch`, `loss` and `forward`."""

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
        shuffle: bool = True,
        sample_weight: npt.ArrayLike | None = None,
        validation_data: tuple[npt.ArrayLike, ...] | None = None,
        early_stopping: int | EarlyStopping | None = None,
        callbacks: Iterable[Callback] = (),
        progress: bool = False,
        seed: int | np.random.Generator | None = None,
    ) -> History:
        """Train by mini-batch gradient descent or by L-BFGS (`docs/mathematics.md`, "Update").

        Two calls of 5 epochs with one optimizer object give the same parameters as one of 10 (a
        name stands for a new object in each call). An exception that is raised while training runs
        (Ctrl-C, one of a callback's) leaves the parameters as they are then, or with L-BFGS as
        after its last complete iteration.

        Parameters
        ----------
        X : array_like of shape (m, n_in), real
        y : array_like of shape (m,) or (m, n_out), real
            As for `loss`.
        epochs, batch_size : int
            Passes over the rows, and rows per step; the last batch of an epoch may be shorter. With
            L-BFGS an epoch is one iteration over all rows at once, and batch_size and shuffle make
            no difference.
        optimizer : {"sgd", "adam", "adamw", "lbfgs"}, SGD, Adam, AdamW or LBFGS
            A name stands for the optimizer with its default settings.
        learning_rate : float, optional
            None is the optimizer's default; not to be given together with an optimizer object, nor
            with L-BFGS.
        schedule : callable, optional
            `schedule(epoch, learning_rate, logs)` returns the learning rate of each epoch, where
            epoch counts over the network's life: see `fastmlp.schedules`. At the end the optimizer
            has the learning rate that it had before. Not for L-BFGS.
        dropout : float or sequence of float, optional
            The share of units, in [0, 1), that a step leaves out: one for all hidden layers or one
            each (`docs/mathematics.md`, "Dropout"). Not for L-BFGS.
        shuffle : bool
            Whether each epoch takes the rows in an order of its own, drawn from seed and
            `epochs_trained`; else as they stand.
        sample_weight : array_like of shape (m,), optional
            Weight of each row in the loss.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Its loss is taken after each epoch.
        early_stopping : int or EarlyStopping, optional
            A patience in epochs. Needs validation_data. At the end the network is as it was after
            the epoch of the lowest validation loss, `epochs_trained` included.
        callbacks : iterable of callable
            Each is called as `callback(network, epoch, logs)` after each epoch, where epoch counts
            from 0 in this call and logs holds "loss" and, with validation data, "val_loss".
            Training stops after an epoch in which one returned True.
        progress : bool
            Show a progress bar; needs tqdm.
        seed : int or numpy.random.Generator, optional
            Of the shuffling and the dropout, in place of the network's.

        Returns
        -------
        History

        Raises
        ------
        ValueError, TypeError
            If an argument is not as above, X or y is not finite, or there are no rows. Nothing has
            changed then.
        FloatingPointError
            If the loss or a parameter stops being finite. The network is as after the last finite
            epoch.
        ImportError
            If progress is asked for and tqdm is not installed.

        Examples
        --------
        >>> import fastmlp
        >>> network = fastmlp.Network([2, 8, 1], hidden="tanh", seed=0)
        >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 1]
        >>> history = network.fit(X, y, epochs=300, batch_size=4, learning_rate=0.5)
        >>> network.predict(X).tolist()
        [0, 1, 1, 1]
        """
        chosen = optimizer_object(optimizer, learning_rate)
        plan = Plan(
            epochs=positive_integer("fit", "epochs", epochs),
            batch_size=positive_integer("fit", "batch_size", batch_size),
            optimizer=chosen,
            schedule=schedule_or_none(schedule, chosen),
            dropout=dropout_rates(dropout, len(self.layers) - 2, chosen),
            data=training_data(self, "fit", X, y, sample_weight),
            validation=validation_data_or_none(self, validation_data),
            best=best_epoch(early_stopping, validation_data),
            callbacks=callback_tuple(callbacks),
            bar_class=progress_bar_class() if progress else None,
            shuffle=bool(shuffle),
            # Last: a refused call must not draw from a caller's generator.
            seed=self.seed if seed is None else resolve_seed(seed, "fit"),
        )
        return train(self, plan)

    def _dot(self, a: Array, b: Array) -> float:
        """Σ a b, in float64."""
        return float(a.astype(np.float64) @ b)

    def predict(self: Trainable, X: npt.ArrayLike, threshold: float = 0.5) -> Array:
        """Labels for the rows of X; for the outputs `identity` and `exp` the outputs themselves.

        Parameters
        ----------
        X : array_like of shape (m, n_in), real
            One row (n_in,) is taken too, and loses its axis in the result.
        threshold : float
            A sigmoid's label is 1 where its probability is at least this.

        Returns
        -------
        ndarray of int64, shape (m,)
            One sigmoid output: 0 or 1. Softmax: the class of the highest probability.
        ndarray of int64, shape (m, n_out)
            Several sigmoid outputs: 0 or 1 each.
        ndarray of the network's dtype, shape (m, n_out)
            The outputs `identity` and `exp`.

        Raises
        ------
        ValueError
            If X does not fit the network, or a probability is NaN: no label could tell it.

        Examples
        --------
        >>> import fastmlp
        >>> fastmlp.Network([2, 3], output="softmax", seed=0).predict([[0.0, 0.0]]).tolist()
        [0]
        """
        outputs = self.forward(X)
        if self.output in ("identity", "exp"):
            return outputs
        if np.isnan(outputs).any():
            raise ValueError("predict: a probability is NaN; X and the parameters must hold none")
        if self.output == "softmax":
            return np.asarray(outputs.argmax(axis=-1), dtype=np.int64)
        labels = np.asarray(outputs >= threshold, dtype=np.int64)
        return labels[..., 0] if self.layers[-1] == 1 else labels
