"""Threads, forks and interrupts: nothing hangs, nothing changes a bit."""

import contextlib
import hashlib
import multiprocessing
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastmlp

PATIENCE = 60  # seconds after which a child is taken to hang


def trained_digest(_: object = None) -> tuple[str, str, int]:
    """Train, predict; digests of both, and the size of the last team."""
    network = fastmlp.Network([20, 40, 1], seed=1)
    X = (np.arange(4000, dtype=np.float32) % 7 - 3).reshape(200, 20)
    network.fit(X, np.arange(200) % 2, epochs=3, learning_rate=0.1)
    predicted = network.forward(X)
    return (
        hashlib.sha256(network.parameters.tobytes()).hexdigest(),
        hashlib.sha256(predicted.tobytes()).hexdigest(),
        fastmlp._core._last_team_size(),
    )


@contextlib.contextmanager
def no_warning_of_fork():
    """Python 3.12 and newer warn that a fork may hang. The tests here show that it does not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def fork() -> int:
    with no_warning_of_fork():
        return os.fork()


def exit_status_of(child: int) -> int | None:
    """The exit status of a child, or None after killing it because it hangs."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        finished, status = os.waitpid(child, os.WNOHANG)
        if finished:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


@pytest.fixture
def trained_on_two_threads():
    """The parent's result with a team of two: a fork then loses a thread of OpenMP's."""
    with fastmlp.threads(2):
        result = trained_digest()
        assert result[2] == 2, "FASTMLP_MIN_WORK=0 must be set before fastmlp is imported"
        yield result[:2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_trains_and_predicts_on_one_thread_with_the_same_bits(
    trained_on_two_threads,
):
    read, write = os.pipe()
    pid = fork()
    if pid == 0:
        try:
            os.write(write, repr(trained_digest()).encode())
        finally:
            os._exit(0)
    os.close(write)
    ready, _, _ = select.select([read], [], [], PATIENCE)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert ready, "the child hangs"
    text = os.read(read, 1000).decode()
    os.close(read)
    assert text == repr((*trained_on_two_threads, 1))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_children_train_and_predict_with_the_same_bits(
    method, trained_on_two_threads
):
    with no_warning_of_fork(), multiprocessing.get_context(method).Pool(2) as pool:
        results = pool.map_async(trained_digest, range(2)).get(timeout=PATIENCE)
    for result in results:
        assert result[:2] == trained_on_two_threads
        if method == "fork":
            assert result[2] == 1


def test_the_parent_still_uses_its_threads_after_a_fork(trained_on_two_threads):
    pid = fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert trained_digest() == (*trained_on_two_threads, 2)


def interrupt_while(work, after: float, begun=lambda: True) -> float:
    """Press Ctrl-C `after` seconds after work() has begun; the seconds that it then went on."""
    sent = []
    done = threading.Event()

    def send():
        while not begun():
            if done.wait(0.01):
                return
        if not done.wait(after):
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
        return time.monotonic() - sent[0]
    finally:
        done.set()
        sender.join()


def test_ctrl_c_stops_one_long_epoch_and_leaves_a_usable_network():
    rows = 3_000_000  # one row repeated without a copy; an epoch of many seconds
    X = np.broadcast_to(np.arange(64, dtype=np.float32) / 64, (rows, 64))
    y = np.broadcast_to(np.float32(1), (rows,))
    network = fastmlp.Network([64, 256, 256, 1], seed=0)
    before = network.parameters.copy()
    went_on = interrupt_while(
        lambda: network.fit(X, y, epochs=1, shuffle=False),
        after=0.2,
        begun=lambda: (network.parameters != before).any(),
    )
    assert went_on < 1, "Ctrl-C must stop fit within a second"
    assert network.epochs_trained == 0
    assert np.isfinite(network.fit(X[:100], y[:100], epochs=1).loss[0])


def test_ctrl_c_stops_a_long_step():
    """Ctrl-C is noticed within a step, between two blocks of a product."""
    network = fastmlp.Network([512, 3072, 3072, 1], seed=0)
    X = np.broadcast_to(np.float32(0.5), (4096, 512))
    y = np.broadcast_to(np.float32(1), (4096,))
    before = network.parameters.tobytes()
    with fastmlp.threads(1):
        assert interrupt_while(lambda: [network.step(X, y, 0.1) for _ in range(9)], after=0.4) < 1
    network.parameters[:] = np.frombuffer(before, np.float32)
    with fastmlp.threads(2):
        network.step(X[:10], y[:10], 0.1)
    assert network.parameters.tobytes() != before


@pytest.mark.parametrize("call", ["forward", "loss"])
def test_ctrl_c_stops_a_long_prediction(call):
    rows = 1_500_000
    X = np.broadcast_to(np.float32(0.5), (rows, 64))
    network = fastmlp.Network([64, 1024, 1024, 1], seed=0)
    arguments = (X,) if call == "forward" else (X, np.broadcast_to(np.float32(1), (rows,)))
    assert interrupt_while(lambda: getattr(network, call)(*arguments), after=0.5) < 1
    assert network.forward(X[:2]).shape == (2, 1)


def test_many_python_threads_predict_at_once():
    network = fastmlp.Network([20, 50, 3], output="softmax", seed=0)
    X = np.linspace(-1, 1, 20 * 700, dtype=np.float32).reshape(700, 20)
    expected = network.forward(X).tobytes()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: network.forward(X).tobytes(), range(100)))
    assert set(results) == {expected}


CALLS = {
    "forward": lambda network, X, y: network.forward(X),
    "loss": lambda network, X, y: network.loss(X, y),
    "copy": lambda network, X, y: network.copy(),
    "pickle": lambda network, X, y: pickle.dumps(network),
    "step": lambda network, X, y: network.step(X, y, 0.1),
    "fit": lambda network, X, y: network.fit(X, y, epochs=1),
    "epochs_trained": lambda network, X, y: setattr(network, "epochs_trained", 7),
    "_restore": lambda network, X, y: network._restore(np.zeros(network.n_parameters), 7),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_network_in_training_refuses_other_threads_and_trains_on(call):
    network = fastmlp.Network([64, 128, 1], seed=0)
    rows = 200_000
    X = np.broadcast_to(np.float32(0.5), (rows, 64))
    y = np.broadcast_to(np.float32(1), (rows,))
    losses = []
    thread = threading.Thread(
        target=lambda: losses.append(
            network.train_epoch(X, y, np.arange(rows), batch_size=256, optimizer=fastmlp.SGD(0.01))
        )
    )
    before = network.parameters.copy()
    thread.start()
    try:
        while (network.parameters == before).all():  # a view: reading it is not a call
            time.sleep(0.001)
        with pytest.raises(RuntimeError, match=r"being trained|in use"):
            CALLS[call](network, X[:1], y[:1])
    finally:
        thread.join()
    assert np.isfinite(losses).all()
    assert network.epochs_trained == 1


def test_training_waits_for_calls_that_read():
    """Another thread that keeps predicting is refused now and then; `fit` is not."""
    network = fastmlp.Network([64, 128, 1], seed=0)
    X = np.broadcast_to(np.float32(0.5), (20_000, 64))
    y = np.broadcast_to(np.float32(1), (20_000,))
    done = threading.Event()
    predicted = []

    def predict():
        while not done.is_set():
            with contextlib.suppress(RuntimeError):
                network.forward(X)
                predicted.append(1)

    thread = threading.Thread(target=predict)
    thread.start()
    try:
        while not predicted:
            time.sleep(0.001)
        history = network.fit(X, y, epochs=10, batch_size=1000)
    finally:
        done.set()
        thread.join()
    assert history.epochs == 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_forked_while_another_thread_trains_can_use_the_network():
    network = fastmlp.Network([64, 128, 1], seed=0)
    rows = 300_000
    X = np.broadcast_to(np.float32(0.5), (rows, 64))
    y = np.broadcast_to(np.float32(1), (rows,))
    thread = threading.Thread(target=lambda: network.fit(X, y, epochs=1, batch_size=256))
    before = network.parameters.copy()
    thread.start()
    while (network.parameters == before).all():
        time.sleep(0.001)
    pid = fork()
    if pid == 0:
        try:
            fastmlp.set_isa(fastmlp.isa())
            network.step(X[:4], y[:4], 0.1)
            os._exit(0)
        except BaseException:
            os._exit(1)
    status = exit_status_of(pid)
    thread.join()
    assert status == 0


# Calls that take long, nearly all of it on two threads. The arrays repeat one element.
LONG_CALLS = {
    "forward": lambda network, X, y: network.forward(X),
    "loss": lambda network, X, y: network.loss(X, y),
    "fit": lambda network, X, y: network.fit(X, y, epochs=100),
    "matmul": lambda network, X, y: fastmlp.ops.matmul(
        np.broadcast_to(X[0, 0], (2000, 200_000)), np.broadcast_to(X[0, 0], (200_000, 2000))
    ),
    "a step": lambda network, X, y: network.step(X[:4000], y[:4000], 0.1),
}


class ForkedError(Exception):
    pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("call", LONG_CALLS)
def test_a_child_forked_in_a_signal_handler_during_a_call_continues(call):
    """The child has one of the call's two threads: the call raises, the next one works."""
    network = fastmlp.Network([64, 2048, 2048, 1], seed=0)
    X = np.broadcast_to(np.float32(0.5), (200_000, 64))
    y = np.broadcast_to(np.float32(1), (200_000,))
    child = None

    def handle(*_):
        nonlocal child
        child = fork()
        if child:
            raise ForkedError

    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with fastmlp.threads(2), pytest.raises((ForkedError, RuntimeError)) as raised:
            LONG_CALLS[call](network, X, y)
        if child == 0:
            assert "forked" in str(raised.value)
            network.step(X[:4], y[:4], 0.1)
            os._exit(0)
    finally:
        if child == 0:  # must not go on with the tests
            os._exit(1)
        signal.signal(signal.SIGALRM, before)
    assert exit_status_of(child) == 0


AFTER_A_FORK = """
import os, signal, sys, threading
import numpy as np
import fastmlp

def fork(*_):
    global child
    child = os.fork()
    if child == 0:
        network.forward(X[:100])
        {then}

fastmlp.set_num_threads(2)
network = fastmlp.Network([64, 256, 256, 1], seed=0)
X, y = np.ones((20_000, 64), "f4"), np.ones(20_000)
child = None
signal.signal(signal.SIGALRM, fork)
signal.setitimer(signal.ITIMER_REAL, 0.03)
while child is None:
    try:
        network.fit(X, y, epochs=1)
    except RuntimeError:
        trained = threading.Thread(target=network.fit, args=(X, y), kwargs=dict(epochs=1))
        trained.start()
        trained.join()
if child:
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.alarm({patience})
    sys.exit(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("then", ["pass", "sys.exit()", "os._exit(0)"])
def test_a_child_forked_in_a_signal_handler_ends_as_usual(then):
    code = AFTER_A_FORK.format(then=then, patience=PATIENCE)
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers here")
def test_targets_that_change_during_training_are_an_error_and_no_crash():
    network = fastmlp.Network([30, 64, 3], output="softmax", seed=0)
    rows = 300_000
    X = np.broadcast_to(np.float32(0.5), (rows, 30))
    y = np.zeros(rows, np.float32)
    before = signal.signal(signal.SIGALRM, lambda *_: y.fill(5e8))
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(ValueError, match="class index"):
            network.fit(X, y, epochs=100)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


LONG_WORK = {
    "forward": lambda: fastmlp.Network([64, 512, 512, 1], seed=0).forward(
        np.broadcast_to(np.float32(0.5), (100_000, 64))
    ),
    # Only the memory, without initial weights.
    "a large network": lambda: fastmlp.Network._rebuild([6000, 6000], [], "sigmoid", "float32", 0),
}


@pytest.mark.parametrize("call", LONG_WORK.values(), ids=LONG_WORK)
def test_the_gil_is_released_while_the_library_works(call):
    """Another Python thread counts on while this one is inside one native call."""
    stop = threading.Event()
    inside = threading.Event()
    counted = 0

    def count():
        nonlocal counted
        inside.wait()
        while not stop.is_set():
            counted += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    inside.set()
    call()
    at_return = counted
    stop.set()
    thread.join()
    assert at_return > 10


def test_a_long_shuffle_can_be_interrupted():
    assert interrupt_while(lambda: fastmlp._core.permutation(100_000_000, 0, 0), after=0.7) < 1
