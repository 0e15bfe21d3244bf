"""scikit-learn's multi-layer perceptrons, trained by fastmlp.

`from fastmlp.sklearn import MLPClassifier, MLPRegressor` stands in for the same line of
`sklearn.neural_network`: same parameters, attributes, messages and random numbers, and to rounding
the same fitted model; what is different is the time. Needs scikit-learn 1.7 or later: the extra
`sklearn`. Start at `_classifier.py`.
"""

try:
    import sklearn  # noqa: F401  (is it there?)
except ImportError as error:
    raise ImportError(
        "fastmlp.sklearn needs scikit-learn, which is not installed: pip install 'fastmlp[sklearn]'"
    ) from error

from fastmlp.sklearn._classifier import MLPClassifier
from fastmlp.sklearn._regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
