"""scikit-learn's stochastic optimizers, with the native ones doing the work.

They keep its attributes and its rules for the learning rate between epochs; `native` is what an
epoch is given.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

from fastmlp.network import Network
from fastmlp.optimizers import SGD, AdamW

Array = npt.NDArray[Any]


class NativeOptimizer:
    """What both kinds share: the native optimizer, and whose it is."""

    native: Any
    _network: Network | None = None

    def bind(self, network: Network) -> None:
        """Let the next update be of this network, also where the last one was of another."""
        if self._network is not network:
            *counts, vectors = self.native._state()
            self.native._set_state((*counts, tuple(v.astype(network.dtype) for v in vectors)))
            self._network = network

    def take(self, theirs: Any) -> None:
        """Go on from the state of scikit-learn's optimizer."""
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
        if getattr(theirs, "momentum", 1) > 0:  # without it nothing is remembered
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

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_network": None}


class NativeSGD(NativeOptimizer, SGDOptimizer):
    """scikit-learn's SGDOptimizer."""

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
    """scikit-learn's AdamOptimizer."""

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
        """The rate that the last update multiplied m / (√v + ε̂) by."""
        if self.t == 0:
            return float(self.learning_rate_init)
        root = np.sqrt(1 - self.beta_2**self.t)
        return float(self.learning_rate_init * root / (1 - self.beta_1**self.t))

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


OPTIMIZERS = {"sgd": NativeSGD, "adam": NativeAdam}
