"""L-BFGS over all rows at once, for the native network and the twin.

Sums over parameters are computed by the network's `_dot`; everything else is element by element, so
the bits are the same everywhere. The equations are in docs/mathematics.md, "Update". The loop over
epochs is in _training_loop.py. Start at `Descent.epoch`.
"""

from __future__ import annotations  # some types are used before they are defined

import functools
import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from fastmlp._float_mode import in_default_float_mode
from fastmlp._own_loss import loss_and_gradients
from fastmlp._trainable import (
    Array,
    Data,
    OwnLoss,
    Trainable,
    positive_integer,
    require_not_negative,
)
from fastmlp.optimizers import flushed

# Nocedal and Wright's values: a step must lower the loss by at least C_1 times what the slope
# promises, and the slope after it must be at most C_2 times the slope before.
C_1, C_2 = 1e-4, 0.9

Dot = Callable[[Array, Array], float]


class Pair(NamedTuple):
    """The change of θ and of dθ in one iteration, with sᵀy and yᵀy."""

    s: Array
    y: Array
    sy: float
    yy: float


def checked_pair(values: Any) -> Pair:
    """Return the pair of a state, or raise TypeError or ValueError if it is none."""
    s, y, sy, yy = values
    if not (isinstance(s, np.ndarray) and isinstance(y, np.ndarray)):
        raise TypeError(f"LBFGS: s and y are {type(s)} and {type(y)}; they must be arrays")
    if s.ndim != 1 or s.shape != y.shape or s.dtype != y.dtype or s.dtype not in ("f4", "f8"):
        raise ValueError(
            f"LBFGS: s and y are {s.dtype} {s.shape} and {y.dtype} {y.shape}; they must have one "
            "dimension, the same size and float32 or float64"
        )
    if not (sy > 0 and yy > 0):
        raise ValueError(f"LBFGS: s·y is {sy} and y·y is {yy}; they must be positive")
    return Pair(s, y, float(sy), float(yy))


@dataclass
class Memory:
    """The newest pairs, which are never modified, and the network that they belong to."""

    pairs: tuple[Pair, ...] = ()
    owner: weakref.ref[Any] | None = None


@dataclass(frozen=True, eq=False)
class LBFGS:
    """Limited-memory BFGS (Nocedal and Wright, Numerical Optimization, 2006, algorithms 7.4, 7.5).

    For `Network.fit` only. An epoch is one iteration over all rows at once, so batch_size and
    shuffle make no difference, and `History.loss` has the loss after each iteration. The update is
    ``θ_{k+1} = θ_k - a B_k⁻¹ dθ_k``. B_k approximates the Hessian from the last pairs of
    ``s = θ_{k+1} - θ_k`` and ``y = dθ_{k+1} - dθ_k``; pairs without positive curvature are left
    out. The step length a satisfies the strong Wolfe conditions (algorithms 3.5 and 3.6;
    c_1 = 1e-4, c_2 = 0.9) and is recorded in `History.learning_rate`.

    `fit` ends by "converged" when no element of dθ is above the tolerance. It ends by "line_search"
    when it finds no step, not even along the negative gradient. In float32 that often means that
    the loss is as near to its minimum as rounding allows.

    Parameters
    ----------
    memory : int, default 10
        The number of pairs to keep; positive. They take 2 * memory * n_parameters elements.
    tolerance : float, default 1e-5
        Training stops when the absolute value of every element of the gradient is at most this;
        finite and at least 0.
    max_evaluations : int, default 20
        The largest number of times that one line search computes the loss and its gradient;
        positive.

    Raises
    ------
    ValueError
        If a value is not as above.

    Notes
    -----
    The pairs are kept from one `fit` to the next. They belong to the first network that the object
    trains; another network is refused. A copy or a pickle has the same pairs and belongs to the
    next network that it trains.

    Examples
    --------
    >>> import fastmlp
    >>> network = fastmlp.Network([2, 8, 1], hidden="tanh", seed=0)
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> history = network.fit(X, y, epochs=30, optimizer=fastmlp.LBFGS(memory=5))
    >>> network.predict(X).tolist()
    [0, 1, 1, 0]
    """

    _kind: ClassVar[str] = "LBFGS"  # its name in a checkpoint

    memory: int = 10
    tolerance: float = 1e-5
    max_evaluations: int = 20
    _memory: Memory = field(default_factory=Memory, init=False, repr=False)

    def __post_init__(self) -> None:
        positive_integer("LBFGS", "memory", self.memory)
        positive_integer("LBFGS", "max_evaluations", self.max_evaluations)
        require_not_negative("LBFGS", "tolerance", self.tolerance)

    def _state(self) -> tuple[Pair, ...]:
        return self._memory.pairs

    def _set_state(self, pairs: tuple[Pair, ...]) -> None:
        """Set the pairs that `_state` returned, for the next network that the optimizer trains."""
        self._memory.pairs, self._memory.owner = pairs, None

    # copy.copy, copy.deepcopy and pickle call these two.

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_memory": [tuple(pair) for pair in self._state()]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        LBFGS(state["memory"], state["tolerance"], state["max_evaluations"])  # may refuse them
        self.__dict__.update(state, _memory=Memory(tuple(map(checked_pair, state["_memory"]))))

    def _bind(self, network: Trainable) -> None:
        """Make it the optimizer of this network."""
        if self._memory.owner is None:
            theta = network.parameters
            for s, *_ in self._memory.pairs[:1]:
                if s.shape != theta.shape or s.dtype != theta.dtype:
                    raise ValueError(
                        f"fit: the optimizer's state is of {s.size} parameters of {s.dtype}; "
                        f"this network has {theta.size} of {theta.dtype}"
                    )
            self._memory.owner = weakref.ref(network)
        elif self._memory.owner() is not network:
            raise ValueError(
                "fit: the optimizer's state belongs to another network; make one for each network"
            )


def _rebuild(kind: type[LBFGS], arguments: tuple[Any, ...], pairs: list[Any]) -> LBFGS:
    """Return the optimizer of an old pickle, which names this function."""
    optimizer = kind(*arguments)
    optimizer._set_state(tuple(Pair(*pair) for pair in pairs))
    return optimizer


class Point(NamedTuple):
    """Parameters with their loss and its gradient, as copies."""

    theta: Array
    loss: float
    gradient: Array


class Descent:
    """The iterations of one `fit`."""

    def __init__(
        self, optimizer: LBFGS, network: Trainable, data: Data, loss: OwnLoss | None = None
    ) -> None:
        optimizer._bind(network)
        self.optimizer = optimizer
        self.network = network
        self.data = data
        # Returns the loss; its gradient is in network.gradients then.
        self.evaluate = (
            functools.partial(network.loss_and_gradients, *data)
            if loss is None
            else functools.partial(loss_and_gradients, network, loss, data)
        )
        self.learning_rate = 0.0  # the length of the last step
        self.ended: Literal["converged", "line_search"] | None = None
        self._last: Point | None = None

    @in_default_float_mode  # as `fit` is, but a callback may have changed the mode
    def epoch(self) -> float:
        """Take one step, unless dθ is small or the loss not finite; return the loss after it."""
        start, self.learning_rate = self._here(), 0.0
        if not math.isfinite(start.loss):
            return start.loss
        try:
            if not self._is_flat(start):
                self._iterate(start)
        except BaseException:
            self._go_to(start.theta)
            raise
        self._last = here = self._here()
        if self._is_flat(here):
            self.ended = "converged"
        self.network.epochs_trained += 1
        return here.loss

    def _go_to(self, theta: Array) -> None:
        self.network._restore(theta, self.network.epochs_trained)

    def _here(self) -> Point:
        """Return the network's present point; compute it only if the parameters have changed."""
        last = self._last
        if last is None or not np.array_equal(last.theta, self.network.parameters):
            loss = self.evaluate()
            last = Point(self.network.parameters.copy(), loss, self.network.gradients.copy())
        return last

    def _is_flat(self, point: Point) -> bool:
        return bool(np.abs(point.gradient).max() <= self.optimizer.tolerance)

    def _iterate(self, start: Point) -> None:
        """Take one step along `direction` or, if that fails, along the negative gradient."""
        dot, kept = self.network._dot, self.optimizer._memory
        for pairs in (kept.pairs, ()) if kept.pairs else ((),):
            p = direction(dot, pairs, start.gradient)
            slope = dot(start.gradient, p)
            # Without pairs the scale is unknown, so the first step is at most 1 long. The slope is
            # then -|dθ|².
            first = 1.0 if pairs else 1 / max(1.0, math.sqrt(-slope))
            step = self._search(start, p, slope, first)
            if step is not None:
                self.learning_rate = step.a
                kept.pairs = (*pairs, *self._new_pair(start))[-self.optimizer.memory :]
                return
        kept.pairs = ()
        self._go_to(start.theta)
        self._last, self.ended = start, "line_search"

    def _search(self, start: Point, p: Array, slope: float, first: float) -> Trial | None:
        """Find a step along p and take it; `_last` is then the point after it."""
        network = self.network

        def phi(a: float) -> Trial:
            with np.errstate(over="ignore", invalid="ignore"):  # an overflow shows in the loss
                theta = start.theta + a * p
            self._go_to(theta)
            loss = self.evaluate()
            self._last = Point(network.parameters.copy(), loss, network.gradients.copy())
            return Trial(a, loss, network._dot(network.gradients, p))

        return line_search(
            phi, Trial(0.0, start.loss, slope), first, self.optimizer.max_evaluations
        )

    def _new_pair(self, start: Point) -> tuple[Pair, ...]:
        """Return the pair of the step from `start`, or none if rounding hides its curvature."""
        here, dot = self._here(), self.network._dot
        s, y = flushed(here.theta - start.theta), flushed(here.gradient - start.gradient)
        sy, yy = dot(s, y), dot(y, y)
        return (Pair(s, y, sy, yy),) if sy > np.finfo(s.dtype).eps * yy else ()


def direction(dot: Dot, pairs: tuple[Pair, ...], gradient: Array) -> Array:
    """-B⁻¹ dθ by the two loops of algorithm 7.4; B⁻¹ starts from sᵀy / yᵀy of the newest pair."""
    q = gradient.copy()
    alphas = []
    for s, y, sy, _ in reversed(pairs):
        alphas.append(dot(s, q) / sy)
        q -= alphas[-1] * y
    if pairs:
        q *= pairs[-1].sy / pairs[-1].yy
    for (s, y, sy, _), alpha in zip(pairs, reversed(alphas), strict=True):
        q += (alpha - dot(y, q) / sy) * s
    return -q


class Trial(NamedTuple):
    """A step length with the loss after that step and the slope there, along the direction."""

    a: float
    loss: float
    slope: float


def line_search(
    phi: Callable[[float], Trial], start: Trial, first: float, max_evaluations: int
) -> Trial | None:
    """Algorithms 3.5 and 3.6: return a step that satisfies the strong Wolfe conditions, or None.

    The step returned is the last one tried. Steps double until the minimum is bracketed; then each
    next step is the minimum of a cubic inside the bracket. A loss that is not finite counts as too
    high.
    """
    if not start.slope < 0:
        return None
    low, a = start, first
    high: Trial | None = None
    for _ in range(max_evaluations):
        trial = phi(a)
        enough = trial.loss <= start.loss + C_1 * a * start.slope
        if not enough or (trial.loss >= low.loss and low is not start):
            high = trial
        elif abs(trial.slope) <= -C_2 * start.slope:
            return trial
        else:
            # The minimum lies between `low` and `high`, or ahead of `low` while there is no `high`.
            if trial.slope * ((high.a if high else math.inf) - low.a) >= 0:
                high = low
            low = trial
        a = 2 * a if high is None else between(low, high)
        if a in (low.a, high.a if high else math.inf):
            return None
    return None


def between(low: Trial, high: Trial) -> float:
    """Return the minimum of the cubic through both ends, or the middle of the bracket.

    The middle is taken if the cubic has no minimum, or if the minimum is within a tenth of the
    bracket from an end. So every cut shortens the bracket.
    """
    width = high.a - low.a
    d_1 = low.slope + high.slope - 3 * (low.loss - high.loss) / (low.a - high.a)
    root = d_1 * d_1 - low.slope * high.slope
    if math.isfinite(root) and root >= 0:  # False if a loss is not finite
        d_2 = math.copysign(math.sqrt(root), width)
        if (bottom := high.slope - low.slope + 2 * d_2) != 0:
            share = 1 - (high.slope + d_2 - d_1) / bottom
            if 0.1 <= share <= 0.9:
                return low.a + share * width
    return low.a + width / 2
