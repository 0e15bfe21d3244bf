"""The metrics of a `fit`: the names for each output, and the values after an epoch.

The functions are in metrics.py. Start at `metric_functions`.
"""

import numbers
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from fastmlp import metrics
from fastmlp._trainable import Array, Data, Trainable
from fastmlp.metrics import Metric

FOR_LABELS = ("accuracy", "balanced_accuracy", "log_loss", "roc_auc")
FOR_NUMBERS = ("mae", "r2", "rmse")
RESERVED = {"loss", "val_loss", "learning_rate"}


class Metrics:
    """Functions with the names that `History` and callbacks see, and the rows to compute them on.

    Parameters
    ----------
    functions : dict
        The metrics by their names.
    network : Network
    data : Data
        The validation data or, without them, the training data.
    prefix : str
        "val_" for validation data.
    """

    def __init__(
        self, functions: dict[str, Metric], network: Trainable, data: Data, prefix: str
    ) -> None:
        self.functions = {prefix + name: function for name, function in functions.items()}
        self.network = network
        self.X = data.X
        self.y = _targets(network, data.y)

    def values(self) -> Iterator[tuple[str, float]]:
        """Yield the name and the value of each metric for the network as it is now."""
        outputs = self.network.forward(self.X)
        if outputs.shape[1] == 1:
            outputs = outputs[:, 0]
        for name, function in self.functions.items():
            value = function(self.y, outputs)
            if not isinstance(value, numbers.Real | np.bool_):
                raise TypeError(
                    f"fit: the metric {name} returned {value!r}; it must return a number"
                )
            yield name, float(value)


def _targets(network: Trainable, y: Array) -> Array:
    """Return y as the metrics get it: class numbers (m,) or a column as a vector."""
    if y.ndim == 2 and network._labels == "largest" and y.shape[1] > 1:
        classes: Array = y.argmax(axis=1)
        return classes
    targets = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    return targets.astype(np.int64) if network._labels == "largest" else targets


def metric_functions(network: Trainable, given: Any) -> dict[str, Metric]:
    """Return the metrics by their names; refuse those that the network's output cannot have."""
    if isinstance(given, tuple) and not given:
        return {}
    rule = (
        f"it must be one of {sorted(FOR_LABELS + FOR_NUMBERS)}, a callable metric(y, outputs), or "
        "several of them"
    )
    if isinstance(given, str) or callable(given):
        given = (given,)
    if not isinstance(given, Iterable):
        raise TypeError(f"fit: metrics is {given!r}; {rule}")
    functions: dict[str, Metric] = {}
    for metric in given:
        name = metric if isinstance(metric, str) else _name(metric)
        if isinstance(metric, str):
            if metric not in FOR_LABELS + FOR_NUMBERS:
                raise ValueError(f"fit: metrics has {metric!r}; {rule}")
            _require_fit_for(network, metric)
        elif not callable(metric):
            raise TypeError(f"fit: metrics has {metric!r}; {rule}")
        if name in functions or name in RESERVED:
            raise ValueError(
                f"fit: metrics has two of the name {name!r}; give each a `__name__` of its own"
                if name in functions
                else f"fit: metrics has one of the name {name!r}, which the history uses itself"
            )
        functions[name] = getattr(metrics, metric) if isinstance(metric, str) else metric
    return functions


def _name(metric: Any) -> str:
    return str(getattr(metric, "__name__", type(metric).__name__))


def _require_fit_for(network: Trainable, name: str) -> None:
    """Refuse a metric of labels for a regression, and the other way round."""
    labels = network._labels
    several = labels == "threshold" and network.layers[-1] > 1
    if name in FOR_LABELS and labels is None:
        rule = f"{name} needs probabilities; {', '.join(FOR_NUMBERS)} are for this output"
    elif name in FOR_NUMBERS and labels == "largest":
        rule = f"{name} needs numbers; {', '.join(FOR_LABELS)} are for this output"
    elif name == "balanced_accuracy" and several:
        rule = f"{name} needs one output, or softmax"
    else:
        return
    raise ValueError(f"fit: metrics has {name!r} and the output is {network.output!r}; {rule}")
