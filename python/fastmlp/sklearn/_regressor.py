"""`MLPRegressor`: scikit-learn's class with the arithmetic exchanged, as `_classifier.py`."""

from typing import Any, ClassVar, Self

from sklearn.base import _fit_context
from sklearn.neural_network import MLPRegressor as _SklearnRegressor

from fastmlp.network import Network
from fastmlp.sklearn._arithmetic import NativeArithmetic
from fastmlp.sklearn._callbacks import CallbackSupportMixin, with_callbacks
from fastmlp.sklearn._from_network import adopt
from fastmlp.sklearn._parameters import REGRESSOR_CONSTRAINTS


class MLPRegressor(CallbackSupportMixin, NativeArithmetic, _SklearnRegressor):
    """Multi-layer perceptron regressor: scikit-learn's, trained by fastmlp.

    As :class:`MLPClassifier` is to scikit-learn's, so is this to its `MLPRegressor`. Added are:

    Parameters
    ----------
    activation, dropout, weight_decay, scoring
        As for :class:`MLPClassifier`; without scoring early stopping looks at R².
    gradient : {"sum", "mean"}, default "sum"
        For a squared error of several outputs scikit-learn reports the mean over the outputs, and
        follows the gradient of their sum: "sum". With "mean" the gradient is that of the loss.

    Attributes
    ----------
    network_ : fastmlp.Network
        The fitted network, of which `coefs_` and `intercepts_` are views.
    validation_loss_curve_ : list of float
        The loss, without penalty, of the rows of `eval_set` after each epoch.

    Examples
    --------
    >>> from fastmlp.sklearn import MLPRegressor
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 4.0, 9.0]
    >>> regressor = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", random_state=0)
    >>> regressor.fit(X, y).score(X, y) > 0.99
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_SklearnRegressor._parameter_constraints,
        **REGRESSOR_CONSTRAINTS,
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
    ) -> None:
        given = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        for name in ("dropout", "weight_decay", "scoring", "gradient"):
            setattr(self, name, given.pop(name))
        super().__init__(**given)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, eval_set: Any = None) -> Self:
        """Fit the model to X and y; see `MLPClassifier.fit`, y here being numbers.

        Returns
        -------
        self
        """
        return self._fit_with(X, y, sample_weight, eval_set)

    @classmethod
    def from_network(cls, network: Network) -> Self:
        """Make a fitted estimator of a network with the output "identity" or "exp", a copy of it.

        Returns
        -------
        MLPRegressor

        Raises
        ------
        ValueError
            If the network's output is another.
        """
        if network.output not in ("identity", "exp"):
            raise ValueError(
                f"from_network: the output is {network.output!r}; it must be 'identity' or 'exp'"
            )
        loss = "poisson" if network.output == "exp" else "squared_error"
        return adopt(cls(loss=loss), network)
