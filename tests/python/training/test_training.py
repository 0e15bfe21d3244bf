"""`fit` and `predict`, for the native network and the twin alike."""

import math
import re
import sys
import types

import numpy as np
import pytest

import fastmlp
from fastmlp import _training_data, reference
from fastmlp.training import EarlyStopping, History, resolve_seed

BOTH = pytest.mark.parametrize("network_class", [fastmlp.Network, reference.Network])
pytestmark = BOTH


def make(network_class, layers=(3, 5, 1), **options):
    return network_class(list(layers), **{"dtype": "float64", "seed": 3, **options})


def data(rows=21, features=3):
    """Small integers and a rule that a network can learn."""
    X = np.array([[(7 * i + 3 * j * i + j) % 5 - 2 for j in range(features)] for i in range(rows)])
    return X.astype(np.float64), (X[:, 0] + X[:, 1] > 0).astype(np.float64)


def scripted(network_class, val_losses=(), after_epoch=None):
    """A network whose `loss` says what the test wants, and that keeps what `train_epoch` is given.

    `after_epoch(network)` runs after each epoch; what it returns, if anything, is its loss.
    """

    class Scripted(network_class):
        def train_epoch(self, X, y, order, **options):
            self.orders = [*getattr(self, "orders", []), order.copy()]
            self.options = options
            loss = super().train_epoch(X, y, order, **options)
            changed = after_epoch(self) if after_epoch else None
            return loss if changed is None else changed

        def loss(self, X, y, sample_weight=None):
            return val_losses[len(self.orders) - 1]

    return make(Scripted)


# Training


def test_fit_learns_a_rule(network_class):
    X, y = data()
    network = make(network_class)
    history = network.fit(X, y, epochs=200, batch_size=8, learning_rate=0.5)
    assert (network.predict(X) == y).all()
    assert history.loss[-1] < 0.1 * history.loss[0]


def test_fit_returns_one_loss_per_epoch(network_class):
    X, y = data()
    history = make(network_class).fit(X, y, epochs=4)
    assert history == History(history.loss, learning_rate=[0.01] * 4, epochs=4, stopped_by="epochs")
    assert len(history.loss) == 4
    assert all(type(loss) is float for loss in history.loss)


@pytest.mark.parametrize("shuffle", [True, False])
def test_two_fits_of_five_epochs_equal_one_of_ten(network_class, shuffle):
    X, y = data()
    once, twice = make(network_class), make(network_class)
    whole = once.fit(X, y, epochs=10, batch_size=4, shuffle=shuffle)
    halves = [twice.fit(X, y, epochs=5, batch_size=4, shuffle=shuffle) for _ in range(2)]
    assert once.parameters.tobytes() == twice.parameters.tobytes()
    assert whole.loss == halves[0].loss + halves[1].loss
    assert once.epochs_trained == twice.epochs_trained == 10


def test_epochs_take_the_rows_in_the_permutations_of_their_numbers(network_class):
    X, y = data()
    network = scripted(network_class)
    network.fit(X, y, epochs=2)
    network.fit(X, y, epochs=1)
    for epoch, order in enumerate(network.orders):
        np.testing.assert_array_equal(order, reference.permutation(len(X), network.seed, epoch))


def test_fit_seed_replaces_the_networks_for_the_order_only(network_class):
    X, y = data()
    network = scripted(network_class)
    network.fit(X, y, epochs=1, seed=2**64 - 1)
    np.testing.assert_array_equal(network.orders[0], reference.permutation(len(X), 2**64 - 1, 0))
    assert network.seed == 3


def test_without_shuffling_the_rows_stand_in_their_order(network_class):
    X, y = data()
    network = scripted(network_class)
    network.fit(X, y, epochs=2, shuffle=False)
    assert [order.tolist() for order in network.orders] == 2 * [list(range(len(X)))]
    assert network.orders[0].dtype == np.int64


def test_fit_takes_lists_and_integers(network_class):
    X, y = data()
    arrays, lists = make(network_class), make(network_class)
    arrays.fit(X, y, epochs=2)
    lists.fit(X.astype(int).tolist(), y.astype(bool).tolist(), epochs=np.int64(2), batch_size=32)
    assert arrays.parameters.tobytes() == lists.parameters.tobytes()


def test_rows_of_weight_zero_count_for_nothing(network_class):
    X, y = data()
    weight = np.arange(len(X)) % 2
    weighted, fewer = make(network_class), make(network_class)
    options = {"epochs": 3, "batch_size": len(X), "shuffle": False, "learning_rate": 0.1}
    history = weighted.fit(X, y, sample_weight=weight, **options)
    expected = fewer.fit(X[weight == 1], y[weight == 1], **options)
    np.testing.assert_allclose(weighted.parameters, fewer.parameters, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("exponent", [-1000, -166, 130, 1000])
def test_only_the_ratios_of_weights_count(network_class, dtype, exponent):
    X, y = data()
    weight = np.arange(len(X)) % 4 + 0.25
    networks = [make(network_class, dtype=dtype) for _ in range(2)]
    histories = [
        network.fit(X, y, epochs=2, sample_weight=w, validation_data=(X, y, w))
        for network, w in zip(networks, [weight, weight * 2.0**exponent], strict=True)
    ]
    assert histories[0] == histories[1]
    assert networks[0].parameters.tobytes() == networks[1].parameters.tobytes()


def test_validation_loss_is_that_after_the_epoch(network_class):
    X, y = data()
    network = make(network_class)
    weight = np.arange(len(X)) + 1.0
    seen = []
    history = network.fit(
        X,
        y,
        epochs=3,
        validation_data=(X, y, weight),
        callbacks=[lambda network, epoch, logs: seen.append(network.loss(X, y, weight))],
    )
    assert history.val_loss == seen
    assert len(seen) == 3


# Optimizers


def test_learning_rate_none_is_the_optimizers_default(network_class):
    X, y = data()
    network = scripted(network_class)
    network.fit(X, y, epochs=1)
    assert network.options["optimizer"].learning_rate == 0.01
    network.fit(X, y, epochs=1, learning_rate=0.25, batch_size=7)
    assert network.options["optimizer"].learning_rate == 0.25
    assert network.options["batch_size"] == 7


def test_an_optimizer_object_is_used_as_it_is(network_class):
    X, y = data()
    network = scripted(network_class)
    optimizer = fastmlp.SGD(learning_rate=0.5)
    network.fit(X, y, epochs=1, optimizer=optimizer)
    assert network.options["optimizer"] is optimizer


# Early stopping


def early_stopping_fit(network, early_stopping, epochs=10, **options):
    X, y = data()
    return network.fit(
        X, y, epochs=epochs, validation_data=(X, y), early_stopping=early_stopping, **options
    )


def test_early_stopping_waits_for_its_patience(network_class):
    network = scripted(network_class, [3.0, 2.0, 2.0, 2.5, 1.0])
    history = early_stopping_fit(network, 2)
    assert history.stopped_by == "early_stopping"
    assert history.epochs == 4
    assert history.val_loss == [3.0, 2.0, 2.0, 2.5]


def test_an_improvement_starts_the_patience_again(network_class):
    history = early_stopping_fit(scripted(network_class, [3.0, 4.0, 2.0, 2.0, 2.0]), 2)
    assert history.epochs == 5


def test_early_stopping_leaves_the_network_as_after_its_best_epoch(network_class):
    X, y = data()
    network, best = scripted(network_class, [3.0, 1.0, 2.0, 2.0]), make(network_class)
    early_stopping_fit(network, 2)
    best.fit(X, y, epochs=2)
    assert network.parameters.tobytes() == best.parameters.tobytes()
    assert network.epochs_trained == best.epochs_trained == 2


@pytest.mark.parametrize("stop_at", [None, 2])
def test_the_best_parameters_return_whatever_stopped_the_training(network_class, stop_at):
    X, y = data()
    network, best = scripted(network_class, [3.0, 1.0, 2.0]), make(network_class)
    history = early_stopping_fit(
        network, 5, epochs=3, callbacks=[lambda network, epoch, logs: epoch == stop_at]
    )
    best.fit(X, y, epochs=2)
    assert history.stopped_by == ("epochs" if stop_at is None else "callback")
    assert network.parameters.tobytes() == best.parameters.tobytes()


def test_min_delta_asks_for_more_but_the_lowest_loss_is_still_the_best(network_class):
    X, y = data()
    network, best = scripted(network_class, [3.0, 2.9, 2.8, 2.7]), make(network_class)
    history = early_stopping_fit(network, EarlyStopping(2, min_delta=0.5))
    best.fit(X, y, epochs=3)
    assert history.epochs == 3
    assert network.parameters.tobytes() == best.parameters.tobytes()


def test_small_improvements_add_up_to_min_delta(network_class):
    losses = [3.0, 2.7, 2.4, 2.1, 1.8]
    history = early_stopping_fit(
        scripted(network_class, losses), EarlyStopping(2, min_delta=0.5), epochs=5
    )
    assert history.stopped_by == "epochs"


def test_a_nan_validation_loss_is_no_improvement(network_class):
    X, y = data()
    network = scripted(network_class, [math.nan, 1.0, math.nan, math.nan])
    history = early_stopping_fit(network, 2)
    best = make(network_class)
    best.fit(X, y, epochs=2)
    assert history.epochs == 4
    assert network.parameters.tobytes() == best.parameters.tobytes()


def test_only_nan_validation_losses_keep_the_last_parameters(network_class):
    network = scripted(network_class, [math.nan] * 3)
    history = early_stopping_fit(network, 3)
    assert history.epochs == network.epochs_trained == 3
    assert np.isfinite(network.parameters).all()


def test_an_early_stopping_object_can_be_used_again(network_class):
    rule = EarlyStopping(1)
    for _ in range(2):
        assert early_stopping_fit(scripted(network_class, [2.0, 1.0, 1.0]), rule).epochs == 3


# Callbacks


def test_callbacks_get_the_network_the_epoch_and_its_losses(network_class):
    X, y = data()
    network = make(network_class)
    calls = []
    history = network.fit(
        X, y, epochs=2, validation_data=(X, y), callbacks=[lambda *given: calls.append(given)]
    )
    assert calls == [
        (network, epoch, {"loss": history.loss[epoch], "val_loss": history.val_loss[epoch]})
        for epoch in range(2)
    ]


def test_logs_hold_no_validation_loss_without_validation_data(network_class):
    X, y = data()
    seen = []
    make(network_class).fit(
        X, y, epochs=1, callbacks=[lambda network, epoch, logs: seen.append(set(logs))]
    )
    assert seen == [{"loss"}]


def test_a_callback_that_returns_true_stops_after_all_have_seen_the_epoch(network_class):
    X, y = data()
    network = make(network_class)
    seen = []
    history = network.fit(
        X,
        y,
        epochs=9,
        # NumPy's True is one too: what a comparison of two of its numbers gives.
        callbacks=[
            lambda network, epoch, logs: np.float64(epoch) == 2,
            lambda *given: seen.append(given[1]),
        ],
    )
    assert history.stopped_by == "callback"
    assert history.epochs == network.epochs_trained == 3
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("answer", [None, False, 1, "yes"])
def test_only_true_stops(network_class, answer):
    X, y = data()
    history = make(network_class).fit(X, y, epochs=3, callbacks=[lambda *given: answer])
    assert history.stopped_by == "epochs"
    assert history.epochs == 3


def test_a_callback_cannot_change_what_the_next_one_sees(network_class):
    X, y = data()
    seen = []
    make(network_class).fit(
        X,
        y,
        epochs=1,
        callbacks=[lambda *given: given[2].clear(), lambda *given: seen.append(given[2])],
    )
    assert set(seen[0]) == {"loss"}


# Losses and parameters that are not finite


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_diverging_fit_ends_as_after_the_last_finite_epoch(network_class):
    X, y = data()
    network, other = (make(network_class, (3, 1), output="identity") for _ in range(2))
    options = {"batch_size": 8, "learning_rate": 3.0}
    with pytest.raises(FloatingPointError) as raised, pytest.warns(UserWarning, match="constant"):
        network.fit(X, 100 * y, epochs=1000, **options)
    finite_epochs = network.epochs_trained
    assert finite_epochs > 1
    assert f"epoch {finite_epochs} at learning rate 3.0" in str(raised.value)
    assert np.isfinite(network.parameters).all()
    with pytest.warns(UserWarning, match="constant"):
        other.fit(X, 100 * y, epochs=finite_epochs, **options)
    assert network.parameters.tobytes() == other.parameters.tobytes()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_reported(network_class, bad):
    X, y = data()
    network = scripted(
        network_class, after_epoch=lambda network: bad if network.epochs_trained == 3 else None
    )
    other = make(network_class)
    with pytest.raises(FloatingPointError, match=rf"the loss is {bad} in epoch 2 .*rate 0\.125"):
        network.fit(X, y, epochs=5, learning_rate=0.125)
    other.fit(X, y, epochs=2, learning_rate=0.125)
    assert network.parameters.tobytes() == other.parameters.tobytes()
    assert network.epochs_trained == 2


def test_a_parameter_that_is_not_finite_is_reported(network_class):
    X, y = data()

    def break_a_bias(network):
        network.biases[0][1] = math.inf

    network = scripted(network_class, after_epoch=break_a_bias)
    before = network.parameters.copy()
    with pytest.raises(FloatingPointError, match="a parameter is not finite in epoch 0"):
        network.fit(X, y, epochs=5)
    np.testing.assert_array_equal(network.parameters, before)
    assert network.epochs_trained == 0


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize(
    ("X_scale", "y_scale", "cause"),
    [
        (1, 1e25, r"y, with values of up to 2e\+25, is too large for float32; scale y"),
        (
            1e30,
            1,
            r"the outputs, with values of up to .*e\+3., are too large for float32; scale X or",
        ),
        (
            1e38,
            1,
            r"the outputs, with values of up to (inf|nan), are too large for float32; scale X or",
        ),
    ],
)
def test_values_that_no_learning_rate_can_train_on_are_named(
    network_class, optimizer, X_scale, y_scale, cause
):
    X, y = data()
    network = make(network_class, (3, 4, 1), output="identity", dtype="float32")
    network.weights[0][:], network.weights[1][:] = 3, 5
    before = network.parameters.copy()
    with pytest.raises(FloatingPointError, match=cause + ".*, or use dtype='float64'$") as raised:
        network.fit(X_scale * (1.5 + np.sin(X)), y_scale * (y + 1), epochs=5, optimizer=optimizer)
    assert "learning rate" not in str(raised.value)
    np.testing.assert_array_equal(network.parameters, before)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_learning_rate_that_is_too_high_is_named(network_class):
    X, y = data()
    network = make(network_class, (3, 1), output="identity")
    with pytest.raises(
        FloatingPointError, match="epoch: a lower learning rate or smaller values in"
    ):
        network.fit(X, y, epochs=5, learning_rate=1e200)


def test_undone_is_what_the_callback_of_the_epoch_before_left(network_class):
    X, y = data()
    network = scripted(
        network_class, after_epoch=lambda network: math.nan if network.epochs_trained == 3 else None
    )
    left = []

    def halve(network, epoch, logs):
        if isinstance(network, reference.Network):
            network.parameters = network.parameters.copy()  # the twin's may also be replaced
        network.parameters[:] = network.parameters / 2
        left.append(network.parameters.copy())

    with pytest.raises(FloatingPointError, match="in epoch 2"):
        network.fit(X, y, epochs=5, callbacks=[halve])
    np.testing.assert_array_equal(network.parameters, left[-1])
    assert network.epochs_trained == 2


def test_a_nan_validation_loss_is_recorded_not_hidden(network_class):
    X, y = data()
    history = scripted(network_class, [math.nan]).fit(X, y, epochs=1, validation_data=(X, y))
    assert math.isnan(history.val_loss[0])


# Interrupts and progress


class FakeBar:
    """A bar that remembers what it showed, and whether it was closed."""

    made: list["FakeBar"]

    def __init__(self, total, unit, initial):
        self.total, self.shown, self.closed, self.postfix = total, initial, False, {}
        FakeBar.made.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.closed = True

    def set_postfix(self, logs, refresh):
        self.postfix = dict(logs)

    def update(self):
        self.shown += 1


@pytest.fixture
def bars(monkeypatch):
    FakeBar.made = []
    monkeypatch.setitem(sys.modules, "tqdm.auto", types.SimpleNamespace(tqdm=FakeBar))
    return FakeBar.made


def test_progress_shows_every_epoch_and_its_loss(network_class, bars):
    X, y = data()
    history = make(network_class).fit(X, y, epochs=3, progress=True, validation_data=(X, y))
    (bar,) = bars
    assert (bar.total, bar.shown, bar.closed) == (3, 3, True)
    assert bar.postfix == {"loss": history.loss[-1], "val_loss": history.val_loss[-1]}


def test_no_bar_without_progress(network_class, bars):
    X, y = data()
    make(network_class).fit(X, y, epochs=1)
    assert bars == []


def test_an_interrupt_closes_the_bar_and_leaves_a_usable_network(network_class, bars):
    X, y = data()

    def interrupt(network):
        if network.epochs_trained == 2:
            raise KeyboardInterrupt

    network = scripted(network_class, after_epoch=interrupt)
    with pytest.raises(KeyboardInterrupt):
        network.fit(X, y, epochs=5, progress=True)
    assert bars[0].closed
    assert np.isfinite(network.forward(X)).all()
    assert network.fit(X, y, epochs=1).epochs == 1


def test_progress_without_tqdm_names_the_extra_and_changes_nothing(network_class, monkeypatch):
    X, y = data()
    network = make(network_class)
    before = network.parameters.copy()
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)  # import then fails
    with pytest.raises(ImportError, match=re.escape("pip install 'fastmlp[progress]'")):
        network.fit(X, y, epochs=1, progress=True)
    np.testing.assert_array_equal(network.parameters, before)
    assert network.epochs_trained == 0


# Bad input


def with_value(array, index, value):
    changed = np.array(array, dtype=np.float64)
    changed[index] = value
    return changed


X_GOOD, Y_GOOD = data()
NOT_FINITE = [math.nan, math.inf, -math.inf]

REFUSED = {
    "epochs 0": ({"epochs": 0}, ValueError, "epochs is 0"),
    "epochs negative": ({"epochs": -1}, ValueError, "epochs is -1"),
    "epochs a bool": ({"epochs": True}, ValueError, "epochs is True"),
    "epochs a float": ({"epochs": 2.0}, ValueError, "epochs is 2.0"),
    "batch_size 0": ({"batch_size": 0}, ValueError, "batch_size is 0"),
    "batch_size a string": ({"batch_size": "8"}, ValueError, "batch_size is '8'"),
    "unknown optimizer": ({"optimizer": "adagrad"}, ValueError, "'adagrad'.*one of .*'sgd'"),
    "optimizer a class": ({"optimizer": fastmlp.SGD}, TypeError, "optimizer is .*'sgd'"),
    "two learning rates": (
        {"optimizer": fastmlp.SGD(learning_rate=0.5), "learning_rate": 0.1},
        ValueError,
        "learning_rate is 0.1 and optimizer is an object",
    ),
    "learning rate 0": ({"learning_rate": 0.0}, ValueError, "learning_rate"),
    "learning rate NaN": ({"learning_rate": math.nan}, ValueError, "learning_rate"),
    "no rows": ({"X": X_GOOD[:0], "y": Y_GOOD[:0]}, ValueError, r"\(0, 3\).*at least one row"),
    "objects in X": ({"X": X_GOOD.astype(object)}, TypeError, "fit: X has dtype object"),
    "strings in X": ({"X": X_GOOD.astype(str)}, TypeError, "fit: X has dtype <U"),
    "complex X": ({"X": X_GOOD.astype(complex)}, TypeError, "fit: X has dtype complex128"),
    "objects in y": ({"y": Y_GOOD.astype(object)}, TypeError, "fit: y has dtype object"),
    "strings in weights": (
        {"sample_weight": ["1"] * len(X_GOOD)},
        TypeError,
        "fit: sample_weight has dtype <U",
    ),
    "NaN weight": (
        {"sample_weight": with_value(Y_GOOD, 4, math.nan)},
        ValueError,
        "sample_weight has nan at row 4",
    ),
    "infinite weight": (
        {"sample_weight": with_value(Y_GOOD, 4, math.inf)},
        ValueError,
        "sample_weight has inf at row 4",
    ),
    "NaN in validation X": (
        {"validation_data": (with_value(X_GOOD, (6, 1), math.nan), Y_GOOD)},
        ValueError,
        "validation_data: X has nan at row 6, column 1",
    ),
    "validation data without rows": (
        {"validation_data": (X_GOOD[:0], Y_GOOD[:0])},
        ValueError,
        "validation_data: .*at least one row",
    ),
    "validation data of one item": ({"validation_data": (X_GOOD,)}, ValueError, "tuple of 1 item"),
    "validation data an array": ({"validation_data": X_GOOD}, ValueError, r"must be \(X, y\)"),
    "patience without validation data": (
        {"early_stopping": 3, "validation_data": None},
        ValueError,
        "early_stopping is 3 .*needs validation_data",
    ),
    "patience 0": ({"early_stopping": 0}, ValueError, "patience is 0"),
    "patience True": ({"early_stopping": True}, ValueError, "patience is True"),
    "one callback": ({"callbacks": print}, TypeError, "must be a sequence of callables"),
    "callbacks of names": ({"callbacks": ["stop"]}, TypeError, "must be a sequence of callables"),
    "seed negative": ({"seed": -1}, ValueError, "fit: seed is -1"),
    "seed too large": ({"seed": 2**64}, ValueError, "fit: seed is 18446744073709551616"),
    "seed a bool": ({"seed": True}, TypeError, "fit: seed is True"),
    "seed a float": ({"seed": 1.0}, TypeError, "fit: seed is 1.0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_fit_names_the_cause_and_changes_nothing(network_class, case):
    changed, error, message = REFUSED[case]
    generator = np.random.default_rng(0)
    options = {
        "X": X_GOOD,
        "y": Y_GOOD,
        "epochs": 2,
        "validation_data": (X_GOOD, Y_GOOD),
        "seed": generator,
        **changed,
    }
    network = make(network_class)
    before = network.parameters.copy()
    with pytest.raises(error, match=message):
        network.fit(options.pop("X"), options.pop("y"), **options)
    np.testing.assert_array_equal(network.parameters, before)
    assert network.epochs_trained == 0
    assert generator.bit_generator.state == np.random.default_rng(0).bit_generator.state


@pytest.mark.parametrize("bad", NOT_FINITE)
def test_the_first_value_of_x_that_is_not_finite_is_named(network_class, bad):
    X = with_value(with_value(X_GOOD, (9, 0), bad), (8, 2), bad)
    with pytest.raises(ValueError, match=rf"fit: X has {bad} at row 8, column 2;"):
        make(network_class).fit(X, Y_GOOD, epochs=1)


@pytest.mark.parametrize("bad", NOT_FINITE)
@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_the_first_value_of_y_that_is_not_finite_is_named(network_class, bad, shape):
    y = with_value(Y_GOOD, 5, bad).reshape(shape)
    with pytest.raises(ValueError, match=rf"fit: y has {bad} at row 5(, column 0)?;"):
        make(network_class).fit(X_GOOD, y, epochs=1)


def test_every_block_is_searched_for_values_that_are_not_finite(network_class, monkeypatch):
    monkeypatch.setattr(_training_data, "FINITE_CHECK_ELEMENTS", 6)  # two rows
    for row in range(len(X_GOOD)):
        X = with_value(X_GOOD, (row, 1), math.nan)
        with pytest.raises(ValueError, match=f"at row {row}, column 1;"):
            make(network_class).fit(X, Y_GOOD, epochs=1)


def test_finite_means_finite_in_the_networks_dtype(network_class):
    X = with_value(X_GOOD, (3, 2), 1e300)
    with pytest.raises(ValueError, match=r"X has 1e\+300 at row 3, column 2; .*finite in float32"):
        make(network_class, dtype="float32").fit(X, Y_GOOD, epochs=1)


@pytest.mark.parametrize("patience", [0, -1, 1.5, True, None])
def test_early_stopping_needs_a_positive_patience(network_class, patience):
    with pytest.raises(ValueError, match=r"EarlyStopping: patience is .*positive integer"):
        EarlyStopping(patience)


@pytest.mark.parametrize("min_delta", [-0.1, math.nan, math.inf])
def test_early_stopping_needs_a_finite_min_delta(network_class, min_delta):
    with pytest.raises(ValueError, match="EarlyStopping: min_delta is"):
        EarlyStopping(1, min_delta=min_delta)


# Seeds


@pytest.mark.parametrize("seed", [0, 2**64 - 1, np.int32(5), np.uint64(2**64 - 1)])
def test_an_integer_is_its_own_seed(network_class, seed):
    assert make(network_class, seed=seed).seed == int(seed)
    assert type(resolve_seed(seed)) is int


def test_no_seed_is_fresh_entropy_that_can_be_read_back(network_class):
    first, second = make(network_class, seed=None), make(network_class, seed=None)
    again = make(network_class, seed=first.seed)
    assert first.seed != second.seed
    assert first.parameters.tobytes() == again.parameters.tobytes()


def test_a_generator_gives_one_draw_per_network(network_class):
    seeds = [make(network_class, seed=np.random.default_rng(7)).seed for _ in range(2)]
    generator = np.random.default_rng(7)
    assert seeds[0] == seeds[1] == make(network_class, seed=generator).seed
    assert make(network_class, seed=generator).seed != seeds[0]
    draws = [resolve_seed(generator) for _ in range(20)]
    assert max(draws) >= 2**63 > min(draws)


@pytest.mark.parametrize(
    ("seed", "error"),
    [(-1, ValueError), (2**64, ValueError), (True, TypeError), (1.5, TypeError), ("0", TypeError)],
)
def test_other_seeds_are_refused(network_class, seed, error):
    with pytest.raises(error, match=r"Network: seed is .*\[0, 2\*\*64\)"):
        make(network_class, seed=seed)


# Labels


def with_logits(network_class, logits, **options):
    """A network whose last layer's Z is `logits` for every row."""
    network = make(network_class, (2, len(logits)), **options)
    network.parameters[:] = 0
    network.biases[0][:] = logits
    return network


def test_one_sigmoid_output_gives_a_label_per_row(network_class):
    X = np.zeros((4, 2))
    for logit, label in ((-1.0, 0), (0.0, 1), (1.0, 1)):  # 0.5 counts as 1
        labels = with_logits(network_class, [logit]).predict(X)
        assert labels.tolist() == [label] * 4
        assert labels.dtype == np.int64


def test_the_threshold_is_a_probability(network_class):
    network = with_logits(network_class, [math.log(3)])  # σ = 0.75
    assert network.predict(np.zeros((1, 2)), threshold=0.7).tolist() == [1]
    assert network.predict(np.zeros((1, 2)), threshold=0.8).tolist() == [0]


@pytest.mark.parametrize("threshold", [math.nan, np.float32("nan"), None, "0.5", [0.5, 0.7]])
@pytest.mark.parametrize("output", ["sigmoid", "softmax", "identity"])
def test_a_threshold_that_is_not_a_number_is_refused(network_class, output, threshold):
    network = with_logits(network_class, [1.0, 2.0], output=output)
    with pytest.raises(ValueError, match=r"predict: threshold is .*; it must be a number"):
        network.predict(np.zeros((1, 2)), threshold=threshold)


def test_several_sigmoid_outputs_give_a_label_each(network_class):
    labels = with_logits(network_class, [1.0, -1.0, 2.0]).predict(np.zeros((2, 2)))
    assert labels.tolist() == [[1, 0, 1]] * 2
    assert labels.dtype == np.int64


def test_softmax_gives_the_class_of_the_highest_probability(network_class):
    labels = with_logits(network_class, [1.0, 3.0, 2.0], output="softmax").predict(np.zeros((2, 2)))
    assert labels.tolist() == [1, 1]
    assert labels.dtype == np.int64


def test_identity_gives_the_outputs(network_class):
    network = with_logits(network_class, [1.5, -2.5], output="identity", dtype="float32")
    outputs = network.predict(np.zeros((2, 2)))
    assert outputs.tolist() == [[1.5, -2.5]] * 2
    assert outputs.dtype == np.float32


def test_exp_gives_the_outputs(network_class):
    network = with_logits(network_class, [0.0, math.log(3)], output="exp")
    outputs = network.predict(np.zeros((2, 2)))
    np.testing.assert_allclose(outputs, [[1, 3]] * 2, rtol=1e-6)
    assert outputs.dtype == network.dtype


@pytest.mark.parametrize("output", ["identity", "exp", "sigmoid"])
def test_one_output_gives_one_value_for_each_row(network_class, output):
    network = with_logits(network_class, [0.0], output=output)
    predicted, y = network.predict(np.zeros((4, 2))), np.ones(4)
    assert predicted.shape == (predicted - y).shape == (4,)


@pytest.mark.parametrize(
    ("logits", "output", "predicted"),
    [
        ([1.0], "sigmoid", 1),
        ([1.0, -1.0], "sigmoid", [1, 0]),
        ([1.0, 2.0], "softmax", 1),
        ([1.5], "identity", 1.5),
        ([1.5, 2.5], "identity", [1.5, 2.5]),
    ],
)
def test_one_row_loses_its_axis(network_class, logits, output, predicted):
    row = with_logits(network_class, logits, output=output).predict([0.0, 0.0])
    assert row.tolist() == predicted
    assert isinstance(row, np.ndarray) == isinstance(predicted, list)  # else a number


def test_no_rows_have_no_labels(network_class):
    assert make(network_class).predict(np.zeros((0, 3))).shape == (0,)


@pytest.mark.parametrize(("layers", "output"), [((3, 1), "sigmoid"), ((3, 2), "softmax")])
def test_nan_has_no_label(network_class, layers, output):
    network = make(network_class, layers, output=output)
    with pytest.raises(ValueError, match="predict: a probability is NaN"):
        network.predict([[0.0, math.nan, 0.0]])
