"""The epochs of the solvers sgd and adam.

What happens between epochs (the split, the shuffles, what is counted, said and warned of) is
scikit-learn's `_fit_stochastic` of version 1.9, so that random numbers, attributes and messages are
the same; its messages are taken word for word, under the licence in `LICENSE.scikit-learn`. What
happens inside of one is a single native call.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import _multilayer_perceptron as theirs
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import _check_sample_weight, validate_data

from fastmlp.sklearn._mirror import as_rows
from fastmlp.sklearn._optimizers import OPTIMIZERS, NativeOptimizer

Array = npt.NDArray[Any]


class Split(NamedTuple):
    """Rows to train on, and rows to score after each epoch (None without early stopping)."""

    X: Any
    y: Array
    sample_weight: Array | None
    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Array | None = None


def fit_stochastic(est: Any, X: Any, y: Array, sample_weight: Any, incremental: bool) -> None:
    """Train `est`, whose coefs_ and intercepts_ are initial values, epoch after epoch."""
    before = getattr(est, "_optimizer", None)
    if not incremental or not isinstance(before, NativeOptimizer):
        est._optimizer = OPTIMIZERS[est.solver]([*est.coefs_, *est.intercepts_], est)
        if incremental and before is not None:  # from a pickle of scikit-learn's estimator
            est._optimizer.take(before)
    # early_stopping in partial_fit doesn't make sense
    if est.early_stopping and incremental:
        raise ValueError("partial_fit does not support early_stopping=True")
    if est.early_stopping and est.validation_scores_ is None:  # switched on after a fit without
        est.validation_scores_, est.best_validation_score_ = [], -np.inf
        est._best_coefs, est._best_intercepts = est.coefs_, est.intercepts_
    split = split_off(est, X, y, sample_weight)
    epoch = Epoch(est, split)
    context = est.__dict__.get("_fit_context")  # none in partial_fit
    try:
        est.n_iter_ = 0
        for _ in range(est.max_iter):
            if context is not None:
                context.begin_epoch()
            epoch.run()
            done = end_epoch(est, split) or incremental
            if (context is not None and context.end_epoch()) or done:
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
        epoch.mirror.write(est)
    if est.early_stopping:
        # restore best weights
        for array, best in zip(est.coefs_, est._best_coefs, strict=True):
            array[...] = best
        for array, best in zip(est.intercepts_, est._best_intercepts, strict=True):
            array[...] = best
        # As in scikit-learn they are the same arrays now: a fit that goes on with them trains both,
        # and is not undone where it finds no better score.
        est._best_coefs, est._best_intercepts = est.coefs_, est.intercepts_


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn from where scikit-learn does, so that filters for its module hold."""
    registry = theirs.__dict__.setdefault("__warningregistry__", {})
    warnings.warn_explicit(
        message, category, theirs.__file__, 1, theirs.__name__, registry=registry
    )


def split_off(est: Any, X: Any, y: Array, sample_weight: Any) -> Split:
    """Rows to score: those of eval_set, or validation_fraction of all, as scikit-learn does."""
    eval_set = est.__dict__.get("_eval_set")
    if eval_set is not None:
        return Split(X, y, sample_weight, *checked_eval_set(est, eval_set))
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
    """Return X, y and sample_weight of an eval_set, validated as those of a fit."""
    if not isinstance(eval_set, tuple | list) or len(eval_set) not in (2, 3):
        raise ValueError("fit: eval_set must be (X, y) or (X, y, sample_weight)")
    X, y = validate_data(
        est,
        eval_set[0],
        eval_set[1],
        accept_sparse=["csr", "csc"],
        multi_output=True,
        y_numeric=not is_classifier(est),
        dtype=(np.float64, np.float32),
        reset=False,
    )
    if is_classifier(est):
        unknown = np.setdiff1d(unique_labels(y), est.classes_)
        if len(unknown):
            raise ValueError(f"fit: eval_set has classes that y has not: {unknown}")
    sample_weight = None if len(eval_set) == 2 else _check_sample_weight(eval_set[2], X)
    return as_rows(X), y, sample_weight


def clipped_batch_size(est: Any, n_samples: int) -> int:
    """Return the batch size as a number of rows that there are."""
    if est.batch_size == "auto":
        return min(200, n_samples)
    if est.batch_size > n_samples:
        warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
        )
    return int(np.clip(est.batch_size, 1, n_samples))


class Epoch:
    """What every epoch of a fit shares, made once; `run` trains one."""

    def __init__(self, est: Any, split: Split) -> None:
        self.est = est
        self.split = split
        self.rows = split.X.shape[0]
        self.batch_size = clipped_batch_size(est, self.rows)
        self.order = np.arange(self.rows, dtype=np.int64)
        starts = np.arange(0, self.rows, self.batch_size)
        self.batch_rows = np.minimum(self.batch_size, self.rows - starts)
        self.batch_losses = np.empty(len(starts))
        self.mirror = est._mirrored()
        self.y = est._native_targets(split.y)
        self.objective = est._objective(self.mirror.dtype)
        self.y_val = self._loss_targets()
        # Drawn only where it is needed: all other draws are scikit-learn's.
        self.drops = bool(np.any(np.asarray(est.dropout) > 0))
        self.dropout_seed = int(est._random_state.randint(2**31)) if self.drops else 0

    def run(self) -> None:
        """One pass over the rows; leaves its loss in `loss_`."""
        est = self.est
        if est.shuffle:
            self.order = shuffled(self.order, est._random_state)
        est._optimizer.bind(self.mirror.network)
        if self.drops:
            # The masks count by it, and a pickle keeps it.
            self.mirror.network.epochs_trained = est.t_
        self.mirror.network.train_epoch(
            self.split.X,
            self.y,
            self.order,
            batch_size=self.batch_size,
            optimizer=est._optimizer.native,
            sample_weight=self.split.sample_weight,
            objective=self.objective,
            batch_losses=self.batch_losses,
            dropout=est.dropout,
            seed=self.dropout_seed,
        )
        self.mirror.write(est)
        est.n_iter_ += 1
        # Each batch counts by its rows, whatever their weights.
        est.loss_ = self.batch_losses @ self.batch_rows / self.rows
        est.t_ += self.rows
        if self.y_val is not None:
            loss = self.mirror.network.loss(
                self.split.X_val, self.y_val, self.split.sample_weight_val
            )
            est.validation_loss_curve_.append(loss * self.objective.loss_scale)

    def _loss_targets(self) -> Array | None:
        """Return the targets of the rows to score, where their loss is wanted."""
        est, y_val = self.est, self.split.y_val
        if est.__dict__.get("_eval_set") is None and not (
            est.early_stopping and est.scoring == "loss"
        ):
            est.__dict__.pop("validation_loss_curve_", None)  # of an earlier fit
            return None
        est.validation_loss_curve_ = []
        if is_classifier(est):
            y_val = est._label_binarizer.transform(y_val)
        targets: Array = est._native_targets(y_val)
        return targets


def shuffled(order: Array, random_state: np.random.RandomState) -> Array:
    """`sklearn.utils.shuffle(order, random_state=random_state)`, without its overhead."""
    indices = np.arange(len(order))
    random_state.shuffle(indices)
    return order[indices]


def end_epoch(est: Any, split: Split) -> bool:
    """Count, say and adapt what scikit-learn does after an epoch; whether to stop."""
    est.loss_curve_.append(est.loss_)
    if est.verbose:
        print(f"Iteration {est.n_iter_}, loss = {est.loss_:.8f}")
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
