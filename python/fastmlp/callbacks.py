"""Ready callbacks for `fit(callbacks=[...])`: files of networks and losses, TensorBoard, MLflow.

`fit` calls `callback(network, epoch, logs)` after each epoch; any function will do. Epochs count
from 0; after a resume, the first call has the number of the first epoch that runs then. When a call
of these callbacks returns, its data are in the file. So they need no call at the end, and a program
that is killed loses no finished epoch.

Make one object for each network, because it remembers what it has written.
"""

from __future__ import annotations  # some types are used before they are defined

import contextlib
import csv
import importlib
import io
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastmlp._trainable import positive_integer
from fastmlp.formats import safetensors
from fastmlp.formats.safetensors import AnyPath

__all__ = ["CSVLogger", "MLflow", "ModelCheckpoint", "TensorBoard", "TerminateOnNaN", "per_member"]

Logs = dict[str, float]

# The metrics whose larger values are better, and those whose smaller values are better. The names
# may also begin with "val_".
LARGER = ("accuracy", "balanced_accuracy", "r2", "roc_auc")
SMALLER = ("loss", "log_loss", "mae", "rmse")


class ModelCheckpoint:
    """Save the network after every epoch, after every few, or whenever it is better than before.

    The files are those of `Network.save`, and are replaced as a whole. Two other tasks need no
    callback: `fit(checkpoint=path)` writes what `fit(resume=path)` needs to go on after an
    interruption, and `fit(early_stopping=...)` restores the best epoch.

    Parameters
    ----------
    path : str, bytes or path
        The file. As in Keras, it may have fields in braces, such as
        "{epoch:03d}-{val_loss:.3f}.safetensors": the number of the epoch, which here counts from 1
        as in the lines that `verbose` prints, and the losses and metrics of the epoch. Without such
        a field each file replaces the one before. The folder must exist.
    monitor : str, optional
        For save_best_only: the loss or the metric to compare; by default "val_loss" or, without
        validation rows, "loss".
    mode : {"min", "max"}, optional
        Whether a smaller or a larger value is better. By default it is known for the losses and for
        the metrics of `fastmlp.metrics`; pass it for a metric of your own.
    save_best_only : bool
        Save only if the value is better than that of every epoch before. NaN is never better. With
        `resume` the best value so far is read from the file that would be replaced.
    every : int
        The network is saved, and compared, only after every n-th epoch.

    Attributes
    ----------
    best : float or None
        With save_best_only, the value of the network that was saved last.

    Raises
    ------
    OSError
        If the file cannot be written: when the object is made, if that can be seen then.
    ValueError, TypeError
        If an argument is not as above. If path or monitor has a name that the epochs do not report,
        the error comes after the first epoch.

    Notes
    -----
    `metadata["ModelCheckpoint"]` of the network in the file has the epoch and its values as JSON.

    Examples
    --------
    >>> import os, tempfile
    >>> import fastmlp
    >>> from fastmlp.callbacks import ModelCheckpoint
    >>> X, y = fastmlp.datasets.load_breast_cancer()
    >>> network = fastmlp.Network([30, 1], seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save = ModelCheckpoint(os.path.join(folder, "{epoch:02d}.safetensors"), every=2)
    ...     history = network.fit(X, y, epochs=5, standardize=True, callbacks=[save])
    ...     sorted(os.listdir(folder))
    ['02.safetensors', '04.safetensors']
    """

    def __init__(
        self,
        path: AnyPath,
        *,
        monitor: str | None = None,
        mode: str | None = None,
        save_best_only: bool = False,
        every: int = 1,
    ) -> None:
        self.path = safetensors.checked_path(path, "ModelCheckpoint")
        self._folder = os.getcwd()  # which a callback may change
        if "{" not in os.path.dirname(self.path):
            _refuse_unwritable(os.path.join(self._folder, self.path), "ModelCheckpoint")
        self.every = positive_integer("ModelCheckpoint", "every", every)
        if mode not in (None, "min", "max"):
            raise ValueError(f"ModelCheckpoint: mode is {mode!r}; it must be 'min', 'max' or None")
        if not isinstance(monitor, str | None):
            raise TypeError(
                f"ModelCheckpoint: monitor is {monitor!r}; it must be the name of a loss or metric"
            )
        known = (monitor or "loss").removeprefix("val_")
        if mode is None and known not in LARGER + SMALLER:
            raise ValueError(
                f"ModelCheckpoint: monitor is {monitor!r} and mode is None; give mode='min' if a "
                "smaller value is better, or mode='max'"
            )
        self.monitor = monitor
        self.sign = -1.0 if mode == "max" or (mode is None and known in LARGER) else 1.0
        self.save_best_only = save_best_only
        self.best: float | None = None
        self._begun = False

    def __call__(self, network: Any, epoch: int, logs: Logs) -> None:
        """Save the network if it is time."""
        monitor = self.monitor or ("val_loss" if "val_loss" in logs else "loss")
        if monitor not in logs:
            raise ValueError(
                f"ModelCheckpoint: monitor is {monitor!r}, which the epochs do not report; it must "
                f"be one of {list(logs)}. `val_` names need validation rows"
            )
        path = self._path(epoch + 1, logs)
        if not hasattr(network, "save"):
            raise TypeError(
                f"ModelCheckpoint: network is a {type(network).__name__}, which has no `save`; "
                "the callback is for the `fit` of a fastmlp.Network"
            )
        if network.epochs_trained == 1:  # a new network
            self.best = None
        elif epoch > 0 and not self._begun:  # after a resume
            self.best = _value_in_file(type(network), path, monitor)
        self._begun = True
        value, best = logs[monitor], self.best
        is_better = best is None or self.sign * value < self.sign * best
        if (epoch + 1) % self.every or (
            self.save_best_only and (math.isnan(value) or not is_better)
        ):
            return
        copy = network.copy()
        finite = {name: found if math.isfinite(found) else None for name, found in logs.items()}
        copy.metadata["ModelCheckpoint"] = json.dumps({**finite, "epoch": epoch + 1})
        copy.save(path)
        self.best = value if self.save_best_only else None

    def _path(self, number: int, logs: Logs) -> str:
        """Return the name of the file of an epoch."""
        try:
            name = self.path.format(**{**logs, "epoch": number})
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ValueError(
                f"ModelCheckpoint: path is {self.path!r}; {error!r}. Its fields must be among "
                f"{['epoch', *logs]}, such as {{epoch:03d}} or {{loss:.4f}}; a brace that is part "
                "of the name is written twice"
            ) from None
        return os.path.join(self._folder, name)


def _value_in_file(network_class: Any, path: str, monitor: str) -> float | None:
    """Return the value with which ModelCheckpoint saved a file; None if it did not."""
    try:
        network = network_class.load(path)
    except (OSError, ValueError):
        return None
    found: float | None = json.loads(network.metadata.get("ModelCheckpoint", "{}")).get(monitor)
    return found


class CSVLogger:
    """Write a line with the losses and metrics of each epoch to a CSV file.

    The columns are "epoch", counted from 0 as in `History.to_frame`, "loss" and the other names
    that the epochs report. Numbers have all their digits. With `resume`, the lines of the epochs
    that are repeated are replaced, so the file is that of a run that never stopped.

    Parameters
    ----------
    path : str, bytes or path
        The file. A run that begins at epoch 0 replaces it.
    append : bool
        Whether a run that begins at epoch 0 adds its lines to the file instead.

    Raises
    ------
    OSError
        If the file cannot be written: when the object is made, if that can be seen then.
    ValueError
        If lines are to be added to a file that has other columns.

    Examples
    --------
    >>> import os, tempfile
    >>> import fastmlp
    >>> from fastmlp.callbacks import CSVLogger
    >>> network = fastmlp.Network([1, 1], output="identity", seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "log.csv")
    ...     history = network.fit([[0.0], [1.0]], [0, 1], epochs=2, callbacks=[CSVLogger(path)])
    ...     with open(path) as file:
    ...         print(file.read())  # doctest: +ELLIPSIS
    epoch,loss
    0,0...
    1,0...
    """

    def __init__(self, path: AnyPath, *, append: bool = False) -> None:
        self.path = os.path.join(os.getcwd(), safetensors.checked_path(path, "CSVLogger"))
        _refuse_unwritable(self.path, "CSVLogger")
        self.append = append
        self._next: int | None = None  # the epoch that continues what was written last

    def __call__(self, network: Any, epoch: int, logs: Logs) -> None:
        """Write the line of an epoch."""
        names = _line(["epoch", *logs])
        begins = epoch == 0 or epoch != self._next or not os.path.exists(self.path)
        self._next = None  # until all of the line is written
        try:
            if begins:
                self._begin(epoch, names)
            with open(self.path, "ab") as file:
                file.write(_line([epoch, *logs.values()]))
        except OSError as error:
            raise type(error)(error.errno, f"CSVLogger: {error.strerror}", self.path) from error
        self._next = epoch + 1

    def _begin(self, epoch: int, names: bytes) -> None:
        """Begin the file, or keep its names and the lines that come before this epoch."""
        lines = []
        if epoch > 0 or self.append:
            with contextlib.suppress(FileNotFoundError):
                lines = Path(self.path).read_bytes().splitlines(keepends=True)
        if len(lines) == 1 and not lines[0].endswith(b"\n") and names.startswith(lines[0]):
            lines = []
        if lines and lines[0].splitlines() != names.splitlines():
            raise ValueError(
                f"CSVLogger: {self.path!r} begins with {lines[0][:200]!r} and the columns are "
                f"{names!r}; give another file"
            )
        # The last line has no end if the program was killed or the disk was full.
        while len(lines) > 1 and (
            not lines[-1].endswith(b"\n")
            or not lines[-1].strip()
            or (epoch > 0 and int(lines[-1].split(b",")[0]) >= epoch)
        ):
            lines.pop()
        if lines:
            os.truncate(self.path, sum(map(len, lines)))
        else:
            Path(self.path).write_bytes(names)


def _line(cells: list[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


class TensorBoard:
    """Show the losses and metrics of each epoch in TensorBoard, as scalars.

    Parameters
    ----------
    writer : str, path, or object
        The folder of the run, which is made if it does not exist; this needs the package
        `tensorboard`. To see several runs side by side, call `tensorboard --logdir` with the folder
        that contains theirs. Or a writer with `add_scalar(name, value, step)` and `flush()`, such
        as a `torch.utils.tensorboard.SummaryWriter`.

    Raises
    ------
    ImportError
        If tensorboard is not installed.
    OSError
        If the folder cannot be written, or if the disk is full after an epoch.

    Examples
    --------
    >>> import fastmlp
    >>> from fastmlp.callbacks import TensorBoard
    >>> X, y = fastmlp.datasets.load_breast_cancer()
    >>> network = fastmlp.Network([30, 16, 1], seed=0)
    >>> log = TensorBoard("runs/first")  # doctest: +SKIP
    >>> history = network.fit(X, y, epochs=30, callbacks=[log])  # doctest: +SKIP
    """

    def __init__(self, writer: Any) -> None:
        if isinstance(writer, str | os.PathLike):
            summary = _imported("tensorboard.summary", "TensorBoard", "tensorboard")
            writer = summary.Writer(os.fspath(writer))
        elif not (hasattr(writer, "add_scalar") and hasattr(writer, "flush")):
            raise TypeError(
                f"TensorBoard: writer is {writer!r:.80}; it must be the name of a folder, or have "
                "the methods add_scalar and flush"
            )
        self.writer = writer

    def __call__(self, network: Any, epoch: int, logs: Logs) -> None:
        """Write the values of an epoch; the step is its number, counted from 0."""
        for name, value in logs.items():
            self.writer.add_scalar(name, value, epoch)
        self.writer.flush()


class MLflow:
    """Log the losses and metrics of each epoch to a run of MLflow, by `mlflow.log_metrics`.

    Parameters
    ----------
    run_id : str, optional
        The run; by default the active one. If none is active, MLflow starts one.
    prefix : str
        A text to put before each name.

    Raises
    ------
    ImportError
        If mlflow is not installed; the package mlflow-skinny is enough.

    Examples
    --------
    >>> import fastmlp
    >>> from fastmlp.callbacks import MLflow
    >>> X, y = fastmlp.datasets.load_breast_cancer()
    >>> network = fastmlp.Network([30, 16, 1], seed=0)
    >>> history = network.fit(X, y, epochs=30, callbacks=[MLflow()])  # doctest: +SKIP
    """

    def __init__(self, run_id: str | None = None, *, prefix: str = "") -> None:
        _imported("mlflow", "MLflow", "mlflow")
        self.run_id = run_id
        self.prefix = prefix

    def __call__(self, network: Any, epoch: int, logs: Logs) -> None:
        """Log the values of an epoch; the step is its number, counted from 0."""
        mlflow = importlib.import_module("mlflow")  # a module attribute could not be pickled
        metrics = {self.prefix + name: value for name, value in logs.items()}
        mlflow.log_metrics(metrics, step=epoch, run_id=self.run_id)


class TerminateOnNaN:
    """End `fit` without an error when the loss is no longer finite.

    Without this callback, `fit` raises FloatingPointError when the loss or a parameter is not
    finite. In both cases the network is as it was after the last finite epoch. With it, `fit`
    returns the history of the finite epochs, whose `stopped_by` is "not_finite". It also ends after
    an epoch whose validation loss is not finite; `stopped_by` is then "callback".

    Examples
    --------
    >>> import fastmlp
    >>> network = fastmlp.Network([1, 1], output="identity", seed=0)
    >>> X, y = [[1.0], [1e6]], [0.0, 1e6]
    >>> stop = fastmlp.callbacks.TerminateOnNaN()
    >>> network.fit(X, y, epochs=50, batch_size=1, callbacks=[stop]).stopped_by
    'not_finite'
    """

    def __call__(self, network: Any, epoch: int, logs: Logs) -> bool:
        """Return whether the validation loss is not finite."""
        return not math.isfinite(logs.get("val_loss", 0.0))


def per_member(make: Callable[[int], Callable[[Any, int, Logs], object]]) -> Callable[[Any], Any]:
    """Return a callback for the `fit` of a tabular model, which trains several networks at once.

    Parameters
    ----------
    make : callable
        `make(member)` returns the callback of a network; members count from 0. It is called before
        training for the first network, and for the others when their first epoch has ended.

    Returns
    -------
    callable
        It gets a `fastmlp.tabular.Progress` and calls the callback of that network as
        `callback(None, epoch, logs)`. The logs have "loss" and, if rows are held out, "val_error".

    Examples
    --------
    >>> import os, tempfile
    >>> from fastmlp.callbacks import CSVLogger, per_member
    >>> from fastmlp.tabular import TabularRegressor
    >>> table = {"x": [i % 50 / 10 for i in range(100)]}
    >>> table["y"] = [2 * x + 1 for x in table["x"]]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = per_member(lambda member: CSVLogger(os.path.join(folder, f"{member}.csv")))
    ...     model = TabularRegressor(n_members=2, epochs=3).fit(table, "y", callbacks=[log])
    ...     sorted(os.listdir(folder))
    ['0.csv', '1.csv']
    """
    callbacks = {0: make(0)}

    def callback(progress: Any) -> object:
        if progress.member not in callbacks:
            callbacks[progress.member] = make(progress.member)
        logs = {"loss": progress.loss}
        if progress.val_error is not None:
            logs["val_error"] = progress.val_error
        return callbacks[progress.member](None, progress.epoch - 1, logs)

    return callback


def _refuse_unwritable(path: str, function: str) -> None:
    """Raise the OSError that writing the file would raise."""
    try:
        safetensors.refuse_unwritable(path)
    except OSError as error:
        error.strerror = f"{function}: cannot write the file: {error.strerror}"
        raise


def _imported(module: str, function: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{function}: it needs {package}, which is not installed: pip install {package}"
        ) from error
