"""One `fit` owns its network to its end: other threads are refused, its callbacks are not."""

import os
import pickle
import threading
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp.sklearn import MLPClassifier

X = np.random.default_rng(0).normal(size=(60, 5))
Y = (X[:, 0] > 0).astype(float)
ORDER = np.arange(60)
REFUSED = "another thread is in fit with this network"


def make() -> fastmlp.Network:
    return fastmlp.Network([5, 6, 1], hidden="tanh", seed=0)


def on_another_thread(call) -> str:
    """The error of call() on a thread of its own, or ""."""
    errors = []

    def run():
        try:
            call()
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return "".join(errors)


CALLS: dict[str, Any] = {
    "forward": lambda network, _: network.forward(X),
    "a row": lambda network, _: network.forward(X[0]),
    "predict": lambda network, _: network.predict(X),
    "loss": lambda network, _: network.loss(X, Y),
    "loss_and_gradients": lambda network, _: network.loss_and_gradients(X, Y),
    "copy": lambda network, _: network.copy(),
    "pickle": lambda network, _: pickle.dumps(network),
    "save": lambda network, path: network.save(path / "saved.safetensors"),
    "step": lambda network, _: network.step(X, Y, 0.1),
    "apply_gradients": lambda network, _: network.apply_gradients(fastmlp.SGD()),
    "train_epoch": lambda network, _: network.train_epoch(
        X, Y, ORDER, batch_size=9, optimizer=fastmlp.SGD()
    ),
    "fit": lambda network, _: network.fit(X, Y, epochs=2),
    "fit by lbfgs": lambda network, _: network.fit(X, Y, epochs=2, optimizer="lbfgs"),
    "epochs_trained": lambda network, _: setattr(network, "epochs_trained", 7),
}


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_other_threads_are_refused_and_change_nothing(optimizer, tmp_path):
    told = {}

    def ask_on_another_thread(network, epoch, logs):
        for name, call in CALLS.items():
            told[name] = on_another_thread(lambda call=call: call(network, tmp_path))

    network, alone = make(), make()
    history = network.fit(X, Y, epochs=4, optimizer=optimizer, callbacks=[ask_on_another_thread])
    assert {name for name, error in told.items() if REFUSED not in error} == set()
    assert history == alone.fit(X, Y, epochs=4, optimizer=optimizer)
    assert network.parameters.tobytes() == alone.parameters.tobytes()
    assert network.epochs_trained == alone.epochs_trained == 4


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_callbacks_of_its_own_thread_may_do_everything(name, optimizer, tmp_path):
    def use(network, epoch, logs):
        CALLS[name](network, tmp_path)
        assert REFUSED in on_another_thread(lambda: network.forward(X)), "still owned"

    network = make()
    assert network.fit(X, Y, epochs=3, optimizer=optimizer, callbacks=[use]).epochs == 3
    assert on_another_thread(lambda: network.forward(X)) == ""


def test_another_thread_may_use_a_copy_that_a_callback_made():
    predicted = []

    def predict_with_a_copy(network, epoch, logs):
        copy = network.copy()
        assert on_another_thread(lambda: predicted.append(copy.predict(X))) == ""

    make().fit(X, Y, epochs=2, callbacks=[predict_with_a_copy])
    assert len(predicted) == 2


def test_the_data_are_checked_and_schedules_asked_under_the_same_guard():
    refused = []

    class Rows:
        def __array__(self, dtype=None, copy=None):
            refused.append(on_another_thread(lambda: network.step(X, Y, 0.1)))
            return X

    def schedule(epoch, learning_rate, logs):
        refused.append(on_another_thread(lambda: network.step(X, Y, 0.1)))
        return learning_rate

    network = make()
    network.fit(Rows(), Y, epochs=1, schedule=schedule)
    assert len(refused) == 3
    assert all(REFUSED in error for error in refused)


class Unexpected(BaseException):
    """No Exception, like KeyboardInterrupt."""


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit, Unexpected])
@pytest.mark.parametrize("where", ["callback", "schedule", "data"])
def test_ownership_ends_with_fit_however_fit_ends(error, where):
    def fail(*_, **__):
        raise error

    class Rows:
        __array__ = fail

    network = make()
    options = {} if where == "data" else {"callbacks": [fail]} if where == "callback" else {}
    if where == "schedule":
        options["schedule"] = fail
    with pytest.raises(error) as kept:  # the traceback keeps fit's frames alive
        network.fit(Rows() if where == "data" else X, Y, epochs=2, **options)
    assert on_another_thread(lambda: network.fit(X, Y, epochs=1)) == ""
    assert kept.tb is not None


def test_a_refused_fit_draws_nothing_and_the_owner_may_end():
    generator = np.random.default_rng(5)

    def fit_on_another_thread(network, epoch, logs):
        assert REFUSED in on_another_thread(lambda: network.fit(X, Y, epochs=1, seed=generator))
        return True

    make().fit(X, Y, epochs=9, callbacks=[fit_on_another_thread])
    assert generator.integers(2**40) == np.random.default_rng(5).integers(2**40)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_forked_in_a_callback_can_use_the_network_and_finish_the_fit():
    parent = os.getpid()

    def fork(network, epoch, logs):
        if epoch == 0 and os.fork() == 0:
            free = on_another_thread(lambda: network.step(X, Y, 0.1)) == ""
            network.forward(X)
            if not free:
                os._exit(1)

    network = make()
    try:
        network.fit(X, Y, epochs=3, callbacks=[fork])
        if os.getpid() != parent:
            os._exit(0 if on_another_thread(lambda: network.fit(X, Y, epochs=1)) == "" else 2)
    finally:
        if os.getpid() != parent:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 0


def test_the_network_lives_as_long_as_its_ownership():
    scope = make()._own()
    with scope:
        pass
    scope.__exit__()
    type(scope).__new__(type(scope)).__exit__()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("first", "solver", "call"),
    [
        *(("fit", "adam", call) for call in ("fit", "partial_fit", "step")),
        *(("fit", "lbfgs", call) for call in ("fit", "step")),
        *(("partial_fit", "adam", call) for call in ("fit", "partial_fit", "step")),
    ],
)
def test_a_second_fit_of_an_estimator_is_refused_and_the_first_goes_on(first, solver, call):
    calls = {
        "fit": lambda: estimator.fit(X, Y),
        "partial_fit": lambda: estimator.partial_fit(X, Y, classes=[0, 1]),
        "step": lambda: estimator.network_.step(X, Y, 0.1),
    }
    refused = []

    def train(estimator):
        if first == "partial_fit":
            return estimator.partial_fit(X, Y, classes=[0, 1])
        return estimator.fit(X, Y)

    class Estimator(MLPClassifier):
        def _loss_grad_lbfgs(self, *args):
            refused.append(on_another_thread(calls[call]))
            return super()._loss_grad_lbfgs(*args)

        def _update_no_improvement_count(self, *args):
            refused.append(on_another_thread(calls[call]))
            super()._update_no_improvement_count(*args)

    options = {"solver": solver, "max_iter": 3}
    estimator = Estimator((4,), random_state=0, **options)
    train(estimator)
    assert refused
    assert all(REFUSED in error for error in refused)
    alone = MLPClassifier((4,), random_state=0, **options)
    train(alone)
    assert all(np.array_equal(a, b) for a, b in zip(estimator.coefs_, alone.coefs_, strict=True))
    assert on_another_thread(lambda: estimator.fit(X, Y)) == ""
    assert "_guard" not in vars(pickle.loads(pickle.dumps(alone)))
