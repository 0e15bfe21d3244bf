"""How skl2onnx converts the estimators; `register` tells it.

The converters write the hidden layers, of which skl2onnx has four activations, and the output of a
regressor. The last layer of a classifier, with its labels and options, is left to skl2onnx's
converter of scikit-learn's class. Start reading at `register`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.neural_network import MLPClassifier as TheirClassifier

from fastmlp.reference.ops import LEAK, SELU_ALPHA, SELU_SCALE
from fastmlp.sklearn._network_mirror import Mirror
from fastmlp.sklearn.estimators import MLPClassifier, MLPRegressor


def register() -> None:
    """Give skl2onnx a converter of each estimator."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

    update_registered_converter(
        MLPClassifier,
        "FastmlpMLPClassifier",
        calculate_linear_classifier_output_shapes,
        convert_classifier,
        options={
            "zipmap": [True, False, "columns"],
            "output_class_labels": [False, True],
            "nocl": [True, False],
        },
    )
    update_registered_converter(
        MLPRegressor, "FastmlpMLPRegressor", regressor_shape, convert_regressor
    )


def convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    """Write the hidden layers; declare an operator of scikit-learn's class for the last."""
    graph = Graph(scope, operator, container)
    estimator = operator.raw_operator
    network = Mirror.of(estimator).network
    last = TheirClassifier()
    last.n_layers_ = 2
    last.coefs_, last.intercepts_ = [network.weights[-1]], [network.biases[-1]]
    for name in ("classes_", "n_outputs_", "out_activation_", "_label_binarizer"):
        setattr(last, name, getattr(estimator, name))
    converted = scope.declare_local_operator("SklearnMLPClassifier", last)
    hidden = scope.declare_local_variable("hidden", graph.tensor_type([None, len(last.coefs_[0])]))
    graph.add("Identity", graph.hidden_layers(network), output=hidden.full_name)
    converted.inputs.append(hidden)
    for given in operator.outputs:
        variable = scope.declare_local_variable(given.raw_name, given.type)
        converted.outputs.append(variable)
        graph.add("Identity", variable.full_name, output=given.full_name)


def convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    """Write all layers."""
    graph = Graph(scope, operator, container)
    network = Mirror.of(operator.raw_operator).network
    Z = graph.affine(graph.hidden_layers(network), network.weights[-1], network.biases[-1])
    last = "Exp" if network.output == "exp" else "Identity"
    graph.add(last, Z, output=operator.outputs[0].full_name)


def regressor_shape(operator: Any) -> None:
    """Set the type of the output: one column for each output of the network."""
    rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].set_type(tensor_type(operator)([rows, operator.raw_operator.n_outputs_]))


def tensor_type(operator: Any) -> Any:
    """Return skl2onnx's type of double tensors if the input is one, else that of floats."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    double = isinstance(operator.inputs[0].type, DoubleTensorType)
    return DoubleTensorType if double else FloatTensorType


class Graph:
    """Adds nodes to skl2onnx's container; a value is the name of a node's output."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        from skl2onnx.common.data_types import Int64TensorType, guess_proto_type

        self.scope = scope
        self.container = container
        self.input = operator.inputs[0].full_name
        self.tensor_type = tensor_type(operator)
        self.dtype, self.int64 = map(guess_proto_type, (self.tensor_type(), Int64TensorType()))
        self.is_double = self.tensor_type.__name__ == "DoubleTensorType"

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node; return the name of its output."""
        output = output or self.scope.get_unique_variable_name(kind.lower())
        name = self.scope.get_unique_operator_name(kind)
        self.container.add_node(kind, list(inputs), output, name=name, **attributes)
        return output

    def constant(self, values: npt.ArrayLike, dtype: int | None = None) -> str:
        """Add an initializer, by default of the graph's dtype; return its name."""
        array = np.asarray(values)
        name: str = self.scope.get_unique_variable_name("constant")
        self.container.add_initializer(name, dtype or self.dtype, array.shape, array.ravel())
        return name

    def affine(self, A: str, W: npt.NDArray[Any], b: npt.NDArray[Any]) -> str:
        """Z = A · W + b."""
        return self.add("Add", self.add("MatMul", A, self.constant(W)), self.constant(b))

    def hidden_layers(self, network: Any) -> str:
        """Add the hidden layers; return the last one's output."""
        A = self.add("Cast", self.input, to=self.dtype)
        for W, b, name in zip(
            network.weights[:-1], network.biases[:-1], network.hidden, strict=True
        ):
            A = ACTIVATIONS[name](self, self.affine(A, W, b))
        return A


# ONNX's attributes are floats of 32 bits and some of its functions are not computed in double by
# ONNX Runtime. So a constant is an initializer, and such a function is composed of others.


def times(graph: Graph, Z: str, factor: float) -> str:
    """Z · factor."""
    return graph.add("Mul", Z, graph.constant(factor))


def elu(graph: Graph, Z: str, alpha: float = 1.0) -> str:
    """max(z, 0) + α (exp(min(z, 0)) - 1)."""
    negative = graph.add("Exp", graph.add("Min", Z, graph.constant(0.0)))
    below = times(graph, graph.add("Sub", negative, graph.constant(1.0)), alpha)
    return graph.add("Add", graph.add("Relu", Z), below)


def softplus(graph: Graph, Z: str) -> str:
    """max(z, 0) + log(1 + exp(-|z|))."""
    power = graph.add("Exp", graph.add("Neg", graph.add("Abs", Z)))
    logarithm = graph.add("Log", graph.add("Add", power, graph.constant(1.0)))
    return graph.add("Add", graph.add("Relu", Z), logarithm)


def erf(graph: Graph, Z: str) -> str:
    """Erf(z); in double by 2/π (z/5 + Σ exp(-k²/25) sin(2kz/5) / k), exact to 4e-16 up to |z| = 6.

    It is the Fourier series of A. J. Strecok, Mathematics of Computation 22 (1968). Further out
    erf(z) rounds to its sign.
    """
    if not graph.is_double:
        return graph.add("Erf", Z)
    k = np.arange(1, 31)
    column = graph.add("Reshape", Z, graph.constant([-1, 1], graph.int64))
    waves = graph.add("Sin", graph.add("Mul", column, graph.constant(0.4 * k[None])))
    weights = graph.constant((2 / np.pi * np.exp(-(k**2) / 25) / k)[:, None])
    total = graph.add("Reshape", graph.add("MatMul", waves, weights), graph.add("Shape", Z))
    series = graph.add("Add", times(graph, Z, 0.4 / np.pi), total)
    near = graph.add("Less", graph.add("Abs", Z), graph.constant(6.0))
    return graph.add("Where", near, series, graph.add("Sign", Z))


def gelu(graph: Graph, Z: str) -> str:
    """Z (1 + erf(Z / √2)) / 2."""
    above = graph.add("Add", erf(graph, times(graph, Z, 0.5**0.5)), graph.constant(1.0))
    return graph.add("Mul", times(graph, Z, 0.5), above)


def hard_sigmoid(graph: Graph, Z: str) -> str:
    """min(max(z / 6 + 1/2, 0), 1)."""
    line = graph.add("Add", times(graph, Z, 1 / 6), graph.constant(0.5))
    return graph.add("Min", graph.add("Relu", line), graph.constant(1.0))


ACTIVATIONS: dict[str, Callable[[Graph, str], str]] = {
    "relu": lambda graph, Z: graph.add("Relu", Z),
    "sigmoid": lambda graph, Z: graph.add("Sigmoid", Z),
    "tanh": lambda graph, Z: graph.add("Tanh", Z),
    "identity": lambda graph, Z: Z,
    "leaky_relu": lambda graph, Z: graph.add("Max", Z, times(graph, Z, LEAK)),
    "elu": elu,
    "softplus": softplus,
    "gelu": gelu,
    "silu": lambda graph, Z: graph.add("Mul", Z, graph.add("Sigmoid", Z)),
    "mish": lambda graph, Z: graph.add("Mul", Z, graph.add("Tanh", softplus(graph, Z))),
    "selu": lambda graph, Z: times(graph, elu(graph, Z, SELU_ALPHA), SELU_SCALE),
    "hard_sigmoid": hard_sigmoid,
}
