"""Checkpoints: the state of a training run in a file, and how `fit` resumes it.

formats/network_file.py reads and writes the file; docs/file_format.md says what is in it. The file
does not hold the state of a schedule or of early stopping: _training_loop.py rebuilds it from the
losses of each epoch. Start at `Writer.write` and `State.apply`.
"""

from __future__ import annotations  # some types are used before they are defined

import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastmlp._trainable import Array, Trainable, dtype_name, loss_arguments, positive_integer
from fastmlp.formats import network_file, safetensors
from fastmlp.lbfgs import LBFGS, checked_pair


class Target(NamedTuple):
    """The file that `fit` writes, and the number of epochs between two writes."""

    path: str
    every: int


def target_or_none(checkpoint: Any, every: Any) -> Target | None:
    """Return where to write, or None; refuse a path that cannot be written."""
    if checkpoint is None and every == 1:
        return None
    number = positive_integer("fit", "every", every)
    if checkpoint is None:
        raise ValueError(
            f"fit: every is {number} and checkpoint is None; give checkpoint the name of a file"
        )
    path = safetensors.checked_path(checkpoint, "fit", "checkpoint")
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(
            f"fit: checkpoint is {path!r}, a folder, a pipe or a device; give the name of a file"
        )
    with _naming_fit("write"):
        safetensors.refuse_unwritable(path)
        path = os.path.join(os.getcwd(), path)  # a callback may change the working directory
    return Target(path, number)


@contextmanager
def _naming_fit(action: str) -> Iterator[None]:
    """Let the message of an OSError begin with the function and what it could not do."""
    try:
        yield
    except OSError as error:
        error.strerror = f"fit: cannot {action} the checkpoint: {error.strerror}"
        raise


def constructor_numbers(optimizer: Any) -> dict[str, float]:
    """Return the hyper-parameters of an optimizer; a bool is 0 or 1."""
    if isinstance(optimizer, LBFGS):
        names = ("memory", "tolerance", "max_evaluations")
        return {name: float(getattr(optimizer, name)) for name in names}
    return {name: float(value) for name, value in optimizer._parameters().items()}


def constant_settings(plan: Any) -> dict[str, Any]:
    """Return the settings that must be the same in a resumed run, as they are in the file.

    Settings without effect get one fixed value: the seed is 0 if nothing is drawn, and batch_size
    is at most the number of rows.
    """
    rows, by_batches = len(plan.data.X), not isinstance(plan.optimizer, LBFGS)
    shuffle = plan.shuffle and by_batches
    return {
        "rows": rows,
        "optimizer": plan.optimizer._kind,
        "batch_size": min(plan.batch_size, rows) if by_batches else rows,
        "shuffle": shuffle,
        "dropout": plan.dropout is not None,
        "seed": plan.seed if shuffle or plan.dropout or plan.validation_split else 0,
        "schedule": plan.schedule is not None,
        "sample_weight": plan.data.sample_weight is not None,
        "validation": plan.validation is not None,
        "early_stopping": plan.early_stopping is not None,
        "standardize": plan.standardize,
    }


class Writer:
    """Writes the checkpoints of one `fit`. Create it before a schedule changes the rate."""

    def __init__(self, network: Trainable, plan: Any, first_epoch: int) -> None:
        self.network = network
        self.plan = plan
        self.target: Target = plan.checkpoint
        own_loss = {} if plan.loss is None else {"own_loss": True}
        self.constants = {**constant_settings(plan), **own_loss, "first_epoch": first_epoch}
        self.constructor = list(constructor_numbers(plan.optimizer).values())

    def is_due(self, epochs: int) -> bool:
        """Return whether to write after so many epochs."""
        return epochs == self.plan.epochs or epochs % self.target.every == 0

    def write(self, history: Any, best: Array | None) -> None:
        """Replace the file with the present state; `best`: the parameters of the best epoch."""
        steps, numbers, vectors = _optimizer_state(self.network, self.plan.optimizer)
        doubles = {
            "training.loss": history.loss,
            "training.val_loss": history.val_loss,
            "training.learning_rate": history.learning_rate,
            "training.optimizer": [*self.constructor, *numbers],
            "training.dropout": self.plan.dropout,
        }
        tensors = {name: np.array(values, np.float64) for name, values in doubles.items() if values}
        tensors |= {f"training.optimizer.{i}": vector for i, vector in enumerate(vectors)}
        if best is not None:
            tensors["training.best"] = best
        settings = {
            **self.constants,
            "epochs": history.epochs,
            "numbers": len(doubles["training.optimizer"]),
            "steps": steps,
            "stopped_by": history.stopped_by,
            "vectors": len(vectors),
        }
        parts = network_file.network_parts(self.network, settings, tensors.items())
        with _naming_fit("write"):
            safetensors.replace_file(self.target.path, *parts, function="fit")
        logging.getLogger("fastmlp").info("fit: wrote the checkpoint %r", self.target.path)


def _optimizer_state(network: Trainable, optimizer: Any) -> tuple[int, list[float], list[Array]]:
    """Return the number of updates, the numbers and the vectors of an optimizer's state."""
    if isinstance(optimizer, LBFGS):
        pairs = optimizer._state()
        numbers = [number for pair in pairs for number in (pair.sy, pair.yy)]
        return 0, numbers, [vector for pair in pairs for vector in (pair.s, pair.y)]
    steps, *powers, vectors = network._optimizer_state(optimizer)
    return steps, [optimizer.learning_rate, *powers], list(vectors)


@dataclass(frozen=True)
class State:
    """The state of a training run, read from a file that fits the network and the plan."""

    settings: dict[str, Any]
    training: dict[str, Any]
    tensors: dict[str, Array]

    def list_of(self, name: str) -> list[float]:
        """Return what was recorded for each epoch."""
        found: list[float] = self.tensors.get(f"training.{name}", np.empty(0)).tolist()
        return found

    def apply(self, network: Trainable, plan: Any) -> None:
        """Give the network and the optimizer the state; do nothing if it is refused."""
        optimizer, training = plan.optimizer, self.training
        numbers = self.list_of("optimizer")[len(constructor_numbers(optimizer)) :]
        vectors = [
            self.tensors[f"training.optimizer.{i}"].astype(network.dtype)
            for i in range(training["vectors"])
        ]
        names = network_file.layers_of(network)
        parameters = np.concatenate([self.tensors[name].ravel() for name in names])
        scaling = network_file.scaling_in(self.settings, self.tensors)
        if isinstance(optimizer, LBFGS):
            pairs = zip(vectors[::2], vectors[1::2], numbers[::2], numbers[1::2], strict=True)
            state = tuple(checked_pair(pair) for pair in pairs)
            network.scaling = scaling
            network._restore(parameters, self.settings["epochs_trained"], self.settings["seed"])
            optimizer._set_state(state)
            return
        rate, *powers = numbers
        if not 0.0 < rate < math.inf:
            raise ValueError(f"fit: the learning rate in the checkpoint is {rate}")
        before = network._optimizer_state(optimizer)
        network._set_optimizer_state(optimizer, (training["steps"], *powers, tuple(vectors)))
        try:
            network.scaling = scaling
            network._restore(parameters, self.settings["epochs_trained"], self.settings["seed"])
        except BaseException:
            network._set_optimizer_state(optimizer, before)
            raise
        if plan.schedule is None:
            optimizer.learning_rate = rate  # which a callback may have changed


# What to do if an argument differs from that of the checkpoint, by its name.
ADVICE = {
    "epochs": "epochs counts all epochs, so give at least as many",
    "seed": "leave seed out, or give {}",
    "": "resume with the arguments of that run, or read the file with Network.load and start a "
    "new run",
}


def state_in(resume: Any, network: Trainable, plan: Any, takes_its_seed: bool) -> State:
    """Read a checkpoint; refuse it if its run had other arguments than this plan."""
    path = safetensors.checked_path(resume, "fit", "resume")
    with _naming_fit("read"), safetensors.open_file(path, "rb") as file:
        try:
            content = network_file.read_content(file)
            if content.training is None:
                raise ValueError(
                    "it holds only a network; read it with Network.load and leave resume out"
                )
        except ValueError as error:
            raise ValueError(
                f"fit: resume is {path!r}, which is damaged or not a checkpoint: {error}"
            ) from error
    state = State(content.settings, content.training, content.tensors)
    for label, here, there in _comparison(network, plan, state):
        if here != there and not (label == "seed" and takes_its_seed):
            advice = ADVICE.get(label, ADVICE[""]).format(there)
            raise ValueError(
                f"fit: {label} is {here} here and {there} in the checkpoint {path!r}; {advice}"
            )
    return state


def _comparison(
    network: Trainable, plan: Any, state: State
) -> Iterator[tuple[str, object, object]]:
    """Yield what must be the same here and in a checkpoint: a name for it and both values."""
    settings, training = state.settings, state.training
    for key in ("layers", "hidden"):
        yield key, list(getattr(network, key)), settings[key]
    yield "output", network.output, settings["output"]
    ours, theirs = loss_arguments(network), network_file.loss_in(settings, state.tensors)
    for key, neutral in (("loss", None), ("delta", 1.0), ("quantiles", [])):
        yield key, ours.get(key, neutral), theirs.get(key, neutral)
    yield "dtype", dtype_name(network), settings["dtype"]
    for key, value in constant_settings(plan).items():
        label = {"rows": "the number of rows", "validation": "validation_data"}.get(key, key)
        if key in network_file.FLAGS - {"shuffle", "standardize"}:
            yield label, _given(value), _given(training[key])
        else:
            yield label, value, training[key]
    yield "loss", _given(plan.loss is not None), _given(training.get("own_loss", False))
    yield "dropout", list(plan.dropout or ()), state.list_of("dropout")
    numbers = state.list_of("optimizer")
    constructor = constructor_numbers(plan.optimizer)
    of_state = training["vectors"] if isinstance(plan.optimizer, LBFGS) else 3
    yield "the size of the optimizer's state", len(constructor) + of_state, len(numbers)
    for (name, value), there in zip(constructor.items(), numbers, strict=False):
        yield f"the optimizer's {name}", value, there
    yield "epochs", plan.epochs, max(plan.epochs, training["epochs"])


def _given(given: bool) -> str:
    return "given" if given else "not given"
