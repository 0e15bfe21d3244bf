"""The single operations of the network, native; `fastmlp.reference` has them in plain NumPy."""

from fastmlp._core import (
    binary_cross_entropy,
    matmul,
    relu,
    relu_backward,
    sgd_update,
    sigmoid,
    sigmoid_backward,
)

__all__ = [
    "binary_cross_entropy",
    "matmul",
    "relu",
    "relu_backward",
    "sgd_update",
    "sigmoid",
    "sigmoid_backward",
]
