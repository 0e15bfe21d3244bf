"""`Network.from_onnx`: a graph of layers becomes a network.

The nodes are read in their order. A tensor is a constant, or a `Value`: the result of some steps
from X. Each operator in `READERS` adds at most one step. Several elementwise operators together may
be an activation, which onnx_import_activations.py recognises. In the end chain.py makes a network
from the steps. Start at `read_network`, and then at `Reader._read`.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fastmlp._core import ACTIVATIONS, OUTPUTS
from fastmlp._trainable import Array
from fastmlp.formats.chain import Chain
from fastmlp.formats.onnx_file import DOMAIN, attributes, described, is_float, load, refuse
from fastmlp.formats.onnx_import_activations import GELU_BY_TANH, Curve, recognised
from fastmlp.formats.onnx_import_constants import ELEMENTWISE, Constants
from fastmlp.formats.onnx_import_metadata import classes_in, metadata_in, network_output

OLDEST_OPSET = 7  # earlier versions broadcast in another way
# The operators that may be applied to the number of rows before a Reshape takes it.
OF_SIZES = {"Cast", "Concat", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Unsqueeze"}
ENDS = (*OUTPUTS, "log_softmax")  # activations that need no layer after them
MOST_NODES = 64  # of an activation
MOST_UNITS = 10_000  # of a scaled activation, and of a layer that the file has no weights for


def read_network(cls: Any, model: Any, output: str | None) -> Any:
    """Make a network from an ONNX model; see `Network.from_onnx`."""
    model = load(model)
    settings, texts = metadata_in(model)
    name = network_output(model.graph)
    reader = Reader(model)
    chain = Chain("from_onnx")
    for method, arguments in reader.steps(name):
        getattr(chain, method)(*arguments)
    loss = settings["loss"] if output is None else {}
    network = chain.network(cls, reader.dtype(), output, settings["seed"], loss)
    network.epochs_trained = settings["epochs_trained"]
    network.scaling = settings["scaling"]
    network.metadata = texts
    if network.classes is None and network._labels is not None:
        network.classes = classes_in(model.graph, network)
    return network


class Step(NamedTuple):
    """A call of `Chain`, after those of `before`."""

    before: "Step | None"
    method: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Value:
    """A tensor with a row for each row of X; if transposed, with a column for each.

    The shape is that of one row; None if the file does not say it.
    """

    shape: tuple[int, ...] | None
    last: Step | None = None
    transposed: bool = False

    @property
    def is_open(self) -> bool:
        """Whether a layer has been made that has no activation yet."""
        step = self.last
        while step is not None and step.method == "scale":
            step = step.before
        return step is not None and step.method == "dense"

    def then(self, method: str, *arguments: Any) -> "Value":
        """Return the value after one more step."""
        return replace(self, last=Step(self.last, method, arguments))


class Unread(NamedTuple):
    """A tensor that is not the result of a step, but may be inside of an activation."""

    node: Any
    reason: str
    depth: int  # the number of such nodes in a row


class Reader:
    """A graph, and the tensors that have been read so far."""

    def __init__(self, model: Any) -> None:
        graph = model.graph
        self.opset = next((one.version for one in model.opset_import if not one.domain), 0)
        if self.opset < OLDEST_OPSET:
            raise ValueError(
                f"from_onnx: the model has opset {self.opset}; it must have at least "
                f"{OLDEST_OPSET}: convert it by onnx.version_converter"
            )
        self.nodes = list(graph.node)
        self.producers = {
            name: index for index, node in enumerate(self.nodes) for name in node.output if name
        }
        self.constants = Constants(graph, self.opset)
        self.values: dict[str, Value | Unread] = {
            one.name: _input(one) for one in graph.input if one.name not in self.constants
        }
        self.sizes: set[str] = set()  # constants made of shapes
        # The number of rows that the graph was made for, or 0.
        self.rows = [
            one.type.tensor_type.shape.dim[0].dim_value
            for one in graph.input
            if one.name in self.values and one.type.tensor_type.shape.dim
        ]
        self.dtypes: list[np.dtype[Any]] = []  # of the weights

    def dtype(self) -> str:
        """Return the dtype of the network. float32 also stands for float16 and bfloat16."""
        return "float64" if np.dtype(np.float64) in self.dtypes else "float32"

    def steps(self, name: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Yield the calls of `Chain` that make a tensor."""
        nodes = self._needed(name)
        inputs = sorted({name for node in nodes for name in node.input if name in self.values})
        if len(inputs) > 1:
            raise ValueError(
                f"from_onnx: the model computes {name!r} of the inputs {inputs}; a network has one"
            )
        for node in nodes:
            self._read(node)
        steps, value = [], self._known(name)
        if value.transposed:
            raise ValueError(
                f"from_onnx: the output {name!r} has a column for each row of X; end with Transpose"
            )
        step = value.last
        if step is None or step.method != "activation" or step.arguments[0] not in ENDS:
            _refuse_large(value, f"the output {name!r}")
        while step is not None:
            steps.append(step)
            step = step.before
        for _, method, arguments in reversed(steps):
            if method == "activation" and arguments[0] == GELU_BY_TANH:
                warnings.warn(
                    f"from_onnx: {arguments[1]} is the approximation of gelu by tanh, and becomes "
                    "gelu, from which it differs by up to 0.0005",
                    UserWarning,
                    stacklevel=4,
                )
                arguments = "gelu", arguments[1]
            yield method, arguments

    def _needed(self, name: str) -> list[Any]:
        """Return the nodes that a tensor depends on, in their order."""
        needed: set[int] = set()
        names = [name]
        while names:
            index = self.producers.get(names.pop())
            if index is not None and index not in needed:
                needed.add(index)
                names += self.nodes[index].input
        return [self.nodes[index] for index in sorted(needed)]

    def _read(self, node: Any) -> None:
        """Find out what the first output of a node is."""
        given = [name for name in node.input if name]
        for name in given:
            if name not in self.constants and name not in self.values:
                refuse(node, f"takes {name!r}, which is not the first output of a node")
        operator = f"{node.domain}:{node.op_type}".removeprefix("ai.onnx:").removeprefix(":")
        is_elementwise = operator.removeprefix(f"{DOMAIN}:") in ELEMENTWISE
        is_size = bool(self.sizes.intersection(given))
        if is_size and operator not in OF_SIZES:
            refuse(node, "computes with the number of rows")
        if all(name in self.constants for name in given):
            self.constants.fold(node)
            self.sizes |= {node.output[0]} if is_size else set()
        elif operator == "Shape":
            self.constants[node.output[0]] = self._shape(node)
            self.sizes.add(node.output[0])
        elif operator == "CastLike" and given[0] in self.constants:
            self.constants[node.output[0]] = self.constants[given[0]]
        elif is_elementwise:
            self.values[node.output[0]] = self._elementwise(node)
        elif operator in READERS:
            self.values[node.output[0]] = READERS[operator](self, node)
        else:
            refuse(
                node,
                "is not an operator of fully connected layers: they are Gemm or MatMul, with an "
                "activation or a scaling of each unit between them",
            )

    # What operators take

    def _known(self, name: str, node: Any = None) -> Value:
        """Return the value of a tensor that `node` takes; refuse one that no steps make."""
        value = self.values.get(name)
        if isinstance(value, Unread):
            refuse(value.node, value.reason)
        if value is None and node is None:
            raise ValueError(f"from_onnx: the output {name!r} does not depend on an input")
        if value is None:
            refuse(node, f"takes a constant {name!r}, where a layer takes the values before it")
        return value

    def _constant(self, node: Any, index: int, what: str) -> Array:
        """Return an input that must be constant."""
        name = node.input[index]
        if name not in self.constants:
            refuse(node, f"takes {name!r} as its {what}, which depends on X; it must be constant")
        return self.constants[name]

    def _weights(self, node: Any, index: int) -> Array:
        """Return an input that is a matrix of weights, or a vector."""
        W = self._constant(node, index, "matrix")
        self.dtypes.append(W.dtype)
        return W

    def _per_unit(self, node: Any, constant: Array, value: Value) -> Array:
        """Return a constant, broadcast to one number for each unit of a value."""
        if value.shape is None and constant.size == 1:
            refuse(node, "scales the inputs, whose number the file does not say")
        shape = constant.shape[-1:] if value.shape is None else value.shape
        shape = (math.prod(shape), 1) if value.transposed else (1, *shape)
        try:
            return np.broadcast_to(constant, shape).astype(np.float64).ravel()
        except ValueError:
            refuse(node, f"has a constant of shape {constant.shape}; it must fit {shape}")

    # Elementwise operators

    def _elementwise(self, node: Any) -> Value | Unread:
        given = [name for name in node.input if name in self.values]
        value = self.values[given[0]]
        if len(given) == 1 and isinstance(value, Value):
            if self._does_nothing(node):
                return value
            is_first = node.input[0] == given[0]
            if node.op_type in LINES and (is_first or node.op_type != "Div"):
                return self._line(node, value, is_first)
        made = self._activation(node)
        if isinstance(made, Unread) and isinstance(value, Unread):
            made = made._replace(depth=value.depth + 1)
            if len(given) == 1:  # the first of several such nodes has the best reason
                made = value._replace(depth=made.depth)
            if made.depth > MOST_NODES:  # each costs time
                refuse(made.node, made.reason)
        return made

    def _does_nothing(self, node: Any) -> bool:
        """Return whether the output of a node is its input."""
        if node.op_type == "Dropout":
            is_training = node.input[2] if len(node.input) > 2 else ""
            if is_training and np.any(self._constant(node, 2, "training mode")):
                refuse(node, "is in training mode; export the model for inference")
            return True
        is_cast = node.op_type == "Cast" and is_float(attributes(node)["to"])
        return is_cast or node.op_type in ("CastLike", "Identity")

    def _line(self, node: Any, value: Value, is_first: bool) -> Value:
        """Read a x + c, with constants that are numbers or vectors."""
        c: Any = 0.0
        if node.op_type != "Neg":
            constant = self.constants[node.input[1 if is_first else 0]]
            c = self._per_unit(node, constant, value)
        with np.errstate(all="ignore"):
            return self._scaled(node, value, *LINES[node.op_type](c, is_first))

    def _scaled(self, node: Any, value: Value, a: Any, c: Any) -> Value:
        """Return a ⊙ value + c, where a and c are numbers or have an entry for each unit."""
        if value.shape is None:
            if np.size(a) == np.size(c) == 1:
                refuse(
                    node,
                    "comes before the first layer, and the file does not say how many "
                    "inputs there are",
                )
            value = replace(value, shape=np.broadcast_shapes(np.shape(a), np.shape(c)))
        n = math.prod(value.shape or ())
        a, c = (np.array(np.broadcast_to(one, n), np.float64) for one in (a, c))
        last = value.last
        if last is not None and last.method == "dense" and np.all(a == 1):
            W, b, where = last.arguments
            if not b.any():  # as a bias, -0.0 stays what it is
                return replace(value, last=Step(last.before, "dense", (W, c, where)))
        return value.then("scale", a, c, described(node))

    def _activation(self, node: Any) -> Value | Unread:
        """Read a node that ends an activation."""
        reason = "takes values of which no single layer gives all; a network is a chain of layers"
        found = None
        for entry, nodes in self._pieces(node):
            value = self.values[entry]
            if isinstance(value, Unread):
                continue
            constants = {
                name: self._of_unit(one, self.constants[name], value)
                for one in nodes
                for name in one.input
                if name in self.constants
            }
            if max((one.size for one in constants.values()), default=1) > MOST_UNITS:
                refuse(node, f"scales more than {MOST_UNITS} units in an activation")
            curve = recognised(nodes, constants, entry, self.opset)
            reason = _not_an_activation(node)
            if curve is not None and (found is None or curve.is_plain):
                found = value, curve
                if curve.is_plain:  # otherwise a larger piece may be
                    break
        return self._activated(node, *found) if found else Unread(node, reason, depth=1)

    def _activated(self, node: Any, value: Value, curve: Curve) -> Value:
        _refuse_large(value, described(node))
        if value.last is None or not curve.is_plain:
            value = self._scaled(node, value, curve.inner, curve.shift)
        if curve.activation != "identity":
            value = value.then("activation", curve.activation, described(node))
        if curve.scale is None and curve.offset is None:
            return value
        a, c = (1.0 if curve.scale is None else curve.scale), curve.offset
        return self._scaled(node, value, a, 0.0 if c is None else c)

    def _of_unit(self, node: Any, constant: Array, value: Value) -> Array:
        """Return a constant as a number, or as a vector with a number for each unit."""
        return constant.reshape(()) if constant.size == 1 else self._per_unit(node, constant, value)

    def _pieces(self, node: Any) -> Iterator[tuple[str, list[Any]]]:
        """Yield pieces of the graph that end in a node and take one tensor: that tensor, the nodes.

        Each piece reaches further back than the one before.
        """
        indices = {self.producers[node.output[0]]}
        entries = {name for name in node.input if name in self.values}
        while len(indices) <= MOST_NODES:
            if len(entries) == 1:
                yield next(iter(entries)), [self.nodes[index] for index in sorted(indices)]
            places = {name: self.producers.get(name, -1) for name in entries}
            latest = max(places, key=places.__getitem__)
            index = places[latest]
            if index < 0 or self.nodes[index].op_type not in ELEMENTWISE:
                return
            indices.add(index)
            entries.remove(latest)
            entries |= {name for name in self.nodes[index].input if name in self.values}

    # Layers

    def _dense(self, value: Value, W: Array, b: Any, node: Any) -> Value:
        """Return value · W + b."""
        n_in, n_out = W.shape
        if value.shape not in (None, (n_in,)):
            refuse(
                node,
                f"multiplies rows of shape {value.shape} by a matrix of shape {W.shape}; only rows "
                f"of shape ({n_in},) fit",
            )
        try:
            bias = np.array(np.broadcast_to(b, (1, n_out)), np.float64).ravel()
        except ValueError:
            refuse(node, f"has a bias of shape {np.shape(b)}; it must have {n_out} entries")
        made = value.then("dense", W.astype(np.float64), bias, described(node))
        return replace(made, shape=(n_out,))

    def _gemm(self, node: Any) -> Value:
        """Read alpha A B + beta C, where A or B is the value, and both may be transposed."""
        settings = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0, **attributes(node)}
        is_first = node.input[0] in self.values
        value = self._known(node.input[0 if is_first else 1], node)
        W = _matrix(node, self._weights(node, 1 if is_first else 0))
        bias = np.array(0.0, W.dtype)
        if len(node.input) > 2 and node.input[2]:
            bias = self._constant(node, 2, "bias")
        if settings["transB" if is_first else "transA"]:
            W = W.T
        if settings["transA" if is_first else "transB"]:
            value = replace(value, transposed=not value.transposed)
        return self._product(
            node, value, _times(W, settings["alpha"]), _times(bias, settings["beta"]), is_first
        )

    def _matmul(self, node: Any) -> Value:
        is_first = node.input[0] in self.values
        value = self._known(node.input[0 if is_first else 1], node)
        W = self._weights(node, 1 if is_first else 0)
        if is_first and W.ndim == 1:  # a single output
            return replace(self._product(node, value, W[:, np.newaxis], 0.0, True), shape=())
        return self._product(node, value, _matrix(node, W), 0.0, is_first)

    def _product(self, node: Any, value: Value, W: Array, bias: Any, is_first: bool) -> Value:
        """Return value · W + bias, or W · value + bias = (valueᵀ · Wᵀ + biasᵀ)ᵀ."""
        if value.transposed == is_first:
            refuse(node, "sums over the rows of X; it must sum over the values of a row")
        if is_first:
            return self._dense(value, W, bias, node)
        return self._dense(value, W.T, np.transpose(bias), node)

    def _row(self, node: Any) -> Value:
        """Return the value that a node takes; refuse it if its rows have several axes."""
        value = self._known(node.input[0], node)
        if value.transposed or (value.shape is not None and len(value.shape) != 1):
            refuse(node, f"takes rows of shape {value.shape}; they must have one axis")
        return value

    def _batch_normalization(self, node: Any) -> Value:
        settings = {"epsilon": 1e-5, "training_mode": 0, **attributes(node)}
        if settings["training_mode"]:
            refuse(node, "is in training mode; export the model for inference")
        value = self._row(node)
        gamma, beta, mean, variance = (
            self._per_unit(node, self._constant(node, index, "parameter"), value)
            for index in range(1, 5)
        )
        with np.errstate(all="ignore"):
            a = gamma / np.sqrt(variance + settings["epsilon"])
            return self._scaled(node, value, a, beta - mean * a)

    def _scaler(self, node: Any) -> Value:
        value, settings = self._row(node), attributes(node)
        offset, scale = (
            self._per_unit(node, np.array(settings.get(name, [default])), value)
            for name, default in (("offset", 0.0), ("scale", 1.0))
        )
        return self._scaled(node, value, scale, -offset * scale)

    def _softmax(self, node: Any) -> Value:
        value = self._known(node.input[0], node)
        axis = attributes(node).get("axis", -1)
        of_rows = (0, -2) if value.transposed else (1, -1)
        if axis not in of_rows or (value.shape is not None and len(value.shape) != 1):
            refuse(node, f"has axis {axis} for rows of shape {value.shape}; it must be over a row")
        if value.last is None:
            value = self._scaled(node, value, 1.0, 0.0)
        name = {"Softmax": "softmax", "LogSoftmax": "log_softmax"}[node.op_type]
        return value.then("activation", name, described(node))

    def _concat(self, node: Any) -> Value:
        """Read [1 - p, p], the probabilities of two classes; the network gives the second."""
        values = [self._known(name, node) for name in node.input]
        if len(values) == 1:
            return values[0]
        first, p = values[0].last, values[-1]
        fits = len(values) == 2 and p.shape == (1,) and attributes(node)["axis"] in (1, -1)
        if not (fits and first is not None and first.before is p.last and _is_complement(first)):
            refuse(node, "joins values; only the probabilities 1 - p and p of two classes fit")
        return p

    # What only changes the shape

    def _shape(self, node: Any) -> Array:
        """Return the shape of a value for `_reshaped`, where -1 stands for the number of rows."""
        value, settings = self._known(node.input[0], node), attributes(node)
        if value.shape is None or value.transposed:
            refuse(node, "gives a shape that the file does not say")
        return np.array((-1, *value.shape)[settings.get("start", 0) : settings.get("end")])

    def _reshaped(self, node: Any) -> Value:
        """Read Flatten, Reshape, Squeeze or Unsqueeze, if each row keeps its numbers."""
        value, settings = self._known(node.input[0], node), attributes(node)
        if value.transposed:
            refuse(node, "changes the shape of a transposed value")
        if value.shape is None:
            if node.op_type == "Flatten":
                return value
            refuse(node, "changes a shape that the file does not say")
        numbers: Any = settings.get("axes")
        if len(node.input) > 1 and node.input[1]:
            numbers = self._constant(node, 1, "shape or axes").ravel().tolist()
        shape = RESHAPES[node.op_type](value.shape, numbers, settings)
        # [2, -1] is right for the number of rows that the graph was made for: 2.
        if (
            node.op_type == "Reshape"
            and -1 in numbers[1:]
            and numbers[0] not in (-1, 0, *self.rows)
        ):
            shape = None
        if shape is None or math.prod(shape) != math.prod(value.shape):
            refuse(node, f"moves numbers between rows; a row has the shape {value.shape}")
        return replace(value, shape=shape)

    def _transpose(self, node: Any) -> Value:
        value = self._known(node.input[0], node)
        rank = 2 if value.shape is None else 1 + len(value.shape)
        order = attributes(node).get("perm", list(range(rank))[::-1])
        if order == list(range(rank)):
            return value
        if rank != 2:
            refuse(node, f"has the order {order}; only rows and columns can be exchanged")
        return replace(value, transposed=not value.transposed)

    def _same(self, node: Any) -> Value:
        return self._known(node.input[0], node)


# a and c of the a x + c that an operator computes from x and a constant.
LINES: dict[str, Callable[[Any, bool], tuple[Any, Any]]] = {
    "Add": lambda c, x_is_first: (1.0, c),
    "Sub": lambda c, x_is_first: (1.0, -c) if x_is_first else (-1.0, c),
    "Mul": lambda c, x_is_first: (c, 0.0),
    "Div": lambda c, x_is_first: (1.0 / c, 0.0),
    "Neg": lambda c, x_is_first: (-1.0, 0.0),
}

READERS: dict[str, Callable[[Reader, Any], Value]] = {
    "Gemm": Reader._gemm,
    "MatMul": Reader._matmul,
    "BatchNormalization": Reader._batch_normalization,
    "ai.onnx.ml:Scaler": Reader._scaler,
    "Softmax": Reader._softmax,
    "LogSoftmax": Reader._softmax,
    "Concat": Reader._concat,
    "ai.onnx.ml:ZipMap": Reader._same,
    "Flatten": Reader._reshaped,
    "Reshape": Reader._reshaped,
    "Squeeze": Reader._reshaped,
    "Unsqueeze": Reader._reshaped,
    "Transpose": Reader._transpose,
}


def _input(info: Any) -> Value:
    """Return an input of the graph: the rows of X."""
    sizes = [one.dim_value for one in info.type.tensor_type.shape.dim]
    if not sizes:
        return Value(None)
    if len(sizes) == 1:
        raise ValueError(
            f"from_onnx: the input {info.name!r} has one axis; it must have two or more, rows first"
        )
    return Value(tuple(sizes[1:]) if min(sizes[1:]) > 0 else None)


def _refuse_large(value: Value, where: str) -> None:
    """Refuse an activation that needs a large layer of its own: the file has no weights for it."""
    n = math.prod(value.shape or ())
    if n > MOST_UNITS and not value.is_open:
        raise ValueError(
            f"from_onnx: {where} needs a layer of {n} x {n} weights, which are not in the file"
        )


def _is_complement(step: Step) -> bool:
    """Return whether a step makes 1 - p of p."""
    return step.method == "scale" and step.arguments[:2] == (-1.0, 1.0)


def _matrix(node: Any, W: Array) -> Array:
    if W.ndim != 2:
        refuse(node, f"has weights of shape {W.shape}; they must have two axes")
    return W


def _times(values: Array, factor: float) -> Array:
    """Return values times a factor, in float64 unless the factor is 1."""
    return values if factor == 1.0 else values * np.float64(factor)


# These functions return the shape of a row after a node; None if the first axis is no longer that
# of the rows. They take the shape before the node, the axes or the shape that the node is given,
# and its attributes.

Shape = tuple[int, ...]


def _flattened(shape: Shape, _: Any, settings: dict[str, Any]) -> Shape | None:
    return (math.prod(shape),) if settings.get("axis", 1) in (1, -len(shape)) else None


def _set_shape(shape: Shape, numbers: Any, settings: dict[str, Any]) -> Shape | None:
    if not settings.get("allowzero"):  # 0 stands for the old size
        old = (0, *shape, *numbers)
        numbers = [old[axis] if n == 0 else n for axis, n in enumerate(numbers)]
    row = list(numbers[1:])
    if -1 in row:
        place = row.index(-1)
        row[place] = math.prod(shape) // max(math.prod(row[:place] + row[place + 1 :]), 1)
    return tuple(row)


def _squeezed(shape: Shape, numbers: Any, _: dict[str, Any]) -> Shape | None:
    if numbers is None:
        return tuple(n for n in shape if n != 1)
    axes = {axis % (1 + len(shape)) for axis in numbers}
    left = tuple(n for axis, n in enumerate(shape, 1) if axis not in axes)
    return None if 0 in axes else left


def _unsqueezed(shape: Shape, numbers: Any, _: dict[str, Any]) -> Shape | None:
    rank = 1 + len(shape) + len(numbers)
    axes, old = {axis % rank for axis in numbers}, iter(shape)
    row = tuple(1 if axis in axes else next(old, 0) for axis in range(1, rank))
    return None if 0 in axes else row


RESHAPES: dict[str, Callable[[Shape, Any, dict[str, Any]], Shape | None]] = {
    "Flatten": _flattened,
    "Reshape": _set_shape,
    "Squeeze": _squeezed,
    "Unsqueeze": _unsqueezed,
}


def _not_an_activation(node: Any) -> str:
    settings = [f"{name}={value!r:.40}" for name, value in attributes(node).items()]
    given = f"with {', '.join(settings)} " if settings else ""
    return f"{given}computes none of the activations {', '.join(ACTIVATIONS)} (docs: ONNX)"
