"""JAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from fastmlp.bench.peers.base import LEARNING_RATE, Array, Peer, initial


class Jax(Peer):
    """Jitted functions; an epoch is one scan over its batches."""

    title = "JAX"
    module = "jax"
    packages = "jax"
    environment: ClassVar = {"JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "1"}

    def train(
        self, layers: Sequence[int], X: Array, y: Array, batch: int
    ) -> Callable[[int], object]:
        """Train by one call an epoch, the rows' order drawn by NumPy."""
        import jax
        import jax.numpy as jnp

        state = [*map(list, initial(layers, X.dtype))]
        rng = np.random.default_rng(0)
        x, t = jnp.asarray(X), jnp.asarray(y)

        def loss(state: Any, A: Any, Y: Any) -> Any:
            z = logits(state, A)
            return (jnp.maximum(z, 0) - z * Y + jnp.log1p(jnp.exp(-jnp.abs(z)))).mean()

        def epoch(state: Any, x: Any, t: Any, order: Any) -> Any:
            def step(state: Any, rows: Any) -> Any:
                value, gradient = jax.value_and_grad(loss)(state, x[rows], t[rows])
                return jax.tree.map(lambda p, g: p - LEARNING_RATE * g, state, gradient), value

            return jax.lax.scan(step, state, order)

        jitted = jax.jit(epoch, donate_argnums=0)

        def run(epochs: int) -> None:
            nonlocal state
            for _ in range(epochs):
                order = rng.permutation(len(X)).reshape(-1, batch)
                state, losses = jitted(state, x, t, order)
            jax.block_until_ready((state, losses))

        def logits(state: Any, A: Any) -> Any:
            weights, biases = state
            for W, b in zip(weights[:-1], biases[:-1], strict=True):
                A = jax.nn.relu(A @ W + b)
            return A @ weights[-1] + biases[-1]

        state = jax.tree.map(jnp.asarray, state)
        return run

    def predict(self, layers: Sequence[int], X: Array) -> Callable[[], object]:
        """Predict by a jitted function, from NumPy to NumPy."""
        import jax

        weights, biases = jax.tree.map(jax.numpy.asarray, [*map(list, initial(layers, X.dtype))])

        def forward(weights: Any, biases: Any, A: Any) -> Any:
            for W, b in zip(weights[:-1], biases[:-1], strict=True):
                A = jax.nn.relu(A @ W + b)
            return jax.nn.sigmoid(A @ weights[-1] + biases[-1])

        jitted = jax.jit(forward)
        return lambda: np.asarray(jitted(weights, biases, X))

    def matmul(self, A: Array, B: Array) -> Callable[[], object]:
        """Return a jitted product of arrays that JAX holds."""
        import jax

        transpose_a, transpose_b = (not M.flags.c_contiguous for M in (A, B))
        a, b = (jax.numpy.asarray(M.T if t else M) for M, t in ((A, transpose_a), (B, transpose_b)))

        def product(a: Any, b: Any) -> Any:
            return (a.T if transpose_a else a) @ (b.T if transpose_b else b)

        jitted = jax.jit(product)
        return lambda: jitted(a, b).block_until_ready()
