"""All private or undocumented names of scikit-learn that the estimators use, in one place.

The other modules import such names from here, and use only the attributes and methods listed here.
Importing this module checks the installed version: if a name is missing, the ImportError names it
and the versions that have them all. Start reading at `check`.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import sklearn
from sklearn.neural_network import MLPClassifier, MLPRegressor

# The tests run with the first release of LOWEST and the latest release of NEWEST. The extras of
# pyproject.toml ask for this range.
LOWEST, NEWEST = (1, 7), (1, 9)
REQUIREMENT = "scikit-learn>=1.7,<1.10"

# Methods that the estimators override or call, with their parameters: an override must accept what
# scikit-learn passes.
SOLVER_ARGUMENTS = "X, y, sample_weight, activations, deltas, coef_grads, intercept_grads"
METHODS = {
    # overridden
    "_fit": "X, y, sample_weight, incremental",
    "_fit_lbfgs": f"{SOLVER_ARGUMENTS}, layer_units",
    "_fit_stochastic": f"{SOLVER_ARGUMENTS}, layer_units, incremental",
    "_forward_pass": "activations",
    "_forward_pass_fast": "X, check_input",
    "_init_coef": "fan_in, fan_out, dtype",
    "_initialize": "y, layer_units, dtype",
    "_predict": "X, check_input",
    "_loss_grad_lbfgs": f"packed_coef_inter, {SOLVER_ARGUMENTS}",
    "_score": "X, y, sample_weight",
    "_unpack": "packed_parameters",
    "_validate_input": "X, y, incremental, reset",
    # called, or replaced by a subclass
    "_backprop": SOLVER_ARGUMENTS,
    "_compute_loss_grad": "layer, sw_sum, activations, deltas, coef_grads, intercept_grads",
    "_update_no_improvement_count": "early_stopping, X, y, sample_weight",
}

# Attributes that scikit-learn's methods and the overrides both read or set.
ATTRIBUTES = (
    "_best_coefs",
    "_best_intercepts",
    "_coef_indptr",
    "_intercept_indptr",
    "_label_binarizer",
    "_no_improvement_count",
    "_optimizer",
    "_parameter_constraints",
    "_random_state",
)

# Methods and attributes of scikit-learn's optimizers, which are private classes.
SHARED_BY_OPTIMIZERS = ("iteration_ends", "trigger_stopping", "learning_rate", "learning_rate_init")
SGD_NAMES = ("lr_schedule", "momentum", "nesterov", "power_t", "velocities")
ADAM_NAMES = ("beta_1", "beta_2", "epsilon", "ms", "t", "vs")

# scikit-learn 1.9 added callbacks, as an experiment; older versions have none of these names. The
# first belong to an estimator, the second to the context that reports a fit and its epochs.
CALLBACK_NAMES = ("_init_callback_context", "_skl_callbacks")
CONTEXT_NAMES = ("call_on_fit_task_begin", "call_on_fit_task_end", "subcontext")


def refusal(problem: str) -> ImportError:
    """Return the error for an installed version that is not supported."""
    lowest, newest = (".".join(map(str, version)) for version in (LOWEST, NEWEST))
    return ImportError(
        f"fastmlp.sklearn supports scikit-learn {lowest} to {newest}; the installed "
        f"{sklearn.__version__} {problem}: pip install '{REQUIREMENT}'"
    )


class NoCallbacks:
    """Stands in for scikit-learn's CallbackSupportMixin in versions that have no callbacks."""


def without_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method unchanged; stands in for scikit-learn's with_callbacks."""
    return method


try:
    from sklearn.neural_network import _multilayer_perceptron
    from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
    from sklearn.utils._param_validation import Interval, StrOptions
    from sklearn.utils.validation import _check_sample_weight

    try:
        from sklearn.callback import CallbackContext, CallbackSupportMixin, with_callbacks
    except ModuleNotFoundError:  # scikit-learn before 1.9
        CallbackContext, CallbackSupportMixin, with_callbacks = None, NoCallbacks, without_callbacks
except ImportError as error:
    raise refusal(f"lacks a name ({error})") from error


def check() -> None:
    """Raise ImportError if the installed scikit-learn lacks a name of the lists above."""
    version = tuple(map(int, re.findall(r"\d+", sklearn.__version__)[:2]))
    lacking = [*lacking_in_estimators(), *lacking_in_optimizers(), *lacking_in_callbacks()]
    if lacking:
        raise refusal(f"lacks {', '.join(lacking)}")
    if version < LOWEST:
        raise refusal("is older")


def lacking_in_estimators() -> Iterator[str]:
    """Yield the methods and attributes that an estimator of scikit-learn lacks."""
    for cls in (MLPClassifier, MLPRegressor):
        for name, expected in METHODS.items():
            method = getattr(cls, name, None)
            parameters = list(inspect.signature(method).parameters)[1:] if method else None
            if parameters != expected.split(", "):
                yield f"{cls.__name__}.{name}({expected})"
        names = names_used_by(cls)
        yield from (f"{cls.__name__}.{name}" for name in ATTRIBUTES if name not in names)


def lacking_in_optimizers() -> Iterator[str]:
    """Yield the methods and attributes that an optimizer of scikit-learn lacks."""
    for cls, own in ((SGDOptimizer, SGD_NAMES), (AdamOptimizer, ADAM_NAMES)):
        names = names_used_by(cls)
        yield from (f"{cls.__name__}.{n}" for n in SHARED_BY_OPTIMIZERS + own if n not in names)


def lacking_in_callbacks() -> Iterator[str]:
    """Yield what scikit-learn's callbacks lack, if it has callbacks."""
    if CallbackContext is None:
        return
    for cls, own in ((CallbackSupportMixin, CALLBACK_NAMES), (CallbackContext, CONTEXT_NAMES)):
        names = names_used_by(cls)
        yield from (f"{cls.__name__}.{n}" for n in own if n not in names)


def names_used_by(cls: type) -> set[str]:
    """Return the names of a class and those that its methods read or set on any object."""
    names = set(dir(cls))
    for base in cls.__mro__:
        for member in vars(base).values():
            if inspect.isfunction(member):
                names.update(inspect.unwrap(member).__code__.co_names)
    return names


check()

__all__ = [
    "ATTRIBUTES",
    "AdamOptimizer",
    "CallbackSupportMixin",
    "Interval",
    "SGDOptimizer",
    "StrOptions",
    "_check_sample_weight",
    "_multilayer_perceptron",
    "with_callbacks",
]
