"""`Network`: the native class with `fit`, `predict`, files and copies.

`fit` and `predict` are in training.py, the formats of other libraries in formats/. Everything else
is native and not overridden: no Python frame stands between a caller and `forward`. The native
constructor checks layers and names; only dtype and seed are checked here.
"""

from __future__ import annotations  # annotations alone must not import numpy.random

import copy
import os
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fastmlp import _core
from fastmlp._metadata import checked_texts
from fastmlp._trainable import dtype_name, loss_arguments
from fastmlp.formats import network_file
from fastmlp.formats.methods import FormatsMixin
from fastmlp.gradient_check import check_gradients
from fastmlp.training import TrainingMixin, resolve_seed

DTYPES = ("float32", "float64")


class Network(TrainingMixin, FormatsMixin, _core.Network):
    """A fully connected network, trained on the CPU (`docs/mathematics.md`).

    Parameters
    ----------
    layers : sequence of int
        The number of units of each layer, inputs first: `[30, 64, 32, 1]` takes 30 features and
        gives one output.
    hidden : str or sequence of str
        The activation of the hidden layers, such as "relu" or "tanh": one name for all layers, or
        one for each. `fastmlp.ACTIVATIONS` lists the names, `docs/mathematics.md` the equations.
    output : str
        The activation of the last layer, with its own loss. "sigmoid" is for
        answers that are yes or no, "softmax" for one class of many, "identity" for regression,
        "exp" for counts. `fastmlp.OUTPUTS` lists the names, `docs/mathematics.md` the equations and
        the losses.
    dtype : str, type or numpy.dtype
        float32 or float64: the type of the parameters and of all arithmetic.
    seed : int, numpy.random.Generator or None
        The seed of the initial weights and of the shuffling. If None, a random one is drawn; the
        attribute `seed` shows it.
    loss : str, optional
        For the output "identity", another loss than half the squared error: "huber" and
        "absolute_error" give less weight to outliers, "pinball" estimates quantiles.
        `fastmlp.LOSSES` lists the names, `docs/mathematics.md` the equations.
    delta : float
        For "huber": the error, in the units of y, at which the loss turns from a parabola into a
        line.
    quantiles : sequence of float, optional
        For "pinball": the quantile that each output estimates, increasing, such as
        [0.05, 0.5, 0.95]. A row has one target then: y is (m,) or (m, 1).

    Attributes
    ----------
    loss_name : str or None
        The argument `loss`; `loss` itself is a method.
    weights, biases : tuple of ndarray
        Writable views, (n_in, n_out) and (n_out,) for each layer.
    parameters, gradients : ndarray of shape (n_parameters,)
        Writable views, `W_1 b_1 W_2 b_2 …`.
    epochs_trained : int
        The number of epochs completed so far.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as above; the message lists what is allowed.

    Examples
    --------
    >>> import fastmlp
    >>> network = fastmlp.Network([30, 64, 32, 1], seed=0)
    >>> network.n_parameters
    4097
    >>> network
    Network([30, 64, 32, 1], hidden='relu', output='sigmoid', dtype='float32', seed=0)
    """

    def __init__(
        self,
        layers: Sequence[int],
        *,
        hidden: str | Sequence[str] = "relu",
        output: str = "sigmoid",
        dtype: npt.DTypeLike = "float32",
        seed: int | np.random.Generator | None = None,
        loss: str | None = None,
        delta: float = 1.0,
        quantiles: Sequence[float] | None = None,
    ) -> None:
        super().__init__(
            layers,
            hidden,
            output,
            _dtype_name(dtype),
            resolve_seed(seed, "Network"),
            loss=loss,
            delta=delta,
            quantiles=quantiles,
        )

    def _permutation(self, rows: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
        return _core.permutation(rows, seed, epoch)

    def _optimizer_state(self, optimizer: _core.Optimizer) -> tuple[Any, ...]:
        return optimizer._state()

    def _set_optimizer_state(self, optimizer: _core.Optimizer, state: tuple[Any, ...]) -> None:
        optimizer._set_state(state)

    def _dot(self, a: npt.ArrayLike, b: npt.ArrayLike) -> float:
        return _core.dot(a, b)  # NumPy's order of summation differs from machine to machine

    def check_gradients(self, X: npt.ArrayLike, y: npt.ArrayLike) -> float:
        """Compare the gradients with central differences of the loss, in float64.

        Parameters
        ----------
        X : array_like of shape (m, n_in), real
        y : array_like of shape (m,) or (m, n_out), real
            As for `loss`. A few rows are enough: two losses are computed for each parameter.

        Returns
        -------
        float
            The largest relative error over all parameters. It is below 1e-6 if the gradients are
            right, and NaN if any loss or gradient is NaN.

        Raises
        ------
        ValueError, TypeError
            If X or y does not fit the network.

        Examples
        --------
        >>> import fastmlp
        >>> network = fastmlp.Network([2, 4, 1], hidden="tanh", seed=0)
        >>> network.check_gradients([[0.5, -1.0], [2.0, 1.0]], [0, 1]) < 1e-6
        True
        """
        return check_gradients(self, X, y)

    def save(self, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> None:
        """Write the network to a safetensors file.

        The file is written under a temporary name and then renamed, so no reader ever sees half of
        it. It holds the tensors `layers.0.weight` (n_in, n_out), `layers.0.bias` (n_out,), … The
        structure, the seed and `epochs_trained` are JSON in the metadata key `fastmlp`. The scaling
        and the texts of `metadata` are in the file too. The page
        "The file format" has the details.

        Parameters
        ----------
        path : str, bytes or path
            An existing file is replaced. A pipe or a device is written to.

        Raises
        ------
        OSError
            If `open(path, "wb")` or writing the file fails, for example because the old file is
            read-only. An existing file is then unchanged.
        TypeError
            If `path` is no path, such as a number or an open file.

        Examples
        --------
        >>> import os, tempfile
        >>> import fastmlp
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "model.safetensors")
        ...     fastmlp.Network([2, 1], seed=0).save(path)
        ...     fastmlp.Network.load(path).layers
        (2, 1)
        """
        checked_texts("save: metadata", self.metadata)
        network_file.save(self, path)

    @classmethod
    def load(cls, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> Self:
        """Read a network from a file that `save` wrote.

        Called on a subclass, it returns an instance of the subclass without calling its `__init__`.

        Parameters
        ----------
        path : str, bytes or path
            A pipe is read to its end.

        Returns
        -------
        Network
            With the parameters, scaling, metadata, seed and `epochs_trained` that were saved.

        Raises
        ------
        ValueError
            If the file is damaged or was not written by `save`; the message says what is wrong.
        OSError
            If the file does not exist or cannot be read.
        TypeError
            If `path` is no path, such as a number or an open file.

        Examples
        --------
        See `save`.
        """
        return network_file.load(cls, path)

    def copy(self) -> Self:
        """Return an independent network with the same parameters, scaling, metadata and seed.

        Returns
        -------
        Network
            It has the same class. Attributes set in Python are shared, as with `copy.copy`.

        Examples
        --------
        >>> import fastmlp
        >>> network = fastmlp.Network([2, 1], seed=0)
        >>> twin = network.copy()
        >>> twin.biases[0][0] = 1.0
        >>> float(network.biases[0][0])
        0.0
        """
        return copy.copy(self)

    # copy.copy, copy.deepcopy and pickle make a network by __new__ and call these two. A subclass
    # may extend them. Its __init__ is not called, so it may take any arguments.

    def __getstate__(self) -> dict[str, Any]:
        parameters, epochs_trained = self._snapshot()  # refused while another thread trains
        return {
            "layers": self.layers,
            "hidden": self.hidden,
            "output": self.output,
            "loss": loss_arguments(self),
            "dtype": dtype_name(self),
            "seed": self.seed,
            "parameters": parameters,
            "epochs_trained": epochs_trained,
            "scaling": self.scaling,
            "attributes": {**self.__dict__, "_metadata": dict(self.metadata)},
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        attributes = dict(state["attributes"])
        if "layers" in state:
            structure = (state[name] for name in ("layers", "hidden", "output", "dtype", "seed"))
            loss = state.get("loss", {})  # absent from older pickles
            made = _core.Network(*structure, initialize=False, **loss)
            made._restore(state["parameters"], state["epochs_trained"])
            made.scaling = state.get("scaling")
            self._adopt(made)  # a refused state has changed nothing
        else:  # an old pickle, which has called _rebuild
            self._restore(state["parameters"], state["epochs_trained"])
        self.__dict__.update(attributes)

    @classmethod
    def _rebuild(
        cls,
        layers: Sequence[int],
        hidden: Sequence[str],
        output: str,
        dtype: str,
        seed: int,
        **loss: Any,
    ) -> Self:
        """Return a network whose parameters are all 0: for a caller that overwrites them.

        Unlike the constructor it draws no weights, and it does not call the `__init__` of a
        subclass. Old pickles name this method, so its name and its arguments must stay.
        """
        network = cls.__new__(cls)
        _core.Network.__init__(
            network, layers, hidden, output, dtype, seed, initialize=False, **loss
        )
        return network

    def __repr__(self) -> str:
        try:
            names = set(self.hidden)
        except RuntimeError:  # a traceback may show an object whose __init__ has failed
            return f"<{type(self).__name__}: __init__ has not been called>"
        hidden = names.pop() if len(names) == 1 else list(self.hidden)
        loss = "".join(f", {name}={value!r}" for name, value in loss_arguments(self).items())
        return (
            f"{type(self).__name__}({list(self.layers)}, hidden={hidden!r}, "
            f"output={self.output!r}, dtype={dtype_name(self)!r}, seed={self.seed}{loss})"
        )


def _dtype_name(dtype: Any) -> str:
    for name in DTYPES:
        try:
            # NumPy reads None as float64; here it is refused.
            if dtype is not None and np.dtype(dtype) == np.dtype(name):
                return name
        except TypeError:
            break
    raise ValueError(f"Network: dtype is {dtype!r}; it must be one of {list(DTYPES)}")
