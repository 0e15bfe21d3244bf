"""The methods of `Network` that read and write the formats of other libraries.

Each calls a file of this folder, which is imported then and no earlier: `import fastmlp` loads none
of them, nor the libraries that they need.
"""

from __future__ import annotations

from typing import Any, Self


class FormatsMixin:
    """Conversions from and to other libraries."""

    @classmethod
    def from_sklearn(cls, estimator: Any) -> Self:
        """Make a network from a fitted estimator of scikit-learn.

        The network has the estimator's parameters, dtype, `classes` and `feature_names`. Scalers
        of a pipeline are folded into it, so that it takes raw rows.

        Parameters
        ----------
        estimator : object
            A fitted `MLPClassifier` or `MLPRegressor` of `sklearn.neural_network` or
            `fastmlp.sklearn`. A `Pipeline`, a `TransformedTargetRegressor` or a search such as
            `GridSearchCV` may contain it. The steps of a pipeline before it may be
            `StandardScaler`, `MinMaxScaler`, `MaxAbsScaler` and `RobustScaler`.

        Returns
        -------
        Network
            Its `forward` gives `predict_proba` (with two classes the second column) or `predict`.

        Raises
        ------
        TypeError
            If the estimator or a step is another one; the message names it.
        ValueError
            If a classifier has seen one class only.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ImportError
            If scikit-learn is not installed.

        Examples
        --------
        >>> import fastmlp
        >>> from sklearn.neural_network import MLPClassifier
        >>> X, y = [[0.0], [1.0], [2.0]], ["low", "low", "high"]
        >>> estimator = MLPClassifier((8,), solver="lbfgs", random_state=0).fit(X, y)
        >>> network = fastmlp.Network.from_sklearn(estimator)
        >>> network.layers
        (1, 8, 1)
        >>> network.predict([[2.5]]).tolist()
        ['high']
        """
        from fastmlp.formats import sklearn_mlp

        return sklearn_mlp.from_sklearn(cls, estimator)  # type: ignore[type-var]

    def to_sklearn(self) -> Any:
        """Return a fitted estimator of scikit-learn with this network's function.

        Use it for libraries that know scikit-learn's classes only.

        Returns
        -------
        sklearn.neural_network.MLPClassifier or MLPRegressor
            A classifier for the outputs "sigmoid" and "softmax", with the labels `classes` or 0,
            1, …; a regressor for "identity" and "exp". It can go on training by `partial_fit`.

        Raises
        ------
        ValueError
            If scikit-learn lacks the activation of a hidden layer or the loss, or if the hidden
            layers have different activations.
        ImportError
            If scikit-learn is not installed.

        Examples
        --------
        >>> import fastmlp
        >>> fastmlp.Network([2, 3], output="softmax", seed=0).to_sklearn().predict([[0.0, 0.0]])
        array([0])
        """
        from fastmlp.formats import sklearn_mlp

        return sklearn_mlp.to_sklearn(self)  # type: ignore[arg-type]
