"""The NumPy twin by itself: its equations, its random numbers, its independence of tricks."""

import copy
import hashlib
import itertools

import numpy as np
import pytest

import fastmlp
from fastmlp import reference
from fastmlp.reference import Network
from fastmlp.reference import random as reference_random

SEED = 2**63 + 12345  # needs all 64 bits

PERMUTATION_OF_TEN = [3, 9, 1, 0, 2, 4, 6, 7, 5, 8]
PERMUTATIONS_SHA256 = "7ebe991ab614badaff8a9375c24e3dd484aea8bb5cc368fc9e6ab88a6665b563"


def rows(m, n, shift=0):
    """Numbers without a pattern that any machine computes alike."""
    return np.array(
        [[((i * n + j + shift) * 37 % 101 - 50) / 25 for j in range(n)] for i in range(m)]
    )


def targets(output, m, n):
    if output == "softmax":
        return np.arange(m) % n
    if output == "sigmoid":
        return (rows(m, n) + 2) / 4
    return rows(m, n, shift=5)


# Gradients


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("output", ["sigmoid", "softmax", "identity"])
@pytest.mark.parametrize("hidden", ["relu", "sigmoid", "tanh", "identity"])
def test_gradients_are_central_differences_of_the_loss(hidden, output, weighted):
    network = Network([4, 5, 3, 2], hidden=hidden, output=output, dtype="float64", seed=1)
    network.parameters[:] = rows(1, network.n_parameters)[0] / 2
    X, y, s = rows(6, 4), targets(output, 6, 2), np.arange(6) if weighted else None
    network.loss_and_gradients(X, y, s)
    h = 6e-6  # near the cube root of eps, where truncation and rounding are equally small
    for k in range(network.n_parameters):
        before = network.parameters[k]
        network.parameters[k] = before + h
        above = network.loss(X, y, s)
        network.parameters[k] = before - h
        below = network.loss(X, y, s)
        network.parameters[k] = before
        assert (above - below) / (2 * h) == pytest.approx(network.gradients[k], abs=1e-9)


def test_the_loss_is_the_weighted_mean_of_the_rows_losses():
    network = Network([4, 3, 2], dtype="float64", seed=1)
    X, y, s = rows(5, 4), targets("sigmoid", 5, 2), np.array([0.0, 1.0, 2.0, 0.5, 3.0])
    P = network.forward(X)
    per_row = -np.sum(y * np.log(P) + (1 - y) * np.log(1 - P), axis=1)
    assert network.loss(X, y, s) == pytest.approx(np.sum(s * per_row) / 6.5, rel=1e-14)
    assert network.loss(X, y) == pytest.approx(np.mean(per_row), rel=1e-14)


def test_softmax_takes_class_indices_and_one_hot_alike():
    network = Network([4, 3], output="softmax", dtype="float64", seed=1)
    classes = np.array([2, 0, 1, 1])
    X = rows(4, 4)
    assert network.loss(X, classes) == network.loss(X, np.eye(3)[classes])
    assert network.loss(X, classes) == pytest.approx(
        -np.mean(np.log(network.forward(X)[np.arange(4), classes])), rel=1e-14
    )


def test_a_column_of_targets_is_a_vector_of_targets():
    network = Network([4, 1], dtype="float64", seed=1)
    X, y = rows(4, 4), np.array([0, 1, 1, 0])
    assert network.loss(X, y) == network.loss(X, y[:, np.newaxis])


def test_rows_without_weight_change_nothing_and_have_loss_zero():
    network = Network([4, 3, 1], dtype="float64", seed=1)
    before = network.parameters.copy()
    X, y, s = rows(4, 4), np.zeros(4), np.zeros(4)
    assert network.loss(X, y, s) == 0.0
    assert network.loss_and_gradients(X, y, s) == 0.0
    assert not network.gradients.any()
    optimizer = fastmlp.SGD(0.5)
    assert (
        network.train_epoch(X, y, np.arange(4), batch_size=2, optimizer=optimizer, sample_weight=s)
        == 0.0
    )
    np.testing.assert_array_equal(network.parameters, before)


# Training


def test_a_step_is_one_update_by_the_gradients_and_gives_the_loss_before_it():
    stepped, other = (Network([4, 3, 1], dtype="float64", seed=1) for _ in range(2))
    X, y = rows(5, 4), np.array([0, 1, 1, 0, 1])
    loss = stepped.step(X, y, 0.5)
    assert loss == other.loss_and_gradients(X, y)
    np.testing.assert_array_equal(stepped.parameters, other.parameters - 0.5 * other.gradients)


def test_an_epoch_is_a_step_per_batch_and_keeps_a_short_last_one():
    trained, other = (Network([4, 3, 1], dtype="float64", seed=1) for _ in range(2))
    X, y, order = rows(5, 4), np.array([0, 1, 1, 0, 1]), np.array([3, 0, 4, 1, 2])
    loss = trained.train_epoch(X, y, order, batch_size=2, optimizer=fastmlp.SGD(0.5))
    batches = [[3, 0], [4, 1], [2]]
    losses = [other.step(X[batch], y[batch], 0.5) for batch in batches]
    np.testing.assert_array_equal(trained.parameters, other.parameters)
    assert loss == pytest.approx((2 * losses[0] + 2 * losses[1] + losses[2]) / 5, rel=1e-14)
    assert (trained.epochs_trained, other.epochs_trained) == (1, 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_everything_is_of_the_networks_dtype(dtype):
    network = Network([4, 3, 2], dtype=dtype, seed=1)
    network.fit(rows(6, 4), targets("sigmoid", 6, 2), epochs=1)
    network.loss_and_gradients(rows(6, 4), targets("sigmoid", 6, 2))
    arrays = [network.parameters, network.gradients, network.forward(rows(6, 4))]
    arrays += [*network.weights, *network.biases]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


def test_one_row_gives_one_row_of_outputs():
    network = Network([4, 3, 2], dtype="float64", seed=1)
    X = rows(3, 4)
    np.testing.assert_allclose(network.forward(X[1]), network.forward(X)[1], rtol=1e-14)


def test_no_rows_give_no_outputs():
    assert Network([4, 3, 2]).forward(np.zeros((0, 4))).shape == (0, 2)


# Parameters


def test_weights_and_biases_are_views_of_the_parameters_in_their_order():
    network = Network([3, 2, 1], dtype="float64", seed=1)
    network.parameters[:] = np.arange(network.n_parameters)
    assert network.n_parameters == 11
    assert [W.tolist() for W in network.weights] == [[[0, 1], [2, 3], [4, 5]], [[8], [9]]]
    assert [b.tolist() for b in network.biases] == [[6, 7], [10]]
    network.weights[1][0, 0] = -1
    assert network.parameters[8] == -1


def test_a_deep_copy_has_parameters_of_its_own():
    network = Network([3, 2, 1], seed=1)
    other = copy.deepcopy(network)
    other.weights[0][0, 0] = 7
    assert other.parameters[0] == 7
    assert network.parameters[0] != 7


# Random numbers


def words(seed, step, epoch, purpose, count):
    counter = [0, step, epoch, purpose]
    return [
        int(word)
        for word in np.random.Philox(
            key=np.array([seed, 0], dtype=np.uint64), counter=np.array(counter, dtype=np.uint64)
        ).random_raw(count)
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_are_uniform_draws_from_the_words_of_their_layer(dtype):
    network = Network([5, 4, 3, 2], hidden=["relu", "tanh"], dtype=dtype, seed=SEED)
    radii = [(6 / 5) ** 0.5, (6 / 7) ** 0.5, (6 / 5) ** 0.5]  # He before ReLU, else Glorot
    for layer, (W, radius) in enumerate(zip(network.weights, radii, strict=True)):
        drawn = [
            radius * (2 * ((word >> 11) * 2.0**-53) - 1)
            for word in words(SEED, layer, 0, 1, W.size)
        ]
        assert W.ravel().tolist() == np.array(drawn).astype(dtype).tolist()
        assert not network.biases[layer].any()


def test_float32_starts_with_the_rounded_weights_of_float64():
    single, double = (Network([5, 4, 1], dtype=f"float{bits}", seed=SEED) for bits in (32, 64))
    np.testing.assert_array_equal(single.parameters, double.parameters.astype(np.float32))


def test_a_permutation_holds_every_row_once():
    for n in [0, 1, 2, 3, 100, 3000]:
        order = reference.permutation(n, SEED, 0)
        assert order.dtype == np.int64
        np.testing.assert_array_equal(np.sort(order), np.arange(n))


def test_a_permutation_is_fisher_yates_over_the_words_of_its_epoch():
    n, epoch = 50, 2**40
    order = list(range(n))
    for i, word in zip(range(n - 1, 0, -1), words(SEED, 0, epoch, 2, n - 1), strict=True):
        j = word * (i + 1) >> 64  # a word is refused with a chance below 50 / 2**64
        order[i], order[j] = order[j], order[i]
    assert reference.permutation(n, SEED, epoch).tolist() == order


def test_permutations_stay_as_they_are():
    assert reference.permutation(10, 0, 0).tolist() == PERMUTATION_OF_TEN
    joined = b"".join(reference.permutation(569, SEED, e).astype("<i8").tobytes() for e in range(3))
    assert hashlib.sha256(joined).hexdigest() == PERMUTATIONS_SHA256


def test_every_permutation_of_four_is_as_likely():
    counts = dict.fromkeys(itertools.permutations(range(4)), 0)
    for epoch in range(2400):
        counts[tuple(reference.permutation(4, SEED, epoch).tolist())] += 1
    # 23 degrees of freedom: above 60 less often than once in 20 000 fair shuffles. The draws are
    # fixed by the seed, so this cannot fail by chance.
    assert sum((count - 100) ** 2 / 100 for count in counts.values()) < 60


def test_bounded_draws_are_the_high_part_of_the_product():
    assert reference_random.bounded(iter([2**63 + 1]), 10) == 5
    assert reference_random.bounded(iter([2**64 - 1]), 10) == 9


def test_bounded_draws_refuse_words_that_would_favour_a_value():
    # 2**64 % 3 = 1: of the words, just 0 is left over when each value gets its third.
    draws = iter([0, 2**63, 7])
    assert reference_random.bounded(draws, 3) == 1
    assert next(draws) == 7
    # A power of two leaves none over.
    assert reference_random.bounded(iter([0]), 4) == 0


# Operations


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid_and_its_loss_stay_finite_for_large_numbers(dtype):
    Z = np.array([[-1e30], [-1000.0], [-1.0], [0.0], [1.0], [1000.0], [1e30]], dtype=dtype)
    A = reference.sigmoid(Z)
    assert A.dtype == dtype
    assert A[[0, 1, 3, 5, 6], 0].tolist() == [0, 0, 0.5, 1, 1]
    np.testing.assert_allclose(A + A[::-1], 1, rtol=2 * np.finfo(dtype).eps)
    assert np.isfinite(reference.sigmoid_loss(Z, np.ones_like(Z))).all()
    assert reference.sigmoid_loss(Z, np.ones_like(Z))[1] == 1000


@pytest.mark.filterwarnings("error")
def test_softmax_and_its_loss_stay_finite_for_large_numbers():
    Z = np.array([[1000.0, 0.0], [-1000.0, 1000.0]])
    assert reference.softmax(Z).tolist() == [[1, 0], [0, 1]]
    assert reference.softmax_loss(Z, np.array([[0.0, 1.0], [0.0, 1.0]])).tolist() == [1000, 0]


def test_relu_is_zero_up_to_zero_and_keeps_nan():
    Z = np.array([-2.0, -0.0, 0.0, 3.0, np.nan])
    assert reference.relu(Z)[:4].tolist() == [0, 0, 0, 3]
    assert np.isnan(reference.relu(Z)[4])


def test_relu_backward_is_zero_where_z_is_zero():
    Z, dA = np.array([-2.0, 0.0, 3.0]), np.array([5.0, 5.0, 5.0])
    assert reference.relu_backward(dA, Z).tolist() == [0, 0, 5]


def test_sigmoid_backward_takes_the_sigmoids_output():
    assert reference.sigmoid_backward(np.array([8.0]), np.array([0.25])).tolist() == [1.5]


def test_binary_cross_entropy_is_the_mean_over_rows_of_the_sum_over_outputs():
    Z, y = rows(4, 3), (rows(4, 3, shift=9) > 0).astype(float)
    P = 1 / (1 + np.exp(-Z))
    expected = -np.sum(np.where(y == 1, np.log(P), np.log(1 - P))) / 4
    assert reference.binary_cross_entropy(Z, y) == pytest.approx(expected, rel=1e-14)
    assert reference.binary_cross_entropy(Z[:, 0], y[:, 0]) == pytest.approx(
        reference.binary_cross_entropy(Z[:, :1], y[:, :1])
    )
    assert reference.binary_cross_entropy(np.zeros((0, 3)), np.zeros((0, 3))) == 0.0


def test_matmul_and_sgd_update():
    np.testing.assert_array_equal(reference.matmul(np.eye(2), rows(2, 3)), rows(2, 3))
    parameter = np.array([1.0, 2.0])
    reference.sgd_update(parameter, np.array([4.0, -4.0]), 0.25)
    assert parameter.tolist() == [0.0, 3.0]
