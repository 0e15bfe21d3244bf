"""Gradients against central differences of the loss, in float64, for any network.

The gradients checked are the native ones. Start at `check_gradients`.
"""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fastmlp import _core

# Steps, relative to max(1, |θ|). The first, near the cube root of eps, balances the error of
# truncation (h²) with that of rounding (eps/h): both come to about 1e-11. Where the gradients do
# not agree there, a ReLU may have its corner between θ - h and θ + h; it has left a narrower
# interval, while a wrong gradient stays wrong in every one.
STEPS = (6e-6, 6e-7, 6e-8)

# Above this the next step is tried: 100 times what rounding leaves of a small derivative.
ACCEPTED = 1e-6

# Derivatives smaller than this part of the largest are compared with that part, not with
# themselves: the rounding error of a difference is the same for all parameters, 1e-11 of the loss.
SMALL = 1e-3


class _Structure(Protocol):
    """What is read of a network; the twin has it too."""

    @property
    def layers(self) -> tuple[int, ...]: ...
    @property
    def hidden(self) -> tuple[str, ...]: ...
    @property
    def output(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def parameters(self) -> npt.NDArray[Any]: ...


def check_gradients(network: _Structure, X: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return the largest relative error of a copy's gradients; see `Network.check_gradients`."""
    checked = _core.Network(network.layers, network.hidden, network.output, "float64", network.seed)
    checked.parameters[:] = network.parameters
    checked._validate("check_gradients", X, y, None)
    checked.loss_and_gradients(X, y)
    floor = SMALL * np.abs(checked.gradients).max()
    errors = np.array([_error(checked, k, floor, X, y) for k in range(checked.n_parameters)])
    return float(errors.max())


def _error(
    network: _core.Network, k: int, floor: float, X: npt.ArrayLike, y: npt.ArrayLike
) -> float:
    """Return |a - n| / max(|a|, |n|, floor), a parameter k's gradient and n its numeric one."""
    a = float(network.gradients[k])
    errors = []
    for step in STEPS:
        n = _central_difference(network, k, step, X, y)
        # Where all three are 0, so is the error.
        errors.append(abs(a - n) / (max(abs(a), abs(n), floor) or 1.0))
        if errors[-1] <= ACCEPTED:
            break
    return float(np.min(errors))  # NaN if one is NaN


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
    return (loss_above - loss_below) / (above - below)  # the step that was taken, h rounded
