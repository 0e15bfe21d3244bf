"""Gives exporters that read scikit-learn's attributes an estimator of scikit-learn's own class.

emlearn and nyoka take every object whose class is called MLPClassifier or MLPRegressor. They would
write an added activation wrongly or fail without a reason, but `to_sklearn` refuses it. Start
reading at `give_theirs`.
"""

import functools
import importlib
from typing import Any

from fastmlp._when_imported import when_imported
from fastmlp.sklearn.estimators import NativePerceptron


def give_theirs(module: str, function: str) -> None:
    """Convert the first argument of an exporter's function, if it is one of our estimators."""

    def wrap() -> None:
        exporter = importlib.import_module(module)
        original = getattr(exporter, function)

        @functools.wraps(original)
        def wrapper(estimator: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(estimator, NativePerceptron):
                estimator = estimator.to_sklearn()
            return original(estimator, *args, **kwargs)

        setattr(exporter, function, wrapper)

    when_imported(module, wrap)


def register() -> None:
    """Do it for the known exporters."""
    give_theirs("emlearn.net", "convert_sklearn_mlp")
    give_theirs("nyoka.skl.skl_to_pmml", "get_neural_models")
