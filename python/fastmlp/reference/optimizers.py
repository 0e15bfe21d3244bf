"""The optimizers of the twin, one line per equation (`docs/mathematics.md`, "Update").

Their hyper-parameters are those of the native objects; the state is the twin's own.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp._core import SGD, Adam, AdamW

Array = npt.NDArray[Any]


@dataclass
class State:
    """What an optimizer remembers of a network: the updates so far and its vectors."""

    t: int
    m: Array
    v: Array


def update(optimizer: Any, state: State, theta: Array, dtheta: Array, decays: Array) -> None:
    """One update of θ in place; `decays` is 1 for weights and 0 for biases."""
    state.t += 1
    step = sgd if isinstance(optimizer, SGD) else adam
    step(optimizer, state, theta, dtheta, decays)


def sgd(o: SGD, s: State, theta: Array, dtheta: Array, decays: Array) -> None:
    """θ := θ + v, v := μ v - α g; plain where μ is 0, Nesterov's θ := θ + μ v - α g."""
    g = dtheta
    if o.decoupled:
        theta *= 1 - o.learning_rate * o.weight_decay * decays
    else:
        g = dtheta + o.weight_decay * decays * theta
    s.m[:] = o.momentum * s.m - o.learning_rate * g
    theta += o.momentum * s.m - o.learning_rate * g if o.nesterov else s.m


def adam(o: Adam, s: State, theta: Array, dtheta: Array, decays: Array) -> None:
    """θ := θ - α m' / (√v' + ε), with the decay in g, or for AdamW in θ."""
    if isinstance(o, AdamW):
        g = dtheta
        theta *= 1 - o.learning_rate * o.weight_decay * decays
    else:
        g = dtheta + o.weight_decay * decays * theta
    s.m[:] = o.beta_1 * s.m + (1 - o.beta_1) * g
    s.v[:] = o.beta_2 * s.v + (1 - o.beta_2) * g**2
    root = np.sqrt(1 - o.beta_2**s.t)
    epsilon = o.epsilon if o.epsilon_hat else o.epsilon * root
    theta -= o.learning_rate * root / (1 - o.beta_1**s.t) * s.m / (np.sqrt(s.v) + epsilon)
