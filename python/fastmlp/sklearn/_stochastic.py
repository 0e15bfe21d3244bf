"""The solvers sgd and adam: their epochs, and the native optimizers behind scikit-learn's.

Between epochs `fit_stochastic` does what scikit-learn's `_fit_stochastic` of version 1.9 does (the
split, the shuffles, counts, messages and warnings), so that random numbers, attributes and messages
are the same. The messages are scikit-learn's word for word, under the licence in
`LICENSE.scikit-learn`. An epoch is one native call. Start reading at `fit_stochastic`.
"""

import sys
import warnings
from types import FrameType
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import validate_data

from fastmlp._training_loop import Rates, logger
from fastmlp.network import Network
from fastmlp.optimizers import SGD, AdamW, Optimizer
from fastmlp.sklearn._checks import check_range, refuse_masked, row_weights
from fastmlp.sklearn._network_mirror import Mirror, as_rows, parameter_dtype
from fastmlp.sklearn._private import (
    AdamOptimizer,
    SGDOptimizer,
    _check_sample_weight,
    _multilayer_perceptron,
)
from fastmlp.training import schedule_or_none

Array = npt.NDArray[Any]


def fit_stochastic(est: Any, X: Any, y: Array, sample_weight: Any, *others: Any) -> None:
    """Train an estimator, whose coefs_ and intercepts_ are initial values, epoch after epoch.

    The estimators' `_fit_stochastic` calls it. `others` are scikit-learn's scratch arrays, the
    widths of the layers and, last, whether this is `partial_fit`.
    """
    incremental = others[-1]
    sample_weight = row_weights(est, y, sample_weight, incremental)
    begin_optimizer(est, incremental)
    begin_early_stopping(est, incremental)
    training = Training(est, split_off(est, as_rows(X), y, sample_weight))
    ongoing = est.__dict__.get("_ongoing_fit") or OngoingFit(est)
    rates = begin_rates(est)
    try:
        est.n_iter_ = 0
        for _ in range(est.max_iter):
            ongoing.begin_epoch()
            training.begin_epoch()
            if rates is not None:
                rates.use(len(est.loss_curve_))
            training.mirror.network.train_epoch(
                training.split.X, training.y, training.order, **training.settings
            )
            training.count_epoch()
            if rates is not None:
                rates.ask(len(est.loss_curve_) + 1, training.losses())
            done = ends_after_epoch(est, training.split) or incremental
            if ongoing.end_epoch() or done:
                break
            if est.n_iter_ == est.max_iter:
                warn(
                    f"Stochastic Optimizer: Maximum iterations ({est.max_iter}) "
                    "reached and the optimization hasn't converged yet.",
                    ConvergenceWarning,
                )
    except KeyboardInterrupt:
        warn("Training interrupted by user.")
    finally:
        if rates is not None:
            rates.__exit__()
        training.mirror.write(est)
        training.ownership.__exit__()
    if est.early_stopping:
        restore_best(est)


# Before the epochs


class Split(NamedTuple):
    """Rows to train on, and rows to score after each epoch (None without early stopping)."""

    X: Any
    y: Array
    sample_weight: Array | None
    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Array | None = None


def split_off(est: Any, X: Any, y: Array, sample_weight: Any) -> Split:
    """Choose the rows to score: those of eval_set, or validation_fraction of all rows."""
    ongoing = est.__dict__.get("_ongoing_fit")
    if ongoing is not None and ongoing.eval_set is not None:
        return Split(X, y, sample_weight, *checked_eval_set(est, ongoing.eval_set))
    if not est.early_stopping:
        return Split(X, y, sample_weight)
    # don't stratify in multilabel classification
    stratify = y if is_classifier(est) and est.n_outputs_ == 1 else None
    arrays = (X, y) if sample_weight is None else (X, y, sample_weight)
    parts = train_test_split(
        *arrays,
        random_state=est._random_state,
        test_size=est.validation_fraction,
        stratify=stratify,
    )
    X_train, X_val, y_train, y_val, *weights = parts
    if X_val.shape[0] < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' "
            "or the size of your dataset."
        )
    if is_classifier(est):
        y_val = est._label_binarizer.inverse_transform(y_val)
    weight, weight_val = weights if weights else (None, None)
    return Split(X_train, y_train, weight, X_val, y_val, weight_val)


def checked_eval_set(est: Any, eval_set: Any) -> tuple[Any, Any, Any]:
    """Return X, y and sample_weight of an eval_set, validated like those of a fit."""
    if not isinstance(eval_set, tuple | list) or len(eval_set) not in (2, 3):
        raise ValueError("fit: eval_set must be (X, y) or (X, y, sample_weight)")
    X, y, sample_weight = eval_set if len(eval_set) == 3 else (*eval_set, None)
    refuse_masked(est, **{"eval_set's X": X, "eval_set's y": y})
    refuse_masked(est, **{"eval_set's sample_weight": sample_weight})
    X, y = validate_data(
        est,
        X,
        y,
        accept_sparse=["csr", "csc"],
        multi_output=True,
        y_numeric=not is_classifier(est),
        dtype=(np.float64, np.float32),
        reset=False,
    )
    if is_classifier(est):
        unknown = np.setdiff1d(unique_labels(y), est.classes_)
        if len(unknown):
            raise ValueError(f"fit: eval_set has classes that y does not have: {unknown}")
    else:
        check_range(est, "eval_set's y", y, parameter_dtype(est))
    check_range(est, "eval_set's X", X, parameter_dtype(est))
    if sample_weight is not None:
        sample_weight = _check_sample_weight(sample_weight, X)
    return as_rows(X), y, sample_weight


def begin_rates(est: Any) -> Rates | None:
    """Return the learning rates of a schedule, counted over the life of the estimator."""
    if est.schedule is None:
        return None
    if est.solver == "sgd" and est.learning_rate != "constant":
        raise ValueError(
            f"fit: schedule is {est.schedule!r} and learning_rate is {est.learning_rate!r}, which "
            "changes the rate too; give learning_rate='constant' with a schedule"
        )
    optimizer = est._optimizer.native
    schedule_or_none(est.schedule, optimizer)  # refuses a class instead of an object
    rates = Rates(optimizer, est.schedule)
    rates.ask(len(est.loss_curve_), None)
    return rates


def begin_early_stopping(est: Any, incremental: bool) -> None:
    """Set the attributes of early stopping, if it was switched on after a fit without it."""
    # early_stopping in partial_fit doesn't make sense
    if est.early_stopping and incremental:
        raise ValueError("partial_fit does not support early_stopping=True")
    if est.early_stopping and est.validation_scores_ is None:
        est.validation_scores_, est.best_validation_score_ = [], -np.inf
        est._best_coefs, est._best_intercepts = est.coefs_, est.intercepts_


def clipped_batch_size(est: Any, n_samples: int) -> int:
    """Return the number of rows of a batch, at most n_samples."""
    if est.batch_size == "auto":
        return min(200, n_samples)
    if est.batch_size > n_samples:
        warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
        )
    return int(np.clip(est.batch_size, 1, n_samples))


class Training:
    """The data and settings that all epochs of one fit use."""

    def __init__(self, est: Any, split: Split) -> None:
        self.est = est
        self.split = split
        self.rows = split.X.shape[0]
        batch_size = clipped_batch_size(est, self.rows)
        self.order = np.arange(self.rows, dtype=np.int64)
        starts = np.arange(0, self.rows, batch_size)
        self.batch_rows = np.minimum(batch_size, self.rows - starts)
        self.batch_losses = np.empty(len(starts))
        self.mirror = Mirror.of(est)
        self.y = est._native_targets(split.y)
        self.objective = est._objective(self.mirror.dtype)
        self.y_val = self._targets_of_validation()
        # Draw this seed only if it is needed, because scikit-learn does not draw it.
        self.drops = bool(np.any(np.asarray(est.dropout) > 0))
        self.settings = {
            "batch_size": batch_size,
            "optimizer": est._optimizer.native,
            "sample_weight": split.sample_weight,
            "objective": self.objective,
            "batch_losses": self.batch_losses,
            "dropout": est.dropout,
            "seed": int(est._random_state.randint(2**31)) if self.drops else 0,
        }
        self.ownership = self.mirror.network._own()

    def _targets_of_validation(self) -> Array | None:
        """Return the targets of the rows to score, if the loss of these rows is asked for."""
        est, y_val = self.est, self.split.y_val
        ongoing = est.__dict__.get("_ongoing_fit")
        given = ongoing is not None and ongoing.eval_set is not None
        if not given and not (est.early_stopping and est.scoring == "loss"):
            est.__dict__.pop("validation_loss_curve_", None)  # an earlier fit may have left it
            return None
        est.validation_loss_curve_ = []
        if is_classifier(est):
            y_val = est._label_binarizer.transform(y_val)
        targets: Array = est._native_targets(y_val)
        return targets

    def begin_epoch(self) -> None:
        """Draw the order of the rows and make optimizer and network ready."""
        est, network = self.est, self.mirror.network
        if est.shuffle:
            self.order = shuffled(self.order, est._random_state)
        est._optimizer.bind(network)
        if self.drops:
            # The masks of dropout are drawn by epoch. A pickle keeps t_, not the network's count.
            network.epochs_trained = est.t_

    def count_epoch(self) -> None:
        """Update what an epoch changes: parameters, n_iter_, t_, loss_ and the validation loss."""
        est, network = self.est, self.mirror.network
        self.mirror.write(est)
        est.n_iter_ += 1
        # scikit-learn weights each batch by its number of rows, whatever their sample_weight.
        est.loss_ = self.batch_losses @ self.batch_rows / self.rows
        est.t_ += self.rows
        if self.y_val is not None:
            loss = network.loss(self.split.X_val, self.y_val, self.split.sample_weight_val)
            est.validation_loss_curve_.append(loss * self.objective.loss_scale)

    def losses(self) -> dict[str, float]:
        """Return the losses of the last epoch, as a schedule is told them."""
        found = {"loss": float(self.est.loss_)}
        if self.y_val is not None:
            found["val_loss"] = self.est.validation_loss_curve_[-1]
        return found


def shuffled(order: Array, random_state: np.random.RandomState) -> Array:
    """Return `sklearn.utils.shuffle(order, random_state=random_state)`, without its overhead."""
    indices = np.arange(len(order))
    random_state.shuffle(indices)
    return order[indices]


# After an epoch


def ends_after_epoch(est: Any, split: Split) -> bool:
    """Report an epoch and adapt the learning rate; return whether training has to stop."""
    est.loss_curve_.append(est.loss_)
    if est.verbose:
        print(f"Iteration {est.n_iter_}, loss = {est.loss_:.8f}")
    logger.debug("fit: iteration %d, loss = %.8f", est.n_iter_, est.loss_)
    # update no_improvement_count based on training loss or
    # validation score according to early_stopping
    est._update_no_improvement_count(
        est.early_stopping, split.X_val, split.y_val, split.sample_weight_val
    )
    # for learning rate that needs to be updated at iteration end
    est._optimizer.iteration_ends(est.t_)
    if est._no_improvement_count <= est.n_iter_no_change:
        return False
    what = "Validation score" if est.early_stopping else "Training loss"
    message = (
        f"{what} did not improve more than tol={est.tol:f}"
        f" for {est.n_iter_no_change} consecutive epochs."
    )
    if est._optimizer.trigger_stopping(message, est.verbose):
        return True
    est._no_improvement_count = 0
    return False


def restore_best(est: Any) -> None:
    """Put the parameters of the best epoch back, in place."""
    for array, best in zip(est.coefs_, est._best_coefs, strict=True):
        array[...] = best
    for array, best in zip(est.intercepts_, est._best_intercepts, strict=True):
        array[...] = best
    # In scikit-learn the best arrays and the present ones are the same objects from now on. A fit
    # that continues therefore trains both, and is not undone if it finds no better score.
    est._best_coefs, est._best_intercepts = est.coefs_, est.intercepts_


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the caller, but as scikit-learn's module: users' filters for it apply."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _package(frame) in ("fastmlp", "joblib", "sklearn"):
        frame = frame.f_back
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        _multilayer_perceptron.__name__,
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


class OngoingFit:
    """One call of `fit`: its eval_set, and the tasks reported to callbacks (fit and epochs)."""

    def __init__(self, estimator: Any, eval_set: Any = None) -> None:
        self.estimator = estimator
        self.eval_set = eval_set
        self.root: Any = None  # stays None in partial_fit, which has no callbacks
        self.epoch: Any = None
        self.data: dict[str, Any] = {}

    def begin(self, X: Any, y: Any, sample_weight: Any) -> None:
        """Tell the callbacks that the fit begins."""
        self.data = {"X": X, "y": y}
        if sample_weight is not None:
            self.data["metadata"] = {"sample_weight": sample_weight}
        if hasattr(self.estimator, "_init_callback_context"):
            self.root = self.estimator._init_callback_context(max_subtasks=self.estimator.max_iter)
            self.root.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def begin_epoch(self) -> None:
        """Tell the callbacks that an epoch begins."""
        # Without callbacks make no task: that would take as long as a training step.
        if self.root is not None and getattr(self.estimator, "_skl_callbacks", None):
            self.epoch = self.root.subcontext(task_name="epoch")
            self.epoch.call_on_fit_task_begin(
                estimator=self.estimator, **self.data, reconstruction_attributes=self._parameters
            )

    def end_epoch(self) -> bool:
        """Tell the callbacks that an epoch has ended; return whether one asks to stop."""
        return self.epoch is not None and bool(
            self.epoch.call_on_fit_task_end(
                estimator=self.estimator, **self.data, reconstruction_attributes=self._parameters
            )
        )

    def end(self) -> None:
        """Tell the callbacks that the fit has ended."""
        if self.root is not None:
            self.root.call_on_fit_task_end(
                estimator=self.estimator, **self.data, reconstruction_attributes=self._parameters
            )

    def _parameters(self) -> dict[str, Any]:
        """Return the attributes that turn a copy of the estimator into a fitted one."""
        return {
            "coefs_": [W.copy() for W in self.estimator.coefs_],
            "intercepts_": [b.copy() for b in self.estimator.intercepts_],
        }


# Optimizers


def begin_optimizer(est: Any, incremental: bool) -> None:
    """Set `_optimizer`: a new one, or in partial_fit the one of the calls before."""
    before = getattr(est, "_optimizer", None)
    if not incremental or not isinstance(before, NativeOptimizer):
        est._optimizer = KINDS[est.solver]([*est.coefs_, *est.intercepts_], est)
        if incremental and before is not None:  # it came with a pickle of scikit-learn's estimator
            est._optimizer.take(before)


class NativeOptimizer:
    """The base of both kinds: the native optimizer, and the network that it last updated."""

    _kind: ClassVar[type[Optimizer]]
    native: Any
    _network: Network | None = None

    def bind(self, network: Network) -> None:
        """Make the native optimizer's state fit a network, if it was last used with another."""
        if self._network is not network:
            *counts, vectors = self.native._state()
            self.native._set_state((*counts, tuple(v.astype(network.dtype) for v in vectors)))
            self._network = network

    def take(self, theirs: Any) -> None:
        """Continue from the state of scikit-learn's optimizer."""
        n = len(self._shapes) // 2
        lists = [theirs.ms, theirs.vs] if hasattr(theirs, "ms") else [theirs.velocities]
        vectors = [
            np.concatenate([p.ravel() for pair in zip(v[:n], v[n:], strict=True) for p in pair])
            for v in lists
        ]
        if not hasattr(theirs, "ms"):
            self.native.learning_rate = theirs.learning_rate
        steps = getattr(theirs, "t", 1)
        powers = [getattr(theirs, name, 0.0) ** steps for name in ("beta_1", "beta_2")]
        if getattr(theirs, "momentum", 1) > 0:  # without momentum there is no state
            self.native._set_state((steps, *powers, tuple(vectors)))

    def _vectors(self, i: int) -> list[Array]:
        """Return the i-th vector of the state in scikit-learn's order, coefficients first."""
        vectors = self.native._state()[3]
        flat = vectors[i] if vectors else np.zeros(sum(self._sizes))
        parts = np.split(flat, np.cumsum(self._sizes)[:-1])
        return [p.reshape(s) for p, s in zip(parts[::2] + parts[1::2], self._shapes, strict=True)]

    def _remember_shapes(self, params: list[Array]) -> None:
        n = len(params) // 2
        self._shapes = [p.shape for p in params]
        self._sizes = [p.size for pair in zip(params[:n], params[n:], strict=True) for p in pair]

    # The state has plain values only, so that a pickle of an estimator names no other class of
    # fastmlp.

    def __getstate__(self) -> dict[str, Any]:
        state = {**self.__dict__, "native": self.native.__getstate__()}
        state.pop("_network", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        native = state["native"]
        if isinstance(native, dict):  # else this is an old pickle
            native = self._kind.__new__(self._kind)
            native.__setstate__(state["native"])
        self.__dict__.update(state, native=native)


class NativeSGD(NativeOptimizer, SGDOptimizer):
    """scikit-learn's SGDOptimizer with a native SGD: its attributes and its learning rates."""

    _kind = SGD

    def __init__(self, params: list[Array], estimator: Any) -> None:
        self._remember_shapes(params)
        self.native = SGD(
            estimator.learning_rate_init,
            estimator.momentum,
            estimator.nesterovs_momentum,
            estimator.weight_decay,
            decoupled=True,
        )
        self.learning_rate_init = estimator.learning_rate_init
        self.lr_schedule = estimator.learning_rate
        self.momentum = estimator.momentum
        self.nesterov = estimator.nesterovs_momentum
        self.power_t = estimator.power_t

    @property
    def learning_rate(self) -> float:
        """The current learning rate."""
        return float(self.native.learning_rate)

    @learning_rate.setter
    def learning_rate(self, learning_rate: float) -> None:
        self.native.learning_rate = learning_rate

    @property
    def velocities(self) -> list[Array]:
        """Copies of the velocities."""
        return self._vectors(0)


class NativeAdam(NativeOptimizer, AdamOptimizer):
    """scikit-learn's AdamOptimizer with a native AdamW: its attributes."""

    _kind = AdamW

    def __init__(self, params: list[Array], estimator: Any) -> None:
        self._remember_shapes(params)
        self.native = AdamW(
            estimator.learning_rate_init,
            estimator.beta_1,
            estimator.beta_2,
            epsilon_hat=estimator.epsilon,
            weight_decay=estimator.weight_decay,
        )
        self.learning_rate_init = estimator.learning_rate_init
        self.beta_1 = estimator.beta_1
        self.beta_2 = estimator.beta_2
        self.epsilon = estimator.epsilon

    @property
    def learning_rate(self) -> float:
        """The factor of m / (√v + ε̂) in the last update."""
        if self.t == 0:
            return float(self.native.learning_rate)
        root = np.sqrt(1 - self.beta_2**self.t)
        return float(self.native.learning_rate * root / (1 - self.beta_1**self.t))

    @property
    def t(self) -> int:
        """The number of updates."""
        return int(self.native.steps)

    @property
    def ms(self) -> list[Array]:
        """Copies of the first moments."""
        return self._vectors(0)

    @property
    def vs(self) -> list[Array]:
        """Copies of the second moments."""
        return self._vectors(1)


KINDS: dict[str, Any] = {"sgd": NativeSGD, "adam": NativeAdam}


def state_of(optimizer: Any) -> Any:
    """Return plain values for a native optimizer, and any other object as it is."""
    for name, kind in KINDS.items():
        if isinstance(optimizer, kind):
            return {"solver": name, **optimizer.__getstate__()}
    return optimizer


def optimizer_of(state: Any) -> Any:
    """Return the optimizer that `state_of` was given."""
    if not isinstance(state, dict):
        return state
    kind = KINDS[state["solver"]]
    optimizer = kind.__new__(kind)
    optimizer.__setstate__({name: value for name, value in state.items() if name != "solver"})
    return optimizer


def their_optimizer(optimizer: Any, est: Any) -> Any:
    """Return scikit-learn's optimizer in the state of a native one, for scikit-learn's `est`."""
    params = [*est.coefs_, *est.intercepts_]
    if isinstance(optimizer, NativeSGD):
        theirs: Any = SGDOptimizer(
            params,
            optimizer.learning_rate_init,
            optimizer.lr_schedule,
            optimizer.momentum,
            optimizer.nesterov,
            optimizer.power_t,
        )
        theirs.velocities = optimizer.velocities
    elif isinstance(optimizer, NativeAdam):
        theirs = AdamOptimizer(
            params,
            optimizer.learning_rate_init,
            optimizer.beta_1,
            optimizer.beta_2,
            optimizer.epsilon,
        )
        theirs.t, theirs.ms, theirs.vs = optimizer.t, optimizer.ms, optimizer.vs
    else:  # it is scikit-learn's already
        return optimizer
    theirs.learning_rate = optimizer.learning_rate
    return theirs
