"""Builds a network from the layers of another library, one after another.

The reader of a format calls `dense`, `scale` and `activation` in the order of the model's layers,
and `network` at the end. Scalings are folded into the layers beside them, in float64. Messages name
a layer by the text `where`.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastmlp._core import ACTIVATIONS, OUTPUTS
from fastmlp.training import resolve_seed

Array = npt.NDArray[np.float64]
KNOWN = f"a Network has {', '.join(ACTIVATIONS)}, and as its output {', '.join(OUTPUTS)}"


class Scale(NamedTuple):
    """a ⊙ x + c, which is not folded into a layer yet."""

    a: Array
    c: Array


class Named(NamedTuple):
    """An activation and the layer it comes from."""

    name: str
    where: str


class Chain:
    """The layers read so far. Error messages begin with `function`."""

    def __init__(self, function: str) -> None:
        self.function = function
        self.layers: list[tuple[Array, Array]] = []  # W (n_in, n_out) and b
        self.activations: list[Named] = []  # of each layer, but not of the last while it is open
        self.scaling: Scale | None = None

    @property
    def is_open(self) -> bool:
        """Whether the last layer has no activation yet."""
        return len(self.layers) > len(self.activations)

    @property
    def width(self) -> int | None:
        """The number of outputs so far; None if nothing says it."""
        if self.scaling:
            return len(self.scaling.a)
        return self.layers[-1][1].size if self.layers else None

    def dense(self, W: Array, b: Array, where: str) -> None:
        """Add the layer x · W + b."""
        self.check_width(len(W), where)
        if self.is_open:
            self.activations.append(Named("identity", where))
        if self.scaling:
            b = self.scaling.c @ W + b
            W = self.scaling.a[:, np.newaxis] * W
            self.scaling = None
        self.layers.append((W, b))

    def scale(self, a: Array, c: Array, where: str) -> None:
        """Add a ⊙ x + c: to the layer before it, or else to the next one."""
        self.check_width(len(a), where)
        if self.is_open:
            W, b = self.layers[-1]
            self.layers[-1] = W * a, b * a + c
        elif self.scaling:
            self.scaling = Scale(self.scaling.a * a, self.scaling.c * a + c)
        else:
            self.scaling = Scale(a, c)

    def activation(self, name: str, where: str) -> None:
        """Add an activation or an output; `network` refuses a name that the network cannot have."""
        if name == "identity":
            return
        self._close(where)
        self.activations.append(Named(name, where))

    def network(
        self, cls: Any, dtype: str, output: str | None, seed: Any, loss: dict[str, Any]
    ) -> Any:
        """Return the network. If `output` is None, it has the output of the model."""
        if output is not None and output not in OUTPUTS:
            raise ValueError(
                f"{self.function}: output is {output!r}; it must be one of {list(OUTPUTS)}, or "
                "None for the output of the model"
            )
        output = self._take_output(output)
        for name, where in self.activations:
            if name not in ACTIVATIONS:
                rule = (
                    "can only be last" if name in OUTPUTS else "is not an activation of a Network"
                )
                raise ValueError(f"{self.function}: {where}: {name} {rule}; {KNOWN}")
        sizes = [len(self.layers[0][0]), *(b.size for _, b in self.layers)]
        hidden = [name for name, _ in self.activations]
        seed = resolve_seed(seed, self.function)
        network = cls._rebuild(sizes, hidden, output, dtype, seed, **loss)
        for W, b, layer in zip(network.weights, network.biases, self.layers, strict=True):
            W[:], b[:] = layer
        return network

    def _take_output(self, wanted: str | None) -> str:
        if not self.layers and not self.scaling:
            raise ValueError(f"{self.function}: the model has no layer with weights")
        has_output = not self.is_open and not self.scaling
        if has_output and self.activations[-1].name in (*OUTPUTS, "log_softmax"):
            name, where = self.activations.pop()
            if wanted in (None, name) and name in OUTPUTS:
                return name
            if name == "log_softmax" and wanted == "softmax":
                return wanted
            if wanted is None:
                raise ValueError(
                    f"{self.function}: {where}: the outputs are logarithms of probabilities; give "
                    "output='softmax' for a network whose outputs are the probabilities"
                )
            raise ValueError(
                f"{self.function}: output is {wanted!r}, but the model ends in {name} ({where})"
            )
        self._close("the end")
        return wanted or "identity"

    def _close(self, where: str) -> None:
        """Make sure that the last layer is open: if it is not, add one with the identity matrix."""
        if self.is_open:
            return
        if self.width is None:
            raise ValueError(f"{self.function}: {where} stands before the first layer with weights")
        self.dense(np.eye(self.width), np.zeros(self.width), where)

    def check_width(self, n: int, where: str) -> None:
        """Refuse a layer whose number of inputs is not the number of outputs so far."""
        if self.width not in (None, n):
            raise ValueError(
                f"{self.function}: {where} takes {n} values, but the layer before "
                f"gives {self.width}"
            )
