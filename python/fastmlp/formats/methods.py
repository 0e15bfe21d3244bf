"""The methods of `Network` that read and write the formats of other libraries.

Each calls a file of this folder, which is imported then and no earlier: `import fastmlp` loads none
of them, nor the libraries that they need.
"""

from __future__ import annotations

import os
from typing import Any, Self


class FormatsMixin:
    """Conversions from and to other libraries."""

    # NumPy

    def save_npz(self, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> None:
        """Write the network to a file that `numpy.load` reads.

        It has the arrays `layers.0.weight` (n_in, n_out), `layers.0.bias` (n_out,), …, the
        structure and the seed as numbers and texts, the scaling, and `metadata` as JSON. None of
        them is a pickle. The page "The file format" lists them. Like `save`, this replaces a file
        as a whole or leaves it as it was.

        Parameters
        ----------
        path : str, bytes or path
            The name is used as it is: no ending is added. An existing file is replaced.

        Raises
        ------
        OSError
            If the file cannot be written.
        TypeError
            If `path` is no path, or a text of `metadata` is no string.
        ValueError
            If `metadata` has more than 100 texts, or a key that begins with "fastmlp".

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> import fastmlp
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "model.npz")
        ...     fastmlp.Network([2, 3, 1], seed=0).save_npz(path)
        ...     with np.load(path) as arrays:
        ...         shape = arrays["layers.0.weight"].shape
        ...     network = fastmlp.Network.load_npz(path)
        >>> shape
        (2, 3)
        >>> network.layers
        (2, 3, 1)
        """
        from fastmlp.formats import npz

        npz.save_npz(self, path)

    @classmethod
    def load_npz(cls, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> Self:
        """Read a network from a file that `save_npz` wrote.

        Parameters
        ----------
        path : str, bytes or path
            The arrays may have been written again by `numpy.savez` or `numpy.savez_compressed`.

        Returns
        -------
        Network
            With the parameters, scaling, metadata, seed and `epochs_trained` that were saved.

        Raises
        ------
        ValueError
            If the file is damaged or was not written by `save_npz`; the message says what is wrong.
            Also if its arrays would take more than 6 times the size of the file and 0.5 MB.
        OSError
            If the file does not exist or cannot be read.
        TypeError
            If `path` is no path, such as a number or an open file.

        Examples
        --------
        See `save_npz`.
        """
        from fastmlp.formats import npz

        return npz.load_npz(cls, path)

    # scikit-learn

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
