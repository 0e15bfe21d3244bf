"""`History`: what `fit` returns."""

from __future__ import annotations  # some types are used before they are defined

import importlib
import math
from dataclasses import dataclass, field
from typing import Any, Literal

Ending = Literal["epochs", "early_stopping", "callback", "converged", "line_search", "not_finite"]


@dataclass(repr=False)
class History:
    """What happened in `fit`, epoch by epoch.

    Attributes
    ----------
    loss : list of float
        Mean loss of each epoch. The loss of a row is computed just before the step on its batch;
        with L-BFGS this is the loss after the epoch.
    val_loss : list of float
        Loss of the validation rows after each epoch; empty without any.
    learning_rate : list of float
        Learning rate of each epoch. With L-BFGS this is the length of its step, 0.0 without a step.
    epochs : int
        The number of epochs run, which is `len(loss)`.
    stopped_by : str
        Why training ended: "epochs", "early_stopping" or "callback"; with L-BFGS also "converged"
        or "line_search"; with `fastmlp.callbacks.TerminateOnNaN` also "not_finite".
    metrics : dict of str to list of float
        The values of each of the `metrics` after each epoch, such as "val_accuracy", or "accuracy"
        without validation rows. They are NaN for epochs before a resume.

    Examples
    --------
    >>> import fastmlp
    >>> network = fastmlp.Network([1, 1], output="identity", seed=0)
    >>> network.fit([[0.0], [1.0]], [0.0, 1.0], epochs=9)  # doctest: +ELLIPSIS
    History(epochs=9, loss=..., best_epoch=8, best_loss=..., stopped_by='epochs')
    """

    loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    epochs: int = 0
    stopped_by: Ending = "epochs"
    metrics: dict[str, list[float]] = field(default_factory=dict)

    @property
    def best_epoch(self) -> int | None:
        """The epoch of the lowest validation loss or, without validation rows, of the lowest loss.

        It is counted from 0; pictures count epochs from 1. None if no epoch has a loss that is a
        number.
        """
        losses = self.val_loss or self.loss
        epochs = [epoch for epoch, loss in enumerate(losses) if not math.isnan(loss)]
        return min(epochs, key=losses.__getitem__) if epochs else None

    def plot(self, ax: Any = None) -> Any:
        """Draw the losses, by `fastmlp.plot.history`; needs matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            What to draw on; by default a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return importlib.import_module("fastmlp.plot").history(self, ax=ax)

    def to_frame(self) -> Any:
        """Return the history as a data frame of pandas.

        Returns
        -------
        pandas.DataFrame
            One row for each epoch; the columns are "loss", "val_loss" if there is any,
            "learning_rate" and the metrics.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            pandas = importlib.import_module("pandas")
        except ImportError as error:
            raise ImportError(
                "to_frame: it needs pandas, which is not installed: pip install pandas"
            ) from error
        columns = {"loss": self.loss, "val_loss": self.val_loss}
        columns |= {"learning_rate": self.learning_rate, **self.metrics}
        frame = pandas.DataFrame({name: values for name, values in columns.items() if values})
        return frame.rename_axis("epoch")

    def _repr_html_(self) -> str:
        from fastmlp._html import history_html  # its imports take milliseconds

        return history_html(self)

    def __repr__(self) -> str:
        values: dict[str, Any] = {"epochs": self.epochs}
        best = self.best_epoch
        if best is not None:
            name = "val_loss" if self.val_loss else "loss"
            last = {"loss": self.loss, "val_loss": self.val_loss}
            values |= {key: f"{losses[-1]:.4g}" for key, losses in last.items() if losses}
            values |= {"best_epoch": best, f"best_{name}": f"{getattr(self, name)[best]:.4g}"}
        values["stopped_by"] = repr(self.stopped_by)
        return f"History({', '.join(f'{key}={value}' for key, value in values.items())})"
