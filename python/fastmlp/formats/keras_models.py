"""Keras models to networks. state_dict.py has the lists of `get_weights` and needs no Keras.

Start at `from_keras`.
"""

import os
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import activations, layers

from fastmlp.formats.chain import KNOWN, Chain

FUNCTIONS = {
    activations.relu: "relu",
    activations.sigmoid: "sigmoid",
    activations.tanh: "tanh",
    activations.linear: "identity",
    activations.elu: "elu",
    activations.celu: "elu",
    activations.softplus: "softplus",
    activations.gelu: "gelu",
    activations.silu: "silu",
    activations.mish: "mish",
    activations.selu: "selu",
    activations.hard_sigmoid: "hard_sigmoid",
    activations.softmax: "softmax",
    activations.log_softmax: "log_softmax",
    activations.exponential: "exp",
}
# The activation of each layer, and the settings with which it is the same. "identity" is for what
# changes nothing in a trained model.
LAYERS: dict[Any, tuple[str, dict[str, Any]]] = {
    layers.ReLU: ("relu", {"negative_slope": 0, "max_value": None, "threshold": 0}),
    layers.LeakyReLU: ("leaky_relu", {"negative_slope": 0.01}),
    layers.ELU: ("elu", {"alpha": 1}),
    layers.Softmax: ("softmax", {"axis": -1}),
    layers.Identity: ("identity", {}),
    layers.Flatten: ("identity", {}),
    layers.Dropout: ("identity", {}),
    layers.AlphaDropout: ("identity", {}),
    layers.GaussianDropout: ("identity", {}),
    layers.GaussianNoise: ("identity", {}),
    layers.ActivityRegularization: ("identity", {}),
}


def from_keras(cls: Any, model: Any, output: str | None, seed: Any, loss: dict[str, Any]) -> Any:
    """Do what `Network.from_keras` says."""
    if isinstance(model, str | os.PathLike):
        model = keras.saving.load_model(model, compile=False)
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"from_keras: model is of type {type(model).__name__}; it must be a keras.Model or the "
            "name of its file. set_weights takes a list of get_weights()"
        )
    chain, dtypes, read = Chain("from_keras"), set(), set()
    for layer, features in _steps(model):
        where = f"{layer.name}: {type(layer).__name__}"
        if type(layer) is layers.Dense:
            if layer in read:
                raise ValueError(f"from_keras: the model has {where} twice; a Network cannot")
            read.add(layer)
            dtypes.add(str(layer.kernel.dtype))
            W = _values(layer.kernel)
            b = _values(layer.bias) if layer.use_bias else np.zeros(W.shape[1])
            chain.dense(W, b, where)
            _activation(chain, layer.activation, where)
        elif type(layer) is layers.Activation:
            _activation(chain, layer.activation, where)
        elif scale := _scale(layer):
            a, c = (np.broadcast_to(part, features) for part in scale)
            chain.scale(a, c, where)
        elif type(layer) in LAYERS:
            name, expected = LAYERS[type(layer)]
            for key, value in expected.items():
                if getattr(layer, key) != value:
                    raise ValueError(
                        f"from_keras: {where} has {key}={getattr(layer, key)!r}; a Network can "
                        f"only have {key}={value!r}"
                    )
            chain.activation(name, where)
        else:
            names = ("Dense", "Activation", "BatchNormalization", "Normalization", "Rescaling")
            raise ValueError(
                f"from_keras: {where} is not a layer that a Network has; it can have "
                f"{', '.join((*names, *(kind.__name__ for kind in LAYERS)))}"
            )
    dtype = "float64" if dtypes == {"float64"} else "float32"
    return chain.network(cls, dtype, output, seed, loss)


def _steps(model: Any) -> Iterator[tuple[Any, int]]:
    """Yield the layers of a chain in order, each with the number of values that it takes."""
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"from_keras: {model.name}: {type(model).__name__} has no known inputs; it must be a "
            "functional model, or a Sequential that begins with keras.Input or has been called"
        )
    steps: list[tuple[Any, int]] = []
    name, tensors = model.name, model.outputs
    while True:
        if len(tensors) != 1:
            rule = "inputs" if steps else "outputs"
            raise ValueError(
                f"from_keras: {name} has {len(tensors)} {rule}; in a Network each layer takes the "
                "outputs of the layer before it, and nothing else"
            )
        layer, index, _ = tensors[0]._keras_history
        if isinstance(layer, layers.InputLayer):
            break
        name, tensors = layer.name, layer._inbound_nodes[index].input_tensors
        steps.append((layer, tensors[0].shape[-1]))
    for layer, features in reversed(steps):
        if isinstance(layer, keras.Model):
            yield from _steps(layer)
        else:
            yield layer, features


def _scale(layer: Any) -> tuple[Any, Any] | None:
    """Return a and c if the layer computes a ⊙ x + c."""
    if type(layer) is layers.Rescaling:
        return layer.scale, layer.offset
    if type(layer) is layers.Normalization and not layer.invert:
        deviation = np.maximum(np.sqrt(_values(layer.variance)), keras.config.epsilon())
        return np.ravel(1 / deviation), np.ravel(-_values(layer.mean) / deviation)
    if type(layer) is layers.BatchNormalization:
        a = 1 / np.sqrt(_values(layer.moving_variance) + layer.epsilon)
        a = a * _values(layer.gamma) if layer.scale else a
        c = -_values(layer.moving_mean) * a
        return a, c + _values(layer.beta) if layer.center else c
    return None


def _values(array: Any) -> Any:
    return np.asarray(keras.ops.convert_to_numpy(array), np.float64)


def _activation(chain: Chain, function: Any, where: str) -> None:
    if function not in FUNCTIONS:
        name = getattr(function, "__name__", repr(function))
        if function is activations.leaky_relu:
            name += " with the slope 0.2, where a Network has 0.01"
        raise ValueError(f"from_keras: {where} has the activation {name}; {KNOWN}")
    chain.activation(FUNCTIONS[function], where)
