"""How much each feature contributes to an output: SHAP values by expected gradients.

The values of a row x are a mean over the rows b of a background. The mean is over the integrated
gradients ``(x - b) ∫ f'(b + α (x - b)) dα``, α from 0 to 1, which are Aumann and Shapley's prices
(integrated gradients: Sundararajan, Taly and Yan, 2017; expected gradients: Erion and others,
2021). The integral is a Gauss-Legendre sum instead of a random sample, so each call gives the same
result.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp import _core
from fastmlp._float_mode import in_default_float_mode
from fastmlp._frames import as_array, refuse_masked
from fastmlp._trainable import positive_integer
from fastmlp.tabular._model import TabularModel

__all__ = ["shap_values"]

Array = npt.NDArray[Any]

# The number of points on the paths that are computed at once: the rows of one block of a backward
# pass.
BLOCK = 4096
# The time to find the nodes of a Gauss-Legendre rule grows with the cube of their number.
PANEL = 64


@in_default_float_mode
def shap_values(model: Any, X: Any, background: Any, *, points: int = 32) -> Array:
    """Return the contribution of each feature to the outputs for each row of X.

    The contributions of a row add up to the difference between its output and the mean output of
    the background, up to the error of the sum over `points`.

    Parameters
    ----------
    model : Network, estimator of `fastmlp.sklearn` or model of `fastmlp.tabular`
        The explained outputs are those of `forward`, or of the estimator's network: probabilities
        of a classifier, not logits. For a tabular model they are those of `predict_proba` or
        `predict`, before predictions are clipped and quantiles are sorted.
    X : array_like or data frame of shape (m, n_in), real; or a table
        The rows to explain.
    background : array_like or data frame of shape (k, n_in), real; or a table
        Rows to compare with: all training rows, or a sample of some 100 of them. The time is
        proportional to m k points.
    points : int
        The number of points on the straight line from each row of the background to each row of X;
        at least 1. Smooth outputs need fewer; ReLUs and probabilities near 0 and 1 need more. To
        see whether there are enough, compare the sums of the contributions with the differences of
        the outputs. A number above 64 is rounded up to a multiple of 64.

    Returns
    -------
    ndarray of float64, shape (m, n_in), or (m, n_in, n_out) for several outputs
        The explainers of the package `shap` return the same shapes. For a tabular model, n_in is
        the number of columns of its table: a column's contribution is the sum over its inputs, and
        columns that the model leaves out contribute 0.

    Raises
    ------
    ValueError, TypeError
        If X or background does not fit the network, or background has no rows.

    Examples
    --------
    The contributions of a linear model are its slopes times the distances from the mean:

    >>> import fastmlp
    >>> from fastmlp.explain import shap_values
    >>> net = fastmlp.Network([2, 1], output="identity", seed=0)
    >>> net.weights[0][:] = [[2.0], [-1.0]]
    >>> shap_values(net, [[5.0, 7.0]], [[0.0, 0.0], [2.0, 4.0]])
    array([[ 8., -5.]])
    """
    points = positive_integer("shap_values", "points", points)
    if isinstance(model, TabularModel):
        rows, base = model.encode(X).astype(float), model.encode(background).astype(float)
        networks = model.networks
    else:
        network = _network(model)
        rows, base = _rows(network, "X", X), _rows(network, "background", background)
        networks = [network]
    if not len(base):
        raise ValueError("shap_values: background has no rows; there must be at least one")
    each = [_contributions(network, rows, base, points) for network in networks]
    values: Array = np.mean(each, axis=0)
    if isinstance(model, TabularModel):
        values = model._of_columns(values)
    return values[..., 0] if values.shape[-1] == 1 else values


def _contributions(network: _core.Network, rows: Array, base: Array, points: int) -> Array:
    """Return the contributions of the inputs of one network, (m, n_in, n_out)."""
    nodes, weights = _gauss_legendre(points)
    points = len(nodes)
    n_in, n_out = network.layers[0], network.layers[-1]
    values = np.zeros((len(rows), n_out, n_in))
    step = max(1, BLOCK // points)
    for x, contributions in zip(rows, values, strict=True):
        for first in range(0, len(base), step):
            part = base[first : first + step]
            distance = (x - part)[:, np.newaxis]
            path = part[:, np.newaxis] + nodes[:, np.newaxis] * distance
            slopes = network.jacobian(path.reshape(-1, n_in)).reshape(len(part), points, -1)
            mean_slopes = (weights @ slopes).reshape(len(part), n_out, n_in)
            contributions += np.einsum("boi,boi->oi", mean_slopes, distance)
    return (values / len(base)).transpose(0, 2, 1)


def _gauss_legendre(points: int) -> tuple[Array, Array]:
    """Return nodes and weights of a rule on [0, 1], in panels of at most PANEL points."""
    parts = -(-points // PANEL)
    nodes, weights = np.polynomial.legendre.leggauss(min(points, PANEL))  # on [-1, 1]
    starts = np.arange(parts)[:, np.newaxis]
    return ((starts + (nodes + 1) / 2) / parts).ravel(), np.tile(weights / (2 * parts), parts)


def _network(model: Any) -> Any:
    network = getattr(model, "network_", model)
    if not isinstance(network, _core.Network):
        raise TypeError(
            f"shap_values: model is a {type(model).__name__}; it must be a Network, a fitted "
            "estimator of fastmlp.sklearn or a model of fastmlp.tabular"
        )
    return network


def _rows(network: Any, name: str, values: Any) -> Array:
    """Return rows in float64; refuse what `forward` refuses."""
    refuse_masked(f"shap_values: {name}", values)
    found = as_array(f"shap_values: {name}", values, network)
    if found.ndim != 2 or found.shape[1] != network.layers[0]:
        raise ValueError(
            f"shap_values: {name} has shape {found.shape}; this network takes "
            f"{network.layers[0]} features in each row"
        )
    if found.dtype.kind not in "biuf":
        raise TypeError(f"shap_values: {name} has dtype {found.dtype}; it must be real numbers")
    return found.astype(float)
