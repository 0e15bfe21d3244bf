"""What a library gives to be compared, and what all of them start from.

A peer has some of `train`, `predict` and `matmul`. Each takes the data and returns a function to
time: `train` one of the number of epochs, shuffled anew each time; the others one without
arguments.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
LEARNING_RATE = 0.01
# What the caller may have set to tune a library; every library is measured as it comes. FASTMLP_ISA
# stays, so that another instruction set can be measured.
LEFT_OUT = {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "FASTMLP_MIN_WORK"}


class Peer:
    """A library.

    Parameters
    ----------
    threads : int
        How many it may use. The environment and the affinity of the process say so already.
    """

    title = ""
    module = ""  # what has to be importable
    packages = ""  # what `pip install` takes to make it so
    environment: ClassVar[dict[str, str]] = {}

    def __init__(self, threads: int) -> None:
        self.threads = threads

    @classmethod
    def is_installed(cls) -> bool:
        """Whether the library can be imported."""
        return importlib.util.find_spec(cls.module) is not None

    def version(self) -> str:
        """Return the version of the library."""
        return str(importlib.import_module(self.module).__version__)


def initial(layers: Sequence[int], dtype: np.dtype[Any]) -> tuple[list[Array], list[Array]]:
    """Return He-uniform weights and zero biases."""
    rng = np.random.default_rng(1)
    pairs = list(pairwise(layers))
    weights = [rng.uniform(-1, 1, shape).astype(dtype) for shape in pairs]
    for W in weights:
        W *= np.sqrt(6 / len(W)).astype(dtype)
    return weights, [np.zeros(n_out, dtype) for _, n_out in pairs]


def environment(peer: type[Peer], threads: int) -> dict[str, str]:
    """Return the environment that holds a library to so many threads."""
    inherited = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    limits = {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}
    return inherited | limits | peer.environment
