"""Training of several networks at once, each in a thread of its own and with one thread inside.

A member depends on the data, the recipe and its own seed only, so neither the number of threads nor
their timing can change it. Start at `train_members`.
"""

import math
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastmlp import _core, runtime
from fastmlp._history import History
from fastmlp._training_data import training_data
from fastmlp._training_loop import Plan, Snapshot, train
from fastmlp.network import Network
from fastmlp.optimizers import AdamW
from fastmlp.schedules import Cosine
from fastmlp.tabular._recipe import Recipe
from fastmlp.training import dropout_rates

Array = npt.NDArray[Any]

SEEDS = 2**63  # the last word of the counter: none of the purposes for which networks draw


@dataclass(frozen=True)
class Progress:
    """What the callbacks of `fit` get after each epoch of each member.

    Attributes
    ----------
    member, members : int
        The number of the network, from 0, and the number of all networks.
    epoch, epochs : int
        The number of the epoch, from 1, and the largest number of epochs.
    rows : int
        The number of rows in an epoch.
    loss : float
        The mean loss of the epoch.
    val_error : float or None
        The error of the held-out rows: the loss or, for classes, the Brier score. None if no rows
        are held out.
    """

    member: int
    members: int
    epoch: int
    epochs: int
    rows: int
    loss: float
    val_error: float | None


@dataclass(frozen=True)
class Task:
    """What every member is trained on."""

    inputs: Array
    targets: Array
    strata: Array | None  # the class of each row: each is held out in the same proportion
    sample_weight: Array | None
    structure: dict[str, Any]  # of the networks: the arguments of `Network`, without the seed
    recipe: Recipe
    seed: int


class Member(NamedTuple):
    """A trained network, and how its training went."""

    network: Network
    history: dict[str, Any]
    curve: History | None = None  # None if it was read from a file


def train_members(task: Task, callbacks: Sequence[Callable[[Progress], object]]) -> list[Member]:
    """Train all members; callbacks are called in the thread of the caller."""
    members = _trained(task, callbacks)
    held = [_rows(task, held_out(task, member)) for member in range(len(members))]
    if all(len(rows.y) for rows in held):
        if task.recipe.temperature:
            scale_temperature(members, held, task.inputs)
        if members[0].network.loss_name == "pinball":
            shift_quantiles([member.network for member in members], held)
    return members


def _trained(task: Task, callbacks: Sequence[Callable[[Progress], object]]) -> list[Member]:
    """Return the members; if a callback has ended the training, the first ones, which had begun."""
    members = range(task.recipe.n_members)
    at_once = min(len(members), runtime.get_num_threads())
    if at_once == 1:  # Ctrl-C ends even the epoch that runs
        finished = False  # a callback has asked to keep the networks as they are

        def report(progress: Progress) -> bool:
            nonlocal finished
            finished = _ask(callbacks, progress) or finished
            return finished

        return [_train(task, member, report) for member in members if not finished]
    run = _Run(task)
    threads = [threading.Thread(target=run.work, daemon=True) for _ in range(at_once)]
    with _one_thread_inside():
        try:
            for thread in threads:
                thread.start()
            run.report(callbacks, at_once)
        finally:
            run.stop.set()  # Ctrl-C, or a callback that raised: members end after their epoch
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
    for member in sorted(run.errors):
        raise run.errors[member]
    return [run.members[member] for member in sorted(run.members)]


_setting = threading.Lock()
_fits = 0  # at once, each with several threads
_threads_before = 1  # the first of them


@contextmanager
def _one_thread_inside() -> Iterator[None]:
    """Give each network one thread. The setting is the process's: the last fit restores it."""
    global _fits, _threads_before
    with _setting:
        if _fits == 0:
            _threads_before = runtime.get_num_threads()
            runtime.set_num_threads(1)
        _fits += 1
    try:
        yield
    finally:
        with _setting:
            _fits -= 1
            if _fits == 0:
                runtime.set_num_threads(_threads_before)


def _ask(callbacks: Sequence[Callable[[Progress], object]], progress: Progress) -> bool:
    """Call all callbacks; return whether one of them asks to end."""
    return any([callback(progress) is True for callback in callbacks])  # noqa: C419


class _Run:
    """The members that are trained by the threads of one fit."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for member in range(task.recipe.n_members):
            self.waiting.put(member)
        self.events: queue.SimpleQueue[Progress | None] = queue.SimpleQueue()  # None ends a thread
        self.stop = threading.Event()  # all members end, and nothing is returned
        self.finish = threading.Event()  # no member begins, and those that have are kept
        self.members: dict[int, Member] = {}
        self.errors: dict[int, BaseException] = {}

    def work(self) -> None:
        """Train one waiting member after the other."""
        try:
            while not (self.stop.is_set() or self.finish.is_set() or self.waiting.empty()):
                with suppress(queue.Empty):
                    member = self.waiting.get_nowait()
                    try:
                        self.members[member] = _train(self.task, member, self._after_epoch)
                    except BaseException as error:
                        self.errors[member] = error
                        self.stop.set()
        finally:
            self.events.put(None)

    def _after_epoch(self, progress: Progress) -> bool:
        """Report an epoch; return whether the member has to end."""
        self.events.put(progress)
        return self.stop.is_set() or self.finish.is_set()

    def report(self, callbacks: Sequence[Callable[[Progress], object]], at_once: int) -> None:
        """Call the callbacks after each epoch, until the threads have ended."""
        while at_once > 0:
            with suppress(queue.Empty):
                progress = self.events.get(timeout=1.0)  # without one, Windows ignores Ctrl-C
                if progress is None:
                    at_once -= 1
                    continue
                if _ask(callbacks, progress):
                    self.finish.set()


def member_seed(seed: int, member: int) -> int:
    """Return the seed of a member."""
    return int(_core.random_raw(seed, [member, 0, 0, SEEDS], 1)[0])


def held_out(task: Task, member: int) -> Array:
    """Return for each row whether this member does not train on it."""
    rows, parts = len(task.inputs), max(task.recipe.holdout, task.recipe.n_members)
    held = np.zeros(rows, dtype=bool)
    if task.recipe.holdout == 0:
        return held
    order = _core.permutation(rows, task.seed, 0)
    if task.strata is not None:
        order = order[np.argsort(task.strata[order], kind="stable")]
    held[order[member::parts]] = True
    if task.strata is not None:
        held &= np.bincount(task.strata)[task.strata] >= parts  # a rare class is trained on
    if task.sample_weight is not None:
        held &= task.sample_weight > 0
    return held


class Rows(NamedTuple):
    """Some of the rows."""

    X: Array
    y: Array
    sample_weight: Array | None


def _rows(task: Task, mask: Array) -> Rows:
    weight = None if task.sample_weight is None else task.sample_weight[mask]
    return Rows(task.inputs[mask], task.targets[mask], weight)


def _train(task: Task, member: int, report: Callable[[Progress], bool]) -> Member:
    recipe, held = task.recipe, held_out(task, member)
    rows = np.flatnonzero(~held)
    network = Network(**task.structure, seed=member_seed(task.seed, member))
    best = _Best(network, _rows(task, held)) if held.any() else None

    errors: list[float] = []  # of the rows held out, after each epoch
    losses: list[float] = []

    def after_epoch(network: Network, epoch: int, logs: dict[str, float]) -> bool:
        error = None
        if best is not None:
            error, loss = best.update()
            errors.append(error)
            losses.append(loss)
        asked = report(
            Progress(
                member,
                recipe.n_members,
                epoch + 1,
                recipe.epochs,
                len(rows),
                logs["loss"],
                error,
            )
        )
        return asked or (best is not None and best.waited >= recipe.patience)

    optimizer = AdamW(recipe.learning_rate, beta_2=recipe.beta_2, weight_decay=recipe.weight_decay)
    plan = Plan(
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        optimizer=optimizer,
        schedule=Cosine(recipe.epochs),
        dropout=dropout_rates(recipe.dropout or None, len(recipe.hidden), optimizer),
        data=training_data(network, "fit", task.inputs, task.targets, task.sample_weight),
        validation=None,
        early_stopping=None,
        callbacks=(after_epoch,),
        bar_class=None,
        shuffle=True,
        seed=network.seed,
        rows=rows,  # `Network.fit` would need a copy of them for each member
        label=f"fit: network {member + 1} of {recipe.n_members}",
    )
    history = train(network, plan)
    if best is not None:
        best.restore()
    summary = {
        "epochs": history.epochs,
        "best_epoch": network.epochs_trained,
        "loss": history.loss[network.epochs_trained - 1],
        "val_error": None if best is None else best.lowest,
        "temperature": 1.0,
    }
    history.val_loss = losses
    if network.output == "softmax" and errors:
        history.metrics["val_brier_score"] = errors
    return Member(network, summary, history)


class _Best:
    """The last epoch with the lowest error of the rows held out."""

    def __init__(self, network: Network, rows: Rows) -> None:
        self.network, self.rows = network, rows
        self.lowest = math.inf
        self.waited = 0  # epochs since then
        self.snapshot = Snapshot(network)

    def update(self) -> tuple[float, float]:
        """Return error and loss after an epoch; remember the epoch if it has the least error."""
        error, loss = held_out_error(self.network, self.rows)
        self.waited += 1
        if error <= self.lowest:
            self.lowest, self.waited = error, 0
            self.snapshot.save()
        return error, loss

    def restore(self) -> None:
        """Go back to the best epoch."""
        self.snapshot.restore()


def held_out_error(network: Network, rows: Rows) -> tuple[float, float]:
    """Return the error that chooses the epoch, and the loss, which is only shown.

    They are the same but for classes. There the error is the Brier score, because a few sure
    mistakes move it less than they move the loss.
    """
    if network.output != "softmax":
        loss = network.loss(*rows)
        return loss, loss
    errors = network.forward(rows.X)
    places, weight = (np.arange(len(errors)), rows.y), rows.sample_weight
    losses = -np.log(np.maximum(errors[places], np.finfo(np.float32).tiny), dtype=np.float64)
    errors[places] -= np.float32(1.0)
    if weight is None:
        return _core.dot(errors.ravel(), errors.ravel()) / len(errors), float(losses.mean())
    weighted = (errors * weight[:, np.newaxis]).astype(np.float32)
    total = math.fsum(weight)
    error = _core.dot(weighted.ravel(), errors.ravel()) / total
    return error, float(losses @ weight) / total


# Temperature (Guo et al., 2017, arXiv:1706.04599)

GRID = [2.0**k for k in range(-3, 5)]  # from 1/8 to 16
GOLDEN = 0.6180339887498949
SEARCHES = 24  # they narrow an interval to 1e-5 of its width
HALVINGS = 16  # of an interval that is half the temperature wide


def scale_temperature(members: Sequence[Member], held: Sequence[Rows], inputs: Array) -> None:
    """Divide all last layers by one temperature, which calibrates the mean of the networks.

    The temperature of the least loss on the rows held out calibrates each network by itself. The
    rows of a member are those that it holds out, so no network has trained on its rows. The mean of
    several networks is less sure than each of them, so the temperature is then lowered for it.
    """
    networks = [member.network for member in members]
    logits = np.vstack(
        [_logits(network, own.X) for network, own in zip(networks, held, strict=True)]
    )
    y = np.concatenate([own.y for own in held])
    weights = [own.sample_weight for own in held if own.sample_weight is not None]
    temperature = best_temperature(logits, y, np.concatenate(weights) if weights else None)
    if len(networks) > 1:
        of_all = [_logits(network, inputs) for network in networks]
        temperature = temperature_of_mean(of_all, temperature)
    for network, history, _ in members:
        network.weights[-1][:] /= np.float32(temperature)
        network.biases[-1][:] /= np.float32(temperature)
        history["temperature"] = temperature


def temperature_of_mean(logits: Sequence[Array], temperature: float) -> float:
    """Return the temperature at which the mean of networks is as sure as each at the given one.

    How sure means the mean over all rows of the highest probability.
    """
    rows, n_out = logits[0].shape
    scaler = _Scaler(n_out)
    ones = np.ones(rows, dtype=np.float32)

    def sureness(probabilities: Array) -> float:
        return float(_core.dot(probabilities.max(axis=1), ones) / rows)

    def of_mean(temperature: float) -> float:
        network = scaler.at(temperature)
        total = network.forward(logits[0])
        for other in logits[1:]:
            total += network.forward(other)
        return sureness(total) / len(logits)

    network = scaler.at(temperature)
    of_each = math.fsum(sureness(network.forward(one)) for one in logits) / len(logits)
    if of_mean(temperature) >= of_each:
        return temperature
    low, high = temperature / 2, temperature
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if of_mean(middle) < of_each:
            high = middle
        else:
            low = middle
    return (low + high) / 2


def best_temperature(logits: Array, y: Array, sample_weight: Array | None) -> float:
    """Return the temperature of the least cross-entropy."""
    scaler = _Scaler(logits.shape[1])

    def loss(temperature: float) -> float:
        return scaler.at(temperature).loss(logits, y, sample_weight)

    losses = [loss(temperature) for temperature in GRID]
    best = losses.index(min(losses))
    low, high = GRID[max(best - 1, 0)], GRID[min(best + 1, len(GRID) - 1)]
    for _ in range(SEARCHES):  # golden section
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        if loss(left) <= loss(right):
            high = right
        else:
            low = left
    temperature = low + (high - low) / 2
    return temperature if loss(temperature) < loss(1.0) else 1.0


class _Scaler:
    """A network from logits to the softmax of logits / temperature."""

    def __init__(self, n_out: int) -> None:
        self.network = Network([n_out, n_out], output="softmax", seed=0)
        self.network.biases[0][:] = 0.0

    def at(self, temperature: float) -> Network:
        """Return the network with this temperature."""
        self.network.weights[0][:] = np.eye(len(self.network.biases[0])) / temperature
        return self.network


def _logits(network: Network, X: Array) -> Array:
    """Return the outputs of a network before its softmax."""
    other = Network(network.layers, hidden=network.hidden, output="identity", seed=0)
    other.parameters[:] = network.parameters
    return other.forward(X)


# Quantiles (Romano, Patterson and Candès, 2019, arXiv:1905.03222)


def shift_quantiles(networks: Sequence[Network], held: Sequence[Rows]) -> None:
    """Shift each quantile so that the right share of the rows held out is below it.

    Networks fit the rows that they train on too closely, so the intervals between their quantiles
    are too narrow for other rows. The rows of a network are those that it holds out.
    """
    errors = np.vstack(
        [
            own.y[:, np.newaxis] - network.forward(own.X)
            for network, own in zip(networks, held, strict=True)
        ]
    )
    weights = [own.sample_weight for own in held if own.sample_weight is not None]
    weight = np.concatenate(weights) if weights else np.ones(len(errors))
    for output, quantile in enumerate(networks[0].quantiles):
        shift = conformal_shift(errors[:, output], weight, quantile)
        for network in networks:
            network.biases[-1][output] += np.float32(shift)


def conformal_shift(errors: Array, weight: Array, quantile: float) -> float:
    """Return the error below which a new row is with the probability `quantile`, or a bit more.

    For quantiles below 0.5 it is the error above which it is with 1 - quantile, or a bit more. The
    new row counts as one of the rows, at the far end. If there are so few of them that it alone is
    more than the share beyond the quantile, the shift is that of the last row, if it widens.
    """
    if quantile < 0.5:
        return -conformal_shift(-errors, weight, 1 - quantile)
    order = np.argsort(errors, kind="stable")
    share = np.cumsum(weight[order])  # from left to right on every machine
    wanted = quantile * (share[-1] + share[-1] / len(share))
    place = int(np.searchsorted(share, wanted))
    if place == len(share):
        return max(float(errors[order[-1]]), 0.0)
    return float(errors[order[place]])
