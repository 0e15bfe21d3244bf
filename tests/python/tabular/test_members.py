"""Members are trained in threads: the result depends on the data and the seed alone."""

import _thread
import math
import threading
import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastmlp
from fastmlp.tabular import TabularClassifier, TabularRegressor, _members
from fastmlp.tabular._members import (
    Member,
    Rows,
    Task,
    _one_thread_inside,
    best_temperature,
    conformal_shift,
    held_out,
    held_out_error,
    member_seed,
    scale_temperature,
    shift_quantiles,
    temperature_of_mean,
    train_members,
)
from fastmlp.tabular._recipe import default_recipe
from table_data import features, mixed_table

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


@pytest.mark.parametrize("name", ["batch_size", "learning_rate", "weight_decay", "dropout"])
def test_each_setting_makes_a_difference(name):
    found = [
        parameters(TabularRegressor(**QUICK, **{name: value}).fit(X, TABLE["amount"]))
        for value in {"batch_size": (8, 32)}.get(name, (0.1, 0.5))
    ]
    assert not np.array_equal(found[0][0], found[1][0])


def test_the_seed_decides():
    def fit(seed):
        return TabularRegressor(**QUICK, seed=seed).fit(X, TABLE["amount"])

    assert_array_equal(fit(3).predict(X), fit(3).predict(X))
    assert not np.array_equal(fit(3).predict(X), fit(4).predict(X))
    drawn = fit(None)
    assert_array_equal(fit(drawn.seed_).predict(X), drawn.predict(X))
    seeds = {member_seed(seed, member) for seed in range(5) for member in range(8)}
    assert len(seeds) == 40


def task(strata=None, n_members=4, **changed):
    rows = 120 if strata is None else len(strata)
    recipe = replace(default_recipe(120, 4, True, "cross_entropy"), n_members=n_members, **changed)
    return Task(np.zeros((rows, 1)), np.zeros(rows), strata, None, {}, recipe, 0)


@pytest.mark.parametrize(("n_members", "parts"), [(1, 5), (4, 5), (5, 5), (8, 8)])
def test_every_member_holds_out_other_rows(n_members, parts):
    given = task(n_members=n_members)
    held = np.array([held_out(given, member) for member in range(n_members)])
    assert held.sum(axis=0).max() == 1
    assert_array_equal(held.sum(axis=1), 120 // parts)
    assert not held_out(task(holdout=0), 0).any()


def test_each_class_is_held_out_in_the_same_proportion():
    strata = np.array([0] * 60 + [1] * 40 + [2] * 20)[np.random.RandomState(0).permutation(120)]
    for member in range(4):
        assert np.bincount(strata[held_out(task(strata), member)]).tolist() == [12, 8, 4]


def test_a_rare_class_and_rows_without_weight_are_not_held_out():
    strata = np.array([0] * 116 + [1] * 4)
    weight = np.array([0.0] * 60 + [1.0] * 60)
    for member in range(4):
        assert not held_out(task(strata), member)[116:].any()
        assert not held_out(replace(task(), sample_weight=weight), member)[:60].any()


def test_the_error_of_classes_is_the_brier_score():
    draw = np.random.RandomState(0)
    A, y = draw.normal(size=(50, 3)).astype(np.float32), draw.randint(0, 4, 50)
    network = fastmlp.Network([3, 4], output="softmax", seed=0)
    errors = ((network.forward(A) - np.eye(4)[y]) ** 2).sum(axis=1)
    error, loss = held_out_error(network, Rows(A, y, None))
    assert math.isclose(error, errors.mean(), rel_tol=1e-6)
    assert math.isclose(loss, network.loss(A, y), rel_tol=1e-6)
    weight = draw.rand(50)
    expected = np.average(errors, weights=weight)
    error, loss = held_out_error(network, Rows(A, y, weight))
    assert math.isclose(error, expected, rel_tol=1e-6)
    assert math.isclose(loss, network.loss(A, y, weight), rel_tol=1e-6)


def test_the_best_epoch_is_kept():
    seen = []
    model = TabularRegressor(n_members=1, hidden=(8,), epochs=40, patience=3, learning_rate=0.1)
    model.fit(X, TABLE["amount"], callbacks=[lambda progress: seen.append(progress.val_error)])
    history = model.histories[0]
    assert history["val_error"] == min(seen)
    assert history["best_epoch"] == len(seen) - seen[::-1].index(min(seen))
    assert len(seen) in (history["best_epoch"] + 3, 40)
    inputs, center, scale = model.encode(X), model._amounts.center, model._amounts.scale
    held = held_out(replace(task(n_members=1), inputs=inputs), 0)
    y = ((np.array(TABLE["amount"]) - center) / scale).astype(np.float32)
    assert model.network.loss(inputs[held], y[held]) == min(seen)


def test_every_callback_is_called_though_one_of_them_ends_the_training():
    seen = []
    callbacks = [lambda progress: True, lambda progress: seen.append(progress.epoch)]
    with fastmlp.threads(1):
        TabularClassifier(**QUICK).fit(X, TABLE["class"], callbacks=callbacks)
    assert seen == [1]


def test_an_error_in_a_member_ends_the_others(monkeypatch):
    def broken(task, member, report):
        if member == 1:
            raise RuntimeError("member 1")
        return original(task, member, report)

    original = _members._train
    monkeypatch.setattr(_members, "_train", broken)
    begin = time.monotonic()
    with fastmlp.threads(2), pytest.raises(RuntimeError, match="member 1"):
        TabularClassifier(**{**QUICK, "epochs": 10**6, "patience": 10**6}).fit(X, TABLE["class"])
    assert time.monotonic() - begin < 20


def test_there_is_a_training_curve_for_each_network(tmp_path):
    model = TabularClassifier(**QUICK).fit(X, TABLE["class"])
    for curve, history in zip(model.history_, model.histories, strict=True):
        kept = history["best_epoch"] - 1
        assert curve.epochs == len(curve.loss) == len(curve.val_loss) == 3
        assert curve.loss[kept] == history["loss"]
        assert min(curve.metrics["val_brier_score"]) == history["val_error"]
    regressor = TabularRegressor(**QUICK).fit(X, TABLE["amount"])
    assert [min(curve.val_loss) for curve in regressor.history_] == [
        history["val_error"] for history in regressor.histories
    ]
    model.save(tmp_path / "model.st")
    with pytest.raises(AttributeError, match="files do not hold curves"):
        TabularClassifier.load(tmp_path / "model.st").history_  # noqa: B018


def test_callbacks_see_every_epoch_in_the_thread_of_the_caller():
    seen = []

    def callback(progress):
        assert threading.current_thread() is threading.main_thread()
        seen.append((progress.member, progress.epoch))
        assert progress.epochs == 3
        assert progress.members == 3
        assert progress.rows == 192
        assert progress.val_error > 0

    TabularClassifier(**QUICK).fit(X, TABLE["class"], callbacks=[callback])
    assert sorted(seen) == [(member, epoch) for member in range(3) for epoch in (1, 2, 3)]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_callback_ends_the_training_and_keeps_the_networks(threads):
    with fastmlp.threads(threads):
        model = TabularClassifier(**{**QUICK, "epochs": 100_000, "patience": 100_000}).fit(
            X, TABLE["class"], callbacks=[lambda progress: progress.epoch == 2]
        )
    assert 1 <= len(model.networks) <= threads  # those that had not begun are left out
    assert all(history["epochs"] < 100_000 for history in model.histories)


def test_networks_that_have_ended_are_kept_when_a_callback_ends_the_training():
    def fit(**arguments):
        return TabularRegressor(**QUICK).fit(X, TABLE["amount"], **arguments)

    with fastmlp.threads(1):
        model = fit(callbacks=[lambda progress: (progress.member, progress.epoch) == (1, 2)])
    assert [history["epochs"] for history in model.histories] == [3, 2]
    assert_array_equal(model.networks[0].parameters, fit().networks[0].parameters)


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


def test_members_that_are_trained_at_once_share_the_rows():
    inputs = np.random.RandomState(0).normal(size=(4000, 200)).astype(np.float32)
    given = replace(
        task(epochs=2, hidden=(2,), holdout=0, temperature=False),
        inputs=inputs,
        targets=inputs[:, 0],
        structure={"layers": [200, 2, 1], "output": "identity", "hidden": "relu"},
    )
    with fastmlp.threads(4):
        tracemalloc.start()
        train_members(given, [])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < inputs.nbytes / 2  # a copy for each of four would be four times as much


def test_the_last_of_several_fits_restores_the_number_of_threads():
    first, second = _one_thread_inside(), _one_thread_inside()
    with fastmlp.threads(3):
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert fastmlp.get_num_threads() == 1
        second.__exit__(None, None, None)
        assert fastmlp.get_num_threads() == 3


def test_fits_at_once_give_the_models_of_fits_alone():
    expected = parameters(TabularClassifier(**QUICK).fit(X, TABLE["class"]))
    models = [TabularClassifier(**QUICK) for _ in range(3)]
    calls = [threading.Thread(target=model.fit, args=(X, TABLE["class"])) for model in models]
    with fastmlp.threads(2):
        for call in calls:
            call.start()
        for call in calls:
            call.join()
        assert fastmlp.get_num_threads() == 2
    for model in models:
        for one, other in zip(expected, parameters(model), strict=True):
            assert_array_equal(one, other)


def test_training_that_diverges_says_so():
    model = TabularRegressor(**QUICK, learning_rate=1e30)
    with pytest.raises(FloatingPointError, match="fit: "):
        model.fit(X, TABLE["amount"])


# Defaults


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (49, {"n_members": 8, "holdout": 0, "epochs": 200, "batch_size": 32, "min_count": 3}),
        (50, {"n_members": 8, "holdout": 5, "epochs": 200, "batch_size": 32, "min_count": 3}),
        (999, {"n_members": 8, "holdout": 5, "epochs": 100, "batch_size": 64, "min_count": 3}),
        (4999, {"n_members": 8, "epochs": 50, "batch_size": 128, "min_count": 5}),
        (5000, {"n_members": 4, "epochs": 50, "batch_size": 128, "min_count": 5}),
        (60_000, {"n_members": 4, "epochs": 20, "batch_size": 512, "min_count": 5}),
    ],
)
def test_defaults_depend_on_the_number_of_rows(rows, expected):
    recipe = default_recipe(rows, 10, False, "squared_error")
    assert {name: getattr(recipe, name) for name in expected} == expected
    assert recipe.patience == recipe.epochs // 2


def test_a_batch_size_is_for_tables_up_to_a_size():
    # Of 585 rows, a member holds out 73 and trains on 512.
    sizes = [default_recipe(rows, 1, True, "cross_entropy").batch_size for rows in (585, 586)]
    assert sizes == [32, 64]


def test_defaults_depend_on_the_task():
    classes = default_recipe(1000, 10, True, "cross_entropy")
    amounts = default_recipe(1000, 10, False, "squared_error")
    assert (classes.dropout, classes.weight_decay, classes.temperature) == (0.2, 0.1, True)
    assert (amounts.dropout, amounts.weight_decay, amounts.temperature) == (0.0, 0.01, False)
    assert (classes.clip, amounts.clip) == (False, True)
    assert not default_recipe(1000, 10, False, "huber").clip


def test_many_numbers_have_few_quantiles_each():
    found = [default_recipe(1000, n, True, "cross_entropy").n_bins for n in (0, 10, 32, 1000)]
    assert found == [24, 24, 8, 4]
    assert default_recipe(30_000, 1, True, "cross_entropy").n_bins == 48


# Temperature


@pytest.mark.parametrize("n_out", [2, 3])
def test_the_temperature_is_that_of_the_least_loss(n_out):
    draw = np.random.RandomState(0)
    logits = draw.normal(size=(500, n_out)).astype(np.float32)
    y = (logits + 0.8 * draw.normal(size=logits.shape)).argmax(axis=1)
    sure = np.float32(5) * logits  # far too sure
    temperature = best_temperature(sure, y, None)
    assert temperature > 2

    def loss(temperature):
        p = np.exp(sure / temperature)
        return -np.log(p[np.arange(500), y] / p.sum(axis=1)).mean()

    assert loss(temperature) < min(loss(0.98 * temperature), loss(1.02 * temperature))
    weight = np.repeat([1.0, 0.0], 250)
    half = best_temperature(sure[:250], y[:250], None)
    assert math.isclose(best_temperature(sure, y, weight), half, rel_tol=1e-3)


def test_the_temperature_is_1_if_none_is_better():
    assert best_temperature(np.zeros((6, 3), np.float32), np.arange(6) % 3, None) == 1.0


def test_all_networks_are_scaled_by_the_temperature_of_the_rows_held_out():
    draw = np.random.RandomState(1)
    A = draw.normal(size=(200, 5)).astype(np.float32)
    y = (A[:, 0] + 2 * draw.normal(size=200) > 0).astype(int)
    members = []
    for seed in range(2):
        network = fastmlp.Network([5, 4, 2], output="softmax", hidden="tanh", seed=seed)
        network.fit(A, y, epochs=40, learning_rate=0.1)
        network.parameters[:] *= 3
        members.append(Member(network, {}))
    before = [member.network.copy() for member in members]
    rows = [Rows(A[:100], y[:100], None), Rows(A[100:], y[100:], None)]
    scale_temperature(members, rows, A)
    (temperature,) = {member.history["temperature"] for member in members}
    assert temperature > 1
    for (network, _, _), old, own in zip(members, before, rows, strict=True):
        assert_array_equal(network.weights[0], old.weights[0])
        assert_array_equal(network.weights[1], old.weights[1] / np.float32(temperature))
        assert_array_equal(network.predict(A), old.predict(A))
        assert network.loss(*own[:2]) < old.loss(*own[:2])


def test_the_mean_of_networks_is_as_sure_as_each_of_them_was():
    draw = np.random.RandomState(0)
    shared = 2 * draw.normal(size=(400, 3))
    logits = [(shared + draw.normal(size=(400, 3))).astype(np.float32) for _ in range(4)]

    def softmax(z):
        p = np.exp(z)
        return p / p.sum(axis=-1, keepdims=True)

    each = np.mean([softmax(z / 1.5).max(axis=1) for z in logits])
    temperature = temperature_of_mean(logits, 1.5)
    assert temperature < 1.4
    mean = softmax(np.array(logits) / temperature).mean(axis=0)
    assert math.isclose(mean.max(axis=1).mean(), each, rel_tol=1e-4)
    assert temperature_of_mean(logits[:1] * 2, 1.5) == 1.5  # the same network twice
    opposite = [logits[0], -logits[0]]  # whatever the temperature, their mean is not sure
    assert math.isclose(temperature_of_mean(opposite, 1.5), 0.75, rel_tol=1e-4)


def test_probabilities_are_scaled():
    model = TabularClassifier(**QUICK).fit(X, TABLE["class"])
    assert len({history["temperature"] for history in model.histories}) == 1
    assert model.histories[0]["temperature"] != 1


# Quantiles


def test_a_shift_is_an_error_with_the_right_share_of_rows_and_of_one_more_beyond():
    errors, even = np.arange(99.0)[::-1], np.ones(99)
    assert conformal_shift(errors, even, 0.9) == 89  # the 90th of 99 rows and a new one
    assert conformal_shift(errors, even, 0.1) == 9  # 10 % of 100 are the 10th row and those below
    assert conformal_shift(errors, even, 0.5) == 49
    assert conformal_shift(errors, 3 * even, 0.9) == 89
    assert conformal_shift(errors, np.where(errors < 50, 1.0, 3.0), 0.5) == 66


def test_a_shift_for_which_there_are_too_few_rows_only_widens():
    errors, even = np.arange(1.0, 10.0), np.ones(9)
    assert conformal_shift(errors, even, 0.95) == 9
    assert conformal_shift(errors, even, 0.05) == 0
    assert conformal_shift(-errors, even, 0.95) == 0
    assert conformal_shift(-errors, even, 0.05) == -9


def test_all_networks_are_shifted_by_the_quantiles_of_the_rows_held_out():
    draw = np.random.RandomState(2)
    A, y = draw.normal(size=(300, 3)).astype(np.float32), draw.normal(size=300).astype(np.float32)
    quantiles = [0.1, 0.5, 0.9]
    networks = [
        fastmlp.Network([3, 4, 3], output="identity", loss="pinball", quantiles=quantiles, seed=k)
        for k in range(2)
    ]
    before = [network.copy() for network in networks]
    held = [Rows(A[:150], y[:150], None), Rows(A[150:], y[150:], None)]
    shift_quantiles(networks, held)
    pairs = list(zip(networks, held, strict=True))
    outputs = np.vstack([network.forward(own.X) for network, own in pairs])
    below = (y[:, np.newaxis] <= outputs + 1e-6).mean(axis=0)
    assert np.abs(below - quantiles).max() <= 2 / 300
    (shifts,) = {tuple(n.biases[-1] - o.biases[-1]) for n, o in zip(networks, before, strict=True)}
    assert min(shifts) < -0.5 < 0.5 < max(shifts)


def test_quantiles_of_a_small_table_hold_enough_new_rows():
    draw = np.random.RandomState(0)
    A = draw.normal(size=(700, 6))
    y = A[:, 0] ** 2 + A[:, 1] * A[:, 2] + 0.3 * draw.normal(size=700)
    model = TabularRegressor(quantiles=[0.1, 0.9], hidden=(128, 128), epochs=60, n_members=2)
    low, high = model.fit(A[:120], y[:120]).predict(A[120:]).T
    inside = ((low <= y[120:]) & (y[120:] <= high)).mean()
    assert 0.78 < inside < 0.95  # 0.5 by the networks as they are trained
