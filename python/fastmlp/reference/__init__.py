"""The twin: the mathematics of `docs/mathematics.md` in plain NumPy, to read and to test against.

`Network` trains and predicts as `fastmlp.Network` does; the operations have the names of
`fastmlp.ops`. It is naive on purpose and checks nothing. Start at `network.py`.
"""

from fastmlp.reference.network import Network
from fastmlp.reference.ops import (
    ACTIVATIONS,
    LOSSES,
    OUTPUTS,
    absolute_error_loss,
    absolute_error_slope,
    binary_cross_entropy,
    exp_loss,
    huber_loss,
    huber_slope,
    identity_loss,
    matmul,
    pinball_loss,
    pinball_slope,
    relu,
    relu_backward,
    sgd_update,
    sigmoid,
    sigmoid_backward,
    sigmoid_loss,
    softmax,
    softmax_loss,
)
from fastmlp.reference.random import permutation

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "OUTPUTS",
    "Network",
    "absolute_error_loss",
    "absolute_error_slope",
    "binary_cross_entropy",
    "exp_loss",
    "huber_loss",
    "huber_slope",
    "identity_loss",
    "matmul",
    "permutation",
    "pinball_loss",
    "pinball_slope",
    "relu",
    "relu_backward",
    "sgd_update",
    "sigmoid",
    "sigmoid_backward",
    "sigmoid_loss",
    "softmax",
    "softmax_loss",
]
