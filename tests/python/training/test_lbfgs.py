"""L-BFGS: its steps, its line search, its state, how it ends, and SciPy's."""

import copy
import math
import pickle
import re
import threading
import weakref

import numpy as np
import pytest

import arrays
import fastmlp
from fastmlp import LBFGS, _core, reference
from fastmlp._trainable import Data
from fastmlp.lbfgs import C_1, C_2, Descent, Pair, Point, Trial, between, direction, line_search

BOTH = pytest.mark.parametrize("network_class", [fastmlp.Network, reference.Network])
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
ENDLESS = {"tolerance": 0.0}


def make(network_class=fastmlp.Network, layers=(3, 6, 1), **options):
    options = {"hidden": "tanh", "dtype": "float64", "seed": 2, **options}
    return network_class(list(layers), **options)


def data(rows=40):
    """Labels that no network of these learns by heart in a few steps."""
    rng = np.random.default_rng(4)
    X = rng.standard_normal((rows, 3))
    return X, (X[:, 0] * X[:, 1] + 0.5 * rng.standard_normal(rows) > 0).astype(np.float64)


def breast_cancer():
    X, y = fastmlp.datasets.load_breast_cancer()
    return (X - X.mean(axis=0)) / X.std(axis=0), y


# Scalar products


@DTYPES
@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 255, 256, 257, 1000, 10007])
def test_dot_is_the_sum_in_double(dtype, n):
    rng = np.random.default_rng(n)
    a, b = (arrays.numbers(rng, n, dtype) for _ in range(2))
    terms = [float(x) * float(y) for x, y in zip(a, b, strict=True)]
    bound = (n / 16 + 5) * np.finfo(np.float64).eps * math.fsum(map(abs, terms))
    assert abs(_core.dot(a, b) - math.fsum(terms)) <= bound


def test_dot_adds_sixteen_lanes_by_a_tree():
    a, ones = np.random.default_rng(0).standard_normal(1000), np.ones(1000)
    lanes = [0.0] * 16
    for k, x in enumerate(a.tolist()):
        lanes[k % 16] += x
    for half in (8, 4, 2, 1):
        lanes = [lanes[i] + lanes[i + half] for i in range(half)]
    assert _core.dot(a, ones) == lanes[0]


@pytest.mark.parametrize("layout", sorted(arrays.SAME_VALUES))
def test_dot_takes_any_layout(layout):
    a = np.random.default_rng(1).standard_normal(300)
    assert _core.dot(arrays.laid_out(a, layout), a) == _core.dot(a, a)
    assert _core.dot(a.reshape(3, 100).T, a.reshape(3, 100).T) != 0.0


def test_dot_refuses_other_shapes_and_dtypes():
    with pytest.raises(ValueError, match=r"dot: a has shape \(3,\) and b has shape \(4,\)"):
        _core.dot(np.ones(3), np.ones(4))
    with pytest.raises(TypeError, match="dot: b"):
        _core.dot(np.ones(3), ["a", "b", "c"])


# The direction


def dot(a, b):
    return float(a @ b)


def test_the_two_loops_are_the_product_with_the_inverse_hessian():
    """Against H_{k+1} = Vᵀ H_k V + ρ s sᵀ, V = I - ρ y sᵀ (equations 7.16 and 7.20)."""
    rng = np.random.default_rng(3)
    n, pairs = 7, []
    while len(pairs) < 4:
        s, y = rng.standard_normal((2, n))
        if s @ y > 0:
            pairs.append(Pair(s, y, dot(s, y), dot(y, y)))
    H = np.eye(n) * pairs[-1].sy / pairs[-1].yy
    for s, y, sy, _ in pairs:
        V = np.eye(n) - np.outer(y, s) / sy
        H = V.T @ H @ V + np.outer(s, s) / sy
    gradient = rng.standard_normal(n)
    kept = gradient.copy()
    np.testing.assert_allclose(direction(dot, tuple(pairs), gradient), -H @ gradient, rtol=1e-10)
    assert (gradient == kept).all()


def test_without_pairs_the_direction_is_down_the_gradient():
    gradient = np.array([1.0, -2.0])
    assert direction(dot, (), gradient).tolist() == [-1.0, 2.0]


# The line search

FUNCTIONS = {
    "parabola": (lambda a: (a - 3) ** 2, lambda a: 2 * (a - 3)),
    "far minimum": (lambda a: (a / 100 - 3) ** 2, lambda a: (a / 100 - 3) / 50),
    "near minimum": (lambda a: (100 * a - 3) ** 2, lambda a: 200 * (100 * a - 3)),
    "quartic": (lambda a: a**4 - 8 * a**2 - a, lambda a: 4 * a**3 - 16 * a - 1),
    "kink": (
        lambda a: math.sqrt((a - 1.6) ** 2 + 1e-6),
        lambda a: (a - 1.6) / math.sqrt((a - 1.6) ** 2 + 1e-6),
    ),
    "wall": (lambda a: -a if a < 0.3 else math.inf, lambda a: -1.0 if a < 0.3 else math.nan),
    "edge": (
        lambda a: (a - 0.2) ** 2 - math.log(1 - a) - a if a < 1 else math.nan,
        lambda a: 2 * (a - 0.2) + 1 / (1 - a) - 1 if a < 1 else math.nan,
    ),
}


def search(name, first, max_evaluations=20):
    function, slope = FUNCTIONS[name]
    tried = []

    def phi(a):
        tried.append(Trial(a, function(a), slope(a)))
        return tried[-1]

    start = Trial(0.0, function(0.0), slope(0.0))
    return start, tried, line_search(phi, start, first, max_evaluations)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "wall"])
@pytest.mark.parametrize("first", [1e-2, 1.0, 100.0])
def test_a_step_satisfies_the_strong_wolfe_conditions(name, first):
    start, tried, found = search(name, first)
    assert found is tried[-1]  # the network is left there
    assert found.loss <= start.loss + C_1 * found.a * start.slope
    assert abs(found.slope) <= C_2 * abs(start.slope)


def test_a_first_step_that_will_do_is_taken():
    _, tried, found = search("parabola", 2.5)
    assert [trial.a for trial in tried] == [2.5]
    assert found.a == 2.5


def test_steps_double_until_the_minimum_is_bracketed():
    _, tried, found = search("far minimum", 1.0)
    steps = [trial.a for trial in tried]
    assert steps == [2.0**i for i in range(len(steps))]
    assert found.a >= 30  # where at most 9 tenths of the slope are left


def scripted(*trials):
    """A search over given losses and slopes, from the loss 1 and the slope -1; and its steps."""
    steps, left = [], list(trials)

    def phi(a):
        steps.append(a)
        return Trial(a, *left.pop(0))

    return line_search(phi, Trial(0.0, 1.0, -1.0), 0.5, len(trials)), steps


def test_the_decrease_asked_for_is_in_proportion_to_the_step():
    found, steps = scripted((1 - 7e-5, 0.0))
    assert found is not None
    found, steps = scripted((1 - 3e-5, 0.0), (1.0, 0.0))
    assert found is None
    assert steps[1] < 0.5


def test_a_step_with_a_higher_loss_than_a_shorter_one_ends_the_bracket():
    found, steps = scripted((0.5, -1.0), (0.6, 0.0), (0.4, 0.0))
    assert found == Trial(steps[2], 0.4, 0.0)
    assert steps[:2] == [0.5, 1.0]
    assert 0.5 < steps[2] < 1.0


def test_a_search_without_a_step_ends():
    _, tried, found = search("wall", 1.0)  # all the way down to the wall the slope is the same
    assert found is None
    assert len(tried) == 20
    assert len(search("wall", 1.0, max_evaluations=3)[1]) == 3


@pytest.mark.parametrize("slope", [0.0, 1.0, math.nan])
def test_a_direction_that_does_not_lead_down_is_not_tried(slope):
    def phi(a):
        raise AssertionError("tried")

    assert line_search(phi, Trial(0.0, 1.0, slope), 1.0, 20) is None


def test_a_bracket_of_no_length_ends_the_search():
    tried = []

    def phi(a):
        tried.append(a)
        return Trial(a, 1.0, 1.0)  # never lower

    assert line_search(phi, Trial(0.0, 1.0, -1.0), 5e-324, 100) is None
    assert tried == [5e-324]


def test_the_cubic_of_a_cubic_has_its_minimum():
    function, slope = lambda a: a**3 - 3 * a, lambda a: 3 * a * a - 3
    ends = Trial(0.25, function(0.25), slope(0.25)), Trial(2.5, function(2.5), slope(2.5))
    assert between(*ends) == pytest.approx(1.0, rel=1e-14)
    assert between(*reversed(ends)) == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (Trial(0.0, 0.0, -1.0), Trial(1.0, math.inf, math.nan)),
        (Trial(0.0, 0.0, -1.0), Trial(1.0, math.nan, 1.0)),
        (Trial(0.0, 0.0, -1e-9), Trial(1.0, 1.0, 2.0)),  # nearer than a tenth
        (Trial(0.0, 0.0, 0.0), Trial(1.0, 0.0, 0.0)),
    ],
)
def test_without_a_good_minimum_the_bracket_is_halved(low, high):
    assert between(low, high) == 0.5


# Training


@BOTH
@DTYPES
def test_it_learns(network_class, dtype):
    X, y = breast_cancer()
    network = make(network_class, (30, 16, 1), dtype=dtype)
    history = network.fit(X, y, epochs=15, optimizer="lbfgs")
    assert history.epochs == network.epochs_trained == 15
    assert history.loss == sorted(history.loss, reverse=True)
    assert history.loss[-1] < 0.02
    assert (network.predict(X) == y).mean() > 0.99
    assert all(step > 0 for step in history.learning_rate)
    assert history.loss[-1] == pytest.approx(network.loss(X, y), rel=1e-6)  # after the last step


@pytest.mark.parametrize("layers", [(30, 16, 1), (30, 16, 8, 1), (30, 1)])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_loss_falls_as_with_scipy(layers, seed):
    optimize = pytest.importorskip("scipy.optimize")
    X, y = breast_cancer()
    network = make(layers=layers, seed=seed)
    other, losses = network.copy(), []

    def loss_and_gradient(theta):
        other.parameters[:] = theta
        return other.loss_and_gradients(X, y), other.gradients.copy()

    optimize.minimize(
        loss_and_gradient,
        network.parameters.copy(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 20, "maxcor": 10, "ftol": 0, "gtol": 0},
        callback=lambda theta: losses.append(loss_and_gradient(theta)[0]),
    )
    history = network.fit(X, y, epochs=20, optimizer=LBFGS(memory=10, **ENDLESS))
    for epoch in (4, 9, 19):
        assert history.loss[epoch] <= 1.1 * losses[epoch] + 1e-3
    assert history.loss[4] == pytest.approx(losses[4], rel=0.05)


def test_the_loss_is_that_of_scikit_learns():
    neural_network = pytest.importorskip("sklearn.neural_network")
    X, y = breast_cancer()
    peer = neural_network.MLPClassifier(
        (16,), activation="tanh", solver="lbfgs", alpha=0.0, max_iter=20, tol=0.0, random_state=0
    )
    with pytest.warns(match="lbfgs failed to converge"):
        peer.fit(X, y)
    history = make(layers=(30, 16, 1)).fit(X, y, epochs=20, optimizer="lbfgs")
    assert abs(history.loss[-1] - peer.loss_) < 5e-3


@DTYPES
def test_it_is_the_twins(dtype):
    """To the rounding of one element, times what ten steps make of it."""
    X, y = data()
    network, twin = make(dtype=dtype), make(reference.Network, dtype=dtype)
    for trained in (network, twin):
        trained.fit(X, y, epochs=10, optimizer=LBFGS(**ENDLESS))
    moved = np.abs(make(reference.Network, dtype=dtype).parameters - twin.parameters)
    bound = 1e4 * np.finfo(dtype).eps * (1 + np.abs(twin.parameters))
    assert (np.abs(network.parameters - twin.parameters) <= bound).all()
    assert (moved > 10 * bound).mean() > 0.9


def test_the_bits_are_the_same_in_every_setting():
    X, y = data(100)

    def trained():
        network = make(dtype="float32")
        network.fit(X, y, epochs=8, optimizer="lbfgs")
        return network.parameters.copy()

    arrays.in_every_setting(trained)


@BOTH
def test_batches_and_shuffling_make_no_difference(network_class):
    X, y = data()
    found = []
    for options in ({}, {"batch_size": 3}, {"shuffle": False}, {"seed": 9}):
        network = make(network_class)
        network.fit(X, y, epochs=4, optimizer="lbfgs", **options)
        found.append(network.parameters.tobytes())
    assert len(set(found)) == 1


@BOTH
def test_row_weights_count(network_class):
    X, y = data()
    weight = np.arange(len(X)) % 2
    weighted, fewer = make(network_class), make(network_class)
    options = {"epochs": 5, "optimizer": "lbfgs"}
    history = weighted.fit(X, y, sample_weight=weight, **options)
    expected = fewer.fit(X[weight == 1], y[weight == 1], **options)
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-9)


@BOTH
def test_two_fits_of_five_epochs_equal_one_of_ten(network_class):
    X, y = data()
    once, twice = make(network_class), make(network_class)
    whole = once.fit(X, y, epochs=10, optimizer=LBFGS(**ENDLESS))
    optimizer = LBFGS(**ENDLESS)
    halves = [twice.fit(X, y, epochs=5, optimizer=optimizer) for _ in range(2)]
    assert whole.loss == halves[0].loss + halves[1].loss
    assert whole.learning_rate == halves[0].learning_rate + halves[1].learning_rate
    assert once.parameters.tobytes() == twice.parameters.tobytes()


def counting(network_class, fail_at=0, error=KeyboardInterrupt):
    """A network that counts its gradients, and fails at one of them."""

    class Counting(network_class):
        calls = 0

        def loss_and_gradients(self, *arguments):
            Counting.calls += 1
            if Counting.calls == fail_at:
                raise error
            return super().loss_and_gradients(*arguments)

    return make(Counting)


@BOTH
def test_an_epoch_computes_no_gradient_twice(network_class):
    network = counting(network_class)
    history = network.fit(*data(), epochs=6, optimizer="lbfgs")
    assert history.learning_rate[1:] == [1.0] * 5
    assert network.calls <= 1 + 6 + 2  # the first search, of unknown scale, may take some more


@BOTH
def test_what_a_callback_changes_is_seen(network_class):
    X, y = data()

    def callback(network, epoch, logs):
        network.parameters[:] = changed

    network, changed = make(network_class), make(network_class, seed=8).parameters.copy()
    states = []
    history = network.fit(
        X,
        y,
        epochs=2,
        optimizer=(optimizer := LBFGS()),
        callbacks=[callback, lambda *_: states.append(optimizer._state())],
    )
    other, copied = make(network_class, seed=8), LBFGS()
    copied._set_state(states[0])
    assert other.fit(X, y, epochs=1, optimizer=copied).loss == history.loss[1:]
    assert bits(copied) == bits(optimizer)


# Ends


@BOTH
@DTYPES
def test_it_ends_where_the_gradient_is_small(network_class, dtype):
    X, y = data()
    network = make(network_class, (3, 1), output="identity", dtype=dtype)
    history = network.fit(X, y, epochs=100, optimizer=LBFGS(tolerance=1e-3))
    assert history.stopped_by == "converged"
    assert history.epochs == len(history.loss) == network.epochs_trained < 20
    network.loss_and_gradients(X, y)
    assert np.abs(network.gradients).max() <= 1e-3
    # Of least squares the minimum is known.
    best = np.linalg.lstsq(np.column_stack([X, np.ones(len(X))]), y, rcond=None)[0]
    np.testing.assert_allclose(network.parameters, best, atol=1e-2)


@BOTH
def test_where_the_gradient_is_small_already_there_is_one_epoch_without_a_step(network_class):
    X, y = data()
    network, optimizer = make(network_class), LBFGS(tolerance=10.0)
    before = network.parameters.copy()
    history = network.fit(X, y, epochs=5, optimizer=optimizer)
    assert (history.stopped_by, history.epochs, history.learning_rate) == ("converged", 1, [0.0])
    assert history.loss == [network.loss(X, y)]
    assert (network.parameters == before).all()


def lying(network_class, honest_calls=0):
    """A network whose loss rises in every direction after some calls."""

    class Lying(network_class):
        calls = 0

        def loss_and_gradients(self, *arguments):
            Lying.calls += 1
            loss = super().loss_and_gradients(*arguments)
            return loss + max(0, Lying.calls - honest_calls)

    return make(Lying)


@BOTH
def test_a_search_that_fails_down_the_gradient_too_ends_training(network_class):
    X, y = data()
    network, optimizer = lying(network_class, honest_calls=5), LBFGS(max_evaluations=4)
    after = []
    history = network.fit(
        X,
        y,
        epochs=50,
        optimizer=optimizer,
        callbacks=[lambda network, *_: after.append(network.parameters.copy())],
    )
    assert history.stopped_by == "line_search"
    assert 2 < history.epochs == network.epochs_trained < 6
    assert history.learning_rate[-1] == 0.0
    assert history.loss[-1] == history.loss[-2]
    assert (after[-1] == after[-2]).all()
    assert (network.parameters == after[-1]).all()
    assert optimizer._state() == ()
    assert network.calls == 5 + 2 * 4  # along the pairs' direction, then down the gradient


@BOTH
def test_down_the_gradient_is_searched_once(network_class):
    network = lying(network_class, honest_calls=1)
    history = network.fit(*data(), epochs=5, optimizer=LBFGS(max_evaluations=4))
    assert (history.stopped_by, history.epochs) == ("line_search", 1)
    assert network.calls == 1 + 4


@BOTH
def test_after_a_search_that_fails_it_goes_on_down_the_gradient(network_class):
    X, y = data()
    network, optimizer = make(network_class), LBFGS(**ENDLESS)
    network.fit(X, y, epochs=4, optimizer=optimizer)
    # Pairs of one that goes up: what they say is of no use.
    flipped = tuple(pair._replace(y=-pair.y, sy=-pair.sy) for pair in optimizer._state())
    optimizer._set_state(flipped)
    history = network.fit(X, y, epochs=1, optimizer=optimizer)
    assert history.stopped_by == "epochs"
    assert history.learning_rate[0] > 0
    assert len(optimizer._state()) == 1


@BOTH
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_loss_that_is_not_finite_is_reported(network_class):
    network = make(network_class, output="identity")
    network.parameters[:] = 1e200
    before = network.parameters.copy()
    with pytest.raises(FloatingPointError, match=r"fit: the loss is inf in epoch 0; .* too large"):
        network.fit(*data(), epochs=3, optimizer="lbfgs")
    assert (network.parameters == before).all()
    assert network.epochs_trained == 0


@BOTH
def test_a_loss_that_is_not_finite_is_no_loss_to_start_from(network_class):
    class Unsteady(network_class):
        calls = 0

        def loss_and_gradients(self, *arguments):
            Unsteady.calls += 1
            loss = super().loss_and_gradients(*arguments)
            return math.inf if Unsteady.calls == 1 else loss

    network = make(Unsteady)
    with pytest.raises(FloatingPointError, match="fit: the loss is inf in epoch 0"):
        network.fit(*data(), epochs=1, optimizer="lbfgs")
    assert network.epochs_trained == 0


@BOTH
def test_gradients_below_zero_are_not_small(network_class):
    network = make(network_class, (1, 1), output="identity")
    network.parameters[:] = 0
    history = network.fit([[1.0]], [5.0], epochs=9, optimizer="lbfgs")
    assert history.loss[-1] < 1e-9


@BOTH
def test_early_stopping_and_callbacks_end_it_too(network_class):
    X, y = data()
    network = make(network_class)
    history = network.fit(
        X, y, epochs=9, optimizer="lbfgs", callbacks=[lambda network, epoch, logs: epoch == 1]
    )
    assert (history.stopped_by, history.epochs) == ("callback", 2)
    history = network.fit(
        X, y, epochs=99, optimizer="lbfgs", validation_data=(X, 1 - y), early_stopping=2
    )
    assert (history.stopped_by, history.epochs) == ("early_stopping", 3)


@BOTH
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("call", [1, 2, 5, 8])
def test_an_exception_leaves_the_last_complete_iteration(network_class, error, call):
    X, y = data()
    network, optimizer = counting(network_class, call, error), LBFGS(**ENDLESS)
    with pytest.raises(error):
        network.fit(X, y, epochs=99, optimizer=optimizer)
    other, undisturbed = make(network_class), LBFGS(**ENDLESS)
    if network.epochs_trained > 0:
        other.fit(X, y, epochs=network.epochs_trained, optimizer=undisturbed)
    assert network.epochs_trained == {1: 0, 2: 0}.get(call, network.epochs_trained)
    assert network.parameters.tobytes() == other.parameters.tobytes()
    assert bits(optimizer) == bits(undisturbed)


def bits(optimizer):
    return [(s.tobytes(), y.tobytes(), sy, yy) for s, y, sy, yy in optimizer._state()]


# The state


def test_it_remembers_so_many_pairs_of_positive_curvature():
    X, y = data()
    network, optimizer = make(), LBFGS(memory=3, **ENDLESS)
    network.fit(X, y, epochs=2, optimizer=optimizer)
    first = optimizer._state()
    assert len(first) == 2
    network.fit(X, y, epochs=2, optimizer=optimizer)
    assert len(optimizer._state()) == 3
    assert optimizer._state()[0] is first[1]
    for s, y, sy, yy in optimizer._state():
        assert (_core.dot(s, y), _core.dot(y, y)) == (sy, yy)
        assert sy > 0


@BOTH
@pytest.mark.parametrize(("curvature", "pairs"), [(1.0, 1), (0.0, 0), (-1.0, 0), (1e17, 0)])
def test_a_pair_whose_curvature_is_lost_in_rounding_is_left_out(network_class, curvature, pairs):
    network = make(network_class)
    descent = Descent(LBFGS(), network, Data(*data(), None))
    start = descent._here()
    network.parameters[:] += 0.25
    step = network.parameters - start.theta
    descent._last = Point(network.parameters.copy(), 0.0, start.gradient + curvature * step)
    assert len(descent._new_pair(start)) == pairs


@BOTH
def test_a_pair_has_zeros_for_changes_that_are_denormal(network_class):
    network = make(network_class)
    network.parameters[0] = 0
    start = Point(network.parameters.copy(), 0.0, np.zeros_like(network.parameters))
    network.parameters[0] = -np.finfo(np.float64).tiny / 2
    network.parameters[1:] += 0.25
    descent = Descent(LBFGS(), network, Data(*data(), None))
    descent._last = Point(network.parameters.copy(), 0.0, network.parameters - start.theta)
    (pair,) = descent._new_pair(start)
    for vector in (pair.s, pair.y):
        assert vector[0] == 0
        assert not np.signbit(vector[0])
        assert (vector[1:] != 0).all()


@BOTH
def test_a_state_belongs_to_one_network(network_class):
    X, y = data()
    network, other, optimizer = make(network_class), make(network_class), LBFGS()
    network.fit(X, y, epochs=2, optimizer=optimizer)
    before, state = other.parameters.tobytes(), bits(optimizer)
    with pytest.raises(ValueError, match="fit: the optimizer's state belongs to another network; "):
        other.fit(X, y, epochs=1, optimizer=optimizer)
    assert other.parameters.tobytes() == before
    assert bits(optimizer) == state
    network.fit(X, y, epochs=1, optimizer=optimizer)


def test_a_state_that_is_set_is_free():
    X, y = data()
    network, other, optimizer = make(), make(), LBFGS()
    network.fit(X, y, epochs=2, optimizer=optimizer)
    optimizer._set_state(optimizer._state())
    other.fit(X, y, epochs=1, optimizer=optimizer)


def test_a_state_outlives_its_network_but_does_not_keep_it():
    X, y = data()
    network, optimizer = make(), LBFGS()
    network.fit(X, y, epochs=2, optimizer=optimizer)
    gone = weakref.ref(network)
    del network
    assert gone() is None
    with pytest.raises(ValueError, match="belongs to another network"):
        make().fit(X, y, epochs=1, optimizer=optimizer)


@BOTH
@DTYPES
@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda optimizer: pickle.loads(pickle.dumps(optimizer))]
)
def test_a_copy_goes_on_with_another_network(network_class, dtype, again):
    X, y = data()
    network, optimizer = make(network_class, dtype=dtype), LBFGS(memory=4, **ENDLESS)
    network.fit(X, y, epochs=5, optimizer=optimizer)
    twin = again(optimizer)
    assert repr(twin) == repr(optimizer) == "LBFGS(memory=4, tolerance=0.0, max_evaluations=20)"
    assert bits(twin) == bits(optimizer)
    other = make(network_class, dtype=dtype)
    other.parameters[:] = network.parameters
    network.fit(X, y, epochs=3, optimizer=optimizer)
    other.fit(X, y, epochs=3, optimizer=twin)
    assert network.parameters.tobytes() == other.parameters.tobytes()


def test_a_copied_state_still_has_its_size_and_dtype():
    X, y = data()
    network, optimizer = make(), LBFGS()
    network.fit(X, y, epochs=2, optimizer=optimizer)
    for other in (make(layers=(3, 1)), make(dtype="float32")):
        loaded = pickle.loads(pickle.dumps(optimizer))
        with pytest.raises(ValueError, match=r"state is of 31 parameters of float64; this network"):
            other.fit(X, y, epochs=1, optimizer=loaded)
        network.fit(X, y, epochs=1, optimizer=loaded)  # refused, it is still free


def test_fits_in_several_threads_do_not_meet():
    X, y = data()
    expected = make()
    expected.fit(X, y, epochs=10, optimizer="lbfgs")
    networks = [make() for _ in range(4)]
    threads = [
        threading.Thread(target=n.fit, args=(X, y), kwargs={"epochs": 10, "optimizer": "lbfgs"})
        for n in networks
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for network in networks:
        assert network.parameters.tobytes() == expected.parameters.tobytes()


# What is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"memory": 0}, "LBFGS: memory is 0; it must be a positive integer"),
        ({"memory": 1.5}, "LBFGS: memory is 1.5"),
        ({"max_evaluations": 0}, "LBFGS: max_evaluations is 0"),
        ({"tolerance": -1.0}, "LBFGS: tolerance is -1.0; it must be finite and at least 0"),
        ({"tolerance": math.inf}, "LBFGS: tolerance is inf"),
        ({"tolerance": math.nan}, "LBFGS: tolerance is nan"),
    ],
)
def test_settings_that_are_none_are_refused(arguments, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        LBFGS(**arguments)


@pytest.mark.parametrize("optimizer", ["lbfgs", LBFGS()])
@pytest.mark.parametrize(
    "given", [{"learning_rate": 0.1}, {"schedule": fastmlp.schedules.Cosine(5)}]
)
def test_learning_rates_are_refused(optimizer, given):
    network = make()
    before = network.parameters.copy()
    ((name, value),) = given.items()
    message = rf"fit: {name} is {re.escape(repr(value))} and optimizer is .*leave {name} out"
    with pytest.raises(ValueError, match=message):
        network.fit(*data(), epochs=1, optimizer=optimizer, **given)
    assert (network.parameters == before).all()


def test_settings_cannot_be_changed():
    with pytest.raises(AttributeError):
        LBFGS().memory = 3
