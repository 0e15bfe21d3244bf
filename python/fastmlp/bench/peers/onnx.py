"""ONNX Runtime."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastmlp.bench.peers.base import Array, Peer, initial


class OnnxRuntime(Peer):
    """ONNX Runtime; predictions only."""

    title = "ONNX Runtime"
    module = "onnxruntime"
    packages = "onnxruntime onnx"

    @classmethod
    def is_installed(cls) -> bool:
        """Whether it can be imported, and onnx, which writes the model."""
        return super().is_installed() and importlib.util.find_spec("onnx") is not None

    def predict(self, layers: Sequence[int], X: Array) -> Callable[[], object]:
        """Run a session on a model of Gemm, Relu and Sigmoid nodes."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(
            onnx_model(layers, X.dtype), options, providers=["CPUExecutionProvider"]
        )
        return lambda: session.run(None, {"x": X})[0]


def onnx_model(layers: Sequence[int], dtype: np.dtype[Any]) -> bytes:
    """Return a network as an ONNX file."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, tensors, name = [], [], "x"
    kind = TensorProto.FLOAT if dtype == np.float32 else TensorProto.DOUBLE
    for i, (W, b) in enumerate(zip(*initial(layers, dtype), strict=True)):
        tensors += [numpy_helper.from_array(W, f"W{i}"), numpy_helper.from_array(b, f"b{i}")]
        nodes.append(helper.make_node("Gemm", [name, f"W{i}", f"b{i}"], [f"z{i}"]))
        last = i == len(layers) - 2
        name = "out" if last else f"a{i}"
        nodes.append(helper.make_node("Sigmoid" if last else "Relu", [f"z{i}"], [name]))
    graph = helper.make_graph(
        nodes, "mlp",
        [helper.make_tensor_value_info("x", kind, [None, layers[0]])],
        [helper.make_tensor_value_info("out", kind, [None, layers[-1]])],
        tensors,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())
