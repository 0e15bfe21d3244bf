"""The libraries that are compared, each used in the fast way that its documentation recommends.

All networks have ReLU in the hidden layers and one sigmoid unit with binary cross-entropy as
output. They are trained by plain SGD on shuffled batches of data that lies in memory.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastmlp.bench.workloads import Task

Array = npt.NDArray[Any]
Layers = Sequence[int]
Timed = Callable[[int], object]  # does something the given number of times
LEARNING_RATE = 0.01


class Peer:
    """One library, with a fixed number of threads."""

    title = ""
    modules: ClassVar[tuple[str, ...]] = ()  # must be importable
    packages = ""  # their names for `pip install`; the first has the version
    environment: ClassVar[dict[str, str]] = {}

    def __init__(self, threads: int) -> None:
        self.threads = threads

    @classmethod
    def is_installed(cls) -> bool:
        """Whether the library can be imported."""
        return all(importlib.util.find_spec(module) for module in cls.modules)

    @classmethod
    def version(cls) -> str:
        """Return the version that is installed."""
        return importlib.metadata.version(cls.packages.split()[0])

    def prepare(self, task: Task) -> Timed | None:
        """Return a function that does a task n times; None if the library does not offer it."""
        rng = np.random.default_rng(0)
        X = rng.standard_normal((task.epoch_rows or task.rows, task.sizes[0])).astype(task.dtype)
        if task.kind == "predict":
            return repeated(self.predict(task.sizes, X))
        y = (X[:, :1] + 0.1 * rng.standard_normal((len(X), 1)) > 0).astype(task.dtype)
        return self.train(task.sizes, X, y, task.rows) if task.kind == "train" else None

    def train(self, layers: Layers, X: Array, y: Array, batch: int) -> Timed | None:
        """Return a function that trains for n epochs; None if the library only predicts."""
        return None

    def predict(self, layers: Layers, X: Array) -> Callable[[], object]:
        """Return a function that predicts all rows once, from NumPy to NumPy."""
        raise NotImplementedError


def repeated(call: Callable[[], object]) -> Timed:
    """Return a function that calls `call` the given number of times."""

    def run(times: int) -> None:
        for _ in range(times):
            call()

    return run


def initial(layers: Layers, dtype: np.dtype[Any]) -> tuple[list[Array], list[Array]]:
    """Return He-uniform weights and zero biases."""
    rng = np.random.default_rng(1)
    weights = [
        (np.sqrt(6 / rows) * rng.uniform(-1, 1, (rows, columns))).astype(dtype)
        for rows, columns in pairwise(layers)
    ]
    return weights, [np.zeros(n, dtype) for n in layers[1:]]


class Fastmlp(Peer):
    """The library itself; one row is a vector."""

    title = "fastmlp"
    modules = ("fastmlp",)
    packages = "fastmlp"

    @classmethod
    def version(cls) -> str:
        """Return the version of this package, which may be a folder that is not installed."""
        import fastmlp

        return fastmlp.__version__

    def network(self, layers: Layers, X: Array) -> Any:
        """Return the network."""
        import fastmlp

        fastmlp.set_num_threads(self.threads)
        return fastmlp.Network(layers, seed=0, dtype=X.dtype)

    def train(self, layers: Layers, X: Array, y: Array, batch: int) -> Timed:
        """Return `Network.fit`."""
        fit, rate = self.network(layers, X).fit, LEARNING_RATE
        return lambda epochs: fit(X, y, epochs=epochs, batch_size=batch, learning_rate=rate)

    def predict(self, layers: Layers, X: Array) -> Callable[[], object]:
        """Return `Network.forward`."""
        forward, rows = self.network(layers, X).forward, X[0] if len(X) == 1 else X
        return lambda: forward(rows)


class Numpy(Peer):
    """The equations of docs/mathematics.md, by hand."""

    title = "NumPy"
    modules = ("numpy",)
    packages = "numpy"

    def train(self, layers: Layers, X: Array, y: Array, batch: int) -> Timed:
        """Return forward pass, backward pass and update."""
        weights, biases = initial(layers, X.dtype)
        rng = np.random.default_rng(0)

        def step(A: Array, Y: Array) -> None:
            activations = [A]
            for W, b in zip(weights[:-1], biases[:-1], strict=True):
                A = np.maximum(A @ W + b, 0)
                activations.append(A)
            Z = A @ weights[-1] + biases[-1]
            dZ = (1 / (1 + np.exp(-Z)) - Y) / len(Y)
            for layer in range(len(weights) - 1, -1, -1):
                dW, db = activations[layer].T @ dZ, dZ.sum(axis=0)
                if layer > 0:
                    dZ = (dZ @ weights[layer].T) * (activations[layer] > 0)
                weights[layer] -= LEARNING_RATE * dW
                biases[layer] -= LEARNING_RATE * db

        def run(epochs: int) -> None:
            for _ in range(epochs):
                order = rng.permutation(len(X))
                for first in range(0, len(X), batch):
                    rows = order[first : first + batch]
                    step(X[rows], y[rows])

        return run

    def predict(self, layers: Layers, X: Array) -> Callable[[], object]:
        """Return the forward pass."""
        weights, biases = initial(layers, X.dtype)

        def run() -> Array:
            A = X
            for W, b in zip(weights[:-1], biases[:-1], strict=True):
                A = np.maximum(A @ W + b, 0)
            return np.asarray(1 / (1 + np.exp(-(A @ weights[-1] + biases[-1]))))

        return run


class ScikitLearn(Peer):
    """`MLPClassifier`, without momentum and penalty."""

    title = "scikit-learn"
    modules = ("sklearn",)
    packages = "scikit-learn"

    def model(self, layers: Layers, batch: int) -> Any:
        """Return the estimator."""
        from sklearn.neural_network import MLPClassifier

        warnings.filterwarnings("ignore")  # it warns that it has not converged
        return MLPClassifier(
            tuple(layers[1:-1]), solver="sgd", momentum=0, nesterovs_momentum=False, alpha=0,
            batch_size=batch, learning_rate_init=LEARNING_RATE, tol=0, n_iter_no_change=10**9,
            warm_start=True, random_state=0,
        )  # fmt: skip

    def train(self, layers: Layers, X: Array, y: Array, batch: int) -> Timed:
        """Return `fit`, which continues from call to call."""
        model, labels = self.model(layers, batch), y[:, 0].astype(np.int64)
        return lambda epochs: model.set_params(max_iter=epochs).fit(X, labels)

    def predict(self, layers: Layers, X: Array) -> Callable[[], object]:
        """Return `predict_proba`."""
        few = np.resize(X, (4, layers[0]))
        model = self.model(layers, 2).set_params(max_iter=1).fit(few, [0, 1, 0, 1])
        return lambda: model.predict_proba(X)


class Torch(Peer):
    """`torch.nn` with the fused SGD, on tensors and without a DataLoader."""

    title = "PyTorch"
    modules = ("torch",)
    packages = "torch"

    def model(self, layers: Layers) -> Any:
        """Return the network up to the logits."""
        import torch

        torch.set_num_threads(self.threads)
        parts: list[Any] = []
        for n_in, n_out in pairwise(layers):
            parts += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
        return torch.nn.Sequential(*parts[:-1])

    def train(self, layers: Layers, X: Array, y: Array, batch: int) -> Timed:
        """Return forward, backward and step."""
        import torch

        model = self.model(layers)
        optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, fused=True)
        loss = torch.nn.BCEWithLogitsLoss()
        x, t = torch.from_numpy(X), torch.from_numpy(y)

        def run(epochs: int) -> None:
            for _ in range(epochs):
                for rows in torch.randperm(len(x)).split(batch):
                    optimizer.zero_grad(set_to_none=True)
                    loss(model(x[rows]), t[rows]).backward()
                    optimizer.step()

        return run

    def predict(self, layers: Layers, X: Array) -> Callable[[], object]:
        """Return a call in inference mode."""
        import torch

        model = torch.nn.Sequential(self.model(layers), torch.nn.Sigmoid()).eval()

        def run() -> Any:
            with torch.inference_mode():
                return model(torch.from_numpy(X)).numpy()

        return run


class Jax(Peer):
    """Jitted functions."""

    title = "JAX"
    modules = ("jax",)
    packages = "jax"
    environment: ClassVar = {"JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "1"}

    def logits(self, state: Any, A: Any) -> Any:
        """Return the inputs of the sigmoid."""
        import jax

        for W, b in state[:-1]:
            A = jax.nn.relu(A @ W + b)
        return A @ state[-1][0] + state[-1][1]

    def train(self, layers: Layers, X: Array, y: Array, batch: int) -> Timed:
        """Return epochs that are one scan over the batches, in an order that NumPy draws."""
        import jax
        import jax.numpy as jnp

        def loss(state: Any, A: Any, Y: Any) -> Any:
            z = self.logits(state, A)
            return (jnp.maximum(z, 0) - z * Y + jnp.log1p(jnp.exp(-jnp.abs(z)))).mean()

        def epoch(state: Any, x: Any, t: Any, order: Any) -> Any:
            def step(state: Any, rows: Any) -> Any:
                value, gradient = jax.value_and_grad(loss)(state, x[rows], t[rows])
                return jax.tree.map(lambda p, g: p - LEARNING_RATE * g, state, gradient), value

            return jax.lax.scan(step, state, order)

        jitted, rng = jax.jit(epoch, donate_argnums=0), np.random.default_rng(0)
        state: Any = [*zip(*initial(layers, X.dtype), strict=True)]
        state, x, t = jax.tree.map(jnp.asarray, (state, X, y))

        def run(epochs: int) -> None:
            nonlocal state
            for _ in range(epochs):
                order = rng.permutation(len(X)).reshape(-1, batch)
                state, losses = jitted(state, x, t, order)
            jax.block_until_ready((state, losses))

        return run

    def predict(self, layers: Layers, X: Array) -> Callable[[], object]:
        """Return the forward pass."""
        import jax

        state = jax.tree.map(jax.numpy.asarray, [*zip(*initial(layers, X.dtype), strict=True)])
        jitted = jax.jit(lambda state, A: jax.nn.sigmoid(self.logits(state, A)))
        return lambda: np.asarray(jitted(state, X))


class OnnxRuntime(Peer):
    """ONNX Runtime, which only predicts."""

    title = "ONNX Runtime"
    modules = ("onnxruntime", "onnx")
    packages = "onnxruntime onnx"

    def model(self, layers: Layers, dtype: np.dtype[Any]) -> bytes:
        """Return a network of Gemm, Relu and Sigmoid nodes as an ONNX file."""
        from onnx import helper, numpy_helper

        nodes, tensors, name = [], [], "x"
        for i, (W, b) in enumerate(zip(*initial(layers, dtype), strict=True)):
            tensors += [numpy_helper.from_array(W, f"W{i}"), numpy_helper.from_array(b, f"b{i}")]
            nodes.append(helper.make_node("Gemm", [name, f"W{i}", f"b{i}"], [f"z{i}"]))
            last, name = i == len(layers) - 2, f"a{i}"
            nodes.append(helper.make_node("Sigmoid" if last else "Relu", [f"z{i}"], [name]))
        x, y = (
            helper.make_tensor_value_info(name, tensors[0].data_type, [None, size])
            for name, size in (("x", layers[0]), (name, layers[-1]))
        )
        graph = helper.make_graph(nodes, "mlp", [x], [y], tensors)
        opset = helper.make_opsetid("", 17)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
        return bytes(model.SerializeToString())

    def predict(self, layers: Layers, X: Array) -> Callable[[], object]:
        """Return a run of a session."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(
            self.model(layers, X.dtype), options, providers=["CPUExecutionProvider"]
        )
        return lambda: session.run(None, {"x": X})[0]


PEERS: dict[str, type[Peer]] = {
    "fastmlp": Fastmlp,
    "numpy": Numpy,
    "sklearn": ScikitLearn,
    "torch": Torch,
    "jax": Jax,
    "onnxruntime": OnnxRuntime,
}
