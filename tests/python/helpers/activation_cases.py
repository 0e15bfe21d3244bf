"""What the tests know of each activation: one entry in CASES.

The values and slopes are in formulas other than the library's if there are any. test_activations.py
compares with them; tolerances.py takes the bounds of errors from here.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

# Roundings of an elementary function and of what is done with it, in units of eps; the functions
# themselves are right to 2 ulp.
ELEMENTARY = 6


class Case(NamedTuple):
    """One activation g.

    `value` and `slope` are g and g' of one number. `limits` are g(-∞), g'(-∞), g(∞), g'(∞).
    `initialization` says how the weights before it start. `steepest` is the largest |g'|.
    `inexact_slope(z, a, z_error, a_error, eps)` takes arrays z and a = g(z) with their errors; it
    returns g' and the bound of its error. The error of a = g(z) is in proportion to `scale(z, a)`.
    `rounds` tells whether computing g rounds at all. If `twin_overflows`, the naive twin multiplies
    0 by infinity at an infinite z.
    """

    value: Callable[[float], float]
    slope: Callable[[float], float]
    limits: tuple[float, float, float, float]
    initialization: str
    steepest: float
    inexact_slope: Callable[..., Any]
    scale: Callable[..., Any] = lambda z, a: np.abs(a)
    rounds: bool = True
    twin_overflows: bool = False


def sigmoid(z):
    e = math.exp(-abs(z))
    return (1 if z >= 0 else e) / (1 + e)


def sigmoids(z):
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def density(z):
    return math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


def normal(z):
    return math.erfc(-z / math.sqrt(2)) / 2


normals = np.vectorize(normal, otypes=[np.float64])


def softplus(z):
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def mish_slopes(z):
    t = np.tanh(np.logaddexp(0, z))
    return t + z * sigmoids(z) * (1 - t**2)


SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


def either_side_of_zero(z, z_error):
    """Where the sign of z is within its error."""
    return 1.0 * ((np.abs(z) <= z_error) & (z_error > 0))


CASES = {
    "relu": Case(
        value=lambda z: max(z, 0.0),
        slope=lambda z: float(z > 0),
        limits=(0, 0, math.inf, 1),
        initialization="he",
        steepest=1.0,
        inexact_slope=lambda z, a, z_error, a_error, eps: (
            1.0 * (z > 0),
            either_side_of_zero(z, z_error),
        ),
        rounds=False,
    ),
    "sigmoid": Case(
        value=sigmoid,
        slope=lambda z: sigmoid(z) * sigmoid(-z),
        limits=(0, 0, 1, 0),
        initialization="glorot",
        steepest=0.25,
        inexact_slope=lambda z, a, z_error, a_error, eps: (
            a * (1 - a),
            a_error * (1 + a_error) + 3 * eps * a,  # |d(a - a²)/da| <= 1
        ),
    ),
    "tanh": Case(
        value=math.tanh,
        slope=lambda z: 4 * sigmoid(2 * z) * sigmoid(-2 * z),
        limits=(-1, 0, 1, 0),
        initialization="glorot",
        steepest=1.0,
        inexact_slope=lambda z, a, z_error, a_error, eps: (
            1 - a**2,
            a_error * (2 * np.abs(a) + a_error) + 2 * eps,  # |d(1 - a²)/da| = 2|a|
        ),
    ),
    "identity": Case(
        value=lambda z: z,
        slope=lambda _: 1.0,
        limits=(-math.inf, 1, math.inf, 1),
        initialization="glorot",
        steepest=1.0,
        inexact_slope=lambda z, a, z_error, a_error, eps: (np.ones_like(a), np.zeros_like(a)),
        rounds=False,
    ),
    "leaky_relu": Case(
        value=lambda z: max(z, z / 100),
        slope=lambda z: 1 if z > 0 else 0.01,
        limits=(-math.inf, 0.01, math.inf, 1),
        initialization="he",
        steepest=1.0,
        inexact_slope=lambda z, a, z_error, a_error, eps: (
            np.where(z > 0, 1.0, 0.01),
            either_side_of_zero(z, z_error) + 0.01 * eps,
        ),
    ),
    "elu": Case(
        value=lambda z: z if z > 0 else math.expm1(z),
        slope=lambda z: math.exp(min(z, 0.0)),
        limits=(-1, 0, math.inf, 1),
        initialization="he",
        steepest=1.0,
        inexact_slope=lambda z, a, z_error, a_error, eps: (
            np.where(z > 0, 1.0, a + 1),  # which are the same at 0
            a_error + 2 * eps,
        ),
    ),
    "softplus": Case(
        value=softplus,
        slope=sigmoid,
        limits=(0, 0, math.inf, 1),
        initialization="he",
        steepest=1.0,
        inexact_slope=lambda z, a, z_error, a_error, eps: (
            -np.expm1(-a),
            a_error + ELEMENTARY * eps * np.abs(a),  # |d(1 - e^-a)/da| <= 1
        ),
    ),
    "gelu": Case(
        value=lambda z: z * normal(z),
        slope=lambda z: normal(z) + z * density(z),
        limits=(0, 0, math.inf, 1),
        initialization="he",
        steepest=1.13,
        inexact_slope=lambda z, a, z_error, a_error, eps: (
            normals(z) + z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi),
            0.8 * z_error + 2 * ELEMENTARY * eps,  # |g''| = |2 - z²| φ(z) < 0.8, |z φ(z)| < 1/4
        ),
        scale=lambda z, a: np.abs(z),  # the error of Φ(z) is one of 1, however small Φ(z) is
        twin_overflows=True,
    ),
    "silu": Case(
        value=lambda z: z * sigmoid(z),
        slope=lambda z: sigmoid(z) + z * sigmoid(z) * sigmoid(-z),
        limits=(0, 0, math.inf, 1),
        initialization="he",
        steepest=1.1,
        inexact_slope=lambda z, a, z_error, a_error, eps: (
            sigmoids(z) * (1 + z * sigmoids(-z)),
            z_error / 2 + 2 * ELEMENTARY * eps,  # |g''| <= 1/2, |z σ(z) σ(-z)| < 1/4
        ),
        twin_overflows=True,
    ),
    "mish": Case(
        value=lambda z: z * math.tanh(softplus(z)),
        slope=lambda z: (
            math.tanh(softplus(z)) + z * sigmoid(z) / math.cosh(min(softplus(z), 300)) ** 2
        ),
        limits=(0, 0, math.inf, 1),
        initialization="he",
        steepest=1.1,
        inexact_slope=lambda z, a, z_error, a_error, eps: (
            mish_slopes(z),
            0.7 * z_error + 3 * ELEMENTARY * eps,  # |g''| < 0.7, |z σ(z) (1 - t²)| < 1/3
        ),
        twin_overflows=True,
    ),
    "selu": Case(
        value=lambda z: SELU_SCALE * (z if z > 0 else SELU_ALPHA * math.expm1(z)),
        slope=lambda z: SELU_SCALE * (1 if z > 0 else SELU_ALPHA * math.exp(z)),
        limits=(-1.7580993408473768599402175208123, 0, math.inf, SELU_SCALE),
        initialization="lecun",
        steepest=1.76,
        inexact_slope=lambda z, a, z_error, a_error, eps: (
            np.where(z > 0, SELU_SCALE, a + SELU_SCALE * SELU_ALPHA),
            a_error + 0.71 * either_side_of_zero(z, z_error) + 4 * eps,  # 1.76 meets 1.05 at 0
        ),
    ),
    "hard_sigmoid": Case(
        value=lambda z: min(max(z / 6 + 0.5, 0.0), 1.0),
        slope=lambda z: 1 / 6 if -3 < z < 3 else 0.0,
        limits=(0, 0, 1, 0),
        initialization="glorot",
        steepest=1 / 6,
        scale=lambda z, a: np.ones_like(a),  # z / 6 and 1/2 cancel near -3
        inexact_slope=lambda z, a, z_error, a_error, eps: (
            np.where((a > 0) & (a < 1), 1 / 6, 0.0),
            (either_side_of_zero(z - 3, z_error) + either_side_of_zero(z + 3, z_error) + eps) / 6,
        ),
    ),
}
