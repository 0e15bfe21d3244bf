"""Arguments that share memory with the network, or pretend to be arrays that they are not."""

import numpy as np
import pytest

import fastmlp


@pytest.fixture
def network():
    return fastmlp.Network([64, 64, 1], dtype="float64", seed=0)


def test_a_step_on_the_networks_own_weights_takes_them_as_they_were(network):
    copied = network.copy()
    X = network.weights[0].copy()
    y = np.arange(64) % 2
    expected = copied.step(X, y, 0.5)
    for isa in fastmlp.available_isas():
        for threads in (1, 2, 3):
            fastmlp.set_isa(isa)
            fastmlp.set_num_threads(threads)
            own = fastmlp.Network([64, 64, 1], dtype="float64", seed=0)
            assert own.step(own.weights[0], y, 0.5) == expected
            assert own.parameters.tobytes() == copied.parameters.tobytes()


@pytest.mark.parametrize("part", ["parameters", "gradients"])
def test_the_networks_memory_is_no_place_for_its_output(network, part):
    before = network.parameters.tobytes()
    out = getattr(network, part)[:10].reshape(10, 1)
    with pytest.raises(ValueError, match="forward: out shares memory with the network"):
        network.forward(np.zeros((10, 64)), out=out)
    assert network.parameters.tobytes() == before


def test_fit_on_the_networks_own_weights_takes_them_as_they_were(network):
    copied = network.copy()
    y = np.arange(64) % 2
    copied.fit(copied.weights[0].copy(), y, epochs=3, learning_rate=0.5)
    network.fit(network.weights[0], y, epochs=3, learning_rate=0.5)
    assert network.parameters.tobytes() == copied.parameters.tobytes()


class Growing(np.ndarray):
    """An array whose rows come back twice as often as asked for."""

    def take(self, *args, **kwargs):
        return np.concatenate([super().take(*args, **kwargs)] * 2)


@pytest.mark.parametrize("dtype", ["float16", "int32", "float32"])
def test_what_a_subclass_does_to_indexing_does_not_matter(dtype):
    X = (np.arange(64 * 64) % 5).reshape(64, 64).astype(dtype)
    order = np.arange(64)
    plain, odd = (fastmlp.Network([64, 8, 1], seed=0) for _ in range(2))
    arguments = {"batch_size": 16, "optimizer": fastmlp.SGD(0.1)}
    loss = plain.train_epoch(X, order % 2, order, **arguments)
    assert odd.train_epoch(X.view(Growing), order % 2, order, **arguments) == loss
    assert odd.parameters.tobytes() == plain.parameters.tobytes()


def test_a_network_without_init_is_an_error_and_no_crash():
    network = fastmlp.Network.__new__(fastmlp.Network)
    for use in (
        lambda: network.layers,
        lambda: network.weights,
        lambda: network.forward([[1.0]]),
        lambda: network.copy(),
    ):
        with pytest.raises(RuntimeError, match="__init__ has not been called"):
            use()
    assert repr(network) == "<Network: __init__ has not been called>"


@pytest.mark.parametrize("rate", [1e39, 1e-50])
def test_a_learning_rate_that_is_none_in_the_networks_dtype_is_refused(rate):
    network = fastmlp.Network([2, 1], seed=0)
    before = network.parameters.tobytes()
    network.gradients[:] = 1
    for use in (
        lambda: network.step([[1.0, 2.0]], [1], rate),
        lambda: network.apply_gradients(fastmlp.SGD(rate)),
        lambda: network.fit([[1.0, 2.0]], [1], epochs=1, learning_rate=rate),
        lambda: fastmlp.ops.sgd_update(network.parameters, network.gradients.copy(), rate),
    ):
        with pytest.raises(ValueError, match=r"learning_rate is 1e.*in float32"):
            use()
    with pytest.raises(ValueError, match=r"scale is 1e\+300; in float32"):
        network.apply_gradients(fastmlp.SGD(1.0), scale=1e300)
    assert network.parameters.tobytes() == before
    wide = fastmlp.Network([2, 1], dtype="float64", seed=0)
    wide.step([[1.0, 2.0]], [1], rate)


class Csr:
    """A matrix in the form of SciPy's CSR matrices."""

    format = "csr"

    def __init__(self, data, rows, columns):
        self.data, self.shape = data, (rows, columns)
        self.indices = np.arange(rows * columns) % columns
        self.indptr = np.arange(0, rows * columns + 1, columns)


@pytest.mark.parametrize("use", ["weights", "validation weights", "sparse rows"])
def test_a_training_on_the_networks_own_memory_takes_it_as_it_was(network, use):
    network.parameters[:] = np.abs(network.parameters) + 0.1
    X, y = np.sin(np.arange(640.0)).reshape(10, 64), np.arange(10) % 2

    def train(network, memory):
        if use == "weights":
            return network.fit(X, y, epochs=3, learning_rate=0.5, sample_weight=memory[:10]).loss
        if use == "validation weights":
            validation = (X, y, memory[:10])
            return network.fit(X, y, epochs=3, validation_data=validation).val_loss
        rows = Csr(memory[:640], 10, 64)
        options = {"batch_size": 2, "optimizer": fastmlp.SGD(0.5)}
        return network.train_epoch(rows, y, np.arange(10), **options)

    copied = network.copy()
    expected = train(copied, copied.parameters.copy())
    assert train(network, network.parameters) == expected
    assert network.parameters.tobytes() == copied.parameters.tobytes()


def test_the_losses_of_batches_may_share_memory_with_the_targets_but_not_the_network(network):
    X, y = np.sin(np.arange(640.0)).reshape(10, 64), np.arange(10) % 2.0
    options = {"batch_size": 5, "optimizer": fastmlp.SGD(0.5)}
    copied, losses = network.copy(), np.zeros(2)
    copied.train_epoch(X, y.copy(), np.arange(10), batch_losses=losses, **options)
    before = network.parameters.tobytes()
    with pytest.raises(ValueError, match="batch_losses is a view of the network"):
        network.train_epoch(X, y, np.arange(10), batch_losses=network.parameters[:2], **options)
    assert network.parameters.tobytes() == before
    network.train_epoch(X, y, np.arange(10), batch_losses=y[:2], **options)
    assert network.parameters.tobytes() == copied.parameters.tobytes()
    assert y[:2].tobytes() == losses.tobytes()


@pytest.mark.parametrize("batch_size", [20, 2**62, 2**63 - 20, 2**63 - 1])
def test_an_epoch_of_one_batch_writes_one_loss(network, batch_size):
    X, y, memory = np.zeros((20, 64)), np.zeros(20), np.full(5, 7.0)
    options = {"batch_size": batch_size, "optimizer": fastmlp.SGD(0.1)}
    with pytest.raises(ValueError, match=r"it must be contiguous float64 of shape \(1,\)"):
        network.train_epoch(X, y, np.arange(20), batch_losses=memory[2:2], **options)
    network.train_epoch(X, y, np.arange(20), batch_losses=memory[2:3], **options)
    assert (memory == 7).tolist() == [True, True, False, True, True]
