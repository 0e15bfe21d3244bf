"""The constants of an ONNX graph: its initializers, and what its nodes compute of them.

Start at `Constants`.
"""

import math
from typing import Any

import numpy as np

from fastmlp._trainable import Array
from fastmlp.formats.onnx_file import onnx, refuse, run_nodes

# fmt: off
# Elementwise operators; activations consist of them too.
ELEMENTWISE = {
    "Abs", "Add", "And", "Cast", "CastLike", "Celu", "Clip", "Div", "Dropout", "Elu", "Equal",
    "Erf", "Exp", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity",
    "LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mish", "Mul", "Neg",
    "Not", "Or", "PRelu", "Pow", "Reciprocal", "Relu", "Selu", "Shrink", "Sigmoid", "Sign",
    "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tanh", "ThresholdedRelu", "Where",
}
# The result of these is no larger than all their inputs together.
OTHERS = {
    "Concat", "Constant", "DequantizeLinear", "Flatten", "Gather", "Reshape", "Slice",
    "Squeeze", "Transpose", "Unsqueeze",
}
# fmt: on


class Constants(dict[str, Array]):
    """The constant tensors by name."""

    def __init__(self, graph: Any, opset: int) -> None:
        super().__init__((one.name, to_array(one)) for one in graph.initializer)
        self.opset = opset
        # A few nodes could compute a tensor that fills the memory; layers need none that is larger
        # than what is in the file.
        self.most = 1000 + sum(values.size for values in self.values())

    def fold(self, node: Any) -> None:
        """Compute the first output of a node whose inputs are all constants."""
        inputs = {name: self[name] for name in node.input if name}
        sizes = [values.size for values in inputs.values()]
        if node.op_type in ELEMENTWISE:
            size = _broadcast_size(node, list(inputs.values()))
        elif node.op_type in OTHERS:
            is_taking = node.op_type == "Gather" and inputs[node.input[0]].ndim > 1
            size = math.prod(sizes) if is_taking else sum(sizes)
        else:
            refuse(node, "has only constant inputs; this operator is not computed for constants")
        if size > self.most:
            refuse(node, f"makes a constant of up to {size} numbers, more than the file has")
        try:
            with np.errstate(all="ignore"):
                self[node.output[0]] = run_nodes([node], inputs, self.opset)
        except Exception as error:  # the evaluator raises whatever NumPy does
            refuse(node, f"cannot be computed: {error}")


def to_array(tensor: Any) -> Array:
    """Return a tensor of the file as an array."""
    try:
        array: Array = onnx.numpy_helper.to_array(tensor)
    except Exception as error:  # of ValueError, TypeError and others, by the type of the tensor
        raise ValueError(
            f"from_onnx: the tensor {tensor.name!r} cannot be read: {error}"
        ) from error
    return array


def _broadcast_size(node: Any, inputs: list[Array]) -> int:
    try:
        return math.prod(np.broadcast_shapes(*(values.shape for values in inputs)))
    except ValueError as error:
        refuse(node, f"cannot be computed: {error}")
