"""SGD, Adam and AdamW: their rules, their state, and what is refused.

L-BFGS has a file of its own, test_lbfgs.py.
"""

import copy
import math
import pickle
import traceback

import numpy as np
import pytest

import fastmlp
from fastmlp import SGD, Adam, AdamW, reference
from fastmlp.optimizers import State

OPTIMIZERS = {
    "plain": lambda rate=0.1: SGD(rate),
    "decay": lambda rate=0.1: SGD(rate, weight_decay=0.02),
    "momentum": lambda rate=0.1: SGD(rate, momentum=0.9),
    "nesterov": lambda rate=0.1: SGD(rate, momentum=0.9, nesterov=True),
    "nesterov and decay": lambda rate=0.1: SGD(rate, 0.75, nesterov=True, weight_decay=0.02),
    "momentum and decoupled decay": lambda rate=0.1: SGD(
        rate, 0.75, weight_decay=0.02, decoupled=True
    ),
    "adam": lambda rate=0.1: Adam(rate),
    "adam and decay": lambda rate=0.1: Adam(rate, weight_decay=0.02),
    "adam with epsilon hat": lambda rate=0.1: Adam(rate, 0.5, 0.75, epsilon_hat=1e-4),
    "adamw": lambda rate=0.1: AdamW(rate, weight_decay=0.02),
    "adamw with epsilon hat": lambda rate=0.1: AdamW(rate, epsilon_hat=1e-4, weight_decay=0.02),
    "rmsprop": lambda rate=0.1: fastmlp.RMSprop(rate),
    "rmsprop and decay": lambda rate=0.1: fastmlp.RMSprop(rate, 0.75, 1e-4, weight_decay=0.02),
    "lion": lambda rate=0.1: fastmlp.Lion(rate),
    "lion and decay": lambda rate=0.1: fastmlp.Lion(rate, 0.5, 0.75, weight_decay=0.02),
}
WITH_STATE = [name for name in OPTIMIZERS if name not in ("plain", "decay")]
EACH = pytest.mark.parametrize("name", OPTIMIZERS)
EACH_WITH_STATE = pytest.mark.parametrize("name", WITH_STATE)
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
BOTH = pytest.mark.parametrize("network_class", [fastmlp.Network, reference.Network])


def make(network_class=fastmlp.Network, layers=(3, 5, 2), **options):
    options = {"hidden": "tanh", "output": "identity", "dtype": "float64", "seed": 3, **options}
    return network_class(list(layers), **options)


def data(rows=21):
    rng = np.random.default_rng(5)
    return rng.standard_normal((rows, 3)), rng.standard_normal((rows, 2))


def gradients_of(network, steps):
    """Numbers of several magnitudes, the same ones for every dtype."""
    shape = (steps, network.n_parameters)
    rng = np.random.default_rng(7)
    values = rng.standard_normal(shape) * 2.0 ** rng.integers(-6, 3, shape)
    return values.astype(np.float32)


def apply(network, optimizer, gradient):
    network.gradients[:] = gradient
    network.apply_gradients(optimizer)


def state_bytes(optimizer):
    steps, power_1, power_2, vectors = optimizer._state()
    return steps, power_1, power_2, [vector.tobytes() for vector in vectors]


# The rules


def rule_by_the_twin(optimizer, theta, decays, gradients, sign=1.0):
    """θ after an update for each gradient. With sign -1 all that is added up has the same sign, so
    that the result is |θ| + Σ |change|, which the roundings are in proportion to."""
    theta = np.array(theta, np.float64)
    state = State(0, np.zeros_like(theta), np.zeros_like(theta))
    for gradient in gradients.astype(np.float64):
        if sign < 0:
            coupled = 0.0 if isinstance(optimizer, AdamW) else optimizer.weight_decay
            gradient = -(np.abs(gradient) + 2 * coupled * decays * theta)
        optimizer._update_in_numpy(state, theta, gradient, decays)
    return theta


@EACH
@DTYPES
def test_updates_are_the_twins(name, dtype):
    network, twin = make(dtype=dtype), make(reference.Network)
    start = network.parameters.astype(np.float64)
    gradients = gradients_of(network, steps := 20)
    optimizer = OPTIMIZERS[name]()
    for gradient in gradients:
        apply(network, optimizer, gradient)
    expected = rule_by_the_twin(optimizer, start, twin._decays, gradients)
    size = rule_by_the_twin(optimizer, np.abs(start), twin._decays, gradients, sign=-1.0)
    # Each step rounds about ten times, and what a vector remembers is rounded with it.
    bound = 10 * steps * np.finfo(dtype).eps * size
    assert (np.abs(network.parameters - expected) <= bound).all()
    assert (np.abs(expected - start) > 1e3 * bound).mean() > 0.9 or dtype == "float32"


@EACH
@DTYPES
def test_training_is_the_twins(name, dtype):
    X, y = data()
    network, twin = make(dtype=dtype), make(reference.Network)
    twin.parameters[:] = network.parameters
    epochs, batch_size = 4, 6
    for trained in (network, twin):
        optimizer = OPTIMIZERS[name](0.01)
        trained.fit(X, y, epochs=epochs, batch_size=batch_size, optimizer=optimizer)
    # Gradients err by K eps Σ|a||b|, and no rule here makes more than a few times that of it.
    updates, longest_sum = epochs * math.ceil(len(X) / batch_size), batch_size + max(network.layers)
    bound = updates * longest_sum * np.finfo(dtype).eps * (1 + np.abs(twin.parameters))
    assert (np.abs(network.parameters - twin.parameters) <= bound).all()
    assert (np.abs(make().parameters - twin.parameters) > bound).mean() > 0.9


def first_two_steps(optimizer, gradients):
    """Of a network with one weight, by the native code and by the twin; both start at 1."""
    network = make(layers=(1, 1))
    network.parameters[:] = 1
    for gradient in gradients:
        apply(network, optimizer, gradient)
    theta = np.ones(1)
    state = State(0, np.zeros(1), np.zeros(1))
    for gradient in gradients:
        optimizer._update_in_numpy(state, theta, np.array([gradient]), np.ones(1))
    return network.weights[0].item(), theta.item()


def test_nesterov_by_hand():
    optimizer = SGD(0.1, momentum=0.5, nesterov=True)
    # v = -0.2, θ = 1 - 0.1 - 0.2 = 0.7;  v = -0.1 - 0.3 = -0.4, θ = 0.7 - 0.2 - 0.3
    assert first_two_steps(optimizer, [2.0, 3.0]) == pytest.approx((0.2, 0.2), rel=1e-14)


def test_momentum_by_hand():
    # v = -0.2, θ = 0.8;  v = -0.1 - 0.3 = -0.4, θ = 0.4
    optimizer = SGD(0.1, momentum=0.5)
    assert first_two_steps(optimizer, [2.0, 3.0]) == pytest.approx((0.4, 0.4), rel=1e-14)


def test_adam_by_hand():
    # m = 1, v = 1, m' = 2, v' = 4;  m = 2, v = 3, m' = 8/3, v' = 48/7
    expected = 1 - 0.1 * 2 / (2 + 0.25) - 0.1 * (8 / 3) / (math.sqrt(48 / 7) + 0.25)
    optimizer = Adam(0.1, beta_1=0.5, beta_2=0.75, epsilon=0.25)
    assert first_two_steps(optimizer, [2.0, 3.0]) == pytest.approx((expected,) * 2, rel=1e-14)


def test_adam_with_epsilon_hat_by_hand():
    # the same, where the rate is α √(1 - β₂ᵗ) / (1 - β₁ᵗ) and ε̂ is added to √v
    first = 0.1 * math.sqrt(0.25) / 0.5 * 1 / (1 + 0.25)
    second = 0.1 * math.sqrt(0.4375) / 0.75 * 2 / (math.sqrt(3) + 0.25)
    optimizer = Adam(0.1, beta_1=0.5, beta_2=0.75, epsilon_hat=0.25)
    expected = 1 - first - second
    assert first_two_steps(optimizer, [2.0, 3.0]) == pytest.approx((expected,) * 2, rel=1e-14)


def test_adamw_by_hand():
    # θ = 0.95 - 0.1 · 2 / (2 + ε), then times 0.95 once more
    expected = 0.95 * (0.95 - 0.1 * 2 / 2.25) - 0.1 * (8 / 3) / (math.sqrt(48 / 7) + 0.25)
    optimizer = AdamW(0.1, beta_1=0.5, beta_2=0.75, epsilon=0.25, weight_decay=0.5)
    assert first_two_steps(optimizer, [2.0, 3.0]) == pytest.approx((expected,) * 2, rel=1e-14)


@BOTH
@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if "adamw" in name or "dec" in name])
def test_decay_shrinks_weights_and_leaves_biases_alone(network_class, name):
    network = make(network_class)
    network.parameters[:] = 1
    X, y = np.zeros((1, 3)), np.array(network.forward(np.zeros((1, 3))))  # all gradients are 0
    order = np.arange(1, dtype=np.int64)
    network.train_epoch(X, y, order, batch_size=1, optimizer=OPTIMIZERS[name]())
    for W, b in zip(network.weights, network.biases, strict=True):
        assert (W < 1).all()
        assert (b == 1).all()


def test_sgd_decay_is_part_of_the_gradient():
    network = make()
    network.parameters[:] = 2
    apply(network, SGD(0.5, weight_decay=0.25), 0.0)
    for W, b in zip(network.weights, network.biases, strict=True):
        assert (W == 2 - 0.5 * 0.25 * 2).all()
        assert (b == 2).all()


@EACH
@DTYPES
def test_an_epoch_is_gradients_and_their_application_to_the_bit(name, dtype):
    X, y = data()
    weight = np.arange(len(X)) % 3 + 0.5
    whole, steps = make(dtype=dtype), make(dtype=dtype)
    order, batch_size = reference.permutation(len(X), 1, 0), 5
    optimizers = OPTIMIZERS[name](), OPTIMIZERS[name]()
    whole.train_epoch(
        X, y, order, batch_size=batch_size, optimizer=optimizers[0], sample_weight=weight
    )
    for first in range(0, len(X), batch_size):
        rows = order[first : first + batch_size]
        steps.loss_and_gradients(X[rows], y[rows], weight[rows])
        steps.apply_gradients(optimizers[1])
    assert whole.parameters.tobytes() == steps.parameters.tobytes()
    assert state_bytes(optimizers[0]) == state_bytes(optimizers[1])


@EACH
@DTYPES
def test_a_penalty_is_part_of_the_gradient_of_the_weights_before_the_update(name, dtype):
    X, y = data()
    objective = fastmlp.Objective(alpha=500.0)
    whole, steps, plain = (make(dtype=dtype) for _ in range(3))
    optimizers = [OPTIMIZERS[name](0.25) for _ in range(3)]
    epoch = {"order": np.arange(len(X)), "batch_size": len(X)}
    whole.train_epoch(X, y, **epoch, optimizer=optimizers[0], objective=objective)
    steps.loss_and_gradients(X, y, objective=objective)
    steps.apply_gradients(optimizers[1])
    plain.train_epoch(X, y, **epoch, optimizer=optimizers[2])
    # The two sum up the same few terms, rounded differently.
    bound = 20 * np.finfo(dtype).eps * (1 + np.abs(steps.parameters))
    assert (np.abs(whole.parameters - steps.parameters) <= bound).all()
    for W, b, W_plain, b_plain in zip(
        whole.weights, whole.biases, plain.weights, plain.biases, strict=True
    ):
        assert (b == b_plain).all()
        assert (W_plain != W).any()


# Very small numbers


def border(dtype, n):
    """Numbers below and above the smallest normal number; none rounds to it in one step."""
    return (np.finfo(dtype).tiny * np.resize([1.7, -0.6, 5, 0.1, -3, 0.01], n)).astype(dtype)


def with_state(optimizer, network, values):
    """Give the optimizer a state made of these values; squares are positive. All θ become 0."""
    apply(network, optimizer, 1.0)
    network.parameters[:] = 0
    steps, *powers, vectors = optimizer._state()
    vectors = [values.copy() for _ in vectors]
    if isinstance(optimizer, Adam | fastmlp.RMSprop):
        vectors[-1] = np.abs(values)
    optimizer._set_state((steps, *powers, vectors))
    return vectors


@EACH_WITH_STATE
@DTYPES
def test_a_state_below_the_smallest_normal_number_becomes_zero(name, dtype):
    network, optimizer = make(dtype=dtype), OPTIMIZERS[name]()
    vectors = with_state(optimizer, network, border(dtype, network.n_parameters))
    state = State(1, vectors[0].copy(), vectors[-1].copy())
    zeros = np.zeros(network.n_parameters, dtype)
    optimizer._update_in_numpy(state, zeros.copy(), zeros, zeros)
    apply(network, optimizer, 0.0)
    found = optimizer._state()[-1]
    expected = [state.v] if isinstance(optimizer, fastmlp.RMSprop) else [state.m, state.v]
    for vector, twins in zip(found, expected, strict=False):
        np.testing.assert_allclose(vector, twins, rtol=4 * np.finfo(dtype).eps)
        assert (vector == 0).any()
        assert (vector != 0).any()
        assert not np.signbit(vector[vector == 0]).any()


@EACH_WITH_STATE
@DTYPES
def test_a_parameter_without_gradients_comes_to_rest(name, dtype):
    network, optimizer = make(dtype=dtype), OPTIMIZERS[name]()
    with_state(optimizer, network, border(dtype, network.n_parameters))
    for _ in range(200):
        apply(network, optimizer, 0.0)
    before = network.parameters.copy()
    apply(network, optimizer, 0.0)
    assert (optimizer._state()[-1][0] == 0).all()
    assert (network.parameters == before).all() or optimizer.weight_decay > 0


@pytest.mark.parametrize("kind", [Adam, AdamW, fastmlp.RMSprop])
@DTYPES
def test_a_square_whose_share_is_denormal_counts_as_zero(kind, dtype):
    network, optimizer = make(dtype=dtype), kind(weight_decay=0.0)
    keep = optimizer.alpha if kind is fastmlp.RMSprop else optimizer.beta_2
    tiny, n = np.finfo(dtype).tiny, network.n_parameters
    least = np.sqrt(tiny / (1 - keep))
    gradients = np.resize([1.01 * least, 0.99 * least], n).astype(dtype)
    v = np.resize([0, 0, 4 * tiny, 4 * tiny], n).astype(dtype)
    with_state(optimizer, network, v)
    state = State(1, np.zeros_like(v), v.copy())
    optimizer._update_in_numpy(state, np.zeros_like(v), gradients, np.zeros_like(v))
    apply(network, optimizer, gradients)
    expected = keep * v + np.resize([1.01**2 * tiny, 0], n)
    for found in (optimizer._state()[-1][-1], state.v):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@EACH_WITH_STATE
def test_a_state_of_nan_stays_nan(name):
    network, optimizer = make(), OPTIMIZERS[name]()
    apply(network, optimizer, math.nan)
    apply(network, optimizer, 0.0)
    for vector in optimizer._state()[-1]:
        assert np.isnan(vector).all()


@BOTH
@EACH
@DTYPES
def test_a_weight_that_decays_ends_at_zero(network_class, name, dtype):
    least = np.finfo(dtype).tiny * 2.0**40
    X, y = np.zeros((1, 3)), np.zeros((1, 2))  # all gradients are 0
    for factor in (2, 0.5):
        network, optimizer = make(network_class, dtype=dtype), OPTIMIZERS[name]()
        network.parameters[:] = 0
        network.weights[0][:] = -factor * least
        network.train_epoch(X, y, np.arange(1), batch_size=1, optimizer=optimizer)
        ends = factor == 0.5 and optimizer.weight_decay > 0
        assert ((network.weights[0] == 0) == ends).all()
        assert not (ends and np.signbit(network.weights[0]).any())


@EACH
@DTYPES
def test_a_small_bias_stays(name, dtype):
    network, optimizer = make(dtype=dtype), OPTIMIZERS[name]()
    network.parameters[:] = np.finfo(dtype).smallest_subnormal
    apply(network, optimizer, 0.0)
    for b in network.biases:
        assert (b == np.finfo(dtype).smallest_subnormal).all()


# The state


@EACH_WITH_STATE
def test_a_state_belongs_to_one_network(name):
    network, other = make(), make()
    optimizer = OPTIMIZERS[name]()
    apply(network, optimizer, 1.0)
    before, state = other.parameters.tobytes(), state_bytes(optimizer)
    X, y = data()
    for use in (
        lambda: other.apply_gradients(optimizer),
        lambda: other.fit(X, y, epochs=1, optimizer=optimizer),
    ):
        with pytest.raises(ValueError, match="belongs to another network; make one for each"):
            use()
    assert other.parameters.tobytes() == before
    assert state_bytes(optimizer) == state
    apply(network, optimizer, 1.0)


@EACH_WITH_STATE
def test_a_state_that_is_set_is_free(name):
    optimizer = OPTIMIZERS[name]()
    apply(make(), optimizer, 1.0)
    optimizer._set_state(optimizer._state())
    apply(make(), optimizer, 1.0)


@pytest.mark.parametrize("name", ["plain", "decay"])
def test_without_a_state_it_serves_any_network(name):
    optimizer = OPTIMIZERS[name]()
    for network in (make(), make(layers=(2, 1)), make(dtype="float32")):
        before = network.parameters.copy()
        apply(network, optimizer, 1.0)
        assert (network.parameters < before).all()


@EACH
@DTYPES
@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda optimizer: pickle.loads(pickle.dumps(optimizer))]
)
def test_a_copy_goes_on_with_another_network(name, dtype, again):
    network = make(dtype=dtype)
    optimizer = OPTIMIZERS[name]()
    first, second, third = gradients_of(network, 3)
    apply(network, optimizer, first)
    apply(network, optimizer, second)
    other, twin = network.copy(), again(optimizer)
    assert repr(twin) == repr(optimizer)
    assert type(twin) is type(optimizer)
    assert state_bytes(twin) == state_bytes(optimizer)
    apply(network, optimizer, third)
    apply(other, twin, third)
    assert network.parameters.tobytes() == other.parameters.tobytes()


@EACH_WITH_STATE
def test_a_copied_state_still_has_its_size_and_dtype(name):
    network = make()
    optimizer = OPTIMIZERS[name]()
    apply(network, optimizer, 1.0)
    for other in (make(layers=(2, 1)), make(dtype="float32")):
        loaded = pickle.loads(pickle.dumps(optimizer))
        with pytest.raises(ValueError, match=r"the optimizer's state is of 32 parameters of 8 byt"):
            other.apply_gradients(loaded)
        apply(network, loaded, 1.0)  # refused, it is still free


@EACH_WITH_STATE
def test_two_fits_with_one_optimizer_equal_one(name):
    X, y = data()
    once, twice = make(), make()
    optimizer = OPTIMIZERS[name](0.01)
    once.fit(X, y, epochs=4, batch_size=8, optimizer=OPTIMIZERS[name](0.01))
    for _ in range(2):
        twice.fit(X, y, epochs=2, batch_size=8, optimizer=optimizer)
    assert once.parameters.tobytes() == twice.parameters.tobytes()


@BOTH
@EACH
def test_a_batch_without_weight_changes_nothing(network_class, name):
    X, y = data(6)
    network, fewer = make(network_class), make(network_class)
    optimizers = OPTIMIZERS[name](), OPTIMIZERS[name]()
    weight = np.array([1.0, 1, 0, 0, 1, 1])  # the batch in the middle
    order = np.arange(6)
    network.train_epoch(X, y, order, batch_size=2, optimizer=optimizers[0], sample_weight=weight)
    fewer.train_epoch(X, y, order[weight > 0], batch_size=2, optimizer=optimizers[1])
    assert network.parameters.tobytes() == fewer.parameters.tobytes()
    assert state_bytes(optimizers[0]) == state_bytes(optimizers[1])


@EACH_WITH_STATE
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_fit_that_diverges_leaves_the_state_of_the_last_finite_epoch(name):
    X, y = data()
    network, other = make(), make()
    poisoned, optimizer = OPTIMIZERS[name](), OPTIMIZERS[name]()

    class Poisoned(fastmlp.Network):
        def train_epoch(self, *arguments, **options):
            loss = super().train_epoch(*arguments, **options)
            return math.nan if self.epochs_trained == 3 else loss

    network = make(Poisoned)
    with pytest.raises(FloatingPointError, match=r"epoch 2 at learning rate 0\.1"):
        network.fit(X, y, epochs=5, optimizer=poisoned)
    other.fit(X, y, epochs=2, optimizer=optimizer)
    assert network.parameters.tobytes() == other.parameters.tobytes()
    assert state_bytes(poisoned) == state_bytes(optimizer)
    network.apply_gradients(poisoned)  # which it still serves


# Hyper-parameters


@EACH
def test_the_learning_rate_can_be_set_at_any_time(name):
    network, other = make(), make()
    changed, optimizer = OPTIMIZERS[name](0.5), OPTIMIZERS[name](0.1)
    changed.learning_rate = 0.1
    assert changed.learning_rate == 0.1
    for n, o in ((network, changed), (other, optimizer)):
        apply(n, o, 1.0)
    assert network.parameters.tobytes() == other.parameters.tobytes()
    before = network.parameters.copy()
    changed.learning_rate = 1e-9
    if name in ("plain", "decay", "adam"):
        apply(network, changed, 1.0)
        np.testing.assert_allclose(network.parameters, before, atol=1e-8)


@EACH
@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_a_learning_rate_that_is_none_is_refused(name, rate):
    optimizer = OPTIMIZERS[name]()
    message = rf"learning_rate is {rate:g}; it must be positive and finite"
    with pytest.raises(ValueError, match=message):
        optimizer.learning_rate = rate
    assert optimizer.learning_rate == 0.1
    with pytest.raises(ValueError, match=rf"^{type(optimizer).__name__}: {message}"):
        OPTIMIZERS[name](rate)


REFUSED = [
    (SGD, {"momentum": -0.1}, r"SGD: momentum is -0\.1"),
    (SGD, {"momentum": 1.5}, r"SGD: momentum is 1\.5"),
    (SGD, {"momentum": math.nan}, "SGD: momentum is nan"),
    (SGD, {"weight_decay": -1.0}, "SGD: weight_decay is -1"),
    (SGD, {"weight_decay": math.inf}, "SGD: weight_decay is inf"),
    *(
        (kind, {name: value}, rf"{kind.__name__}: {name.removesuffix('_hat')} is {value:g}")
        for kind in (Adam, AdamW)
        for name, values in {
            "beta_1": (-0.5, 1.0, math.nan),
            "beta_2": (-0.5, 1.0, math.nan),
            "epsilon": (0.0, -1.0, math.inf, math.nan),
            "epsilon_hat": (0.0, math.nan),
            "weight_decay": (-1.0, math.inf, math.nan),
        }.items()
        for value in values
    ),
]


@pytest.mark.parametrize(("kind", "arguments", "message"), REFUSED)
def test_hyper_parameters_that_are_none_are_refused(kind, arguments, message):
    with pytest.raises(ValueError, match=f"^{message}; it must be"):
        kind(**arguments)


def test_names_stand_for_the_defaults():
    X, y = data()
    for name, kind in (("sgd", SGD), ("adam", Adam), ("adamw", AdamW)):
        named, given = make(), make()
        named.fit(X, y, epochs=2, optimizer=name)
        given.fit(X, y, epochs=2, optimizer=kind())
        assert named.parameters.tobytes() == given.parameters.tobytes()


# PyTorch's


def torch_groups(torch, network, weight_decay):
    """Its parameters as tensors, weights and biases apart: biases do not decay."""
    tensors = [torch.from_numpy(p.copy()) for p in (*network.weights, *network.biases)]
    depth = len(network.weights)
    groups = [
        {"params": tensors[:depth], "weight_decay": weight_decay},
        {"params": tensors[depth:], "weight_decay": 0.0},
    ]
    return tensors, groups


@pytest.mark.parametrize(
    ("ours", "theirs", "options", "weight_decay"),
    [
        (SGD(0.1, 0.9), "SGD", {"lr": 0.1, "momentum": 0.9}, 0.0),
        (SGD(0.1, 0.9, True), "SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}, 0.0),
        (SGD(0.1, 0.9, weight_decay=0.1), "SGD", {"lr": 0.1, "momentum": 0.9}, 0.1),
        (Adam(0.1, 0.8, 0.95, 1e-3), "Adam", {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3}, 0.0),
        (Adam(0.1, weight_decay=0.1), "Adam", {"lr": 0.1}, 0.1),
        (AdamW(0.1, weight_decay=0.1), "AdamW", {"lr": 0.1}, 0.1),
        (fastmlp.RMSprop(0.1, weight_decay=0.1), "RMSprop", {"lr": 0.1}, 0.1),
    ],
    ids=repr,
)
def test_updates_are_pytorchs(ours, theirs, options, weight_decay):
    torch = pytest.importorskip("torch")
    network = make()
    tensors, groups = torch_groups(torch, network, weight_decay)
    optimizer = getattr(torch.optim, theirs)(groups, **options)
    for gradient in gradients_of(network, 20):
        apply(network, ours, gradient)
        views = make(reference.Network)._views(gradient.astype(np.float64))
        for tensor, values in zip(
            tensors, [W for W, _ in views] + [b for _, b in views], strict=True
        ):
            tensor.grad = torch.from_numpy(values.copy())
        optimizer.step()
    for tensor, values in zip(tensors, (*network.weights, *network.biases), strict=True):
        np.testing.assert_allclose(values, tensor.numpy(), rtol=1e-6, atol=1e-6)


# What Python sees of them


@pytest.mark.parametrize("kind", fastmlp.optimizers.KINDS, ids=lambda kind: kind.__name__)
def test_an_optimizer_whose_init_failed_can_be_shown_and_is_refused(kind):
    raw = kind.__new__(kind)
    assert repr(raw) == f"<{kind.__name__}: __init__ has not been called>"
    network = make()
    for use in (
        lambda: raw.learning_rate,
        lambda: raw.steps,
        lambda: raw._state(),
        lambda: copy.copy(raw),
        lambda: network.apply_gradients(raw),
        lambda: network.fit(*data(), epochs=1, optimizer=raw),
    ):
        with pytest.raises(RuntimeError, match="__init__ has not been called"):
            use()
    with pytest.raises(ValueError, match="learning_rate is -1") as caught:
        kind(-1)
    lines = traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    assert f"<{kind.__name__}: __init__ has not been called>" in "".join(lines)


@pytest.mark.parametrize("kind", fastmlp.optimizers.KINDS, ids=lambda kind: kind.__name__)
def test_nothing_but_the_learning_rate_can_be_set(kind):
    optimizer = kind()
    for name in ("weight_decay", "decoupled", "lr"):
        with pytest.raises(AttributeError):
            setattr(optimizer, name, 0.5)
    with pytest.raises(AttributeError, match="weight_decay cannot be deleted"):
        del optimizer.weight_decay
    optimizer.learning_rate = 0.5
    assert optimizer._parameters()["learning_rate"] == 0.5
