"""What the estimators' parameters may be, where that differs from scikit-learn's."""

from numbers import Real

from sklearn.utils._param_validation import Interval, StrOptions

ACTIVATIONS = (
    "identity",
    "logistic",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "softplus",
    "gelu",
    "silu",
)

SHARED_CONSTRAINTS = {
    "activation": [StrOptions(set(ACTIVATIONS)), list, tuple],
    "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "scoring": [str, callable, None],
}

CLASSIFIER_CONSTRAINTS = {
    **SHARED_CONSTRAINTS,
    "class_weight": [StrOptions({"balanced"}), dict, None],
}

REGRESSOR_CONSTRAINTS = {**SHARED_CONSTRAINTS, "gradient": [StrOptions({"sum", "mean"})]}
