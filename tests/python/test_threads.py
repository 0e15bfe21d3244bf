"""Threads, forks and interrupts: nothing hangs, nothing changes a bit."""

import hashlib
import multiprocessing
import os
import select
import signal
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


@pytest.fixture
def trained_on_two_threads():
    """What the parent gets, on a team of two, so that OpenMP's threads are there to be lost."""
    with fastmlp.threads(2):
        result = trained_digest()
        assert result[2] == 2, "FASTMLP_MIN_WORK=0 must be set before fastmlp is imported"
        yield result[:2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_trains_and_predicts_on_one_thread_with_the_same_bits(
    trained_on_two_threads,
):
    read, write = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 and newer warn that a fork may hang; that it does not is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with multiprocessing.get_context(method).Pool(2) as pool:
            results = pool.map_async(trained_digest, range(2)).get(timeout=PATIENCE)
    for result in results:
        assert result[:2] == trained_on_two_threads
        if method == "fork":
            assert result[2] == 1


def test_the_parent_still_uses_its_threads_after_a_fork(trained_on_two_threads):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert trained_digest() == (*trained_on_two_threads, 2)


def interrupt_while(work, after: float) -> float:
    """Send this process Ctrl-C `after` seconds into work(); the seconds it then went on."""
    sent = []

    def send():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(after, send)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
        return time.monotonic() - sent[0]
    finally:
        timer.cancel()
        timer.join()


def test_ctrl_c_stops_one_long_epoch_and_leaves_a_usable_network():
    rows = 3_000_000  # one row repeated without a copy; an epoch of many seconds
    X = np.broadcast_to(np.arange(64, dtype=np.float32) / 64, (rows, 64))
    y = np.broadcast_to(np.float32(1), (rows,))
    network = fastmlp.Network([64, 256, 256, 1], seed=0)
    before = network.parameters.copy()
    went_on = interrupt_while(lambda: network.fit(X, y, epochs=1, shuffle=False), after=2.5)
    assert went_on < 1, "Ctrl-C must stop fit within a second"
    assert (network.parameters != before).any(), "the epoch had not begun"
    assert network.epochs_trained == 0
    assert np.isfinite(network.fit(X[:100], y[:100], epochs=1).loss[0])


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


def test_a_network_in_training_refuses_other_threads_and_trains_on():
    network = fastmlp.Network([64, 128, 1], seed=0)
    X = np.broadcast_to(np.float32(0.5), (200_000, 64))
    y = np.broadcast_to(np.float32(1), (200_000,))
    done = threading.Event()
    refusals: list[str] = []
    refusals_of_training: list[str] = []

    def disturb():
        while not done.is_set():
            try:
                network.forward(X[:1])
            except RuntimeError as error:
                refusals.append(str(error))

    thread = threading.Thread(target=disturb)
    thread.start()
    order = np.arange(len(X))
    try:
        loss = None
        while not refusals or loss is None:
            try:
                loss = network.train_epoch(X, y, order, batch_size=32, optimizer=fastmlp.SGD(0.01))
            except RuntimeError as error:  # the other thread was reading just then
                refusals_of_training.append(str(error))
    finally:
        done.set()
        thread.join()
    assert np.isfinite(loss)
    assert "being trained" in refusals[0]
    assert all("in use" in refusal for refusal in refusals_of_training)


def test_the_gil_is_released_while_the_library_works():
    """Another Python thread counts on while this one is inside one native call."""
    network = fastmlp.Network([64, 512, 512, 1], seed=0)
    X = np.broadcast_to(np.float32(0.5), (100_000, 64))
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
    network.forward(X)
    at_return = counted
    stop.set()
    thread.join()
    assert at_return > 10
