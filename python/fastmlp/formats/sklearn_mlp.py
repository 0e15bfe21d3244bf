"""`Network.from_sklearn` and `Network.to_sklearn`.

The estimators of `fastmlp.sklearn` know both sides: this file finds the perceptron and the scaling
inside of an estimator, and leaves the parameters to `Mirror` and `to_sklearn` of the estimators.
"""

from typing import Any, TypeVar

from fastmlp.sklearn import MLPClassifier, MLPRegressor  # first: it refuses a missing scikit-learn

# isort: split
import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

from fastmlp.network import Network
from fastmlp.sklearn._network_mirror import Mirror

N = TypeVar("N", bound=Network)


def from_sklearn(cls: type[N], estimator: Any) -> N:
    """Return a network with the function of a fitted estimator."""
    check_is_fitted(estimator)
    names = getattr(estimator, "feature_names_in_", None)
    if hasattr(estimator, "best_estimator_"):  # a search
        network = from_sklearn(cls, estimator.best_estimator_)
    elif isinstance(estimator, Pipeline):
        *before, (_, last) = estimator.steps
        network = from_sklearn(cls, last)
        for _, step in reversed(before):
            mean, scale = scaling_of(step, network.layers[0])
            network.fold_scaling(input_mean=mean, input_scale=scale)
    elif isinstance(estimator, TransformedTargetRegressor):
        network = from_sklearn(cls, estimator.regressor_)
        mean, scale = scaling_of(estimator.transformer_, network.layers[-1])
        network.fold_scaling(output_mean=mean, output_scale=scale)
    elif isinstance(estimator, TheirClassifier | TheirRegressor):
        network = of_perceptron(cls, estimator)
    else:
        raise TypeError(
            f"from_sklearn: {type(estimator).__name__} is not taken; it must be a fitted "
            "MLPClassifier or MLPRegressor, or a Pipeline, TransformedTargetRegressor or search "
            "that ends with one"
        )
    if names is not None:
        network.feature_names = list(names)
    return network


def of_perceptron(cls: type[N], estimator: Any) -> N:
    """Return the network of an MLPClassifier or MLPRegressor."""
    mirror = Mirror(estimator)
    mirror.read(estimator)
    source = mirror.network
    network = cls._rebuild(source.layers, source.hidden, source.output, source.dtype.name, 0)
    network.parameters[:] = source.parameters
    network.epochs_trained = estimator.n_iter_
    if isinstance(estimator, TheirClassifier):
        if len(estimator.classes_) == 1:
            raise ValueError(
                "from_sklearn: the classifier has seen only the class "
                f"{estimator.classes_.tolist()[0]!r}; it must have two or more"
            )
        if estimator._label_binarizer.y_type_ != "multilabel-indicator":
            network.classes = estimator.classes_
    return network


def scaling_of(transformer: Any, columns: int) -> tuple[Any, Any]:
    """Return the mean and the scale of (x - mean) / scale, which a scaler computes."""
    mean: Any = np.zeros(columns)
    scale: Any = np.ones(columns)
    if transformer is None or transformer == "passthrough":
        return mean, scale
    if isinstance(transformer, StandardScaler):
        return (
            transformer.mean_ if transformer.with_mean else mean,
            transformer.scale_ if transformer.with_std else scale,
        )
    if isinstance(transformer, RobustScaler):
        return (
            transformer.center_ if transformer.with_centering else mean,
            transformer.scale_ if transformer.with_scaling else scale,
        )
    if isinstance(transformer, MaxAbsScaler) and not getattr(transformer, "clip", False):
        return mean, transformer.scale_
    if isinstance(transformer, MinMaxScaler) and not transformer.clip:
        return -transformer.min_ / transformer.scale_, 1 / transformer.scale_
    raise TypeError(
        f"from_sklearn: the step {transformer!r} is not taken; the steps before the perceptron "
        "must be StandardScaler, MinMaxScaler, MaxAbsScaler or RobustScaler, without clip=True"
    )


def to_sklearn(network: Network) -> Any:
    """Return a fitted estimator of scikit-learn with the network's function."""
    if network.loss_name is not None:
        raise ValueError(
            f"to_sklearn: the loss is {network.loss_name!r}, which scikit-learn does not have. If "
            "only the outputs matter, copy the parameters to a network without `loss` first"
        )
    if network.output in ("identity", "exp"):
        estimator: Any = MLPRegressor.from_network(network)
    else:
        estimator = MLPClassifier.from_network(*sorted_by_class(network))
    if network.feature_names is not None:
        estimator.feature_names_in_ = np.array(network.feature_names, dtype=object)
    return estimator.to_sklearn()


def sorted_by_class(network: Network) -> tuple[Network, Any]:
    """Return the network and its classes in the order of scikit-learn, which sorts them."""
    classes = network.classes
    if classes is None or (np.sort(classes) == classes).all():
        return network, classes
    order = np.argsort(classes)
    network = network.copy()
    W, b = network.weights[-1], network.biases[-1]
    if network.output == "softmax":
        W[:], b[:] = W[:, order], b[order]
    else:  # 1 - σ(z) = σ(-z)
        W *= -1
        b *= -1
    return network, classes[order]
