"""Fully connected neural networks on the CPU: fast, and with the same bits everywhere.

`Network` trains and predicts; `ops` has the single operations; `fastmlp.reference` is the same in
plain NumPy. `import fastmlp` imports NumPy and the native core and nothing else.
"""

# _core is first: in a subinterpreter it refuses to be imported, and NumPy would do damage there.
from fastmlp import _core, callbacks, datasets, metrics, ops, optimizers, plot, schedules  # noqa: F401
from fastmlp._core import ACTIVATIONS, LOSSES, OUTPUTS, Objective, __version__
from fastmlp.lbfgs import LBFGS
from fastmlp.network import Network
from fastmlp.optimizers import *  # noqa: F403
from fastmlp.runtime import (
    available_isas,
    get_cmake_dir,
    get_include,
    get_num_threads,
    isa,
    set_isa,
    set_num_threads,
    show_config,
    threads,
)
from fastmlp.training import EarlyStopping, History

__all__ = [
    "ACTIVATIONS",
    "LBFGS",
    "LOSSES",
    "OUTPUTS",
    "EarlyStopping",
    "History",
    "Network",
    "Objective",
    "__version__",
    "available_isas",
    "callbacks",
    "datasets",
    "get_cmake_dir",
    "get_include",
    "get_num_threads",
    "isa",
    "metrics",
    "ops",
    "plot",
    "schedules",
    "set_isa",
    "set_num_threads",
    "show_config",
    "threads",
    *optimizers.__all__,
]
