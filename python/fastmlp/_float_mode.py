"""`in_default_float_mode`: what Python computes itself has the same bits in every thread too.

The processor's rounding and its denormals are a setting of each thread, which other libraries
change. The native calls see to theirs (`cpp/src/kernels/float_mode.hpp`).
"""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from fastmlp._core import default_float_mode, has_default_float_mode

P = ParamSpec("P")
R = TypeVar("R")


def in_default_float_mode(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function round to nearest and keep denormals, whatever its caller has set."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        if has_default_float_mode():  # nearly always, and much faster
            return function(*args, **kwargs)
        with default_float_mode():
            return function(*args, **kwargs)

    return wrapper
