"""`MLPClassifier` and `MLPRegressor`: scikit-learn's classes with native arithmetic.

`NativePerceptron` replaces the methods that compute: initial values, the forward pass, the solvers.
Everything else is inherited. Epochs of sgd and adam are in `_stochastic.py`, the native network in
`_network_mirror.py`. Start reading at `NativePerceptron.fit`.
"""

import copy
import functools
import numbers
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, Self, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.metrics import check_scoring
from sklearn.neural_network import MLPClassifier as _SklearnClassifier
from sklearn.neural_network import MLPRegressor as _SklearnRegressor
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from fastmlp._class_weight import check_class_weight, weights_of_rows
from fastmlp._core import Objective, default_float_mode
from fastmlp._float_mode import in_default_float_mode
from fastmlp._training_loop import logger
from fastmlp.network import Network
from fastmlp.sklearn._checks import (
    check_outputs,
    check_range,
    check_training,
    refuse_masked,
    row_weights,
)
from fastmlp.sklearn._hooks import THEIR_ACTIVATIONS, is_replaced, trains_by_scikit_learn
from fastmlp.sklearn._network_mirror import (
    ACTIVATIONS,
    Mirror,
    activation_of_layers,
    as_rows,
    dense,
    their_name,
    untrained_network,
)
from fastmlp.sklearn._private import (
    ATTRIBUTES,
    CallbackSupportMixin,
    Interval,
    StrOptions,
    with_callbacks,
)
from fastmlp.sklearn._stochastic import (
    OngoingFit,
    fit_stochastic,
    optimizer_of,
    state_of,
    their_optimizer,
)

Array = npt.NDArray[Any]

# mypy takes the mixin's base for Any, because scikit-learn's classes have no types.
if TYPE_CHECKING:
    Base = Any
else:
    Base = CallbackSupportMixin

# Attributes that belong to this process or to one call of fit: neither copied nor pickled.
TRANSIENT = ("_mirror", "_ongoing_fit", "_guard")

# The allowed values of parameters, in scikit-learn's form: of `activation`, which scikit-learn has
# too, and of the parameters added to both estimators.
ACTIVATION = {"activation": [StrOptions(set(ACTIVATIONS)), list, tuple]}
ADDED_TO_BOTH = {
    "dropout": [Interval(numbers.Real, 0, 1, closed="left"), list, tuple],
    "weight_decay": [Interval(numbers.Real, 0, None, closed="left")],
    "scoring": [str, callable, None],
    "schedule": [callable, None],
}


P = ParamSpec("P")
R = TypeVar("R")


def alone(method: Callable[P, R]) -> Callable[P, R]:
    """Refuse a call while another thread is in such a call of the same estimator.

    The call also computes in the default float mode.
    """

    @functools.wraps(method)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        # A network only for its guard: `fit` makes the estimator's own network anew.
        guard = untrained_network([1, 1], [], "identity", np.dtype(np.float32))
        estimator: Any = args[0]
        with estimator.__dict__.setdefault("_guard", guard)._own(), default_float_mode():
            return method(*args, **kwargs)

    return wrapper


class NativePerceptron(Base):
    """The methods that both estimators share; first of their bases, before scikit-learn's class."""

    # scikit-learn's class, and the parameters that it does not have.
    _theirs: ClassVar[type]
    _added_parameters: ClassVar[dict[str, Any]] = ADDED_TO_BOTH

    activation: Any
    coefs_: list[Array]
    intercepts_: list[Array]
    loss_curve_: list[float]
    _optimizer: Any

    @property
    def network_(self) -> Network:
        """The fitted `fastmlp.Network`, of which `coefs_` and `intercepts_` are views.

        If you have assigned other arrays to `coefs_` or `intercepts_`, it is a copy of them.
        """
        check_is_fitted(self)
        return Mirror.of(self).hand_out()

    def _store_added(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Store the parameters that scikit-learn's constructor does not take; return the others."""
        rest = {k: v for k, v in parameters.items() if k not in ("self", "__class__")}
        for name in self._added_parameters:
            setattr(self, name, rest.pop(name))
        return rest

    # Training

    @alone
    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None, eval_set: Any = None) -> Self:
        """Fit the model to X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels for the classifier, numbers for the regressor.
        sample_weight : array-like of shape (n_samples,), optional
        eval_set : (X, y) or (X, y, sample_weight), optional
            Validation rows. Their loss after each epoch is in `validation_loss_curve_`, and early
            stopping scores them instead of a part of X.

        Returns
        -------
        self
        """
        self._ongoing_fit = OngoingFit(self, eval_set)
        try:
            # scikit-learn's `fit` validates the parameters and calls `_fit`. Another library may
            # have replaced it, as mlflow's autolog does.
            super().fit(X, y, sample_weight=sample_weight)
            name, iterations = type(self).__name__, self.n_iter_
            logger.info("fit: %s, %d iterations, loss = %.8f", name, iterations, self.loss_)
        finally:
            self.__dict__.pop("_ongoing_fit", None)
        return self

    @alone
    def _fit(self, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False) -> Any:
        """Train: for `fit`, and for `partial_fit`, which is scikit-learn's."""
        ongoing = self.__dict__.get("_ongoing_fit")  # None in partial_fit
        if ongoing is not None:
            self._refuse_what_lbfgs_lacks(ongoing.eval_set)
            ongoing.begin(X, y, sample_weight)
        refuse_masked(self, X=X, y=y, sample_weight=sample_weight)
        # scikit-learn's `_fit` checks the arguments, then calls `_initialize` and the solver.
        super()._fit(X, y, sample_weight=sample_weight, incremental=incremental)
        if ongoing is not None:
            ongoing.end()
            del self._ongoing_fit
        return self

    def _refuse_what_lbfgs_lacks(self, eval_set: Any) -> None:
        if self.solver != "lbfgs":
            return
        if eval_set is not None:
            raise ValueError("fit: eval_set is for the solvers 'sgd' and 'adam', not for 'lbfgs'")
        if np.any(np.asarray(self.dropout) > 0) or self.weight_decay:
            raise ValueError(
                "fit: dropout and weight_decay are for the solvers 'sgd' and 'adam', not 'lbfgs'"
            )
        if self.schedule is not None:
            raise ValueError("fit: schedule is for the solvers 'sgd' and 'adam', not 'lbfgs'")

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> Any:
        X, y = super()._validate_input(X, y, incremental, reset)
        if not reset and any(map(issparse, self.coefs_)):  # training writes them
            self.coefs_ = [dense(W) for W in self.coefs_]
        check_training(self, X, y, first_pass=reset)
        return X, y

    def _initialize(self, y: Array, layer_units: list[int], dtype: Any) -> None:
        n_hidden = len(layer_units) - 2
        self._check_lists(n_hidden)
        names = activation_of_layers(self.activation, n_hidden)
        # The output layer draws its initial values like the last hidden layer.
        self._activations_to_draw_for = iter([*names, names[-1] if names else self.activation])
        try:
            super()._initialize(y, layer_units, dtype)
        finally:
            del self._activations_to_draw_for
        Mirror.of(self).take(self)

    def _check_lists(self, n_hidden: int) -> None:
        """Refuse a list that does not have one valid entry for each hidden layer."""
        for name in ("activation", "dropout"):
            value = getattr(self, name)
            if isinstance(value, str | numbers.Real):
                continue
            if len(value) != n_hidden:
                raise ValueError(
                    f"{name} has {len(value)} entries; there must be one for each of the "
                    f"{n_hidden} hidden layers, or a single value for all"
                )
            for i, entry in enumerate(value):
                if not is_valid_entry(name, entry):
                    rule = "a number in [0, 1)" if name == "dropout" else f"one of {ACTIVATIONS}"
                    raise ValueError(f"{name}[{i}] is {entry!r}; it must be {rule}")

    def _init_coef(self, fan_in: int, fan_out: int, dtype: Any) -> Any:
        # scikit-learn's method reads one activation for all layers: set this layer's activation.
        given, self.activation = self.activation, next(self._activations_to_draw_for)
        try:
            return super()._init_coef(fan_in, fan_out, dtype)
        finally:
            self.activation = given

    def _fit_stochastic(self, X: Any, y: Array, sample_weight: Any, *others: Any) -> None:
        if not trains_by_scikit_learn(self, NativePerceptron):
            fit_stochastic(self, X, y, sample_weight, *others)
            return
        weight = row_weights(self, y, sample_weight, incremental=others[-1])
        if "_optimizer" in self.__dict__:
            self._optimizer = their_optimizer(self._optimizer, self)
        super()._fit_stochastic(X, y, weight, *others)
        Mirror.of(self).take(self)

    def _row_weights(self, y: Array, sample_weight: Any) -> Any:
        """Return the weights of the rows; the classifier multiplies by those of the classes."""
        return sample_weight

    def _fit_lbfgs(self, X: Any, y: Array, sample_weight: Any, *others: Any) -> None:
        self.coefs_ = [W.astype(np.float64) for W in self.coefs_]
        self.intercepts_ = [b.astype(np.float64) for b in self.intercepts_]
        Mirror.of(self).take(self)
        weight = row_weights(self, y, sample_weight)
        # Converted once here, not in each call of `_loss_grad_lbfgs`.
        targets = y if trains_by_scikit_learn(self, NativePerceptron) else self._native_targets(y)
        with Mirror.of(self).network._own():
            super()._fit_lbfgs(as_rows(X), targets, weight, *others)

    def _loss_grad_lbfgs(
        self, packed_coef_inter: Array, X: Any, y: Array, sample_weight: Any, *others: Any
    ) -> tuple[float, Array]:
        if trains_by_scikit_learn(self, NativePerceptron):
            return super()._loss_grad_lbfgs(packed_coef_inter, X, y, sample_weight, *others)
        self._unpack(packed_coef_inter)
        mirror = Mirror.of(self)
        loss = mirror.network.loss_and_gradients(
            as_rows(X),
            self._native_targets(y),
            sample_weight,
            objective=self._objective(mirror.dtype),
        )
        return loss, self._pack_gradients(mirror.network.gradients)

    def _unpack(self, packed_parameters: Array) -> None:
        for array, (start, end, shape) in zip(self.coefs_, self._coef_indptr, strict=True):
            array[...] = packed_parameters[start:end].reshape(shape)
        for array, (start, end) in zip(self.intercepts_, self._intercept_indptr, strict=True):
            array[...] = packed_parameters[start:end]

    def _pack_gradients(self, flat: Array) -> Array:
        """Return the gradients in scikit-learn's order: all coefficients, then all intercepts."""
        packed = np.empty(flat.size)
        offset = 0
        places = zip(self._coef_indptr, self._intercept_indptr, strict=True)
        for (start, end, _), (b_start, b_end) in places:
            middle, stop = offset + end - start, offset + end - start + b_end - b_start
            packed[start:end] = flat[offset:middle]
            packed[b_start:b_end] = flat[middle:stop]
            offset = stop
        return packed

    def _native_targets(self, y: Array) -> Array:
        """Return y in the network's form: class numbers for softmax, one column as a vector.

        A vector gets the dtype of the parameters, so that no epoch has to convert it.
        """
        dtype = self.coefs_[0].dtype
        if self.out_activation_ == "softmax" and y.ndim == 2:
            return y.argmax(axis=1).astype(dtype)
        return y.ravel().astype(dtype, copy=False) if y.ndim == 2 and y.shape[1] == 1 else y

    def _objective(self, dtype: np.dtype[Any]) -> Objective:
        # With several outputs scikit-learn reports the mean of their squared errors, but follows
        # the gradient of the sum.
        share = 1 / self.n_outputs_ if self.loss == "squared_error" else 1.0
        return Objective(
            alpha=self.alpha,
            loss_scale=share,
            gradient_scale=share if getattr(self, "gradient", "sum") == "mean" else 1.0,
            clip=float(np.finfo(dtype).eps) if self.loss == "log_loss" else 0.0,
        )

    # Prediction

    def activations(self, X: Any) -> list[Array]:
        """Return the outputs of every layer, as `fastmlp.Network.activations`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        list of ndarray
            The outputs of the hidden layers, (n_samples, n_units), and of the output layer.
        """
        check_is_fitted(self)
        return Mirror.of(self).network.activations(as_rows(self._checked_rows(X)))

    def _forward_pass(self, activations: list[Any]) -> list[Any]:
        activations[1:] = Mirror.of(self).network.activations(as_rows(activations[0]))
        return activations

    def _checked_rows(self, X: Any) -> Any:
        if self._needs_no_check(X):
            return X
        refuse_masked(self, X=X)
        return validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> Array:
        if check_input:
            X = self._checked_rows(X)
        mirror = Mirror.of(self)
        if X.dtype == mirror.dtype and type(X) is np.ndarray:
            return mirror.network.forward(X)
        # scikit-learn would compute in the wider dtype of X.
        converts = X.dtype.itemsize > mirror.dtype.itemsize and "_ongoing_fit" not in self.__dict__
        if converts:
            check_range(self, "X", X, mirror.dtype)
        output = mirror.network.forward(as_rows(X))
        if converts:
            check_outputs(self, output, mirror.network.parameters)
        return output.astype(np.result_type(X.dtype, mirror.dtype), copy=False)

    @in_default_float_mode
    def predict(self, X: Any) -> Array:
        """Predict the class labels or the numbers for the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        if is_replaced(self._theirs, "predict"):
            return super().predict(X)
        if "coefs_" not in self.__dict__:
            check_is_fitted(self)  # takes longer than the prediction of a row
        labels: Array = self._predict(X)
        return labels

    def _needs_no_check(self, X: Any) -> bool:
        """Whether validate_data would return this very array; False if in doubt."""
        fits = (
            (type(X) is np.ndarray or issparse(X))
            and X.dtype.char in "fd"
            and X.ndim == 2
            and X.shape[1] == getattr(self, "n_features_in_", None)
            and X.shape[0] > 0
        )
        # During a fit a scorer gets rows that are already checked but have lost their column names.
        if not fits or "_ongoing_fit" in self.__dict__:
            return fits
        return (
            not issparse(X)
            and not hasattr(self, "feature_names_in_")
            and bool(np.isfinite(X).all())
        )

    @in_default_float_mode
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of a classifier or the R² of a regressor on X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        float
        """
        refuse_masked(self, y=y, sample_weight=sample_weight)
        return float(super().score(X, y, sample_weight))

    def _score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the score of an epoch for early stopping; greater is better."""
        if self.scoring is None:
            return super()._score(X, y, sample_weight=sample_weight)
        if self.scoring == "loss":
            return -self.validation_loss_curve_[-1]
        scorer = check_scoring(self, self.scoring)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return float(scorer(self, X, y, **weights))

    # Copies, pickles and networks

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        for name in TRANSIENT:
            state.pop(name, None)
        if "_optimizer" in state:
            state["_optimizer"] = state_of(state["_optimizer"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({"schedule": None, **state})  # an old pickle has none
        if "_optimizer" in state:
            self._optimizer = optimizer_of(state["_optimizer"])
        if owns_its_memory(self):
            Mirror.of(self).take(self)

    def to_sklearn(self) -> Any:
        """Return a fitted estimator of scikit-learn's own class with copies of the parameters.

        Use it for libraries that know scikit-learn's classes only. The parameters that
        scikit-learn does not have concern training only and are left out. `partial_fit` goes on
        from the state of the optimizer.

        Returns
        -------
        sklearn.neural_network.MLPClassifier or MLPRegressor

        Raises
        ------
        ValueError
            If scikit-learn lacks the activation of a hidden layer, or if the hidden layers have
            different activations.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        """
        check_is_fitted(self)
        names = [their_name(name) for name in Mirror.of(self).network.hidden]
        if len(set(names)) > 1 or not THEIR_ACTIVATIONS.issuperset(names):
            raise ValueError(
                f"to_sklearn: the hidden layers have the activations {names}; scikit-learn has one "
                f"of {sorted(THEIR_ACTIVATIONS)} for all of them"
            )
        parameters = self.get_params(deep=False)
        theirs = self._theirs(
            **{n: v for n, v in parameters.items() if n not in self._added_parameters}
        )
        theirs.activation = names[0] if names else "relu"
        fitted = {n: v for n, v in vars(self).items() if n.endswith("_") or n in ATTRIBUTES}
        fitted.pop("_optimizer", None)
        # One call for all: `coefs_` and `_best_coefs` may be the same list.
        vars(theirs).update(copy.deepcopy(fitted))
        if "_optimizer" in self.__dict__:
            theirs._optimizer = copy.deepcopy(their_optimizer(self._optimizer, theirs))
        return theirs

    def _adopt(self, network: Network) -> Self:
        """Take over a network's structure, copies of its parameters and the state of a fit."""
        coefs, intercepts = [W.copy() for W in network.weights], [b.copy() for b in network.biases]
        layers, output = network.layers, network.output
        if output == "softmax" and layers[-1] == 2:  # softmax(z)_1 = σ(z_1 - z_0)
            coefs[-1] = coefs[-1][:, 1:] - coefs[-1][:, :1]
            intercepts[-1] = intercepts[-1][1:] - intercepts[-1][:1]
            layers, output = (*layers[:-1], 1), "sigmoid"
        names = [their_name(name) for name in network.hidden]
        self.set_params(
            hidden_layer_sizes=layers[1:-1],
            activation=names[0] if len(set(names)) == 1 else (names or "relu"),
        )
        self.n_features_in_ = layers[0]
        self.n_outputs_ = layers[-1]
        self.n_layers_ = len(layers)
        self.out_activation_ = their_name(output)
        self.coefs_, self.intercepts_ = coefs, intercepts
        Mirror.of(self).take(self)
        # The values that scikit-learn's _initialize sets, so that partial_fit may continue.
        self.n_iter_ = self.t_ = self._no_improvement_count = 0
        self.loss_curve_ = []
        self.best_loss_ = np.inf
        self.validation_scores_ = self.best_validation_score_ = None
        return self


def is_valid_entry(name: str, entry: Any) -> bool:
    """Whether one hidden layer may have this entry of the list `activation` or `dropout`."""
    if name == "activation":
        return isinstance(entry, str) and entry in ACTIVATIONS
    return isinstance(entry, numbers.Real) and 0 <= float(entry) < 1


def owns_its_memory(estimator: Any) -> bool:
    """Whether the parameters own their memory, as after loading a pickle or a file."""
    arrays = [*getattr(estimator, "coefs_", []), *getattr(estimator, "intercepts_", [])]
    return bool(arrays) and all(
        isinstance(a, np.ndarray) and a.flags.owndata and a.flags.writeable for a in arrays
    )


def class_weight_of_rows(
    class_weight: Any, classes: Array, labels: Array, sample_weight: Array | None
) -> Array:
    """Return the weight of each row's class; "balanced" takes the rows' weights into account."""
    with np.errstate(divide="ignore"):  # the rows of a class may all have weight 0
        weights: Array = compute_class_weight(
            class_weight, classes=classes, y=labels, sample_weight=sample_weight
        )
    return weights[np.searchsorted(classes, labels)]


class MLPClassifier(NativePerceptron, _SklearnClassifier):
    """Multi-layer perceptron classifier: scikit-learn's, trained by fastmlp.

    All parameters, attributes, methods, messages and random numbers are those of
    `sklearn.neural_network.MLPClassifier`; see its documentation. With the same `random_state` the
    fitted model is the same up to rounding. The following are added; their defaults change nothing.

    Parameters
    ----------
    activation : str or list of str, default "relu"
        One name for all hidden layers or one for each. Every activation of `fastmlp.Network` is
        allowed, for example "gelu". The sigmoid is called "logistic", as in scikit-learn.
    class_weight : dict, "balanced" or None, default None
        Weights of the classes, which multiply the weights of the rows, as in
        `sklearn.linear_model.LogisticRegression`. "balanced" gives every class the same total of
        `sample_weight`; it is not for `partial_fit`. A dict is not for multilabel targets.
    dropout : float or list of float, default 0.0
        The share, in [0, 1), of a hidden layer's units that a training step leaves out, one for all
        hidden layers or one for each (Srivastava et al., 2014). For the solvers "sgd" and "adam".
    weight_decay : float, default 0.0
        Decoupled decay of the weights (Loshchilov and Hutter, 2019): each step multiplies them by
        `1 - learning_rate * weight_decay`. For the solvers "sgd" and "adam".
    scoring : str, callable or None, default None
        The score that early stopping watches: None is accuracy, "loss" is the loss of the
        validation rows, and anything else is one of scikit-learn's scorers.
    schedule : callable or None, default None
        The learning rate of each epoch, such as `fastmlp.schedules.Cosine(100)`, beginning with
        `learning_rate_init`. Epochs are counted over all calls of a warm start or of
        `partial_fit`. For the solvers "sgd", with `learning_rate="constant"`, and "adam".

    Attributes
    ----------
    network_ : fastmlp.Network
        The fitted network, of which `coefs_` and `intercepts_` are views.
    validation_loss_curve_ : list of float
        The loss of the rows of `eval_set` after each epoch, without penalty.

    Notes
    -----
    Two things differ. A predicted probability is as exact as the dtype of the parameters allows,
    whatever the dtype of X is, and values of X beyond that dtype's range are refused. The output of
    verbose L-BFGS is SciPy's.

    Examples
    --------
    >>> from fastmlp.sklearn import MLPClassifier
    >>> X, y = [[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]], [0, 0, 1, 1]
    >>> classifier = MLPClassifier((8,), solver="lbfgs", activation="tanh", random_state=0)
    >>> classifier.fit(X, y).predict(X).tolist()
    [0, 0, 1, 1]
    """

    _theirs = _SklearnClassifier
    _added_parameters: ClassVar[dict[str, Any]] = {
        **ADDED_TO_BOTH,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_SklearnClassifier._parameter_constraints,
        **ACTIVATION,
        **_added_parameters,
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: Any = 10,
        max_fun: int = 15000,
        class_weight: Any = None,
        dropout: Any = 0.0,
        weight_decay: float = 0.0,
        scoring: Any = None,
        schedule: Any = None,
    ) -> None:
        super().__init__(**self._store_added(locals()))

    @in_default_float_mode
    def predict_proba(self, X: Any) -> Array:
        """Predict the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            One column for each class, in the order of `classes_`.
        """
        if is_replaced(self._theirs, "predict_proba"):
            return super().predict_proba(X)
        if "coefs_" not in self.__dict__:
            check_is_fitted(self)  # takes longer than the prediction of a row
        outputs = self._forward_pass_fast(X)
        if self.n_outputs_ != 1:
            return outputs
        both = np.empty((2, len(outputs)), outputs.dtype)
        both[1] = outputs[:, 0]
        np.subtract(1, both[1], out=both[0])
        return both.T

    def _predict(self, X: Any, check_input: bool = True) -> Array:
        outputs = self._forward_pass_fast(X, check_input=check_input)
        binarizer = self._label_binarizer
        # Its inverse_transform takes a hundred times longer than the prediction of a row.
        if binarizer.y_type_ == "multiclass":
            return binarizer.classes_[outputs.argmax(axis=1)]
        if binarizer.y_type_ == "binary" and len(binarizer.classes_) == 2:
            return binarizer.classes_[(outputs[:, 0] > 0.5).astype(np.intp)]
        column = outputs[:, 0] if outputs.shape[1] == 1 else outputs
        labels: Array = binarizer.inverse_transform(column)
        return labels

    @in_default_float_mode
    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return super().predict_log_proba(X)

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> Any:
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit, which does not see all "
                "rows. Use compute_class_weight('balanced', classes=classes, y=y) once, and pass "
                "its result as class_weight."
            )
        if isinstance(self.class_weight, dict) and type_of_target(y).startswith("multilabel"):
            raise ValueError(
                "class_weight is a dict and y is multilabel; a dict is for rows of one class each. "
                "Use class_weight='balanced', or weight the rows by sample_weight."
            )
        check_class_weight(type(self).__name__, self.class_weight)
        return super()._validate_input(X, y, incremental, reset)

    def _row_weights(self, y: Array, sample_weight: Any) -> Any:
        if self.class_weight is None:
            return sample_weight
        if self._label_binarizer.y_type_.startswith("multilabel"):
            columns = [
                class_weight_of_rows("balanced", np.unique(c), c, sample_weight) for c in y.T
            ]
            weights = np.prod(columns, axis=0)
        else:
            labels = self._label_binarizer.inverse_transform(y)
            weights = class_weight_of_rows(self.class_weight, self.classes_, labels, sample_weight)
        return weights_of_rows(weights, sample_weight)

    @classmethod
    def from_network(cls, network: Network, classes: Any = None) -> Self:
        """Make a fitted estimator from a network, without `fit`.

        Parameters
        ----------
        network : fastmlp.Network
            Its output must be "sigmoid" (one unit for two classes, several units for multilabel)
            or "softmax". It is copied. A softmax of two units becomes the sigmoid of their
            difference, because scikit-learn has one output for two classes.
        classes : array-like of shape (n_classes,), optional
            The labels, sorted. The default is 0, 1, …

        Returns
        -------
        MLPClassifier

        Raises
        ------
        ValueError
            If the network has another output, or classes do not fit it.

        Examples
        --------
        >>> import fastmlp
        >>> from fastmlp.sklearn import MLPClassifier
        >>> network = fastmlp.Network([2, 3], output="softmax", seed=0)
        >>> MLPClassifier.from_network(network, classes=["a", "b", "c"]).predict([[0.0, 0.0]])
        array(['a'], dtype='<U1')
        """
        outputs = network.layers[-1]
        if network.output not in ("sigmoid", "softmax"):
            raise ValueError(
                f"from_network: the output is {network.output!r}; it must be 'sigmoid' or 'softmax'"
            )
        multilabel = network.output == "sigmoid" and outputs > 1
        count = 2 if outputs == 1 else outputs
        labels = np.arange(count) if classes is None else np.asarray(classes)
        if labels.shape != (count,) or (np.unique(labels) != labels).any():
            raise ValueError(
                f"from_network: classes is {classes!r}; it must be {count} labels, sorted and each "
                "once"
            )
        estimator = cls()._adopt(network)
        estimator._label_binarizer = LabelBinarizer().fit(
            np.eye(count, dtype=int) if multilabel else labels
        )
        estimator.classes_ = labels
        return estimator


class MLPRegressor(NativePerceptron, _SklearnRegressor):
    """Multi-layer perceptron regressor: scikit-learn's, trained by fastmlp.

    All parameters, attributes, methods, messages and random numbers are those of
    `sklearn.neural_network.MLPRegressor`; see its documentation. With the same `random_state` the
    fitted model is the same up to rounding. The following are added; their defaults change nothing.

    Parameters
    ----------
    activation, dropout, weight_decay, scoring, schedule
        See :class:`MLPClassifier`. With scoring=None early stopping watches R².
    gradient : {"sum", "mean"}, default "sum"
        With several outputs scikit-learn reports the mean of their squared errors, but follows the
        gradient of the sum: "sum". With "mean" the gradient is that of the reported loss.

    Attributes
    ----------
    network_ : fastmlp.Network
        The fitted network, of which `coefs_` and `intercepts_` are views.
    validation_loss_curve_ : list of float
        The loss of the rows of `eval_set` after each epoch, without penalty.

    Examples
    --------
    >>> from fastmlp.sklearn import MLPRegressor
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 4.0, 9.0]
    >>> regressor = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", random_state=0)
    >>> regressor.fit(X, y).score(X, y) > 0.99
    True
    """

    _theirs = _SklearnRegressor
    _added_parameters: ClassVar[dict[str, Any]] = {
        **ADDED_TO_BOTH,
        "gradient": [StrOptions({"sum", "mean"})],
    }
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_SklearnRegressor._parameter_constraints,
        **ACTIVATION,
        **_added_parameters,
    }

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: Any = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        weight_decay: float = 0.0,
        scoring: Any = None,
        gradient: str = "sum",
        schedule: Any = None,
    ) -> None:
        super().__init__(**self._store_added(locals()))

    @classmethod
    def from_network(cls, network: Network) -> Self:
        """Make a fitted estimator from a network, without `fit`.

        Parameters
        ----------
        network : fastmlp.Network
            Its output must be "identity" or "exp". It is copied.

        Returns
        -------
        MLPRegressor

        Raises
        ------
        ValueError
            If the network has another output.
        """
        if network.output not in ("identity", "exp"):
            raise ValueError(
                f"from_network: the output is {network.output!r}; it must be 'identity' or 'exp'"
            )
        loss = "poisson" if network.output == "exp" else "squared_error"
        return cls(loss=loss)._adopt(network)
