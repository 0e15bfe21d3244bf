"""`function`: a network as a function of JAX, with the gradients of fastmlp.

`import fastmlp.jax` loads it; `import fastmlp` does not load JAX.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.buffer_callback import buffer_callback

from fastmlp.formats.state_dict import split
from fastmlp.network import Network

Arrays = Sequence[Any]


def function(network: Network) -> Callable[[Arrays, Any], Any]:
    """Return `apply(weights, X)`, which JAX can compile, batch and differentiate.

    Parameters
    ----------
    network : fastmlp.Network
        It gives the layers, activations, output and dtype. It is copied, and its parameters are not
        used: pass them, or others, as `weights`. A float64 network needs `jax_enable_x64`.

    Returns
    -------
    callable
        `apply(weights, X)` takes a list as `network.get_weights()` returns it and X (..., n_in), of
        any real dtype; it returns (..., n_out), in the dtype of the network. It works in `jax.jit`,
        `jax.vmap` and `jax.grad`. JAX cannot differentiate it twice or in forward mode.

    Raises
    ------
    TypeError
        If `network` is no Network.

    Notes
    -----
    fastmlp computes on the CPU, where the arrays must be. A gradient computes the forward pass
    again instead of keeping its results. `vmap` over X computes all rows at once; `vmap` over the
    weights, or over gradients of the weights, computes one after another.

    Examples
    --------
    >>> import fastmlp, fastmlp.jax
    >>> network = fastmlp.Network([4, 16, 2], output="identity", seed=0)
    >>> apply = fastmlp.jax.function(network)
    >>> weights = network.get_weights()
    >>> loss = lambda weights, X: (apply(weights, X) ** 2).mean()
    >>> gradients = jax.jit(jax.grad(loss))(weights, jax.numpy.ones((10, 4)))
    >>> network.set_weights([w - 0.1 * g for w, g in zip(weights, gradients)])
    """
    if not isinstance(network, Network):
        raise TypeError(
            f"fastmlp.jax.function: network is of type {type(network).__name__}; it must be a "
            "fastmlp.Network"
        )
    outputs = _outputs(_Host(network.copy()))
    dtype, n_in, n_out = network.dtype, network.layers[0], network.layers[-1]
    shapes = [array.shape for array in network.get_weights()]

    def apply(weights: Arrays, X: Any) -> Any:
        """Return the outputs of the network with these weights."""
        if dtype == np.float64 and not jax.config.jax_enable_x64:
            raise ValueError(
                "apply: the network is float64, which JAX only has after "
                "jax.config.update('jax_enable_x64', True)"
            )
        weights, X = [jnp.asarray(w, dtype) for w in weights], jnp.asarray(X, dtype)
        if [weight.shape for weight in weights] != shapes:
            raise ValueError(
                f"apply: weights has the shapes {[weight.shape for weight in weights]}; those of "
                f"this network are {shapes}"
            )
        if X.shape[-1:] != (n_in,):
            raise ValueError(f"apply: X has shape {X.shape}; this network takes {n_in} features")
        return outputs(weights, X.reshape(-1, n_in)).reshape(*X.shape[:-1], n_out)

    return apply


def _outputs(host: "_Host") -> Callable[[Arrays, Any], Any]:
    """Return the function of the weights and of X (m, n_in), with its gradients."""
    n_out = host.network.layers[-1]

    @jax.custom_vjp
    def outputs(weights: Arrays, X: Any) -> Any:
        return host.call(host.forward, [(len(X), n_out)], X, *weights)[0]

    def forward(weights: Arrays, X: Any) -> tuple[Any, Any]:
        values = [weight.value for weight in weights], X.value
        # When JAX compiles `backward`, it knows the structure of what `forward` keeps, but no
        # values. So () stands for "with gradients of the weights", and None for "without".
        of_weights = () if any(weight.perturbed for weight in weights) else None
        return outputs(*values), (of_weights, *values)

    def backward(kept: Any, dY: Any) -> tuple[Any, Any]:
        of_weights, weights, X = kept
        if isinstance(dY, jax.custom_derivatives.SymbolicZero):  # older JAX, unused outputs
            dY = jnp.zeros(dY.shape, dY.dtype)
        if of_weights is None:
            return None, input_gradients(X, dY, weights)
        dX, *gradients = all_gradients(X, dY, weights)
        return gradients, dX

    @jax.custom_jvp
    def input_gradients(X: Any, dY: Any, weights: Arrays) -> Any:
        return host.call(host.input_gradients, [X.shape], X, dY, *weights)[0]

    @jax.custom_jvp
    def all_gradients(X: Any, dY: Any, weights: Arrays) -> Any:
        shapes = [weight.shape for weight in weights]
        return host.call(host.backward, [X.shape, *shapes], X, dY, *weights)

    outputs.defvjp(forward, backward, symbolic_zeros=True)
    input_gradients.defjvp(_refuse)
    all_gradients.defjvp(_refuse)
    differentiable: Callable[[Arrays, Any], Any] = outputs
    return differentiable


def _refuse(*_: Any) -> NoReturn:
    raise NotImplementedError(
        "fastmlp.jax: second derivatives are not available; write the network in jax.numpy, from "
        "network.get_weights(), and JAX can differentiate it twice"
    )


class _Host:
    """Computes with arrays of NumPy. JAX calls the methods, perhaps in several threads at once.

    In `jax.vmap` all arrays have the same number of axes in front of their own. Such an axis has
    the length 1 in an array that is not batched.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.spare: list[Network] = []  # copies that no thread uses now

    def call(
        self, method: Callable[..., None], shapes: list[tuple[int, ...]], *arrays: Any
    ) -> list[Any]:
        """Let JAX call a method below; return what it writes, which has these shapes."""
        # Not jax.pure_callback: it hands over arrays of JAX, and reading a large one waits for a
        # copy that, with one CPU, waits for the callback (jax-ml/jax issue 24255).
        out = [jax.ShapeDtypeStruct(shape, self.network.dtype) for shape in shapes]
        written: list[Any] = buffer_callback(method, out, vmap_method="expand_dims")(*arrays)
        return written

    def forward(self, _: Any, out: Arrays, X: Any, *weights: Any) -> None:
        """Write Y."""
        self._map(lambda network, X: [network.forward(X)], out, (X,), weights)

    def input_gradients(self, _: Any, out: Arrays, X: Any, dY: Any, *weights: Any) -> None:
        """Write the gradient of X."""
        self._map(lambda network, *rows: [network.input_gradients(*rows)], out, (X, dY), weights)

    def backward(self, _: Any, out: Arrays, X: Any, dY: Any, *weights: Any) -> None:
        """Write the gradients of X and of the weights."""

        def gradients(network: Network, *rows: Any) -> list[Any]:
            return [network.backward(*rows), *split(network, network.gradients)]

        self._map(gradients, out, (X, dY), weights, at_once=False)

    def _map(
        self,
        function: Callable[..., list[Any]],
        out: Arrays,
        rows: Arrays,
        weights: Arrays,
        at_once: bool = True,
    ) -> None:
        """Write the results of function(network, *rows) for each element of the batch.

        If `at_once`, the function gets the rows of all elements when these have the same weights.
        """
        out, rows, weights = (
            [np.asarray(part) for part in parts] for parts in (out, rows, weights)
        )
        batch = out[0].shape[:-2]

        def spread(array: Any) -> Any:
            return np.broadcast_to(array, batch + array.shape[len(batch) :])

        if at_once and all(math.prod(weight.shape[: len(batch)]) == 1 for weight in weights):
            together = [spread(array).reshape(-1, array.shape[-1]) for array in rows]
            with self._network(weights) as network:
                (results,) = function(network, *together)
            out[0][...] = results.reshape(out[0].shape)
            return
        rows, weights = [spread(array) for array in rows], [spread(array) for array in weights]
        for i in np.ndindex(batch):
            with self._network([weight[i] for weight in weights]) as network:
                for to, result in zip(
                    out, function(network, *(array[i] for array in rows)), strict=True
                ):
                    to[i] = result

    @contextmanager
    def _network(self, weights: Arrays) -> Iterator[Network]:
        """Lend a network with these weights."""
        try:
            network = self.spare.pop()
        except IndexError:
            network = self.network.copy()
        np.concatenate([weight.ravel() for weight in weights], out=network.parameters)
        yield network
        self.spare.append(network)
