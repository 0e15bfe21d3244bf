"""Threads that use the same objects at once: no crash, no hang, and no state that is half changed.

On free-threaded Python nothing but the library keeps them apart. With the GIL they still run at
once inside native calls.
"""

import contextlib
import pickle
import sys
import sysconfig
import threading

import numpy as np
import pytest

import fastmlp

THREADS = 6
ROUNDS = 40
# The messages of calls that are refused because of another call.
REFUSALS = (
    "in use",
    "being trained",
    "has been called before",
    "has not been called",
    "is in fit",
    "is running",
)

X = np.linspace(-1, 1, 200 * 12, dtype=np.float32).reshape(200, 12)
y = (np.arange(200) % 2).astype(np.float32)


def at_once(*works, rounds=ROUNDS):
    """Run each work(round) many times, on threads that begin every round together."""
    barrier = threading.Barrier(len(works))
    failures = []

    def run(work):
        for i in range(rounds):
            barrier.wait(60)
            try:
                work(i)
            except RuntimeError as error:
                if not any(words in str(error) for words in REFUSALS):
                    failures.append(error)
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "a thread hangs"
    assert failures == []


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python always has the GIL"
)
def test_the_import_leaves_the_gil_off():
    assert not sys._is_gil_enabled()


def test_an_optimizer_that_trains_is_read_and_replaced_by_other_threads():
    network = fastmlp.Network(
        [12, 300, 300, 1], seed=0
    )  # its state is large, so reading takes time
    adam = fastmlp.Adam(0.01)
    network.fit(X, y, epochs=1, optimizer=adam)
    first = adam._state()
    sizes = set()

    def train(_):
        network.train_epoch(X, y, np.arange(200), batch_size=20, optimizer=adam)

    def replace(_):
        for _ in range(50):
            with contextlib.suppress(RuntimeError):
                adam._set_state(first)

    def rate(i):
        adam.learning_rate = 0.01 if i % 2 else 0.02
        assert adam.learning_rate in (0.01, 0.02)

    def read(_):
        for _ in range(50):
            with contextlib.suppress(RuntimeError):  # refused during an update
                steps, beta_1, _, vectors = adam._state()
                sizes.add(tuple(len(vector) for vector in vectors))
                assert beta_1 == pytest.approx(0.9**steps)  # the parts belong together
            assert adam.steps >= 0

    at_once(train, train, replace, rate, read, lambda _: pickle.loads(pickle.dumps(adam)))
    assert sizes <= {(network.n_parameters,) * 2}
    assert np.isfinite(network.parameters).all()


def test_one_stateless_optimizer_trains_networks_on_all_threads_at_once():
    sgd = fastmlp.SGD(0.1)
    networks = [fastmlp.Network([12, 16, 1], seed=0) for _ in range(THREADS)]
    at_once(*(lambda _, n=n: n.fit(X, y, epochs=1, optimizer=sgd) for n in networks))
    assert len({network.parameters.tobytes() for network in networks}) == 1


def test_a_network_is_used_in_every_way_at_once():
    network = fastmlp.Network([12, 16, 1], seed=0)
    size = network.n_parameters

    def views(_):
        parts = [*network.weights, *network.biases]
        assert sum(part.size for part in parts) == size
        network.weights[0][:] = network.weights[0] * 0.5
        assert network.parameters.size == network.gradients.size == size

    at_once(
        lambda _: network.fit(X, y, epochs=1),
        lambda _: network.step(X, y, 0.1),
        lambda _: network.forward(X),
        lambda _: network.loss_and_gradients(X, y),
        lambda _: network.backward(X, y),
        lambda _: network.jacobian(X),
        lambda _: network.fit(X, y, epochs=1, loss=lambda Y, y: (0.0, Y - y)),
        lambda _: pickle.loads(pickle.dumps(network)).forward(X),
        lambda _: network.copy().step(X, y, 0.1),
        lambda i: setattr(network, "epochs_trained", i),
        lambda _: repr(network),
        views,
    )
    network.step(X, y, 0.1)  # nobody holds it any more


def test_views_outlive_a_network_that_other_threads_give_up():
    kept = [None] * THREADS

    def work(slot):
        def make(i):
            kept[slot] = fastmlp.Network([12, 8, 1], seed=i).weights[0]
            other = kept[(slot + 1) % THREADS]
            assert other is None or other.shape == (12, 8)

        return make

    at_once(*map(work, range(THREADS)))


@pytest.mark.parametrize("method", ["__init__", "__setstate__"])
def test_many_threads_may_try_to_initialize_one_object(method):
    whole = {fastmlp.Network: fastmlp.Network([12, 16, 1], seed=0), fastmlp.Adam: fastmlp.Adam(0.5)}
    for cls, model in whole.items():
        shared = [cls.__new__(cls) for _ in range(400)]
        completed = [0] * 400
        lock = threading.Lock()

        def complete(i, cls=cls, model=model, shared=shared, completed=completed, lock=lock):
            if method == "__setstate__":
                shared[i].__setstate__(model.__getstate__())
            elif cls is fastmlp.Network:
                shared[i].__init__([12, 16, 1], seed=0)
            else:
                shared[i].__init__(0.5)
            with lock:
                completed[i] += 1

        def use(i, cls=cls, shared=shared):
            if cls is fastmlp.Network:
                shared[i].forward(X)
            else:
                assert shared[i].learning_rate == 0.5

        at_once(complete, complete, complete, use, use, rounds=400)
        if method == "__init__":
            assert completed == [1] * 400


def test_a_block_that_all_threads_leave_ends_once():
    network = fastmlp.Network([12, 16, 1], seed=0)
    scopes = [None] * 2000

    def leave(i):
        scope = scopes[i]
        if scope is not None:
            scope.__exit__(None, None, None)

    def own(i):
        scopes[i] = network._own()

    at_once(own, leave, leave, leave, rounds=2000)
    for scope in scopes:
        if scope is not None:
            scope.__exit__(None, None, None)
    network.step(X, y, 0.1)


def test_settings_change_while_all_threads_compute():
    network = fastmlp.Network([12, 16, 1], seed=0)
    expected = network.forward(X).tobytes()
    threads, isa = fastmlp.get_num_threads(), fastmlp.isa()
    isas = fastmlp.available_isas()

    def compute(_):
        assert network.forward(X).tobytes() == expected

    try:
        at_once(
            compute,
            compute,
            lambda i: fastmlp.set_num_threads(1 + i % 3),
            lambda i: fastmlp.set_isa(isas[i % len(isas)]),
            lambda _: fastmlp.show_config(mode="dicts"),
        )
    finally:
        fastmlp.set_num_threads(threads)
        fastmlp.set_isa(isa)


class Csr:
    """A matrix in the form of SciPy's CSR matrices."""

    format = "csr"

    def __init__(self):
        self.data = np.ones(400, np.float32)
        self.indices = np.tile(np.array([2, 7], np.int32), 200)
        self.indptr = np.arange(0, 401, 2, dtype=np.int32)
        self.shape = (200, 12)


def test_arrays_that_other_threads_write_are_an_error_or_garbage_but_no_crash():
    network = fastmlp.Network([12, 16, 1], seed=0)
    csr, dense, targets = Csr(), X.copy(), y.copy()
    rng = np.random.default_rng(0)

    def refused(call):
        def work(_):
            with contextlib.suppress(ValueError):  # an index out of range, a target that is none
                call()

        return work

    def write(_):
        csr.indices[rng.integers(400)] = rng.integers(-5, 30)
        csr.indptr[1 + rng.integers(199)] = rng.integers(-5, 500)
        dense[rng.integers(200)] = np.nan
        targets[:] = rng.integers(-1, 3)

    at_once(
        refused(lambda: network.forward(csr)),
        refused(lambda: network.loss(csr, y)),
        refused(lambda: network.forward(dense)),
        refused(lambda: network.loss(dense, targets)),
        refused(lambda: fastmlp.ops.matmul(dense, dense.T)),
        write,
    )
