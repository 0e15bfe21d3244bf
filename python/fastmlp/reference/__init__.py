"""The twin: the mathematics of `docs/mathematics.md` in plain NumPy, to read and to test against.

`Network` trains and predicts as `fastmlp.Network` does; the operations have the names of
`fastmlp.ops`. It is naive on purpose and checks nothing. Start at `network.py`.
"""

from fastmlp.reference.network import Network
from fastmlp.reference.ops import (
    ACTIVATIONS,
    OUTPUTS,
    binary_cross_entropy,
    exp_loss,
    identity_loss,
    matmul,
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
    "OUTPUTS",
    "Network",
    "binary_cross_entropy",
    "exp_loss",
    "identity_loss",
    "matmul",
    "permutation",
    "relu",
    "relu_backward",
    "sgd_update",
    "sigmoid",
    "sigmoid_backward",
    "sigmoid_loss",
    "softmax",
    "softmax_loss",
]
