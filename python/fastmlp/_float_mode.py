"""`in_default_float_mode`: Python code that gives the same bits in every thread.

Each thread has its own rounding and denormal modes, which other libraries may change. Native calls
set the modes themselves (`cpp/src/kernels/float_mode.hpp`).
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
