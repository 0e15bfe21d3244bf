"""The methods of `Network` that read and write the formats of other libraries.

Each calls a file of this folder, which is imported then and no earlier: `import fastmlp` loads none
of them, nor the libraries that they need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from fastmlp.formats.safetensors import AnyPath

if TYPE_CHECKING:
    from fastmlp.formats.state_dict import IncompatibleKeys


class FormatsMixin:
    """Conversions from and to other libraries."""

    def to_onnx(self, path: AnyPath | None = None) -> Any:
        """Return the network as an ONNX model, and write it to a file if a path is given.

        The graph has opset 15, which ONNX Runtime 1.16 and later run. Its input "X" is (rows, n_in)
        in the network's dtype. The outputs "sigmoid" and "softmax" give "output_label", as
        `predict` does, and "probabilities", as `forward` does; the others give "output". The
        metadata of the network, its seed, epochs, scaling and loss are in the file too, so that
        `from_onnx` gives the same network back.

        Parameters
        ----------
        path : str, bytes or path, optional
            An existing file is replaced. If writing fails, it stays as it was.

        Returns
        -------
        onnx.ModelProto

        Raises
        ------
        ImportError
            If onnx is not installed (extra `onnx`).
        ValueError
            If the parameters have 2 GB or more.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import fastmlp
        >>> network = fastmlp.Network([4, 8, 3], output="softmax", seed=0)
        >>> model = network.to_onnx("model.onnx")  # doctest: +SKIP
        """
        from fastmlp.formats.onnx_export import network_model
        from fastmlp.formats.onnx_file import save

        model = network_model(self)
        if path is not None:
            save(model, path)
        return model

    @classmethod
    def from_onnx(cls, model: Any, *, output: str | None = None) -> Self:
        """Make a network from an ONNX model of fully connected layers.

        It reads graphs that skl2onnx, both exporters of PyTorch, or Keras with tf2onnx wrote. It
        recognises an activation by the values that its nodes compute, whatever their operators.
        Scalings and batch normalisation are folded into the weights. The page "ONNX" has the
        details.

        Parameters
        ----------
        model : str, bytes, path or onnx.ModelProto
            A file, or a model in memory. External data are read from the folder of the file.
        output : str, optional
            The output of the network if the graph ends in a layer without activation; by default
            "identity". Pass "sigmoid" or "softmax" if the graph ends in logits, and "softmax" if it
            ends in the logarithms of probabilities.

        Returns
        -------
        Network
            It computes the values of the graph, up to rounding. Its dtype is float64 if a weight
            matrix of the graph is float64. Its seed is 0 if the model has no metadata of `to_onnx`.

        Raises
        ------
        ValueError
            If the file is damaged, or the graph has a node that such a network does not have; the
            message names the node.
        ImportError
            If onnx is not installed (extra `onnx`).
        OSError
            If the file does not exist or cannot be read.

        Warns
        -----
        UserWarning
            If the graph has the approximation of gelu by tanh. The network then has gelu itself.

        Examples
        --------
        >>> import fastmlp
        >>> network = fastmlp.Network.from_onnx("model.onnx")  # doctest: +SKIP
        """
        from fastmlp.formats.onnx_import import read_network

        found: Self = read_network(cls, model, output)
        return found

    # NumPy

    def save_npz(self, path: AnyPath) -> None:
        """Write the network to a file that `numpy.load` reads.

        The file has the arrays `layers.0.weight` (n_in, n_out), `layers.0.bias` (n_out,), …, the
        structure and the seed as numbers and texts, the scaling, and `metadata` as JSON. None of
        them is a pickle. The page "The file format" lists them. Like `save`, `save_npz` replaces a
        file as a whole or leaves it as it was.

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
    def load_npz(cls, path: AnyPath) -> Self:
        """Read a network from a file that `save_npz` wrote.

        Parameters
        ----------
        path : str, bytes or path
            The file may have been written again by `numpy.savez` or `numpy.savez_compressed`.

        Returns
        -------
        Network
            With the parameters, scaling, metadata, seed and `epochs_trained` that were saved.

        Raises
        ------
        ValueError
            If the file is damaged or was not written by `save_npz`; the message says what is wrong.
            Also if its arrays would take more than 6 times the size of the file plus 0.5 MB.
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

    # PyTorch and Keras

    @classmethod
    def from_torch(
        cls,
        module: Any,
        *,
        output: str | None = None,
        seed: int | np.random.Generator | None = None,
        loss: str | None = None,
        delta: float = 1.0,
        quantiles: Sequence[float] | None = None,
    ) -> Self:
        """Make a network from a PyTorch module, with copies of its parameters.

        Parameters
        ----------
        module : torch.nn.Module
            A chain of `Linear`, activations, `BatchNorm1d` in evaluation mode, `Dropout` and
            `Flatten`, in `Sequential`, nested or not, or in a forward of your own. Its parameters
            must be on the CPU. Parameters in bfloat16 and float16 become float32, which holds all
            their values exactly.
        output : str, optional
            The output of the network. If None, it is the last activation of the module, or
            "identity" after a linear layer. If the module returns logits, pass the output that its
            loss applies: "sigmoid" for `BCEWithLogitsLoss`, "softmax" for `CrossEntropyLoss`, "exp"
            for `PoissonNLLLoss`.
        seed : int, numpy.random.Generator or None
            As for `Network`; it decides the shuffling in `fit`.
        loss, delta, quantiles
            As for `Network`.

        Returns
        -------
        Network
            In float64 if the module is, else in float32.

        Raises
        ------
        ValueError
            If the module is not such a chain; the message names the layer.
        TypeError
            If `module` is not a module.

        Notes
        -----
        Batch normalisation is folded into the linear layer before it or, if there is none, after
        it. Dropout is left out. If the last activation is not an output of a network, such as the
        `Tanh` of an actor, the network gets one more layer, whose weights are the identity matrix.

        Examples
        --------
        >>> import fastmlp
        >>> from torch import nn  # doctest: +SKIP
        >>> module = nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 1))  # doctest: +SKIP
        >>> fastmlp.Network.from_torch(module, output="sigmoid", seed=0)  # doctest: +SKIP
        Network([30, 64, 1], hidden='relu', output='sigmoid', dtype='float32', seed=0)
        """
        from fastmlp.formats import torch_modules

        losses = {"loss": loss, "delta": delta, "quantiles": quantiles}
        made: Self = torch_modules.from_torch(cls, module, output, seed, losses)
        return made

    def to_torch(self) -> Any:
        """Return a PyTorch module that computes the same outputs, with copies of the parameters.

        Returns
        -------
        torch.nn.Sequential
            `Linear` and its activation for each layer, in the dtype of the network. An output
            "identity" adds no module; `module[:-1]` returns the logits of any other output.

        Raises
        ------
        RuntimeError
            If another thread is training the network.

        Examples
        --------
        >>> import fastmlp
        >>> network = fastmlp.Network([4, 8, 3], output="softmax", seed=0)
        >>> network.to_torch()  # doctest: +SKIP
        Sequential(
          (0): Linear(in_features=4, out_features=8, bias=True)
          (1): ReLU()
          (2): Linear(in_features=8, out_features=3, bias=True)
          (3): Softmax(dim=-1)
        )
        """
        from fastmlp.formats import torch_modules

        return torch_modules.to_torch(self)

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Return copies of the parameters under PyTorch's names and in its layout.

        Returns
        -------
        dict of str to ndarray
            "0.weight" (n_1, n_in), "0.bias" (n_1,), "2.weight" and so on: the state dict of
            `to_torch()`, in NumPy arrays.

        Raises
        ------
        RuntimeError
            If another thread is training the network.

        Examples
        --------
        >>> import fastmlp
        >>> network = fastmlp.Network([4, 8, 3], output="softmax", seed=0)
        >>> {name: array.shape for name, array in network.state_dict().items()}
        {'0.weight': (8, 4), '0.bias': (8,), '2.weight': (3, 8), '2.bias': (3,)}
        """
        from fastmlp.formats import state_dict

        return state_dict.state_dict(self)

    def load_state_dict(
        self,
        state_dict: Mapping[str, Any] | AnyPath,
        strict: bool = True,
    ) -> IncompatibleKeys:
        """Set the parameters from a state dict of PyTorch, without PyTorch itself.

        Parameters
        ----------
        state_dict : mapping of str to array_like, or path
            The parameters of a module, as tensors or arrays, or the name of a safetensors file of
            PyTorch. If there are as many pairs of `weight` and `bias` as layers, their names may
            differ from those of `state_dict`: names that differ only in numbers, such as
            "net.0.weight" and "net.3.weight", are put in the order of the numbers; others keep the
            order of the mapping.
        strict : bool
            Whether to refuse names that are missing or that the network does not have.

        Returns
        -------
        tuple of list of str
            `missing_keys` and `unexpected_keys`: the names that were missing, and the names that
            the network does not have. Parameters whose names were missing stay as they are.

        Raises
        ------
        ValueError
            If names or shapes differ (the message is PyTorch's); if the file is damaged; or if
            `Network.save` wrote it. Nothing is changed then.
        TypeError, OSError
            If values are no real numbers; if the file cannot be read.

        Examples
        --------
        >>> import numpy as np, fastmlp
        >>> network = fastmlp.Network([2, 1], output="identity", seed=0)
        >>> network.load_state_dict({"fc.weight": [[2.0, 3.0]], "fc.bias": [1.0]})
        IncompatibleKeys(missing_keys=[], unexpected_keys=[])
        >>> network.forward([1.0, 10.0])
        array([33.], dtype=float32)
        """
        from fastmlp.formats import state_dict as formats_state_dict

        return formats_state_dict.load_state_dict(self, state_dict, strict)

    @classmethod
    def from_keras(
        cls,
        model: Any,
        *,
        output: str | None = None,
        seed: int | np.random.Generator | None = None,
        loss: str | None = None,
        delta: float = 1.0,
        quantiles: Sequence[float] | None = None,
    ) -> Self:
        """Make a network from a Keras model, with copies of its weights.

        Parameters
        ----------
        model : keras.Model or path
            A `Sequential` or functional model of Keras 3, nested or not: a chain of `Dense`,
            activations, `BatchNormalization`, `Normalization`, `Rescaling`, `Flatten` and layers
            that only act in training. A path is the name of a `.keras` file.
        output : str, optional
            The output of the network. If None, it is the last activation of the model. If the loss
            of the model has `from_logits=True`, pass the output that the loss applies: "sigmoid" or
            "softmax".
        seed : int, numpy.random.Generator or None
            As for `Network`; it decides the shuffling in `fit`.
        loss, delta, quantiles
            As for `Network`.

        Returns
        -------
        Network
            In float64 if the weights are, else in float32.

        Raises
        ------
        ValueError
            If the model is not such a chain; the message names the layer.
        TypeError
            If `model` is neither a model nor a path.

        Examples
        --------
        >>> import fastmlp
        >>> import keras  # doctest: +SKIP
        >>> model = keras.Sequential(  # doctest: +SKIP
        ...     [
        ...         keras.Input((4,)),
        ...         keras.layers.Dense(8, "relu"),
        ...         keras.layers.Dense(3, "softmax"),
        ...     ]
        ... )
        >>> fastmlp.Network.from_keras(model, seed=0)  # doctest: +SKIP
        Network([4, 8, 3], hidden='relu', output='softmax', dtype='float32', seed=0)
        """
        from fastmlp.formats import keras_models

        losses = {"loss": loss, "delta": delta, "quantiles": quantiles}
        made: Self = keras_models.from_keras(cls, model, output, seed, losses)
        return made

    def get_weights(self) -> list[npt.NDArray[Any]]:
        """Return copies of the parameters in the list that `get_weights` of Keras returns.

        Returns
        -------
        list of ndarray
            W_1 (n_in, n_1), b_1 (n_1,), W_2 and so on: the list that `set_weights` of a Keras model
            with the same layers takes.

        Raises
        ------
        RuntimeError
            If another thread is training the network.

        Examples
        --------
        >>> import fastmlp
        >>> network = fastmlp.Network([4, 8, 3], output="softmax", seed=0)
        >>> [array.shape for array in network.get_weights()]
        [(4, 8), (8,), (8, 3), (3,)]
        """
        from fastmlp.formats import state_dict

        return state_dict.get_weights(self)

    def set_weights(self, weights: Sequence[npt.ArrayLike]) -> None:
        """Set the parameters from a list as `get_weights` returns it, here or in Keras.

        Parameters
        ----------
        weights : sequence of array_like
            W_1 (n_in, n_1), b_1 (n_1,), W_2 and so on.

        Raises
        ------
        ValueError, TypeError
            If the number of arrays or a shape is not that of the network, or if values are no real
            numbers. Nothing is changed then.

        Examples
        --------
        >>> import fastmlp
        >>> network = fastmlp.Network([2, 1], output="identity", seed=0)
        >>> network.set_weights([[[2.0], [3.0]], [1.0]])
        >>> network.forward([1.0, 10.0])
        array([33.], dtype=float32)
        """
        from fastmlp.formats import state_dict

        state_dict.set_weights(self, weights)

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
            If the estimator or a step of the pipeline is none of these; the message names it.
        ValueError
            If a classifier has seen only one class.
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
        """Return a fitted estimator of scikit-learn that computes the same outputs.

        Use it for libraries that accept only scikit-learn's classes.

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
