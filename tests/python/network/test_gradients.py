"""Gradients of every activation and output against central differences of the loss, in float64.

With the step h = eps^(1/3), truncation (h² f''' / 6) and rounding (eps / h) of a difference are
both of the order eps^(2/3), about 4e-11; TOLERANCE allows ten times that. The data keep every unit
with a corner away from it by much more than h, which the tests make sure of.
"""

import numpy as np
import pytest

import fastmlp
from fastmlp import _core, ops, reference

pytestmark = pytest.mark.sparse

EPS = np.finfo(np.float64).eps
STEP = EPS ** (1 / 3)
TOLERANCE = 10 * EPS ** (2 / 3)

CLASSES = pytest.mark.parametrize("network_class", [fastmlp.Network, reference.Network])
WEIGHTS = pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
ROWS = 6
CORNERED = ("relu", "leaky_relu", "elu")  # elu's slope has one


def rows(rng, n):
    return rng.standard_normal((ROWS, n))


# For each output the forms of y, from the number of outputs.
TARGETS = {
    "sigmoid": {
        "zeros and ones": lambda rng, n: rng.integers(0, 2, (ROWS, n)),
        "probabilities": lambda rng, n: rng.random((ROWS, n)),
    },
    "softmax": {
        "indices": lambda rng, n: rng.integers(0, n, ROWS),
        "one-hot": lambda rng, n: np.eye(n)[rng.integers(0, n, ROWS)],
    },
    "identity": {"numbers": rows},
    "exp": {
        "counts": lambda rng, n: rng.integers(0, 3, (ROWS, n)),
        "numbers": lambda rng, n: 2 * rng.random((ROWS, n)),
    },
}


# The arguments for each loss of an identity output but its own, for n outputs, and the errors
# ŷ - y at which its slope has a corner or jumps.
LOSSES = {
    "huber": (lambda n: {"delta": 0.75}, (-0.75, 0.75)),
    "absolute_error": (lambda n: {}, (0,)),
    "pinball": (lambda n: {"quantiles": [0.125, 0.5, 0.75][:n]}, (0,)),
}


def outputs():
    """(output, form of y, number of outputs) of all outputs that the library has."""
    return [
        pytest.param(output, form, n_out, id=f"{output} of {n_out}, {form}")
        for output in _core.OUTPUTS
        for form in TARGETS[output]
        for n_out in ([3] if output == "softmax" else [1, 3])
    ]


def make(network_class, layers, hidden, output, form, weighted):
    """A network with data, all units of which are away from their corners."""
    options = {"hidden": hidden, "output": output, "dtype": "float64", "seed": 4}
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        network = network_class(layers, **options)
        network.parameters[:] = rng.standard_normal(network.n_parameters) / 2
        X, y = rows(rng, layers[0]), TARGETS[output][form](rng, layers[-1])
        weight = np.array([0.5, 2, 0, 1, 3, 0.25]) if weighted else None
        if smallest_logit(network, X) > 100 * STEP:
            return network, (X, y) if weight is None else (X, y, weight)
    raise AssertionError("no data without a unit near its corner")


def smallest_logit(network, X):
    """The smallest |z| that enters a unit with a corner."""
    A, smallest = X, np.inf
    for name, W, b in zip(network.hidden, network.weights, network.biases, strict=False):
        Z = A @ W + b
        if name in CORNERED:
            smallest = min(smallest, np.abs(Z).min())
        A = reference.ACTIVATIONS[name].forward(Z)
    return smallest


def make_with_loss(network_class, loss, n_out, hidden, weighted):
    """A network with that loss, with data whose errors are away from its corners."""
    arguments, corners = LOSSES[loss]
    for seed in range(1000):
        options = {"output": "identity", "dtype": "float64", "seed": seed, "loss": loss}
        network = network_class([3, 4, n_out], hidden=hidden, **options, **arguments(n_out))
        rng = np.random.default_rng(seed)
        network.parameters[:] = rng.standard_normal(network.n_parameters)
        X, y = rows(rng, 3), rows(rng, 1 if loss == "pinball" else n_out)
        errors = network.forward(X) - y
        away = min(np.abs(errors - corner).min() for corner in corners)
        weight = [np.array([0.5, 2, 0, 1, 3, 0.25])] if weighted else []
        if min(away, smallest_logit(network, X)) > 100 * STEP:
            return network, (X, y, *weight)
    raise AssertionError("no data without an error near a corner")


def central_differences(network, data):
    slopes = np.empty(network.n_parameters)
    for k, theta in enumerate(network.parameters.copy()):
        losses = []
        for sign in (1, -1):
            network.parameters[k] = theta + sign * STEP
            losses.append(network.loss(*data))
        network.parameters[k] = theta
        slopes[k] = (losses[0] - losses[1]) / ((theta + STEP) - (theta - STEP))
    return slopes


def assert_gradients_are_slopes(network, data):
    before = network.parameters.copy()
    loss = network.loss_and_gradients(*data)
    gradients = network.gradients.copy()
    slopes = central_differences(network, data)
    assert np.abs(gradients).max() > 1e-3
    # The rounding of a loss that is a sum over the rows grows like the root of their number.
    bound = TOLERANCE * (1 + loss) * np.sqrt(len(data[0]))
    np.testing.assert_allclose(gradients, slopes, rtol=0, atol=bound)
    np.testing.assert_array_equal(network.parameters, before)


def test_every_output_of_the_library_is_tested():
    assert set(TARGETS) == set(_core.OUTPUTS)
    assert set(LOSSES) == set(_core.LOSSES)


@CLASSES
@WEIGHTS
@pytest.mark.parametrize(("output", "form", "n_out"), outputs())
@pytest.mark.parametrize("hidden", _core.ACTIVATIONS)
def test_gradients_are_slopes_of_the_loss(hidden, output, form, n_out, weighted, network_class):
    network, data = make(network_class, [3, 4, 3, n_out], hidden, output, form, weighted)
    assert_gradients_are_slopes(network, data)


@CLASSES
@WEIGHTS
@pytest.mark.parametrize("hidden", ["tanh", "relu"])
@pytest.mark.parametrize("n_out", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_slopes_of_another_loss(loss, n_out, hidden, weighted, network_class):
    network, data = make_with_loss(network_class, loss, n_out, hidden, weighted)
    assert_gradients_are_slopes(network, data)


@CLASSES
@pytest.mark.parametrize(("output", "form", "n_out"), outputs())
def test_gradients_are_slopes_without_a_hidden_layer(output, form, n_out, network_class):
    network, data = make(network_class, [4, n_out], (), output, form, True)
    assert_gradients_are_slopes(network, data)


@CLASSES
def test_gradients_are_slopes_where_every_layer_has_another_activation(network_class):
    hidden = tuple(_core.ACTIVATIONS)
    layers = [3, *(4 for _ in hidden), 2]
    network, data = make(network_class, layers, hidden, "sigmoid", "probabilities", True)
    assert_gradients_are_slopes(network, data)


@CLASSES
def test_gradients_are_slopes_where_every_width_is_one(network_class):
    data = "identity", "numbers", True
    network, data = make(network_class, [1, 1, 1, 1], ("tanh", "sigmoid"), *data)
    assert_gradients_are_slopes(network, data)


@CLASSES
def test_gradients_are_slopes_for_more_rows_than_are_summed_at_once(network_class):
    network, (X, y) = make(network_class, [2, 3, 1], "tanh", "sigmoid", "zeros and ones", False)
    repeats = 1 + 4200 // ROWS
    assert_gradients_are_slopes(network, (np.tile(X, (repeats, 1)), np.tile(y, (repeats, 1))))


def test_accumulated_gradients_are_slopes_of_the_summed_loss():
    network, data = make(fastmlp.Network, [3, 4, 1], "tanh", "sigmoid", "probabilities", True)
    slopes = central_differences(network, data)
    loss_sum, weight_sum = network.accumulate_gradients(*data)
    bound = TOLERANCE * (weight_sum + loss_sum)
    np.testing.assert_allclose(network.gradients, slopes * weight_sum, rtol=0, atol=bound)


@pytest.mark.parametrize("module", [ops, reference])
@pytest.mark.parametrize("name", ["relu", "sigmoid"])
def test_the_backward_operations_are_slopes_of_the_forward_ones(name, module):
    forward, backward = getattr(module, name), getattr(module, f"{name}_backward")
    Z, dA = np.array([-5.0, -1.0, -0.25, 0.25, 1.0, 5.0]), np.array([1.0, -2, 3, -4, 5, -6])
    slopes = (forward(Z + STEP) - forward(Z - STEP)) / (2 * STEP)
    given = Z if name == "relu" else forward(Z)
    np.testing.assert_allclose(backward(dA, given), dA * slopes, rtol=0, atol=10 * TOLERANCE)
