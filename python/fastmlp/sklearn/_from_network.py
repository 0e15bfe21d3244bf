"""A fitted estimator from a network."""

from typing import Any

import numpy as np

from fastmlp.network import Network
from fastmlp.sklearn._mirror import ACTIVATIONS, OUTPUTS

_THEIRS = {ours: theirs for theirs, ours in (ACTIVATIONS | OUTPUTS).items()}


def adopt(estimator: Any, network: Network) -> Any:
    """Give `estimator` a network's structure, copies of its parameters and the state of a fit."""
    coefs, intercepts = [W.copy() for W in network.weights], [b.copy() for b in network.biases]
    layers, output = network.layers, network.output
    if output == "softmax" and layers[-1] == 2:  # softmax(z)_1 = σ(z_1 - z_0)
        coefs[-1] = coefs[-1][:, 1:] - coefs[-1][:, :1]
        intercepts[-1] = intercepts[-1][1:] - intercepts[-1][:1]
        layers, output = (*layers[:-1], 1), "sigmoid"
    names = [_THEIRS.get(name, name) for name in network.hidden]
    estimator.set_params(
        hidden_layer_sizes=layers[1:-1],
        activation=names[0] if len(set(names)) == 1 else (names or "relu"),
    )
    estimator.n_features_in_ = layers[0]
    estimator.n_outputs_ = layers[-1]
    estimator.n_layers_ = len(layers)
    estimator.out_activation_ = _THEIRS[output]
    estimator.coefs_, estimator.intercepts_ = coefs, intercepts
    estimator._mirrored().take(estimator)
    # As scikit-learn's _initialize leaves it: partial_fit may go on from here.
    estimator.n_iter_ = estimator.t_ = estimator._no_improvement_count = 0
    estimator.loss_curve_ = []
    estimator.best_loss_ = np.inf
    estimator.validation_scores_ = estimator.best_validation_score_ = None
    return estimator
