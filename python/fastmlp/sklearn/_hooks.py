"""Methods of scikit-learn's classes that a subclass or another library has replaced.

The estimators do not call all of scikit-learn's methods. If somebody replaces a method that they do
not call, scikit-learn's own code has to run, because it calls the method. Start reading at
`trains_by_scikit_learn`.
"""

import inspect
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

# The activations that scikit-learn has.
THEIR_ACTIVATIONS = {"identity", "logistic", "tanh", "relu"}

# The methods that compute gradients. scikit-learn's solvers call them; the native ones do not.
GRADIENTS = ("_backprop", "_compute_loss_grad", "_forward_pass")

# scikit-learn's own methods, even if they have been replaced before this import.
ORIGINAL = {
    (cls, name): inspect.unwrap(getattr(cls, name))
    for cls in (MLPClassifier, MLPRegressor)
    for name in ("predict", "predict_proba", *GRADIENTS)
    if hasattr(cls, name)
}


def is_replaced(theirs: type, name: str) -> bool:
    """Whether another library has replaced a method of scikit-learn's class.

    mlflow's autolog does so: its method records the call and calls scikit-learn's method, which
    calls ours.
    """
    return getattr(theirs, name) is not ORIGINAL[theirs, name]


def trains_by_scikit_learn(estimator: Any, own: type) -> bool:
    """Whether a method of GRADIENTS is replaced, so that scikit-learn's solvers have to train.

    ValueError if it is, and the estimator has a setting that scikit-learn lacks. The methods of the
    class `own` do not count as replacements.
    """
    replaced = [
        name
        for name in GRADIENTS
        if getattr(type(estimator), name)
        not in (ORIGINAL[estimator._theirs, name], own.__dict__.get(name))
        or name in estimator.__dict__
    ]
    if not replaced:
        return False
    ongoing = estimator.__dict__.get("_ongoing_fit")
    named = isinstance(estimator.activation, str) and estimator.activation in THEIR_ACTIVATIONS
    lacking = {
        f"activation={estimator.activation!r}": not named,
        "dropout": np.any(np.asarray(estimator.dropout) > 0),
        "weight_decay": estimator.weight_decay,
        "schedule": estimator.schedule is not None,
        "scoring='loss'": estimator.scoring == "loss",
        "gradient='mean'": getattr(estimator, "gradient", "sum") == "mean",
        "eval_set": ongoing is not None and ongoing.eval_set is not None,
    }
    wrong = [name for name, given in lacking.items() if given]
    if wrong:
        raise ValueError(
            f"{type(estimator).__name__} replaces {replaced[0]}, which only scikit-learn's solvers "
            f"call; they do not have {wrong[0]}. Leave it out, or do not replace {replaced[0]}"
        )
    return True
