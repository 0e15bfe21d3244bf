"""The optimizers: what each is called, its hyper-parameters, and its equation in plain NumPy.

The native core does the arithmetic (`cpp/src/kernels/optimizers.hpp`) and keeps the state. The
equation here, `_step_in_numpy`, is run by the twin `fastmlp.reference`; the tests compare the two.
L-BFGS, which is no rule for one step, is in `lbfgs.py`. Start at `SGD`.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Never, Self, TypeVar, overload

import numpy as np
import numpy.typing as npt

from fastmlp import _core

Array = npt.NDArray[Any]
Value = TypeVar("Value")


class Parameter(Generic[Value]):
    """A hyper-parameter, as the native optimizer has it; read-only."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, optimizer: None, owner: type) -> Self: ...
    @overload
    def __get__(self, optimizer: object, owner: type) -> Value: ...
    def __get__(self, optimizer: Any, owner: type) -> Any:
        return self if optimizer is None else optimizer._parameters()[self.name]

    def __set__(self, optimizer: object, value: Never) -> None:
        raise AttributeError(f"{type(optimizer).__name__}: {self.name} cannot be changed")

    def __delete__(self, optimizer: object) -> None:
        raise AttributeError(f"{type(optimizer).__name__}: {self.name} cannot be deleted")


@dataclass
class State:
    """The state of an optimizer for a network in NumPy: the number of updates and two vectors."""

    t: int
    m: Array
    v: Array


def flushed(x: Array, least: float = 1.0) -> Array:
    """Return x with +0 for each element below `least` times the smallest normal number."""
    return np.where(np.abs(x) < least * np.finfo(x.dtype).tiny, 0, x)


class Optimizer(_core.Optimizer):
    """The base class of the optimizers."""

    __slots__ = ()  # an attribute that does not exist cannot be set

    _kind: ClassVar[str] = ""  # the name of its options in C++

    weight_decay = Parameter[float]("How fast the weights, not the biases, decay: a float.")
    decoupled = Parameter[bool]("Whether the decay is apart from the gradient: a bool.")

    def __init__(self, **parameters: float | bool) -> None:
        super().__init__(self._kind, type(self).__name__, parameters)

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments that made it, with the learning rate as it is now."""
        parameters = self._parameters()
        del parameters["decoupled"]
        return parameters

    def __repr__(self) -> str:
        try:
            given = self._arguments()
        except RuntimeError:  # a traceback may show an object whose __init__ has failed
            return f"<{type(self).__name__}: __init__ has not been called>"
        arguments = ", ".join(f"{name}={value!r}" for name, value in given.items())
        return f"{type(self).__name__}({arguments})"

    # copy.copy, copy.deepcopy and pickle make an optimizer by __new__ and call these two, not the
    # __init__ of a subclass.

    def __getstate__(self) -> dict[str, Any]:
        return {
            "parameters": self._parameters(),
            "state": self._state(),
            "attributes": getattr(self, "__dict__", {}).copy(),  # only a subclass may have some
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        attributes = dict(state["attributes"])
        own = self.__dict__ if attributes else {}
        made = _core.Optimizer(self._kind, type(self).__name__, state["parameters"])
        made._set_state(state["state"])
        self._adopt(made)  # a refused state has changed nothing
        own.update(attributes)

    def _update_in_numpy(self, state: State, theta: Array, dtheta: Array, decays: Array) -> None:
        """Update θ in place; `decays` is 1 for weights and 0 for biases."""
        state.t += 1
        g = dtheta
        if self.weight_decay > 0:
            theta[:] = np.where(decays, flushed(theta, 2.0**40), theta)
        if self.decoupled:
            theta *= 1 - self.learning_rate * self.weight_decay * decays
        else:
            g = dtheta + self.weight_decay * decays * theta
        self._step_in_numpy(state, theta, g)

    def _step_in_numpy(self, s: State, theta: Array, g: Array) -> None:
        """Update θ in place by the gradient g."""
        raise NotImplementedError


def _rebuild(kind: type[Optimizer], arguments: dict[str, Any], state: Any) -> Optimizer:
    """Return the optimizer of an old pickle, which names this function."""
    optimizer = kind(**arguments)
    optimizer._set_state(state)
    return optimizer


class SGD(Optimizer):
    """Gradient descent, with momentum if it is not 0.

    ``g = dtheta + weight_decay theta``, then ``theta = theta - learning_rate g``. With momentum
    ``v = momentum v - learning_rate g`` and ``theta = theta + v``, or with Nesterov's look ahead
    ``theta = theta + momentum v - learning_rate g`` (Sutskever et al., 2013). scikit-learn and
    Keras use this form too; PyTorch's differs from it when the learning rate changes.

    Parameters
    ----------
    learning_rate : float, default 0.01
        Positive and finite. It may be changed at any time.
    momentum : float, default 0.0
        The share of the velocity v that stays, in [0, 1].
    nesterov : bool, default False
        Whether to look ahead. It has no effect if momentum is 0.
    weight_decay : float, default 0.0
        Finite and at least 0. Weights decay, biases do not.
    decoupled : bool, default False
        Whether each update first multiplies the weights by ``1 - learning_rate * weight_decay``
        (Loshchilov and Hutter, 2019), instead of adding the decay to the gradient.

    Raises
    ------
    ValueError, TypeError
        If a value is not as above.

    Notes
    -----
    With momentum, the optimizer keeps a velocity for the first network that it updates, and refuses
    any other network.

    Examples
    --------
    >>> import fastmlp
    >>> fastmlp.SGD(learning_rate=0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9, nesterov=False, weight_decay=0.0)
    """

    __slots__ = ()
    _kind = "SGD"
    momentum = Parameter[float]("The share of the velocity that stays: a float.")
    nesterov = Parameter[bool]("Whether it looks ahead: a bool.")

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        *,
        decoupled: bool = False,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            momentum=momentum,
            nesterov=nesterov,
            weight_decay=weight_decay,
            decoupled=decoupled,
        )

    def _arguments(self) -> dict[str, Any]:
        return super()._arguments() | ({"decoupled": True} if self.decoupled else {})

    def _step_in_numpy(self, s: State, theta: Array, g: Array) -> None:
        """θ := θ + v, v := μ v - α g; plain if μ is 0, Nesterov's θ := θ + μ v - α g."""
        s.m[:] = flushed(self.momentum * s.m - self.learning_rate * g)
        theta += self.momentum * s.m - self.learning_rate * g if self.nesterov else s.m


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015, arXiv:1412.6980).

    It keeps running means of the gradient ``g = dtheta + weight_decay theta`` and of its square,
    ``m = beta_1 m + (1 - beta_1) g`` and ``v = beta_2 v + (1 - beta_2) g^2``. After t updates
    ``m' = m / (1 - beta_1^t)``, ``v' = v / (1 - beta_2^t)`` and
    ``theta = theta - learning_rate m' / (sqrt(v') + epsilon)``.

    Parameters
    ----------
    learning_rate : float, default 0.001
        Positive and finite. It may be changed at any time.
    beta_1, beta_2 : float, default 0.9 and 0.999
        In [0, 1).
    epsilon : float, default 1e-8
        Positive and finite.
    epsilon_hat : float, optional
        If given, it replaces epsilon and is added to ``sqrt(v)``, not to ``sqrt(v')``. This is the
        form of scikit-learn and TensorFlow (the paper's section 2).
    weight_decay : float, default 0.0
        Finite and at least 0. Weights decay, biases do not.

    Raises
    ------
    ValueError, TypeError
        If a value is not as above.

    Notes
    -----
    The optimizer keeps m and v for the first network that it updates, and refuses any other.

    Examples
    --------
    >>> import fastmlp
    >>> fastmlp.Adam(0.002)
    Adam(learning_rate=0.002, beta_1=0.9, beta_2=0.999, epsilon=1e-08, weight_decay=0.0)
    """

    __slots__ = ()
    _kind = "Adam"
    beta_1 = Parameter[float]("The share of m that stays: a float.")
    beta_2 = Parameter[float]("The share of v that stays: a float.")
    epsilon = Parameter[float]("The number added to the root: a float.")
    epsilon_hat = Parameter[bool]("Whether epsilon is added to sqrt(v), not to sqrt(v'): a bool.")

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        *,
        epsilon_hat: float | None = None,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon if epsilon_hat is None else epsilon_hat,
            epsilon_hat=epsilon_hat is not None,
            weight_decay=weight_decay,
            decoupled=isinstance(self, AdamW),
        )

    def _arguments(self) -> dict[str, Any]:
        renamed = {"epsilon": "epsilon_hat"} if self.epsilon_hat else {}
        return {
            renamed.get(name, name): value
            for name, value in super()._arguments().items()
            if name != "epsilon_hat"
        }

    def _step_in_numpy(self, s: State, theta: Array, g: Array) -> None:
        """θ := θ - α m' / (√v' + ε)."""
        s.m[:] = flushed(self.beta_1 * s.m + (1 - self.beta_1) * g)
        s.v[:] = flushed(self.beta_2 * s.v + flushed((1 - self.beta_2) * g**2))
        root = np.sqrt(1 - self.beta_2**s.t)
        epsilon = self.epsilon if self.epsilon_hat else self.epsilon * root
        rate = self.learning_rate * root / (1 - self.beta_1**s.t)
        theta -= rate * s.m / (np.sqrt(s.v) + epsilon)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019, arXiv:1711.05101).

    It is :class:`Adam`, but the decay is not part of the gradient: each update first multiplies the
    weights (not the biases) by ``1 - learning_rate * weight_decay``.

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon, epsilon_hat
        As for :class:`Adam`.
    weight_decay : float, default 0.01
        Finite and at least 0.

    Raises
    ------
    ValueError, TypeError
        If a value is not as above.

    Examples
    --------
    >>> import fastmlp
    >>> fastmlp.AdamW(weight_decay=0.1).weight_decay
    0.1
    """

    __slots__ = ()

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        *,
        epsilon_hat: float | None = None,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            epsilon_hat=epsilon_hat,
            weight_decay=weight_decay,
        )


class RMSprop(Optimizer):
    """RMSprop (Hinton, 2012), in PyTorch's form, without its momentum and centring.

    It keeps a running mean of the square of the gradient ``g = dtheta + weight_decay theta``,
    ``v = alpha v + (1 - alpha) g^2``, and steps
    ``theta = theta - learning_rate g / (sqrt(v) + epsilon)``.

    Parameters
    ----------
    learning_rate : float, default 0.01
        Positive and finite. It may be changed at any time.
    alpha : float, default 0.99
        The share of v that stays, in [0, 1).
    epsilon : float, default 1e-8
        Positive and finite.
    weight_decay : float, default 0.0
        Finite and at least 0. Weights decay, biases do not.

    Raises
    ------
    ValueError, TypeError
        If a value is not as above.

    Notes
    -----
    The optimizer keeps v for the first network that it updates, and refuses any other network.

    Examples
    --------
    >>> import fastmlp
    >>> fastmlp.RMSprop(0.001)
    RMSprop(learning_rate=0.001, alpha=0.99, epsilon=1e-08, weight_decay=0.0)
    """

    __slots__ = ()
    _kind = "RMSprop"
    alpha = Parameter[float]("The share of v that stays: a float.")
    epsilon = Parameter[float]("The number added to the root: a float.")

    def __init__(
        self,
        learning_rate: float = 0.01,
        alpha: float = 0.99,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate, alpha=alpha, epsilon=epsilon, weight_decay=weight_decay
        )

    def _step_in_numpy(self, s: State, theta: Array, g: Array) -> None:
        """θ := θ - α g / (√v + ε), where α is the learning rate."""
        s.v[:] = flushed(self.alpha * s.v + flushed((1 - self.alpha) * g**2))
        theta -= self.learning_rate * g / (np.sqrt(s.v) + self.epsilon)


class Lion(Optimizer):
    """Lion (Chen et al., 2023, arXiv:2302.06675): every parameter moves by the learning rate.

    ``theta = theta - learning_rate sign(beta_1 m + (1 - beta_1) g)``, then
    ``m = beta_2 m + (1 - beta_2) g``, where g is the gradient. The decay is decoupled: each update
    first multiplies the weights by ``1 - learning_rate * weight_decay``.

    Parameters
    ----------
    learning_rate : float, default 1e-4
        Positive and finite. It may be changed at any time. The paper recommends a third to a tenth
        of AdamW's.
    beta_1, beta_2 : float, default 0.9 and 0.99
        In [0, 1).
    weight_decay : float, default 0.0
        Finite and at least 0. Weights decay, biases do not. The paper recommends three to ten
        times AdamW's.

    Raises
    ------
    ValueError, TypeError
        If a value is not as above.

    Notes
    -----
    The optimizer keeps m for the first network that it updates, and refuses any other network.

    Examples
    --------
    >>> import fastmlp
    >>> fastmlp.Lion(weight_decay=0.1)
    Lion(learning_rate=0.0001, beta_1=0.9, beta_2=0.99, weight_decay=0.1)
    """

    __slots__ = ()
    _kind = "Lion"
    beta_1 = Parameter[float]("The share of m in the direction of the step: a float.")
    beta_2 = Parameter[float]("The share of m that stays: a float.")

    def __init__(
        self,
        learning_rate: float = 1e-4,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate, beta_1=beta_1, beta_2=beta_2, weight_decay=weight_decay
        )

    def _step_in_numpy(self, s: State, theta: Array, g: Array) -> None:
        """θ := θ - α sign(β_1 m + (1 - β_1) g), m := β_2 m + (1 - β_2) g."""
        theta -= self.learning_rate * np.sign(self.beta_1 * s.m + (1 - self.beta_1) * g)
        s.m[:] = flushed(self.beta_2 * s.m + (1 - self.beta_2) * g)


# All optimizers, and the same by the names that `fit` takes. `fastmlp` exports `__all__` too.
KINDS: tuple[type[Optimizer], ...] = (SGD, Adam, AdamW, RMSprop, Lion)
BY_NAME = {kind.__name__.lower(): kind for kind in KINDS}

__all__ = ["SGD", "Adam", "AdamW", "Lion", "RMSprop"]
