"""Compares the native gradients with central differences of the loss, in float64.

It works on a copy of the network, which may be the native one or the twin. Start at
`check_gradients`.
"""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fastmlp import _core
from fastmlp._float_mode import in_default_float_mode
from fastmlp._trainable import loss_arguments

# Steps h, relative to max(1, |θ|). The first is near the cube root of eps. There the truncation
# error (h²) and the rounding error (eps/h) are both about 1e-11. If the gradients disagree at this
# step, the corner of a ReLU may lie between θ - h and θ + h. A shorter step moves past the corner,
# but a wrong gradient is wrong at every step.
STEPS = (6e-6, 6e-7, 6e-8)

# If the relative error is above this, the next step is tried. It is 100 times the rounding error of
# a small derivative.
ACCEPTED = 1e-6

# A derivative below SMALL times the largest one is compared with SMALL times the largest one, not
# with itself, because the rounding error of a difference is the same for all parameters: about
# 1e-11 times the loss.
SMALL = 1e-3


class _Structure(Protocol):
    """The attributes that the check reads; the native network and the twin have them."""

    @property
    def layers(self) -> tuple[int, ...]: ...
    @property
    def hidden(self) -> tuple[str, ...]: ...
    @property
    def output(self) -> str: ...
    @property
    def loss_name(self) -> str | None: ...
    @property
    def delta(self) -> float: ...
    @property
    def quantiles(self) -> tuple[float, ...]: ...
    @property
    def seed(self) -> int: ...
    @property
    def parameters(self) -> npt.NDArray[Any]: ...


@in_default_float_mode
def check_gradients(network: _Structure, X: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return the largest relative error over all parameters; see `Network.check_gradients`."""
    structure = network.layers, network.hidden, network.output, "float64", network.seed
    checked = _core.Network(*structure, initialize=False, **loss_arguments(network))
    checked._restore(network.parameters, 0)
    checked._validate("check_gradients", X, y, None)
    checked.loss_and_gradients(X, y)
    floor = SMALL * np.abs(checked.gradients).max()
    errors = np.array([_error(checked, k, floor, X, y) for k in range(checked.n_parameters)])
    return float(errors.max())


def _error(
    network: _core.Network, k: int, floor: float, X: npt.ArrayLike, y: npt.ArrayLike
) -> float:
    """Return |a - n| / max(|a|, |n|, floor) for a, the gradient of k, and n, its numeric value."""
    a = float(network.gradients[k])
    errors = []
    for step in STEPS:
        n = _central_difference(network, k, step, X, y)
        # `or 1.0`: if all three are 0, the error is 0 too.
        errors.append(abs(a - n) / (max(abs(a), abs(n), floor) or 1.0))
        if errors[-1] <= ACCEPTED:
            break
    return float(np.min(errors))  # NaN if any of them is NaN


def _central_difference(
    network: _core.Network, k: int, step: float, X: npt.ArrayLike, y: npt.ArrayLike
) -> float:
    parameters = network.parameters
    before = float(parameters[k])
    h = step * max(1.0, abs(before))
    above, below = before + h, before - h
    parameters[k] = above
    loss_above = network.loss(X, y)
    parameters[k] = below
    loss_below = network.loss(X, y)
    parameters[k] = before
    return (loss_above - loss_below) / (above - below)  # the rounded step, not 2 h
