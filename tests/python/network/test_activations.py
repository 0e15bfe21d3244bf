"""The activations of hidden layers: their values, slopes, limits and bits, and the first weights.

Each is seen through a network with one hidden unit; the twin and central differences check them in
networks of every shape (test_network.py, test_gradients.py).
"""

import math

import numpy as np
import pytest

import arrays
import fastmlp
from activation_cases import CASES
from fastmlp import _core, reference

DTYPES = pytest.mark.parametrize("dtype", arrays.DTYPES)
NAMES = pytest.mark.parametrize("name", _core.ACTIVATIONS)

# Roundings of an activation and of its slope, in units of eps.
ROUNDINGS = 8


def unit(name, dtype, output):
    network = fastmlp.Network([1, 1, 1], hidden=name, output=output, dtype=dtype, seed=0)
    network.parameters[:] = [1, 0, 1, 0]  # W_1, b_1, W_2, b_2
    return network


def values(name, z, dtype):
    """g(z), for all z at once."""
    return unit(name, dtype, "identity").forward(np.asarray(z, dtype)[:, np.newaxis])[:, 0]


def slopes(name, z, dtype):
    """g'(z) = db_1 / db_2, one row at a time."""
    network, found = unit(name, dtype, "sigmoid"), []
    for x, a in zip(np.asarray(z, dtype), values(name, z, dtype), strict=True):
        network.loss_and_gradients([[x]], [0 if a >= 0 else 1])  # so that ŷ - y is not near 0
        found.append(network.gradients[1] / network.gradients[3])
    return np.array(found)


def every_size(dtype):
    """Numbers of either sign, from denormal ones to those whose square overflows."""
    info = np.finfo(dtype)
    tiny = [info.smallest_subnormal, info.tiny, 1e-30]
    positive = np.concatenate([tiny, np.geomspace(1e-10, 1e-2, 9), np.linspace(0.02, 30, 400)])
    positive = np.concatenate([positive, np.geomspace(31, 1e30, 60)]).astype(dtype)
    return np.concatenate([-positive[::-1], [0.0], positive]).astype(dtype)


def test_every_activation_of_the_library_has_a_case():
    assert set(CASES) == set(_core.ACTIVATIONS)


@NAMES
@DTYPES
def test_values_are_those_of_the_formula(name, dtype):
    z, info = every_size(dtype), np.finfo(dtype)
    found = arrays.in_every_setting(lambda: values(name, z, dtype))
    expected = np.array([CASES[name].value(float(each)) for each in z])
    # A factor below the normal numbers is rounded: the last term.
    scale = CASES[name].scale(z, expected)
    bound = ROUNDINGS * info.eps * scale + (1 + np.abs(z)) * info.smallest_subnormal
    assert (np.abs(found - expected) <= bound).all(), z[np.abs(found - expected) > bound]


@NAMES
@DTYPES
def test_slopes_are_those_of_the_formula(name, dtype):
    z = every_size(dtype)
    found = arrays.in_every_setting(lambda: slopes(name, z, dtype), threads=(1,))
    expected = np.array([CASES[name].slope(float(each)) for each in z])
    # Of sigmoid and tanh it is 1 - a or 1 - a², of elu a + 1, all with errors of 1.
    bound = ROUNDINGS * np.finfo(dtype).eps
    assert (np.abs(found - expected) <= bound).all(), z[np.abs(found - expected) > bound]


@NAMES
@DTYPES
def test_infinity_has_the_limit_and_nan_stays(name, dtype):
    found = arrays.in_every_setting(lambda: values(name, [-np.inf, np.inf, np.nan], dtype))
    low, low_slope, high, high_slope = CASES[name].limits
    np.testing.assert_array_equal(found, np.array([low, high, np.nan], dtype))
    found = arrays.in_every_setting(lambda: slopes(name, [-np.inf, np.inf], dtype))
    np.testing.assert_allclose(found, [low_slope, high_slope], rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", [n for n in CASES if not CASES[n].twin_overflows])
def test_where_nothing_overflows_the_twin_has_the_same_limits(name):
    found = reference.ACTIVATIONS[name].forward(np.array([-np.inf, np.inf, np.nan]))
    low, _, high, _ = CASES[name].limits
    np.testing.assert_allclose(found, [low, high, np.nan], rtol=np.finfo(float).eps)


@NAMES
@pytest.mark.parametrize("network_class", [fastmlp.Network, reference.Network])
def test_initial_weights_fill_the_radius_of_their_activation(name, network_class):
    network = network_class([50, 70, 40], hidden=name, dtype="float64", seed=3)
    squares = {"glorot": 6 / 120, "he": 6 / 50, "lecun": 3 / 50}
    for W, square in zip(
        network.weights, (squares[CASES[name].initialization], 6 / 110), strict=True
    ):
        radius = math.sqrt(square)
        assert 0.99 * radius < np.abs(W).max() < radius
