"""scikit-learn's multi-layer perceptrons, trained by fastmlp.

`from fastmlp.sklearn import MLPClassifier, MLPRegressor` replaces the same line of
`sklearn.neural_network`. Parameters, attributes, messages and random numbers are the same, and the
fitted model is the same up to rounding; only the time differs. It needs scikit-learn (the extra
`sklearn`).
"""

# Start reading at `estimators.py`.

try:
    import sklearn  # noqa: F401  (is it installed?)
except ImportError as error:
    raise ImportError(
        "fastmlp.sklearn needs scikit-learn, which is not installed: pip install 'fastmlp[sklearn]'"
    ) from error

from fastmlp._when_imported import when_imported
from fastmlp.sklearn import _exporters
from fastmlp.sklearn.estimators import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]


def _register_with_skl2onnx() -> None:
    from fastmlp.sklearn._skl2onnx import register

    register()


when_imported("skl2onnx", _register_with_skl2onnx)
_exporters.register()
