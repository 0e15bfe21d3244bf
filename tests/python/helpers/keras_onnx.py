"""ONNX files that Keras wrote through tf2onnx, and what Keras computes.

tests/data/keras_onnx/ has them, so that no test needs TensorFlow: NAME.onnx and, for the rows
`rows(NAME)`, the outputs in outputs.json. To write them anew, install
tests/python/clients/keras_onnx.txt and run `python keras_onnx.py --write`.
"""

import json
import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[2] / "data" / "keras_onnx"
ACTIVATIONS = ["relu", "gelu", "silu", "mish", "softplus", "hard_sigmoid", "elu", "selu", "tanh"]
NAMES = [
    *ACTIVATIONS,
    "gelu_by_tanh",
    "leaky_relu",
    "scaled_image",
    "logits",
    "slope",
    "normalization",
]


def rows(name):
    """The inputs: small images or rows of 4 numbers."""
    shape = (9, 4, 3) if name == "scaled_image" else (9, 4)
    return np.random.RandomState(1).normal(0, 3, shape).astype(np.float32)


def expected():
    """The outputs of Keras by name."""
    stored = json.loads((FOLDER / "outputs.json").read_text())
    return {name: np.array(values) for name, values in stored.items()}


def make(keras, name):
    """A model whose biases and statistics are not those of an untrained one."""
    layers = keras.layers
    if name == "scaled_image":
        parts = [layers.Rescaling(1 / 255, offset=-0.5), layers.Flatten()]
        parts += [layers.Dense(5, "relu"), layers.Dense(1, "sigmoid")]
    elif name == "logits":
        parts = [layers.Dense(5, "relu"), layers.Dense(3)]
    elif name == "normalization":  # tf2onnx makes inputs of its mean and variance
        parts = [layers.Normalization(mean=[1.0] * 4, variance=[2.0] * 4), layers.Dense(3)]
    else:
        special = {
            "gelu_by_tanh": lambda x: keras.activations.gelu(x, approximate=True),
            "leaky_relu": layers.LeakyReLU(negative_slope=0.01),
            "slope": layers.LeakyReLU(negative_slope=0.3),
        }
        parts = [layers.Dense(5, special.get(name, name)), layers.BatchNormalization()]
        parts += [layers.Dropout(0.3), layers.Dense(3, "softmax")]
    model = keras.Sequential([keras.Input(rows(name).shape[1:]), *parts])
    draw = np.random.RandomState(0)
    model.set_weights([draw.uniform(0.2, 1.5, w.shape) for w in model.get_weights()])
    return model


def write():
    """Write all files."""
    import keras

    FOLDER.mkdir(exist_ok=True)
    outputs = {}
    for name in NAMES:
        model = make(keras, name)
        outputs[name] = model(rows(name)).numpy().tolist()
        model.export(FOLDER / f"{name}.onnx", format="onnx", verbose=False)
    (FOLDER / "outputs.json").write_text(json.dumps(outputs) + "\n")


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    write()
