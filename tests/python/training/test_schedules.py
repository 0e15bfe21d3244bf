"""Learning-rate schedules: their values, and what `fit` makes of them."""

import copy
import math
import pickle
import re

import numpy as np
import pytest

import fastmlp
from fastmlp import reference, schedules
from fastmlp.schedules import Constant, Cosine, OneCycle, Plateau, StepDecay

BOTH = pytest.mark.parametrize("network_class", [fastmlp.Network, reference.Network])


def make(network_class=fastmlp.Network):
    return network_class([2, 4, 1], hidden="tanh", dtype="float64", seed=1)


def data():
    X = np.array([[i % 5 - 2.0, i % 3 - 1.0] for i in range(12)])
    return X, (X[:, 0] > 0).astype(np.float64)


def rates(schedule, epochs, learning_rate=1.0):
    return [schedule(epoch, learning_rate, None) for epoch in range(epochs)]


def watched(schedule, losses, learning_rate=1.0, name="loss"):
    """The rates of the epochs after these losses."""
    schedule(0, learning_rate, None)
    logs = [{"loss": 0.0, name: loss} for loss in losses]
    return [schedule(epoch, learning_rate, log) for epoch, log in enumerate(logs, start=1)]


# Values


def test_constant_is_the_optimizers_rate():
    assert rates(Constant(), 3, 0.3) == [0.3] * 3


def test_step_decay_multiplies_every_few_epochs():
    assert rates(StepDecay(3, gamma=0.5), 8) == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert rates(StepDecay(1), 3, 0.5) == [0.5, 0.05, 0.5 * (0.1 * 0.1)]


def test_cosine_is_half_a_wave_that_stays_at_its_last_rate():
    expected = [0.2 + 0.8 * (1 + math.cos(math.pi * e / 10)) / 2 for e in range(10)]
    found = rates(Cosine(10, minimum=0.2), 13)
    assert found[0] == 1.0
    np.testing.assert_allclose(found, [*expected, *[expected[-1]] * 3], rtol=1e-15)


def test_cosine_to_zero_is_always_positive():
    assert all(rate > 0 for rate in rates(Cosine(5), 20))
    assert rates(Cosine(1), 2) == [1.0, 1.0]


def test_one_cycle_rises_to_its_maximum_and_falls():
    rise = [2 - 1.5 * (1 + math.cos(math.pi * e / 3)) / 2 for e in range(4)]
    fall = [0.1 + 1.9 * (1 + math.cos(math.pi * e / 7)) / 2 for e in range(1, 7)]
    found = rates(OneCycle(10, 2.0, warmup=0.3, minimum=0.1), 12, 0.5)
    assert found[0] == 0.5
    assert found[3] == max(found) == 2.0
    np.testing.assert_allclose(found, [*rise, *fall, fall[-1], fall[-1]], rtol=1e-15)


@pytest.mark.parametrize("warmup", [1e-9, 0.999])
def test_one_cycle_always_rises_and_falls(warmup):
    found = rates(OneCycle(4, 1.0, warmup=warmup), 4, 0.1)
    assert found[0] == 0.1
    assert 1.0 in found[1:]


def test_the_cosine_is_maths_but_not_its_function(monkeypatch):
    found = [schedules._risen(i / 1000) for i in range(1001)]
    exact = [math.sin(math.pi * i / 2000) ** 2 for i in range(1001)]
    np.testing.assert_allclose(found, exact, rtol=0, atol=4e-16)
    assert found == sorted(found)
    assert (found[0], found[-1]) == (0.0, 1.0)
    monkeypatch.delattr(math, "cos")
    assert schedules._risen(0.25) < 0.15


def test_plateau_reduces_after_its_patience_and_waits_again():
    losses = [5.0, 4, 4, 4, 4, 4, 3, 3, 3]
    expected = [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]
    assert watched(Plateau(factor=0.5, patience=1), losses) == expected


def test_plateau_has_the_patience_of_pytorch():
    losses = [1.0, 0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8]
    # torch.optim.lr_scheduler.ReduceLROnPlateau(threshold_mode="abs") of PyTorch 2.13, factor 0.5
    rates = {
        0: [1, 1, 0.5, 0.25, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625],
        1: [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625],
        2: [1, 1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25],
    }
    for patience, expected in rates.items():
        assert watched(Plateau(0.5, patience), losses) == expected


def test_plateau_asks_for_min_delta_and_never_for_nan():
    schedule = Plateau(factor=0.5, patience=0, min_delta=0.5)
    assert watched(schedule, [3.0, 2.6, 2.4, math.nan]) == [1, 0.5, 0.5, 0.25]


def test_plateau_stops_at_its_minimum():
    assert watched(Plateau(0.5, 0, minimum=0.3), [1.0] * 4) == [1, 0.5, 0.3, 0.3]


def test_plateau_prefers_the_validation_loss():
    schedule = Plateau(0.5, 0)
    assert watched(schedule, [3.0, 2.0, 1.0], name="val_loss") == [1, 1, 1]  # "loss" stays 0


def test_plateau_starts_anew_with_a_network():
    schedule = Plateau(0.5, 0)
    first = watched(schedule, [1.0, 1.0, 1.0])
    assert watched(schedule, [1.0, 1.0, 1.0]) == first == [1, 0.5, 0.25]


def test_copies_of_a_plateau_go_on():
    schedule = Plateau(0.5, 1)
    watched(schedule, [1.0, 1.0])
    for again in (copy.deepcopy(schedule), pickle.loads(pickle.dumps(schedule))):
        assert again == schedule
        assert again(3, 1.0, {"loss": 1.0}) == 0.5


# In fit


def recorded(network, schedule, epochs, rate=0.1, **options):
    """The rates that fit says it used, sure to be those that the optimizer had."""
    seen = []
    optimizer = fastmlp.SGD(rate, momentum=0.5)
    history = network.fit(
        *data(),
        epochs=epochs,
        optimizer=optimizer,
        schedule=schedule,
        callbacks=[lambda *given: seen.append(optimizer.learning_rate)],
        **options,
    )
    assert history.learning_rate == seen
    assert all(type(rate) is float for rate in seen)
    assert optimizer.learning_rate == rate
    return seen


SCHEDULES = {
    "constant": Constant,
    "steps": lambda: StepDecay(2, 0.5),
    "cosine": lambda: Cosine(6, 0.01),
    "one cycle": lambda: OneCycle(6, 0.4),
    "plateau": lambda: Plateau(0.5, 0, min_delta=1.0),
    "function": lambda: lambda epoch, rate, logs: rate / (1 + epoch),
}


@BOTH
@pytest.mark.parametrize("name", SCHEDULES)
def test_two_fits_take_the_rates_of_one(network_class, name):
    schedules = SCHEDULES[name](), SCHEDULES[name]()
    once, twice = make(network_class), make(network_class)
    whole = recorded(once, schedules[0], 6)
    halves = recorded(twice, schedules[1], 3) + recorded(twice, schedules[1], 3)
    assert whole == halves
    assert len(set(whole)) > 1 or name == "constant"


@BOTH
def test_rates_reach_the_updates(network_class):
    """A fit with a schedule is a fit of one epoch after the other with its rates."""
    scheduled, by_hand = make(network_class), make(network_class)
    found = recorded(scheduled, StepDecay(1, 0.5), 3)
    assert found == [0.1, 0.05, 0.025]
    optimizer = fastmlp.SGD(momentum=0.5)
    for rate in found:
        optimizer.learning_rate = rate
        by_hand.fit(*data(), epochs=1, optimizer=optimizer)
    assert scheduled.parameters.tobytes() == by_hand.parameters.tobytes()


@BOTH
def test_a_constant_schedule_changes_nothing(network_class):
    plain, scheduled = make(network_class), make(network_class)
    plain.fit(*data(), epochs=3, optimizer="adam")
    scheduled.fit(*data(), epochs=3, optimizer="adam", schedule=Constant())
    assert plain.parameters.tobytes() == scheduled.parameters.tobytes()


@BOTH
@pytest.mark.parametrize("validated", [False, True])
def test_a_schedule_is_given_epoch_base_rate_and_logs(network_class, validated):
    X, y = data()
    network, calls = make(network_class), []

    def schedule(*given):
        calls.append(given)
        return 0.5

    for _ in range(2):
        options = {"validation_data": (X, y)} if validated else {}
        history = network.fit(X, y, epochs=2, learning_rate=0.25, schedule=schedule, **options)
        logs = [{"loss": loss} for loss in history.loss]
        for log, val_loss in zip(logs, history.val_loss, strict=False):
            log["val_loss"] = val_loss
        first = network.epochs_trained - 2
        expected = [(first + e, 0.25, log) for e, log in enumerate([None, *logs])]
        assert calls == expected
        calls.clear()


@BOTH
def test_a_plateau_sees_the_last_epoch_of_a_fit_that_stops(network_class):
    seen = []

    def schedule(epoch, rate, logs):
        seen.append((epoch, logs is not None))
        return rate

    make(network_class).fit(
        *data(), epochs=9, schedule=schedule, callbacks=[lambda network, epoch, logs: epoch == 1]
    )
    assert seen == [(0, False), (1, True), (2, True)]


def test_a_schedule_cannot_change_what_callbacks_see():
    def schedule(epoch, rate, logs):
        if logs is not None:
            logs.clear()
        return rate

    seen = []
    make().fit(
        *data(), epochs=1, schedule=schedule, callbacks=[lambda *given: seen.append(set(given[2]))]
    )
    assert seen == [{"loss"}]


def test_without_a_schedule_a_callback_may_set_the_rate_for_good():
    optimizer = fastmlp.SGD(0.1)

    def halve(network, epoch, logs):
        optimizer.learning_rate /= 2

    history = make().fit(*data(), epochs=3, optimizer=optimizer, callbacks=[halve])
    assert history.learning_rate == [0.1, 0.05, 0.025]
    assert optimizer.learning_rate == 0.0125


class StopError(Exception):
    pass


@BOTH
@pytest.mark.parametrize("where", ["callback", "schedule", "epoch"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_rate_is_put_back_also_after_an_exception(network_class, where):
    optimizer = fastmlp.SGD(0.1)

    def callback(network, epoch, logs):
        if epoch == 1:
            if where == "callback":
                raise StopError
            if where == "epoch":
                network.biases[-1][:] = math.nan

    def schedule(epoch, rate, logs):
        if where == "schedule" and epoch == 2:
            raise StopError
        return 0.5

    with pytest.raises((StopError, FloatingPointError)):
        make(network_class).fit(
            *data(), epochs=5, optimizer=optimizer, schedule=schedule, callbacks=[callback]
        )
    assert optimizer.learning_rate == 0.1


# What is refused


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (StepDecay, {"step_size": 0}, "StepDecay: step_size is 0; it must be a positive integer"),
        (StepDecay, {"step_size": 2.0}, "StepDecay: step_size is 2.0"),
        (
            StepDecay,
            {"step_size": 1, "gamma": 0.0},
            "StepDecay: gamma is 0.0; it must be in (0, 1]",
        ),
        (StepDecay, {"step_size": 1, "gamma": 1.5}, "StepDecay: gamma is 1.5"),
        (StepDecay, {"step_size": 1, "gamma": math.nan}, "StepDecay: gamma is nan"),
        (Cosine, {"epochs": 0}, "Cosine: epochs is 0"),
        (Cosine, {"epochs": 3, "minimum": -0.1}, "Cosine: minimum is -0.1; it must be finite and"),
        (Cosine, {"epochs": 3, "minimum": math.inf}, "Cosine: minimum is inf"),
        (OneCycle, {"epochs": 1, "maximum": 1.0}, "OneCycle: epochs is 1; it must be at least 2"),
        (OneCycle, {"epochs": 5, "maximum": math.inf}, "OneCycle: maximum is inf; it must be fin"),
        (OneCycle, {"epochs": 5, "maximum": 0.1, "minimum": 0.1}, "OneCycle: maximum is 0.1"),
        (OneCycle, {"epochs": 5, "maximum": 1.0, "warmup": 0.0}, "OneCycle: warmup is 0.0"),
        (OneCycle, {"epochs": 5, "maximum": 1.0, "warmup": 1.0}, "OneCycle: warmup is 1.0"),
        (OneCycle, {"epochs": 5, "maximum": 1.0, "minimum": -1.0}, "OneCycle: minimum is -1.0"),
        (Plateau, {"factor": 0.0}, "Plateau: factor is 0.0; it must be in (0, 1)"),
        (Plateau, {"factor": 1.0}, "Plateau: factor is 1.0"),
        (Plateau, {"patience": -1}, "Plateau: patience is -1; it must be an integer of at least 0"),
        (Plateau, {"min_delta": -1.0}, "Plateau: min_delta is -1.0"),
        (Plateau, {"min_delta": math.nan}, "Plateau: min_delta is nan"),
        (Plateau, {"minimum": -1.0}, "Plateau: minimum is -1.0"),
    ],
)
def test_a_schedule_is_refused_by_name_value_and_rule(kind, arguments, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        kind(**arguments)


def fit_refused(error, message, epochs_before=0, **options):
    network = make()
    with pytest.raises(error, match=message):
        network.fit(*data(), epochs=5, **options)
    assert network.epochs_trained == epochs_before


@pytest.mark.parametrize("wrong", ["cosine", 0.1, Cosine])
def test_a_schedule_is_callable(wrong):
    message = rf"fit: schedule is {re.escape(repr(wrong))}; it must be callable"
    fit_refused(TypeError, message, schedule=wrong)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf, None, "0.1", True, [0.1]])
@pytest.mark.parametrize("at", [0, 2])
def test_a_rate_is_positive_and_finite(wrong, at):
    message = rf"fit: schedule gave {re.escape(repr(wrong))} as the learning rate of epoch {at}; it"
    schedule = lambda epoch, rate, logs: wrong if epoch == at else rate  # noqa: E731
    fit_refused(ValueError, message, epochs_before=at, schedule=schedule)


def test_a_rate_that_no_epoch_takes_is_not_looked_at():
    schedule = lambda epoch, rate, logs: rate if epoch < 2 else 0.0  # noqa: E731
    assert make().fit(*data(), epochs=2, schedule=schedule).learning_rate == [0.01, 0.01]


@pytest.mark.parametrize("number", [1, np.float32(0.5), np.float64(0.5)])
def test_a_rate_may_be_any_number(number):
    history = make().fit(*data(), epochs=1, schedule=lambda *given: number)
    assert history.learning_rate == [float(number)]


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (Cosine(5, minimum=0.2), "Cosine: the optimizer's learning_rate is 0.1 and minimum is 0.2"),
        (Plateau(minimum=0.2), "Plateau: the optimizer's learning_rate is 0.1 and minimum is 0.2"),
        (OneCycle(5, 0.1), "OneCycle: the optimizer's learning_rate is 0.1 and maximum is 0.1"),
    ],
)
def test_a_schedule_that_does_not_fit_the_rate_is_refused(schedule, message):
    fit_refused(ValueError, re.escape(message), learning_rate=0.1, schedule=schedule)


def test_a_network_of_any_age_has_a_rate_at_once():
    for epoch in (2**20, 2**20 + 1, 2**40 + 1, 2**62):
        assert StepDecay(1, 1 - 2**-30)(epoch, 0.1, None) <= 0.1
    assert StepDecay(1, 0.999999)(2**21 + 1, 1.0, None) == pytest.approx(0.999999 ** (2**21 + 1))
    assert StepDecay(1, 0.5)(2**62, 0.1, None) == 0
