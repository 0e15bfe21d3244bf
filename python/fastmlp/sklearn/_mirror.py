"""The native network behind an estimator, whose `coefs_` and `intercepts_` are the truth.

After a fit these are views of the network's parameters, and nothing is ever copied. Arrays that
somebody else assigned are copied in before each use of the network and, where it trains, out again.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse

from fastmlp.network import Network

Array = npt.NDArray[Any]

# scikit-learn's names of activations and outputs, where ours differ.
ACTIVATIONS = {"logistic": "sigmoid"}
OUTPUTS = {"logistic": "sigmoid", "softmax": "softmax", "identity": "identity", "exp": "exp"}


class Mirror:
    """A network made for one estimator, and which structure of the estimator it was made for."""

    def __init__(self, estimator: Any) -> None:
        coefs = estimator.coefs_
        check_lists(estimator)
        self.activation = fixed(estimator.activation)
        self.out_activation = estimator.out_activation_
        self.dtype = parameter_dtype(estimator)
        self.network = Network(
            [coefs[0].shape[0], *(W.shape[1] for W in coefs)],
            hidden=hidden_names(estimator.activation, len(coefs) - 1),
            output=OUTPUTS[estimator.out_activation_],
            dtype=self.dtype,
            seed=0,
        )
        self.coefs = list(self.network.weights)
        self.intercepts = list(self.network.biases)

    def fits(self, estimator: Any) -> bool:
        """Whether it still has the estimator's structure."""
        if self.activation != fixed(estimator.activation):
            return False
        if self.out_activation != estimator.out_activation_:
            return False
        if self.is_in_use(estimator):
            return True
        return (
            self.dtype == parameter_dtype(estimator)
            and [W.shape for W in self.coefs] == [W.shape for W in estimator.coefs_]
            and [b.shape for b in self.intercepts] == [b.shape for b in estimator.intercepts_]
        )

    def is_in_use(self, estimator: Any) -> bool:
        """Whether the estimator's arrays are the views of this network, all of them."""
        return same(self.coefs, estimator.coefs_) and same(self.intercepts, estimator.intercepts_)

    def is_entangled(self, estimator: Any) -> bool:
        """Whether an array is made of this network's memory without being its view of it."""
        memory = self.network.parameters
        return any(
            view is not array and np.may_share_memory(array, memory)
            for view, array in pairs(self, estimator)
        )

    def read(self, estimator: Any) -> None:
        """Copy what is not a view of the network into it."""
        for view, array in pairs(self, estimator):
            if view is not array:
                view[...] = array

    def write(self, estimator: Any) -> None:
        """Copy the network's parameters to the arrays that are not views of it."""
        for view, array in pairs(self, estimator):
            if view is not array:
                array[...] = view

    def take(self, estimator: Any) -> None:
        """Let the estimator's arrays be views of this network from now on."""
        self.read(estimator)
        best = getattr(estimator, "_best_coefs", None) is estimator.coefs_
        estimator.coefs_ = list(self.coefs)
        estimator.intercepts_ = list(self.intercepts)
        if best:  # the same arrays, after early stopping
            estimator._best_coefs, estimator._best_intercepts = (
                estimator.coefs_,
                estimator.intercepts_,
            )


def fixed(activation: Any) -> Any:
    """Return what a list that is changed later does not change."""
    return activation if isinstance(activation, str) else tuple(activation)


def check_lists(estimator: Any) -> None:
    """Refuse coefs_ and intercepts_ that are not those of one network."""
    coefs, intercepts = estimator.coefs_, estimator.intercepts_
    widths = [W.shape[1] for W in coefs]
    if (
        len(coefs) != estimator.n_layers_ - 1
        or [b.shape for b in intercepts] != [(n,) for n in widths]
        or [W.shape[0] for W in coefs[1:]] != widths[:-1]
    ):
        raise ValueError(
            f"coefs_ have the shapes {[W.shape for W in coefs]} and intercepts_ "
            f"{[b.shape for b in intercepts]}; they must be those of a network of "
            f"{estimator.n_layers_ - 1} layers of weights"
        )


def same(views: list[Array], arrays: list[Array]) -> bool:
    """Whether the arrays are these very views."""
    return len(views) == len(arrays) and all(map(_is, views, arrays))


def _is(a: object, b: object) -> bool:
    return a is b


def pairs(mirror: Mirror, estimator: Any) -> list[tuple[Array, Array]]:
    """Each view beside the estimator's array."""
    views = mirror.coefs + mirror.intercepts
    return list(zip(views, [*estimator.coefs_, *estimator.intercepts_], strict=True))


def parameter_dtype(estimator: Any) -> np.dtype[Any]:
    """float32 where all parameters are, else float64."""
    arrays = [*estimator.coefs_, *estimator.intercepts_]
    single = all(array.dtype == np.float32 for array in arrays)
    return np.dtype(np.float32 if single else np.float64)


def hidden_names(activation: Any, n_hidden: int) -> list[str]:
    """Our names of the hidden activations: one given for all, or one each."""
    names = [activation] * n_hidden if isinstance(activation, str) else list(activation)
    return [ACTIVATIONS.get(name, name) for name in names]


def as_rows(X: Any) -> Any:
    """X with rows that can be taken one by one: a CSC matrix becomes CSR, of the same size."""
    return X.tocsr() if issparse(X) and X.format != "csr" else X
