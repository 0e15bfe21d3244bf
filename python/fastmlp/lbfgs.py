"""L-BFGS over all rows at once, for the native network and the twin.

Sums over parameters are the network's own `_dot`; all else is element by element, so the bits are
the same everywhere. The equations are in docs/mathematics.md, "Update". Start at `Descent.epoch`;
the loop over epochs is in `_training_loop.py`.
"""

from __future__ import annotations  # Trainable is what only type checkers import

import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from fastmlp._arguments import Array, Data, positive_integer

if TYPE_CHECKING:
    from fastmlp._training_loop import Trainable

# Nocedal and Wright's values: a step must lower the loss by at least C_1 of what the slope promises
# and leave at most C_2 of the slope.
C_1, C_2 = 1e-4, 0.9

Dot = Callable[[Array, Array], float]


class Pair(NamedTuple):
    """The change of θ and of dθ in one iteration, with sᵀy and yᵀy."""

    s: Array
    y: Array
    sy: float
    yy: float


@dataclass
class Memory:
    """The newest pairs, none of them ever changed, and whose they are."""

    pairs: tuple[Pair, ...] = ()
    owner: weakref.ref[Any] | None = None


@dataclass(frozen=True, eq=False)
class LBFGS:
    """Limited-memory BFGS (Nocedal and Wright, Numerical Optimization, 2006, algorithms 7.4, 7.5).

    For `Network.fit` only, where an epoch is one iteration over all rows at once: batch_size and
    shuffle make no difference, and `History.loss` has the loss after each iteration. With B_k the
    approximation of the Hessian that the last pairs of ``s = θ_{k+1} - θ_k`` and
    ``y = dθ_{k+1} - dθ_k`` give, ``θ_{k+1} = θ_k - a B_k⁻¹ dθ_k``. The step length a satisfies the
    strong Wolfe conditions (algorithms 3.5 and 3.6; c_1 = 1e-4, c_2 = 0.9) and stands in
    `History.learning_rate`. Pairs of no positive curvature are left out.

    `fit` ends by "converged" where no element of dθ is above the tolerance, and by "line_search"
    where no step is found even down the gradient itself: in float32 often as near to the minimum as
    its rounding allows.

    Parameters
    ----------
    memory : int, default 10
        How many pairs it remembers; positive. It takes 2 memory n_parameters elements.
    tolerance : float, default 1e-5
        The largest absolute value of an element of the gradient at which to stop; finite and at
        least 0.
    max_evaluations : int, default 20
        How often one search may compute the loss and its gradient; positive.

    Raises
    ------
    ValueError
        If a value is not as above.

    Notes
    -----
    The pairs stay from one `fit` to the next and belong to the first network it trains: another one
    is refused. Copies and pickles have them too, and go on with whichever network comes first.

    Examples
    --------
    >>> import fastmlp
    >>> network = fastmlp.Network([2, 8, 1], hidden="tanh", seed=0)
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> history = network.fit(X, y, epochs=30, optimizer=fastmlp.LBFGS(memory=5))
    >>> network.predict(X).tolist()
    [0, 1, 1, 0]
    """

    memory: int = 10
    tolerance: float = 1e-5
    max_evaluations: int = 20
    _memory: Memory = field(default_factory=Memory, init=False, repr=False)

    def __post_init__(self) -> None:
        positive_integer("LBFGS", "memory", self.memory)
        positive_integer("LBFGS", "max_evaluations", self.max_evaluations)
        if not 0.0 <= self.tolerance < math.inf:
            raise ValueError(
                f"LBFGS: tolerance is {self.tolerance!r}; it must be finite and at least 0"
            )

    def _state(self) -> tuple[Pair, ...]:
        return self._memory.pairs

    def _set_state(self, pairs: tuple[Pair, ...]) -> None:
        """Take what `_state` gave; it then belongs to the next network."""
        self._memory.pairs, self._memory.owner = pairs, None

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = self.memory, self.tolerance, self.max_evaluations
        return _rebuild, (type(self), arguments, [tuple(pair) for pair in self._state()])

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

    def __init__(self, optimizer: LBFGS, network: Trainable, data: Data) -> None:
        optimizer._bind(network)
        self.optimizer = optimizer
        self.network = network
        self.data = data
        self.learning_rate = 0.0  # the length of the last step
        self.ended: Literal["converged", "line_search"] | None = None
        self._last: Point | None = None

    def epoch(self) -> float:
        """Take one step and return the loss after it; none where dθ is small or not finite."""
        start, self.learning_rate = self._here(), 0.0
        if not math.isfinite(start.loss):
            return start.loss
        try:
            if not self._is_flat(start):
                self._iterate(start)
        except BaseException:
            self.network.parameters[:] = start.theta
            raise
        self._last = here = self._here()
        if self._is_flat(here):
            self.ended = "converged"
        self.network.epochs_trained += 1
        return here.loss

    def _here(self) -> Point:
        """Return the network as it is: known from the step before, if no callback changed it."""
        last = self._last
        if last is None or not np.array_equal(last.theta, self.network.parameters):
            loss = self.network.loss_and_gradients(*self.data)
            last = Point(self.network.parameters.copy(), loss, self.network.gradients.copy())
        return last

    def _is_flat(self, point: Point) -> bool:
        return bool(np.abs(point.gradient).max() <= self.optimizer.tolerance)

    def _iterate(self, start: Point) -> None:
        """One step along the two loops' direction or, if that fails, down the gradient."""
        dot, kept = self.network._dot, self.optimizer._memory
        for pairs in (kept.pairs, ()) if kept.pairs else ((),):
            p = direction(dot, pairs, start.gradient)
            slope = dot(start.gradient, p)
            # Without pairs nothing is known of the scale: no longer than 1 then.
            first = 1.0 if pairs else 1 / max(1.0, math.sqrt(-slope))  # that slope is -|dθ|²
            step = self._search(start, p, slope, first)
            if step is not None:
                self.learning_rate = step.a
                kept.pairs = (*pairs, *self._new_pair(start))[-self.optimizer.memory :]
                return
        kept.pairs = ()
        self.network.parameters[:] = start.theta
        self._last, self.ended = start, "line_search"

    def _search(self, start: Point, p: Array, slope: float, first: float) -> Trial | None:
        """Find a step along p; the network is then as after it, and so is `_last`."""
        network = self.network

        def phi(a: float) -> Trial:
            with np.errstate(over="ignore", invalid="ignore"):  # the loss then says so
                network.parameters[:] = start.theta + a * p
            loss = network.loss_and_gradients(*self.data)
            self._last = Point(network.parameters.copy(), loss, network.gradients.copy())
            return Trial(a, loss, network._dot(network.gradients, p))

        return line_search(
            phi, Trial(0.0, start.loss, slope), first, self.optimizer.max_evaluations
        )

    def _new_pair(self, start: Point) -> tuple[Pair, ...]:
        """Make a pair of the step from `start`; none where its curvature is lost in rounding."""
        here, dot = self._here(), self.network._dot
        s, y = here.theta - start.theta, here.gradient - start.gradient
        sy, yy = dot(s, y), dot(y, y)
        return (Pair(s, y, sy, yy),) if sy > np.finfo(s.dtype).eps * yy else ()


def direction(dot: Dot, pairs: tuple[Pair, ...], gradient: Array) -> Array:
    """-B⁻¹ dθ by the two loops of algorithm 7.4, where B⁻¹ starts from sᵀy / yᵀy of the newest."""
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
    """A step length, and there the loss and its slope along the direction."""

    a: float
    loss: float
    slope: float


def line_search(
    phi: Callable[[float], Trial], start: Trial, first: float, max_evaluations: int
) -> Trial | None:
    """Algorithms 3.5 and 3.6: a step of the strong Wolfe conditions, the last one tried, or None.

    Until the minimum is bracketed steps double; then the bracket is cut where a cubic has its
    minimum. A loss that is not finite is taken for one that is too high.
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
            # `high` is where the loss falls to from here; while there is none, that is ahead.
            if trial.slope * ((high.a if high else math.inf) - low.a) >= 0:
                high = low
            low = trial
        a = 2 * a if high is None else between(low, high)
        if a in (low.a, high.a if high else math.inf):
            return None
    return None


def between(low: Trial, high: Trial) -> float:
    """Where the cubic through both has its minimum; the middle where that is near an end or none.

    Near is within a tenth of the bracket, so that every cut shortens it.
    """
    width = high.a - low.a
    d_1 = low.slope + high.slope - 3 * (low.loss - high.loss) / (low.a - high.a)
    root = d_1 * d_1 - low.slope * high.slope
    if math.isfinite(root) and root >= 0:  # not for a loss that is not finite, either
        d_2 = math.copysign(math.sqrt(root), width)
        if (bottom := high.slope - low.slope + 2 * d_2) != 0:
            share = 1 - (high.slope + d_2 - d_1) / bottom
            if 0.1 <= share <= 0.9:
                return low.a + share * width
    return low.a + width / 2
