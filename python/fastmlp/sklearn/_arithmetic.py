"""What both estimators replace of scikit-learn's; all else is inherited.

A forward pass, the epochs of sgd and adam, and an evaluation of L-BFGS.
"""

import numbers
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.metrics import check_scoring
from sklearn.utils.validation import check_is_fitted, validate_data

from fastmlp._core import Objective
from fastmlp.network import Network
from fastmlp.sklearn._callbacks import FitContext
from fastmlp.sklearn._mirror import Mirror, as_rows
from fastmlp.sklearn._parameters import ACTIVATIONS
from fastmlp.sklearn._stochastic import fit_stochastic

Array = npt.NDArray[Any]

# The mixin's attributes are those of scikit-learn's class, which has no types.
if TYPE_CHECKING:
    Base = Any
else:
    Base = object

# What belongs to this process or to one call of fit, and not to what is copied or pickled.
TRANSIENT = ("_mirror", "_fit_context", "_eval_set")


class NativeArithmetic(Base):
    """Mixed in before scikit-learn's class. See the module's docstring."""

    activation: Any
    coefs_: list[Array]
    intercepts_: list[Array]

    @property
    def network_(self) -> Network:
        """The fitted `fastmlp.Network`, of which `coefs_` and `intercepts_` are views."""
        check_is_fitted(self)
        return self._mirrored().network

    def _mirrored(self) -> Mirror:
        """Return the native network, with coefs_ and intercepts_ as they are."""
        mirror = self.__dict__.get("_mirror")
        if mirror is None or not mirror.fits(self):
            mirror = self.__dict__["_mirror"] = Mirror(self)
        if not mirror.is_in_use(self):
            if mirror.is_entangled(self):
                mirror = self.__dict__["_mirror"] = Mirror(self)
            mirror.read(self)
        return mirror

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> Array:
        if check_input and not self._needs_no_check(X):
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        mirror = self._mirrored()
        output = mirror.network.forward(as_rows(X))
        return output.astype(np.result_type(X.dtype, mirror.dtype), copy=False)

    def _needs_no_check(self, X: Any) -> bool:
        """Whether validate_data would return this very array; False where in doubt."""
        fits = (
            (type(X) is np.ndarray or issparse(X))
            and X.dtype.char in "fd"
            and X.ndim == 2
            and X.shape[1] == self.n_features_in_
            and X.shape[0] > 0
        )
        # A scorer that runs during a fit is given rows that have been checked, without their names.
        if not fits or "_fit_context" in self.__dict__:
            return fits
        return (
            not issparse(X)
            and not hasattr(self, "feature_names_in_")
            and bool(np.isfinite(X).all())
        )

    def _fit_with(self, X: Any, y: Any, sample_weight: Any, eval_set: Any) -> Any:
        """`fit`, with what it knows kept for the epochs."""
        if eval_set is not None and self.solver == "lbfgs":
            raise ValueError("fit: eval_set is for the solvers 'sgd' and 'adam', not for 'lbfgs'")
        if self.solver == "lbfgs" and (np.any(np.asarray(self.dropout) > 0) or self.weight_decay):
            raise ValueError(
                "fit: dropout and weight_decay are for the solvers 'sgd' and 'adam', not 'lbfgs'"
            )
        self._eval_set = eval_set
        self._fit_context = FitContext(self, X, y, sample_weight)
        try:
            self._fit(X, y, sample_weight=sample_weight, incremental=False)
            self._fit_context.end()
        finally:
            del self._fit_context, self._eval_set
        return self

    def _initialize(self, y: Array, layer_units: list[int], dtype: Any) -> None:
        self._check_layers(len(layer_units) - 2)
        self._layers_begun = 0
        super()._initialize(y, layer_units, dtype)
        del self._layers_begun
        self._mirrored().take(self)

    def _check_layers(self, n_hidden: int) -> None:
        """Refuse lists that do not have one entry for each hidden layer."""
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
                if not is_one_of(name, entry):
                    rule = "a number in [0, 1)" if name == "dropout" else f"one of {ACTIVATIONS}"
                    raise ValueError(f"{name}[{i}] is {entry!r}; it must be {rule}")

    def _init_coef(self, fan_in: int, fan_out: int, dtype: Any) -> Any:
        """scikit-learn's initial values, where its `activation` is that of the layer."""
        given, layer = self.activation, self._layers_begun
        self._layers_begun += 1
        if isinstance(given, str):
            return super()._init_coef(fan_in, fan_out, dtype)
        self.activation = given[min(layer, len(given) - 1)] if given else "relu"
        try:
            return super()._init_coef(fan_in, fan_out, dtype)
        finally:
            self.activation = given

    def _fit_stochastic(self, X: Any, y: Array, sample_weight: Any, *args: Any) -> None:
        weight = self._class_weighted(y, sample_weight)
        fit_stochastic(self, as_rows(X), y, weight, incremental=args[-1])

    def _class_weighted(self, y: Array, sample_weight: Any) -> Any:
        """Return the weights of the rows with those of their classes, where there are such."""
        return sample_weight

    def _fit_lbfgs(self, X: Any, y: Array, sample_weight: Any, *args: Any) -> None:
        self.coefs_ = [W.astype(np.float64) for W in self.coefs_]
        self.intercepts_ = [b.astype(np.float64) for b in self.intercepts_]
        self._mirrored().take(self)
        weight = self._class_weighted(y, sample_weight)
        super()._fit_lbfgs(as_rows(X), self._native_targets(y), weight, *args)

    def _loss_grad_lbfgs(
        self, packed_coef_inter: Array, X: Any, y: Array, sample_weight: Any, *args: Any
    ) -> tuple[float, Array]:
        self._unpack(packed_coef_inter)
        mirror = self._mirrored()
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
        """Y as the native network takes it: classes for softmax, one column as a vector.

        A vector is in the dtype of the parameters, to be used in place in every epoch.
        """
        dtype = self.coefs_[0].dtype
        if self.out_activation_ == "softmax" and y.ndim == 2:
            return y.argmax(axis=1).astype(dtype)
        return y.ravel().astype(dtype, copy=False) if y.ndim == 2 and y.shape[1] == 1 else y

    def _objective(self, dtype: np.dtype[Any]) -> Objective:
        # scikit-learn reports the mean over several outputs of a squared error, and takes the
        # gradient of the sum.
        share = 1 / self.n_outputs_ if self.loss == "squared_error" else 1.0
        return Objective(
            alpha=self.alpha,
            loss_scale=share,
            gradient_scale=share if getattr(self, "gradient", "sum") == "mean" else 1.0,
            clip=float(np.finfo(dtype).eps) if self.loss == "log_loss" else 0.0,
        )

    def _score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the score of an epoch; the greater the better."""
        if self.scoring is None:
            return super()._score(X, y, sample_weight=sample_weight)
        if self.scoring == "loss":
            return -self.validation_loss_curve_[-1]
        scorer = check_scoring(self, self.scoring)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return float(scorer(self, X, y, **weights))

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        for name in TRANSIENT:
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if owns_its_memory(self):
            self._mirrored().take(self)


def is_one_of(name: str, entry: Any) -> bool:
    """Whether an entry of the list `name` is one that a layer may have."""
    if name == "activation":
        return isinstance(entry, str) and entry in ACTIVATIONS
    return isinstance(entry, numbers.Real) and 0 <= float(entry) < 1


def owns_its_memory(estimator: Any) -> bool:
    """Whether the parameters were read from a file or a pickle: nobody else has these arrays."""
    arrays = [*getattr(estimator, "coefs_", []), *getattr(estimator, "intercepts_", [])]
    return bool(arrays) and all(
        isinstance(a, np.ndarray) and a.flags.owndata and a.flags.writeable for a in arrays
    )
