"""The native network behind an estimator, kept in step with its `coefs_` and `intercepts_`.

After a fit these arrays are views of the network's parameters, so nothing is copied. If a user
assigns other arrays, they are copied into a second network before each use and, after training,
back out; the first network may still be in the user's hands and is left alone. The two names of an
activation (scikit-learn's and ours) are here too. Start at `Mirror.of`.
"""

from collections.abc import Iterator
from operator import is_
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse

from fastmlp import _core
from fastmlp.network import Network

Array = npt.NDArray[Any]

# The one function that has different names in scikit-learn and in fastmlp.
OUR_NAMES = {"logistic": "sigmoid"}
THEIR_NAMES = {ours: theirs for theirs, ours in OUR_NAMES.items()}


def our_name(name: str) -> str:
    """Return fastmlp's name of an activation or output that has scikit-learn's name."""
    return OUR_NAMES.get(name, name)


def their_name(name: str) -> str:
    """Return scikit-learn's name of an activation or output that has fastmlp's name."""
    return THEIR_NAMES.get(name, name)


# What an estimator's `activation` may be: every activation of the native network.
ACTIVATIONS = tuple(map(their_name, _core.ACTIVATIONS))


class Mirror:
    """A network for one estimator, and the structure of the estimator when the network was made."""

    def __init__(self, estimator: Any) -> None:
        check_shapes(estimator)
        coefs = estimator.coefs_
        self.activation = frozen(estimator.activation)
        self.out_activation = estimator.out_activation_
        self.dtype = parameter_dtype(estimator)
        self.network = untrained_network(
            [coefs[0].shape[0], *(W.shape[1] for W in coefs)],
            activation_of_layers(estimator.activation, len(coefs) - 1),
            estimator.out_activation_,
            self.dtype,
        )
        self.coefs = list(self.network.weights)
        self.intercepts = list(self.network.biases)
        # Whether anybody outside has this network or its views. Other arrays are then never copied
        # into it.
        self.handed_out = False

    @classmethod
    def of(cls, estimator: Any) -> Self:
        """Return the estimator's mirror, whose network has the present coefs_ and intercepts_."""
        mirror: Any = estimator.__dict__.get("_mirror")
        usable = mirror is not None and mirror.has_names_of(estimator)
        if usable and mirror.is_in_use(estimator):
            return mirror
        if not (usable and mirror.has_shapes_of(estimator)) or mirror.handed_out:
            mirror = estimator.__dict__["_mirror"] = cls(estimator)
        mirror.read(estimator)
        return mirror

    def has_names_of(self, estimator: Any) -> bool:
        """Whether the network's activations are the estimator's."""
        return (
            self.activation == frozen(estimator.activation)
            and self.out_activation == estimator.out_activation_
        )

    def has_shapes_of(self, estimator: Any) -> bool:
        """Whether the network's arrays have the dtype and the shapes of the estimator's."""
        return (
            self.dtype == parameter_dtype(estimator)
            and [W.shape for W in self.coefs] == [W.shape for W in estimator.coefs_]
            and [b.shape for b in self.intercepts] == [np.shape(b) for b in estimator.intercepts_]
        )

    def is_in_use(self, estimator: Any) -> bool:
        """Whether all of the estimator's arrays are this network's own views."""
        coefs, intercepts = estimator.coefs_, estimator.intercepts_
        return (
            len(coefs) == len(self.coefs)
            and len(intercepts) == len(self.intercepts)
            and all(map(is_, self.coefs, coefs))
            and all(map(is_, self.intercepts, intercepts))
        )

    def pairs(self, estimator: Any) -> Iterator[tuple[Array, Array]]:
        """Return the network's views, each with the estimator's array."""
        arrays = [*estimator.coefs_, *estimator.intercepts_]
        return zip([*self.coefs, *self.intercepts], arrays, strict=True)

    def read(self, estimator: Any) -> None:
        """Copy the estimator's arrays into the network."""
        for view, array in self.pairs(estimator):
            view[...] = dense(array)

    def write(self, estimator: Any) -> None:
        """Copy the network's parameters into the arrays that a user assigned."""
        if not self.is_in_use(estimator):
            for view, array in self.pairs(estimator):
                array[...] = view

    def hand_out(self) -> Network:
        """Return the network to a user."""
        self.handed_out = True
        return self.network

    def take(self, estimator: Any) -> None:
        """Replace the estimator's arrays by the network's views."""
        # After early stopping the best arrays and the present ones are the same lists.
        best = getattr(estimator, "_best_coefs", None) is estimator.coefs_
        self.handed_out = True
        estimator.coefs_ = list(self.coefs)
        estimator.intercepts_ = list(self.intercepts)
        if best:
            estimator._best_coefs = estimator.coefs_
            estimator._best_intercepts = estimator.intercepts_


def untrained_network(
    layers: list[int], activations: list[str], output: str, dtype: np.dtype[Any]
) -> Network:
    """Return a network whose parameters the caller overwrites; the names are scikit-learn's."""
    hidden = [our_name(name) for name in activations]
    return Network._rebuild(layers, hidden, our_name(output), dtype.name, 0)


def activation_of_layers(activation: Any, n_hidden: int) -> list[str]:
    """Return one name for each hidden layer; the parameter may be one name for all of them."""
    return [activation] * n_hidden if isinstance(activation, str) else list(activation)


def frozen(activation: Any) -> Any:
    """Return a copy of the parameter that does not change when the user's list does."""
    return activation if isinstance(activation, str) else tuple(activation)


def check_shapes(estimator: Any) -> None:
    """Refuse coefs_ and intercepts_ whose shapes are not those of one network."""
    coefs, intercepts = estimator.coefs_, estimator.intercepts_
    widths = [W.shape[1] for W in coefs]
    if (
        len(coefs) != estimator.n_layers_ - 1
        or [np.shape(b) for b in intercepts] != [(n,) for n in widths]
        or [W.shape[0] for W in coefs[1:]] != widths[:-1]
    ):
        raise ValueError(
            f"coefs_ have the shapes {[W.shape for W in coefs]} and intercepts_ "
            f"{[np.shape(b) for b in intercepts]}; they must be those of a network of "
            f"{estimator.n_layers_ - 1} layers of weights"
        )


def parameter_dtype(estimator: Any) -> np.dtype[Any]:
    """Return float32 if all parameters are float32, else float64."""
    arrays = [*estimator.coefs_, *estimator.intercepts_]
    single = all(getattr(array, "dtype", None) == np.float32 for array in arrays)
    return np.dtype(np.float32 if single else np.float64)


def dense(array: Any) -> Any:
    """Return the array itself, or a sparse one as a dense one."""
    return array.toarray() if issparse(array) else array


def as_rows(X: Any) -> Any:
    """Return X with rows that can be taken one by one: a CSC matrix is converted to CSR."""
    return X.tocsr() if issparse(X) and X.format != "csr" else X
