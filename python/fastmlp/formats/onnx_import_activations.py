"""What the nodes between two layers of an ONNX graph compute.

Exporters write one activation in many ways: gelu by Erf, by Tanh or as an operator, silu as a
product, softplus by Log and Exp. No list of patterns has them all. So this file runs the nodes on
a grid of numbers, and compares the curve with those of our activations. Start at `recognised`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastmlp._trainable import Array
from fastmlp.formats.onnx_file import DOMAIN, attributes, is_float, onnx, run_nodes
from fastmlp.reference.ops import ACTIVATIONS

# Fine where activations are curved, and far out, where they are lines.
FAR = np.geomspace(32.0, 1e30, 60)
GRID = np.concatenate([-FAR[::-1], np.linspace(-30.0, 30.0, 481), FAR])
FINITE = np.abs(GRID) <= 30  # further out, a formula such as log(1 + e^x) may overflow
FITTED = np.abs(GRID) <= 8
TOLERANCE = 1e-6  # constants in files have float32's 24 bits
EXACT = 1e-7  # a factor within this distance of 1 counts as 1
LEAST_SLOPE = 0.3  # a hard_sigmoid that rises from 0 to 20 loses two digits of small numbers


def _gelu_by_tanh(x: Array) -> Array:
    """Hendrycks and Gimpel, 2016, arXiv:1606.08415."""
    return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))


GELU_BY_TANH = "gelu by tanh"
CURVES: dict[str, Callable[[Array], Array]] = {
    **{name: activation.forward for name, activation in ACTIVATIONS.items()},
    "exp": np.exp,
    GELU_BY_TANH: _gelu_by_tanh,
}


class Curve(NamedTuple):
    """y = scale ⊙ g(inner · x + shift) + offset, where g is the activation.

    Scale and offset have one entry, or one for each unit; None stands for 1 and 0.
    """

    activation: str
    inner: float
    shift: float
    scale: Array | None
    offset: Array | None

    @property
    def is_plain(self) -> bool:
        """Whether the activation takes x as it is."""
        return (self.inner, self.shift) == (1.0, 0.0)


def recognised(
    nodes: Sequence[Any], constants: dict[str, Array], entry: str, opset: int
) -> Curve | None:
    """Return what the last node computes from the tensor `entry`; None if that is no activation."""
    floats = {
        name: values.astype(np.float64) if values.dtype.kind == "f" else values
        for name, values in constants.items()
    }
    width = max((values.shape[-1] for values in floats.values() if values.ndim), default=1)
    X = np.broadcast_to(GRID[:, np.newaxis], (len(GRID), width))
    with np.errstate(all="ignore"):
        Y = run_nodes([_in_float64(node) for node in nodes], {**floats, entry: X}, opset)
        if Y.dtype.kind != "f" or Y.shape != X.shape or not np.isfinite(Y[FINITE]).all():
            return None
        for inner, shift in _inner_scalings(nodes, floats, Y[:, 0]):
            for name, function in CURVES.items():
                found = _fit(function(inner * GRID + shift), Y)
                if found is not None:
                    return Curve(name, inner, shift, *found)
    return None


def _in_float64(node: Any) -> Any:
    """Return a copy of a node that computes in float64."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    if copy.domain == DOMAIN:  # Erf, which ONNX Runtime lacks in float64
        copy.domain = ""
    if copy.op_type in ("CastLike", "Dropout"):
        copy.op_type = "Identity"
        del copy.input[1:], copy.attribute[:]
    for attribute in copy.attribute:
        if copy.op_type == "Cast" and attribute.name == "to" and is_float(attribute.i):
            attribute.i = onnx.TensorProto.DOUBLE
    return copy


def _inner_scalings(
    nodes: Sequence[Any], constants: dict[str, Array], y: Array
) -> Iterator[tuple[float, float]]:
    """Yield a factor and a summand of x that may stand inside the activation."""
    yield from ((1.0, 0.0), (-1.0, 0.0))
    low, high = y[0], y[-1]
    on_ramp = np.flatnonzero((np.minimum(low, high) < y) & (y < np.maximum(low, high)))
    if len(on_ramp) > 1:  # every ramp is a hard_sigmoid, which is 0 at -3 and 1 at 3
        i, j = on_ramp[[0, -1]]
        slope = 6 * (y[j] - y[i]) / (GRID[j] - GRID[i]) / (high - low)
        if abs(slope) >= LEAST_SLOPE:
            yield slope, 6 * (y[i] - low) / (high - low) - 3 - slope * GRID[i]
    numbers = [values.item() for values in constants.values() if values.size == 1]
    numbers += [one for node in nodes for one in attributes(node).values()]
    for one in numbers:  # x · sigmoid(1.702 x), log(1 + e^(2 x)) / 2
        if isinstance(one, float) and one != 0 and math.isfinite(one):
            yield from ((one, 0.0), (1 / one, 0.0))


def _fit(curve: Array, Y: Array) -> tuple[Array | None, Array | None] | None:
    """Return scale and offset with Y = scale ⊙ curve + offset, or None if there are none."""
    near = curve[FITTED]
    centered = near - near.mean()
    variance = centered @ centered
    if not variance > 0:
        return None
    scale = centered @ Y[FITTED] / variance
    offset = Y[FITTED].mean(axis=0) - scale * near.mean()
    error = np.abs(scale * curve[:, np.newaxis] + offset - Y)
    allowed = TOLERANCE * (np.abs(scale) + np.abs(Y))
    if not np.all((error <= allowed) | ~(np.isfinite(error) | FINITE[:, np.newaxis])):
        return None
    is_one = np.all(np.abs(scale - 1) <= EXACT)
    is_zero = np.all(np.abs(offset) <= EXACT)
    return None if is_one else scale, None if is_zero else offset
