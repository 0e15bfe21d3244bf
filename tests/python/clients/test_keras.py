"""Keras 3, with the JAX backend: models to networks, and lists of weights."""

import os

import numpy as np
import pytest

import fastmlp
from skipped_examples import assert_example_runs

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")

layers = keras.layers
pytestmark = [
    pytest.mark.client,
    pytest.mark.filterwarnings("ignore"),  # JAX tells Keras that it has no float64
]

NAMES = {name: name for name in fastmlp.ACTIVATIONS} | {"identity": "linear"}


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


def sequential(*parts, features=5):
    return keras.Sequential([keras.Input((features,)), *parts])


def randomized(model):
    """The model, with statistics and scales as training leaves them."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 2, array.shape) for array in model.get_weights()])
    return model


def assert_computes_the_same(network, model, tolerance=1e-5):
    X = np.random.default_rng(1).standard_normal((50, network.layers[0])).astype(np.float32)
    expected = np.asarray(model(X))
    atol = tolerance * np.abs(expected).max()
    np.testing.assert_allclose(network.forward(X), expected, rtol=0, atol=atol)


@pytest.mark.parametrize("name", fastmlp.ACTIVATIONS)
def test_networks_compute_what_the_model_does(name):
    # leaky_relu as a name has another slope than fastmlp's.
    activation = layers.LeakyReLU(negative_slope=0.01) if name == "leaky_relu" else NAMES[name]
    model = sequential(
        layers.Dense(7),
        layers.Activation(activation) if isinstance(activation, str) else activation,
        keras.Sequential([layers.Dense(4, use_bias=False)]),
        layers.Dense(3, "softmax"),
    )
    network = fastmlp.Network.from_keras(model, seed=3)
    assert network.hidden == (name, "identity")
    assert (network.layers, network.output, network.seed) == ((5, 7, 4, 3), "softmax", 3)
    assert_computes_the_same(network, model)


@pytest.mark.parametrize(
    ("activation", "output"),
    [
        ("sigmoid", "sigmoid"),
        ("softmax", "softmax"),
        ("linear", "identity"),
        ("exponential", "exp"),
    ],
)
def test_the_last_activation_is_the_output(activation, output):
    model = sequential(layers.Dense(4, "relu"), layers.Dense(3, activation))
    network = fastmlp.Network.from_keras(model)
    assert network.output == output
    assert_computes_the_same(network, model)


def test_output_names_what_the_loss_applies_to_logits():
    model = sequential(layers.Dense(4, "relu"), layers.Dense(3))
    network = fastmlp.Network.from_keras(model, output="softmax")
    assert_computes_the_same(network, sequential(model, layers.Softmax()))


def test_normalisations_are_folded():
    normalization = layers.Normalization()
    normalization.adapt(np.random.default_rng(0).standard_normal((100, 5)) * [0.1, 3, 1, 2, 9] + 1)
    model = sequential(
        layers.BatchNormalization(),
        layers.Rescaling(0.5, 1.0),
        layers.Dense(4),
        layers.BatchNormalization(center=False),
        layers.ReLU(),
        layers.BatchNormalization(scale=False),
        layers.Dense(3),
    )
    assert_computes_the_same(fastmlp.Network.from_keras(randomized(model)), model)
    model = sequential(normalization, layers.Dense(4, "tanh"), layers.BatchNormalization())
    network = fastmlp.Network.from_keras(model)
    assert network.layers == (5, 4, 4)
    assert_computes_the_same(network, model)


def test_what_only_acts_in_training_is_left_out():
    model = sequential(
        layers.Flatten(),
        layers.GaussianNoise(0.1),
        layers.Dense(4, "relu"),
        layers.Dropout(0.5),
        layers.Identity(),
        layers.Dense(3),
    )
    network = fastmlp.Network.from_keras(model)
    assert network.layers == (5, 4, 3)
    assert_computes_the_same(network, model)


def test_functional_models_are_read():
    inputs = keras.Input((5,))
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(6, "silu")])
    outputs = layers.Dense(3, "sigmoid")(inner(layers.Dense(4, "elu")(inputs)))
    model = keras.Model(inputs, outputs)
    network = fastmlp.Network.from_keras(model)
    assert network.hidden == ("elu", "silu")
    assert_computes_the_same(network, model)


def test_lists_of_weights_go_both_ways():
    model = sequential(layers.Dense(4, "relu"), layers.Dense(3, "softmax"))
    network = fastmlp.Network([5, 4, 3], output="softmax")
    network.set_weights(model.get_weights())
    assert_computes_the_same(network, model)
    network.parameters[:] *= 2
    model.set_weights(network.get_weights())
    assert_computes_the_same(network, model)


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_files_of_keras_are_read(tmp_path, kind):
    model = sequential(layers.Dense(4, "relu"), layers.Dropout(0.2), layers.Dense(3, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.save(tmp_path / "model.keras")
    assert_computes_the_same(fastmlp.Network.from_keras(kind(tmp_path / "model.keras")), model)


def chain(function):
    inputs = keras.Input((5,))
    return keras.Model(inputs, function(inputs))


def shared():
    dense = layers.Dense(5)
    return chain(lambda x: dense(dense(x)))


REFUSED = {
    "LayerNormalization is not a layer": lambda: sequential(
        layers.Dense(3), layers.LayerNormalization()
    ),
    "PReLU is not a layer": lambda: sequential(layers.Dense(3), layers.PReLU()),
    "Relu is not a layer": lambda: chain(lambda x: keras.ops.relu(layers.Dense(3)(x))),
    "the activation leaky_relu with the slope 0.2": lambda: sequential(
        layers.Dense(3, "leaky_relu")
    ),
    "the activation relu6": lambda: sequential(layers.Dense(3, "relu6")),
    "the activation <lambda>": lambda: sequential(layers.Dense(3, lambda x: 2 * x)),
    "ReLU has max_value=6": lambda: sequential(layers.Dense(3), layers.ReLU(max_value=6)),
    "LeakyReLU has negative_slope=0.3": lambda: sequential(layers.Dense(3), layers.LeakyReLU()),
    "softmax can only be last": lambda: sequential(layers.Dense(3, "softmax"), layers.Dense(3)),
    "has 2 inputs": lambda: chain(lambda x: layers.Add()([layers.Dense(3)(x), layers.Dense(3)(x)])),
    "has 2 outputs": lambda: chain(lambda x: [layers.Dense(3)(x), layers.Dense(3)(x)]),
    "Dense twice": shared,
    "has no known inputs": lambda: keras.Sequential([layers.Dense(3)]),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_taken_is_named(message):
    model = REFUSED[message]()
    with pytest.raises(ValueError, match=r"^from_keras: ") as raised:
        fastmlp.Network.from_keras(model)
    assert message in str(raised.value)


def test_what_is_no_model_is_refused():
    for thing in ([], 3, layers.Dense(3)):
        with pytest.raises(TypeError, match=r"it must be a keras\.Model"):
            fastmlp.Network.from_keras(thing)


def test_the_docstring():
    assert_example_runs("from_keras")
