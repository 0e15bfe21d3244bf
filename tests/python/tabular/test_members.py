"""Members are trained in threads: the result depends on the data and the seed alone."""

import _thread
import threading
import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastmlp
from fastmlp.tabular import TabularClassifier, TabularRegressor
from fastmlp.tabular._members import Task, held_out, member_seed, scale_temperature
from fastmlp.tabular._recipe import default_recipe
from tables import features, mixed_table

TABLE = mixed_table()
X = features(TABLE)
QUICK = {"epochs": 3, "hidden": (8,), "n_members": 3}


def parameters(model):
    return [network.parameters.copy() for network in model.networks]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_make_no_difference(threads):
    expected = parameters(TabularClassifier(**QUICK).fit(X, TABLE["class"]))
    with fastmlp.threads(threads):
        found = parameters(TabularClassifier(**QUICK).fit(X, TABLE["class"]))
        assert fastmlp.get_num_threads() == threads
    for one, other in zip(expected, found, strict=True):
        assert_array_equal(one, other)


def test_members_differ_and_a_member_does_not_depend_on_their_number():
    three = parameters(TabularRegressor(**QUICK).fit(X, TABLE["amount"]))
    one = parameters(TabularRegressor(**{**QUICK, "n_members": 1}).fit(X, TABLE["amount"]))
    assert_array_equal(three[0], one[0])
    assert not np.array_equal(three[0], three[1])


def test_the_seed_decides():
    def fit(seed):
        return TabularRegressor(**QUICK, seed=seed).fit(X, TABLE["amount"])

    assert_array_equal(fit(3).predict(X), fit(3).predict(X))
    assert not np.array_equal(fit(3).predict(X), fit(4).predict(X))
    drawn = fit(None)
    assert_array_equal(fit(drawn.seed_).predict(X), drawn.predict(X))
    seeds = {member_seed(seed, member) for seed in range(5) for member in range(8)}
    assert len(seeds) == 40


def task(strata, holdout=5):
    rows = 100 if strata is None else len(strata)
    recipe = default_recipe(100, True, "cross_entropy")
    assert recipe.holdout == holdout
    return Task(np.zeros((rows, 1)), np.zeros(rows), strata, None, {}, recipe, 0)


def test_every_member_holds_out_another_fifth():
    parts = np.array([held_out(task(None), member) for member in range(5)])
    assert_array_equal(parts.sum(axis=0), 1)
    assert_array_equal(parts.sum(axis=1), 20)


def test_each_class_is_held_out_in_the_same_proportion():
    strata = np.array([0] * 50 + [1] * 40 + [2] * 10)[np.random.RandomState(0).permutation(100)]
    for member in range(5):
        held = held_out(task(strata), member)
        assert np.bincount(strata[held]).tolist() == [10, 8, 2]


def test_a_rare_class_is_always_trained_on():
    strata = np.array([0] * 96 + [1] * 4)
    for member in range(5):
        assert not held_out(task(strata), member)[96:].any()


def test_callbacks_see_every_epoch_in_the_thread_of_the_caller():
    seen = []

    def callback(progress):
        assert threading.current_thread() is threading.main_thread()
        seen.append((progress.member, progress.epoch))
        assert progress.epochs == 3
        assert progress.members == 3
        assert progress.rows == 192
        assert progress.val_loss > 0

    TabularClassifier(**QUICK).fit(X, TABLE["class"], callbacks=[callback])
    assert sorted(seen) == [(member, epoch) for member in range(3) for epoch in (1, 2, 3)]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_callback_ends_the_training_and_keeps_the_networks(threads):
    with fastmlp.threads(threads):
        model = TabularClassifier(**{**QUICK, "epochs": 100_000, "patience": 100_000}).fit(
            X, TABLE["class"], callbacks=[lambda progress: progress.epoch == 2]
        )
    assert len(model.networks) == 3
    assert all(history["epochs"] < 100_000 for history in model.histories)


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_a_callback_ends_all_members(threads):
    def callback(progress):
        raise RuntimeError("stop here")

    before = threading.active_count()
    with fastmlp.threads(threads), pytest.raises(RuntimeError, match="stop here"):
        TabularClassifier(**{**QUICK, "epochs": 100_000, "patience": 100_000}).fit(
            X, TABLE["class"], callbacks=[callback]
        )
    assert threading.active_count() == before


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_ends_all_members(threads):
    model = TabularClassifier(**{**QUICK, "epochs": 100_000, "patience": 100_000})
    before = threading.active_count()
    timer = threading.Timer(0.3, _thread.interrupt_main)
    with fastmlp.threads(threads):
        timer.start()
        begin = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, TABLE["class"])
        assert time.monotonic() - begin < 20
        assert fastmlp.get_num_threads() == threads
    timer.join()
    assert threading.active_count() == before
    assert not hasattr(model, "classes_")


def test_training_that_diverges_says_so():
    model = TabularRegressor(**QUICK, learning_rate=1e30)
    with pytest.raises(FloatingPointError, match="fit: "):
        model.fit(X, TABLE["amount"])


# Temperature


@pytest.mark.parametrize("n_out", [1, 3])
def test_the_temperature_is_that_of_the_least_loss(n_out):
    draw = np.random.RandomState(0)
    output = "sigmoid" if n_out == 1 else "softmax"
    network = fastmlp.Network([2, n_out], output=output, seed=0)
    A = draw.normal(size=(500, 2))
    y = (A[:, 0] + draw.normal(size=500) > 0).astype(int)
    network.fit(A, y, epochs=20, learning_rate=0.1)
    network.parameters[:] *= 5  # far too sure
    copy = network.copy()
    temperature = scale_temperature(network, A, y, None)
    assert temperature > 2
    losses = []
    for factor in (0.9, 1.0, 1.1):
        scaled = copy.copy()
        scaled.parameters[:] /= temperature * factor
        losses.append(scaled.loss(A, y))
    assert losses[1] < losses[0]
    assert losses[1] < losses[2]
    np.testing.assert_allclose(network.loss(A, y), losses[1], rtol=1e-5)
    assert_array_equal(network.predict(A), copy.predict(A))


def test_the_temperature_is_found_on_the_rows_held_out():
    draw = np.random.RandomState(1)
    A, noise = draw.normal(size=(200, 5)), draw.normal(size=200)
    y = (A[:, 0] + 2 * noise > 0).astype(int)
    model = TabularClassifier(n_members=1, epochs=30, learning_rate=0.02, patience=30).fit(A, y)
    history = model.histories[0]
    assert history["temperature"] != 1
    held = held_out(task(y), 0)
    inputs = model.encode(A)[held]
    assert model.network.loss(inputs, y[held]) < history["val_loss"]
