"""The libraries that are compared, each used as its documentation says is fast."""

from fastmlp.bench.peers.base import Peer, environment
from fastmlp.bench.peers.jax import Jax
from fastmlp.bench.peers.numpy import Numpy, NumpySkylakeX, ScikitLearn
from fastmlp.bench.peers.onnx import OnnxRuntime
from fastmlp.bench.peers.ours import Fastmlp, Floor
from fastmlp.bench.peers.torch import Torch

__all__ = ["OURS", "PEERS", "Peer", "environment"]

PEERS: dict[str, type[Peer]] = {
    "floor": Floor,
    "fastmlp": Fastmlp,
    "numpy": Numpy,
    "skylakex": NumpySkylakeX,
    "sklearn": ScikitLearn,
    "torch": Torch,
    "jax": Jax,
    "onnxruntime": OnnxRuntime,
}
OURS = ("floor", "fastmlp")
