"""`MLPClassifier` and `MLPRegressor`: scikit-learn's classes with the arithmetic exchanged.

They inherit validation, attributes and messages; what they replace is a forward pass
(`_forward_pass_fast`), the epochs of sgd and adam (`_fit_stochastic`) and an evaluation of L-BFGS
(`_loss_grad_lbfgs`).
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.neural_network import MLPClassifier as _SklearnClassifier
from sklearn.neural_network import MLPRegressor as _SklearnRegressor
from sklearn.utils.validation import validate_data

from fastmlp._core import Objective
from fastmlp.sklearn._mirror import Mirror
from fastmlp.sklearn._stochastic import fit_stochastic

Array = npt.NDArray[Any]


class NativeArithmetic:
    """What both estimators replace of scikit-learn's. See the module's docstring."""

    def _mirrored(self) -> Mirror:
        """The native network of this estimator, with its coefs_ and intercepts_ as they are."""
        mirror = self.__dict__.get("_mirror")
        if mirror is None or not mirror.fits(self):
            mirror = Mirror(self)
            self.__dict__["_mirror"] = mirror
        if not mirror.is_in_use(self):
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
        return (
            type(X) is np.ndarray
            and X.dtype.char in "fd"
            and X.ndim == 2
            and X.shape[1] == self.n_features_in_
            and X.shape[0] > 0
            and not hasattr(self, "feature_names_in_")
            and math.isfinite(X.sum())
        )

    def _initialize(self, y: Array, layer_units: list[int], dtype: Any) -> None:
        super()._initialize(y, layer_units, dtype)
        self._mirrored().take(self)

    def _fit_stochastic(
        self,
        X: Any,
        y: Array,
        sample_weight: Array | None,
        activations: Any,
        deltas: Any,
        coef_grads: Any,
        intercept_grads: Any,
        layer_units: Any,
        incremental: bool,
    ) -> None:
        fit_stochastic(self, as_rows(X), y, sample_weight, incremental)

    def _fit_lbfgs(self, X: Any, y: Array, *args: Any) -> None:
        self.coefs_ = [W.astype(np.float64) for W in self.coefs_]
        self.intercepts_ = [b.astype(np.float64) for b in self.intercepts_]
        self._mirrored().take(self)
        super()._fit_lbfgs(as_rows(X), self._native_targets(y), *args)

    def _loss_grad_lbfgs(
        self, packed_coef_inter: Array, X: Any, y: Array, sample_weight: Any, *args: Any
    ) -> tuple[float, Array]:
        self._unpack(packed_coef_inter)
        mirror = self._mirrored()
        network = mirror.network
        loss = network.loss_and_gradients(
            as_rows(X),
            self._native_targets(y),
            sample_weight,
            objective=self._objective(mirror.dtype),
        )
        return loss, self._pack_gradients(network.gradients)

    def _unpack(self, packed_parameters: Array) -> None:
        for array, place in zip(self.coefs_, self._coef_indptr, strict=True):
            start, end, shape = place
            array[...] = packed_parameters[start:end].reshape(shape)
        for array, (start, end) in zip(self.intercepts_, self._intercept_indptr, strict=True):
            array[...] = packed_parameters[start:end]

    def _pack_gradients(self, flat: Array) -> Array:
        """The gradients in scikit-learn's order: all coefficients, then all intercepts."""
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
        """Y as the native network takes it: classes for softmax, one column as a vector."""
        if self.out_activation_ == "softmax" and y.ndim == 2:
            return y.argmax(axis=1)
        return y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y

    def _objective(self, dtype: np.dtype[Any]) -> Objective:
        # The gradient of a squared error with several outputs is that of the sum over them, while
        # the loss is the mean: so it is in scikit-learn.
        squared = self.loss == "squared_error"
        return Objective(
            alpha=self.alpha,
            loss_scale=1 / self.n_outputs_ if squared else 1.0,
            clip=float(np.finfo(dtype).eps) if self.loss == "log_loss" else 0.0,
        )

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_mirror", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if owns_its_memory(self):
            self._mirrored().take(self)


def as_rows(X: Any) -> Any:
    """X with rows that can be taken one by one: a CSC matrix becomes CSR, of the same size."""
    return X.tocsr() if issparse(X) and X.format != "csr" else X


def owns_its_memory(estimator: Any) -> bool:
    """Whether the parameters were read from a file or a pickle: nobody else has these arrays."""
    arrays = [*getattr(estimator, "coefs_", []), *getattr(estimator, "intercepts_", [])]
    return bool(arrays) and all(
        isinstance(a, np.ndarray) and a.flags.owndata and a.flags.writeable for a in arrays
    )


class MLPClassifier(NativeArithmetic, _SklearnClassifier):
    """scikit-learn's MLPClassifier, trained by fastmlp."""


class MLPRegressor(NativeArithmetic, _SklearnRegressor):
    """scikit-learn's MLPRegressor, trained by fastmlp."""
