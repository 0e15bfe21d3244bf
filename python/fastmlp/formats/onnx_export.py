"""Networks as ONNX graphs: `Network.to_onnx`.

Each layer is a Gemm and the nodes of its activation, which are in `ACTIVATIONS`. Models of
fastmlp.tabular are in onnx_export_tabular.py. Start at `network_model`.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastmlp import _core
from fastmlp._metadata import checked_texts
from fastmlp._trainable import Array, dtype_name, loss_arguments
from fastmlp.formats.network_file import KEY
from fastmlp.formats.onnx_file import DOMAIN, MOST_BYTES, onnx
from fastmlp.formats.safetensors import FORMAT
from fastmlp.reference.ops import LEAK, SELU_ALPHA, SELU_SCALE

# The oldest versions that have all operators that this file uses.
IR_VERSION, OPSET, ML_OPSET = 8, 15, 2
ML = "ai.onnx.ml"
ROWS = "rows"  # names the dynamic dimension


class Graph:
    """A graph that is being written: `y = graph("Add", x, 1.0)` adds a node."""

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)  # of constants that are Python floats
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.functions: dict[str, Any] = {}
        self.names: set[str] = set()

    def __call__(
        self, op: str, *inputs: str | float | Array, name: str = "", **attributes: Any
    ) -> str:
        """Add a node and return the name of its output. Numbers and arrays become constants."""
        if self.dtype == np.float64 and op in IN_FLOAT64 and "domain" not in attributes:
            return IN_FLOAT64[op](self, *inputs)
        names = [one if isinstance(one, str) else self.constant(one) for one in inputs]
        output = self.fresh(name or op)
        self.nodes.append(onnx.helper.make_node(op, names, [output], output, **attributes))
        return output

    def fresh(self, wanted: str) -> str:
        """Return a name that is not taken yet, and take it."""
        name, count = wanted, 1
        while name in self.names:
            name, count = f"{wanted}_{count}", count + 1
        self.names.add(name)
        return name

    def constant(self, value: float | Array, name: str = "constant") -> str:
        """Return the name of a constant; equal numbers are stored once."""
        if not isinstance(value, np.ndarray):
            known = f"{self.dtype.name} {value!r}"
            if known not in self.initializers:
                array = np.array(value, self.dtype)
                self.initializers[known] = onnx.numpy_helper.from_array(array, self.fresh(known))
            return str(self.initializers[known].name)
        name = self.fresh(name)
        self.initializers[name] = onnx.numpy_helper.from_array(value, name)
        return name

    def input(self, name: str, dtype: Any, width: int) -> str:
        """Add an input of the graph, (rows, width)."""
        name = self.fresh(name)
        self.inputs.append(_value_info(name, dtype, [ROWS, width]))
        return name

    def output(self, value: str, name: str, dtype: Any, *shape: int) -> None:
        """Make a value an output of the graph, (rows, *shape)."""
        name = self("Identity", value, name=name)
        self.outputs.append(_value_info(name, dtype, [ROWS, *shape]))

    def model(self, metadata: Mapping[str, str]) -> Any:
        """Return the finished model."""
        n_bytes = sum(len(tensor.raw_data) for tensor in self.initializers.values())
        if n_bytes > MOST_BYTES:
            raise ValueError(
                f"to_onnx: the parameters have {n_bytes:,} bytes; an ONNX file can have at most "
                f"{MOST_BYTES:,}. `save` writes a safetensors file of any size"
            )
        versions = {"": OPSET, ML: ML_OPSET, DOMAIN: 1}
        domains = {"", *(node.domain for node in self.nodes)}
        model = onnx.helper.make_model(
            onnx.helper.make_graph(
                self.nodes, "fastmlp", self.inputs, self.outputs, list(self.initializers.values())
            ),
            ir_version=IR_VERSION,
            opset_imports=[onnx.helper.make_opsetid(one, versions[one]) for one in sorted(domains)],
            functions=list(self.functions.values()),
            producer_name="fastmlp",
            producer_version=_core.__version__,
        )
        onnx.helper.set_model_props(model, dict(metadata))
        return model


def _value_info(name: str, dtype: Any, shape: list[Any]) -> Any:
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return onnx.helper.make_tensor_value_info(name, kind, shape)


# Activations

Write = Callable[[Graph, str], str]

ACTIVATIONS: dict[str, Write] = {
    "relu": lambda g, z: g("Relu", z),
    "sigmoid": lambda g, z: g("Sigmoid", z),
    "tanh": lambda g, z: g("Tanh", z),
    "identity": lambda g, z: z,
    "leaky_relu": lambda g, z: g("LeakyRelu", z, alpha=LEAK),
    "elu": lambda g, z: g("Elu", z),
    "softplus": lambda g, z: g("Softplus", z),
    "gelu": lambda g, z: g("Mul", g("Mul", z, 0.5), g("Add", g("Erf", g("Mul", z, 0.5**0.5)), 1.0)),
    "silu": lambda g, z: _silu(g, z),
    "mish": lambda g, z: g("Mul", z, g("Tanh", g("Softplus", z))),
    "selu": lambda g, z: g("Selu", z, alpha=SELU_ALPHA, gamma=SELU_SCALE),
    "hard_sigmoid": lambda g, z: g("HardSigmoid", z, alpha=1 / 6),
}
OUTPUTS: dict[str, Write] = {
    "sigmoid": ACTIVATIONS["sigmoid"],
    "softmax": lambda g, z: g("Softmax", z, axis=1),
    "identity": ACTIVATIONS["identity"],
    "exp": lambda g, z: g("Exp", z),
}


def _silu(g: Graph, z: str) -> str:
    if g.dtype == np.float64:  # ONNX Runtime 1.16 fuses Mul and Sigmoid, for float32 only
        return g("Div", z, g("Add", g("Exp", g("Neg", z)), 1.0))
    return g("Mul", z, g("Sigmoid", z))


def _negative_part(g: Graph, z: str) -> str:
    """e^z - 1 for z < 0, else 0."""
    return g("Sub", g("Exp", g("Min", z, 0.0)), 1.0)


# ONNX Runtime has no float64 kernels for these operators. It has one for Gemm, but version 1.16
# fuses a Gemm with the activation after it, and has no float64 kernel for the fused operator.
IN_FLOAT64: dict[str, Callable[..., str]] = {
    "Gemm": lambda g, x, W, b: g("Add", g("MatMul", x, W), b),
    "LeakyRelu": lambda g, z: g("Max", z, g("Mul", z, LEAK)),
    "Elu": lambda g, z: g("Add", g("Relu", z), _negative_part(g, z)),
    "Softplus": lambda g, z: g(
        "Add", g("Relu", z), g("Log", g("Add", g("Exp", g("Neg", g("Abs", z))), 1.0))
    ),
    "Selu": lambda g, z: g(
        "Add",
        g("Mul", g("Relu", z), SELU_SCALE),
        g("Mul", _negative_part(g, z), SELU_SCALE * SELU_ALPHA),
    ),
    "HardSigmoid": lambda g, z: g("Clip", g("Add", g("Div", z, 6.0), 0.5), 0.0, 1.0),
    "Erf": lambda g, z: _erf_in_float64(g, z),
}


def _erf_in_float64(g: Graph, z: str) -> str:
    """Write erf as a function of the model, of other operators.

    It is the Fourier series of erf on [-5 pi / 2, 5 pi / 2]. On [-6, 6] the error of 30 terms is
    4e-16. Outside of [-6, 6], erf rounds to -1 and 1.
    """
    if "Erf" not in g.functions:
        f = Graph("float64")
        k = np.arange(1, 31)
        x = f("Clip", "x", -6.0, 6.0)
        waves = f("Sin", f("Mul", f("Unsqueeze", x, np.array([-1])), k * (2 / 5)))
        terms = f("Mul", waves, 2 / np.pi * np.exp(-((k / 5) ** 2)) / k)
        series = f("ReduceSum", terms, np.array([-1]), keepdims=0)
        y = f("Add", f("Mul", x, 2 / np.pi / 5), series)
        y = f("Where", f("Less", f("Abs", x), 6.0), y, f("Sign", x))
        constants = [
            onnx.helper.make_node("Constant", [], [name], value=tensor)
            for name, tensor in f.initializers.items()
        ]
        opsets = [onnx.helper.make_opsetid("", OPSET)]
        g.functions["Erf"] = onnx.helper.make_function(
            DOMAIN, "Erf", ["x"], [y], [*constants, *f.nodes], opsets
        )
    return g("Erf", z, domain=DOMAIN)


# Networks


def add_network(graph: Graph, network: Any, x: str, prefix: str = "") -> str:
    """Write the layers of a network; return its outputs, of the dtype of the network."""
    graph.dtype = network.dtype
    activations = [*(ACTIVATIONS[name] for name in network.hidden), OUTPUTS[network.output]]
    layers = zip(network.weights, network.biases, activations, strict=True)
    for index, (weight, bias, activation) in enumerate(layers):
        W = graph.constant(weight, f"{prefix}layers.{index}.weight")
        b = graph.constant(bias, f"{prefix}layers.{index}.bias")
        x = activation(graph, graph("Gemm", x, W, b))
    return x


def network_model(network: Any) -> Any:
    """Return a network as a ModelProto; see `Network.to_onnx`."""
    network = network.copy()  # while another thread trains, this raises
    texts = checked_texts("to_onnx: metadata", network.metadata)
    graph = Graph(dtype_name(network))
    n_out = network.layers[-1]
    y = add_network(graph, network, graph.input("X", network.dtype, network.layers[0]))
    if network._labels is None:
        graph.output(y, "output", network.dtype, n_out)
    else:
        if network._labels == "largest":
            add_labels(graph, graph("ArgMax", y, axis=1, keepdims=0), network.classes)
        elif n_out == 1:
            is_true = graph("GreaterOrEqual", graph("Squeeze", y, np.array([1])), 0.5)
            add_labels(graph, graph("Cast", is_true, to=onnx.TensorProto.INT64), network.classes)
        else:
            is_true = graph("GreaterOrEqual", y, 0.5)
            label = graph("Cast", is_true, to=onnx.TensorProto.INT64)
            graph.output(label, "output_label", np.int64, n_out)
        graph.output(y, "probabilities", network.dtype, n_out)
    return graph.model({**texts, KEY: json.dumps(_settings(network), sort_keys=True)})


def add_labels(graph: Graph, indices: str, classes: Array | None) -> None:
    """Add the output `output_label` (rows,): the labels or, without classes, the indices."""
    dtype = np.dtype(np.int64)
    if classes is not None:
        indices, dtype = graph("Gather", graph.constant(classes, "classes"), indices), classes.dtype
    graph.output(indices, "output_label", dtype)


def _settings(network: Any) -> dict[str, Any]:
    """Return the settings that `from_onnx` cannot read from the graph."""
    scaling = network.scaling or {}
    return {
        "format": FORMAT,
        "seed": network.seed,
        "epochs_trained": network.epochs_trained,
        "loss": loss_arguments(network),
        "scaling": {name: values.tolist() for name, values in scaling.items()},
    }
