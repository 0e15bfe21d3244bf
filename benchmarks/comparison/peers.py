"""The libraries of the full benchmark: `fastmlp bench`'s with matrix products, and the roofline."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from comparison.roofline import LIBRARY
from comparison.roofline import Roofline as Library
from comparison.workloads import Product, flops, parameter_bytes
from fastmlp.bench import peers
from fastmlp.bench.peers import Array, Peer, Timed, repeated
from fastmlp.bench.workloads import Task


class Roofline(Peer):
    """No library: the multiply-adds of a task alone, or one read of the weights for one row."""

    title = "roofline"
    packages = "fastmlp"

    @classmethod
    def is_installed(cls) -> bool:
        """Whether it has been built."""
        return LIBRARY.exists()

    def prepare(self, task: Task) -> Timed:
        """Return the least work that the task takes."""
        import fastmlp

        library, threads = Library(fastmlp.isa()), self.threads
        if task.kind != "predict" or task.rows > 1:
            work = task.units * flops(task)
            return lambda times: library.multiply_add(times * work, task.dtype, threads)
        count = parameter_bytes(task) // 4
        memory = np.ones(count + 16, np.float32)
        first = -memory.ctypes.data % 64 // 4  # at the beginning of a cache line
        weights = memory[first : first + count]
        return lambda times: library.read(weights.ctypes.data, count, times, threads)


class Products(Peer):
    """A library that also multiplies matrices."""

    def prepare(self, task: Task) -> Timed | None:
        """Return the product of operands that lie in memory, transposed ones as views."""
        if not isinstance(task, Product):
            return super().prepare(task)
        rng = np.random.default_rng(0)
        m, n, k = task.sizes
        A, B = (
            rng.uniform(-1, 1, shape[::-1] if name in task.transposed else shape).astype(task.dtype)
            for name, shape in (("A", (m, k)), ("B", (k, n)))
        )
        return repeated(
            self.matmul(A.T if "A" in task.transposed else A, B.T if "B" in task.transposed else B)
        )

    def matmul(self, A: Array, B: Array) -> Callable[[], object]:
        """Return what computes A B."""
        raise NotImplementedError


class Fastmlp(Products, peers.Fastmlp):
    """fastmlp with `ops.matmul` into an array that is there."""

    def matmul(self, A: Array, B: Array) -> Callable[[], object]:
        """Return `ops.matmul`."""
        import fastmlp
        from fastmlp.ops import matmul

        fastmlp.set_num_threads(self.threads)
        C = np.empty((A.shape[0], B.shape[1]), A.dtype)
        return lambda: matmul(A, B, C)


class Numpy(Products, peers.Numpy):
    """NumPy with `numpy.matmul` into an array that is there."""

    def matmul(self, A: Array, B: Array) -> Callable[[], object]:
        """Return `numpy.matmul`."""
        C = np.empty((A.shape[0], B.shape[1]), A.dtype)
        return lambda: np.matmul(A, B, out=C)


class NumpySkylakeX(Numpy):
    """The same with OpenBLAS told to use its AVX-512 kernels."""

    title = "NumPy, SkylakeX"
    environment: ClassVar = {"OPENBLAS_CORETYPE": "SkylakeX"}

    @classmethod
    def is_installed(cls) -> bool:
        """Whether the CPU can run these kernels; OpenBLAS would crash on any other."""
        import fastmlp

        return platform.machine() in ("x86_64", "AMD64") and "avx512" in fastmlp.available_isas()


class Torch(Products, peers.Torch):
    """PyTorch with `torch.mm` into a tensor that is there."""

    def matmul(self, A: Array, B: Array) -> Callable[[], object]:
        """Return `torch.mm`."""
        import torch

        torch.set_num_threads(self.threads)
        a, b = torch.from_numpy(A), torch.from_numpy(B)
        c = torch.empty((A.shape[0], B.shape[1]), dtype=a.dtype)
        return lambda: torch.mm(a, b, out=c)


class Jax(Products, peers.Jax):
    """JAX with a jitted product of arrays that it holds."""

    def matmul(self, A: Array, B: Array) -> Callable[[], object]:
        """Return the product."""
        import jax

        transpose_a, transpose_b = (not M.flags.c_contiguous for M in (A, B))
        a, b = (jax.numpy.asarray(M.T if t else M) for M, t in ((A, transpose_a), (B, transpose_b)))

        def product(a: Array, b: Array) -> Array:
            return (a.T if transpose_a else a) @ (b.T if transpose_b else b)

        jitted = jax.jit(product)
        return lambda: jitted(a, b).block_until_ready()


PEERS: dict[str, type[Peer]] = {
    "roofline": Roofline,
    "fastmlp": Fastmlp,
    "numpy": Numpy,
    "skylakex": NumpySkylakeX,
    "sklearn": peers.ScikitLearn,
    "torch": Torch,
    "jax": Jax,
    "onnxruntime": peers.OnnxRuntime,
}
LIBRARIES = {name: peer for name, peer in PEERS.items() if name != "roofline"}
