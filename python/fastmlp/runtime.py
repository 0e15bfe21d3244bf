"""Settings of the whole process, instruction set and threads, and information on this build."""

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, overload

import numpy as np

from fastmlp import _core
from fastmlp._core import available_isas, get_num_threads, isa, set_isa, set_num_threads
from fastmlp._when_imported import when_imported

__all__ = [
    "available_isas",
    "get_cmake_dir",
    "get_include",
    "get_num_threads",
    "isa",
    "set_isa",
    "set_num_threads",
    "show_config",
    "threads",
]

Config = dict[str, str | int | bool]


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Use at most `n` threads inside a `with` block, and as many as before after it.

    The setting applies to the whole process, as with :func:`set_num_threads`.

    Parameters
    ----------
    n : int
        From 1 to 1024.

    Raises
    ------
    ValueError
        If `n` is out of that range.

    Examples
    --------
    >>> import fastmlp
    >>> with fastmlp.threads(1):
    ...     fastmlp.get_num_threads()
    1
    """
    before = get_num_threads()
    set_num_threads(n)
    try:
        yield
    finally:
        set_num_threads(before)


def _register_with_threadpoolctl() -> None:
    """Make `threadpoolctl.threadpool_limits` set the number of threads."""
    import threadpoolctl

    if not hasattr(threadpoolctl, "register"):  # before 3.2
        return

    class Controller(threadpoolctl.LibController):
        user_api = "openmp"
        internal_api = "fastmlp"
        filename_prefixes = ("libfastmlp", "fastmlp")  # .so or .dylib, .dll

        def get_num_threads(self) -> int:
            return get_num_threads()

        def set_num_threads(self, num_threads: int) -> None:
            set_num_threads(num_threads)

        def get_version(self) -> str:
            return _core.__version__

    threadpoolctl.register(Controller)


when_imported("threadpoolctl", _register_with_threadpoolctl)


@overload
def show_config(mode: Literal["stdout"] = "stdout") -> None: ...
@overload
def show_config(mode: Literal["dicts"]) -> Config: ...
def show_config(mode: Literal["stdout", "dicts"] = "stdout") -> Config | None:
    """Show this build's version, compiler and settings, for a bug report.

    Parameters
    ----------
    mode : {"stdout", "dicts"}, default "stdout"
        Whether to print the configuration or to return it.

    Returns
    -------
    dict or None
        With "dicts": `fastmlp`, `compiler`, `isa`, `available_isas`, `threads`, `openmp`, `numpy`,
        `python` and `platform`.

    Raises
    ------
    ValueError
        If the mode is another one.

    Examples
    --------
    >>> import fastmlp
    >>> fastmlp.show_config(mode="dicts")["fastmlp"] == fastmlp.__version__
    True
    """
    if mode not in ("stdout", "dicts"):
        raise ValueError(f"show_config: mode is {mode!r}; allowed: 'stdout', 'dicts'")
    config: Config = {
        "fastmlp": _core.__version__,
        "compiler": _core.compiler(),
        "isa": isa(),
        "available_isas": " ".join(available_isas()),
        "threads": get_num_threads(),
        "openmp": _core.has_openmp(),
        "numpy": np.__version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
    }
    if mode == "dicts":
        return config
    for name, value in config.items():
        print(f"{name:>14}  {value}")
    return None


def get_include() -> str:
    """Return the include folder of the C++ headers, for `#include <fastmlp/network.hpp>`.

    Returns
    -------
    str

    Examples
    --------
    >>> import os, fastmlp
    >>> os.path.exists(os.path.join(fastmlp.get_include(), "fastmlp", "network.hpp"))
    True
    """
    return os.path.join(_package_dir(), "include")


def get_cmake_dir() -> str:
    """Return the folder in which CMake finds the library: for `CMAKE_PREFIX_PATH` or `fastmlp_DIR`.

    Returns
    -------
    str
        `find_package(fastmlp CONFIG)` then gives the target `fastmlp::fastmlp`.

    Examples
    --------
    >>> import os, fastmlp
    >>> os.path.exists(os.path.join(fastmlp.get_cmake_dir(), "fastmlpConfig.cmake"))
    True
    """
    return os.path.join(_package_dir(), "lib", "cmake", "fastmlp")


def _package_dir() -> str:
    # In an editable install the native module's folder is not that of the Python files.
    return os.path.dirname(_core.__file__)
