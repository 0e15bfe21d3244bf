"""`backward`, `input_gradients` and `jacobian`: derivatives of the outputs, by any gradient.

Central differences in float64 have the tolerance that test_gradients.py explains.
"""

import numpy as np
import pytest
import scipy.sparse

import fastmlp
from fastmlp import _core, reference

EPS = np.finfo(np.float64).eps
STEP = EPS ** (1 / 3)
TOLERANCE = 10 * EPS ** (2 / 3)

KINDS = pytest.mark.parametrize("kind", [fastmlp.Network, reference.Network])
SMOOTH = sorted(set(_core.ACTIVATIONS) - {"relu", "leaky_relu", "elu", "selu", "hard_sigmoid"})
RNG = np.random.default_rng(15)


def make(kind=fastmlp.Network, layers=(4, 7, 5, 3), hidden="tanh", output="identity", **options):
    options = {"dtype": "float64", "seed": 2, **options}
    network = kind(list(layers), hidden=hidden, output=output, **options)
    network.parameters[:] = np.random.default_rng(3).standard_normal(network.n_parameters) / 2
    return network


def rows(count=6, columns=4):
    return RNG.standard_normal((count, columns))


def differences(function, at):
    """The derivative of a function of an array, by each of its elements: (..., at.size)."""
    parts = []
    for k in range(at.size):
        step = np.zeros(at.shape)
        step.flat[k] = STEP
        parts.append((function(at + step) - function(at - step)) / (2 * STEP))
    return np.stack(parts, axis=-1)


@KINDS
@pytest.mark.parametrize("output", _core.OUTPUTS)
@pytest.mark.parametrize("hidden", SMOOTH)
def test_jacobians_are_central_differences(kind, output, hidden):
    network = make(kind, hidden=hidden, output=output)
    X = rows()
    found = network.jacobian(X)
    assert found.shape == (6, 3, 4)
    for x, J in zip(X, found, strict=True):
        expected = differences(lambda x: network.forward(x[np.newaxis])[0], x)
        np.testing.assert_allclose(J, expected, rtol=0, atol=TOLERANCE * (1 + np.abs(J).max()))


@KINDS
@pytest.mark.parametrize("output", _core.OUTPUTS)
def test_backward_is_the_gradient_of_any_loss(kind, output):
    network, X = make(kind, output=output), rows()

    def loss(Y):
        return np.sum(np.sin(3 * Y) + Y[:, :1] * Y)  # which is no sum over the outputs

    Y = network.forward(X)
    dY = 3 * np.cos(3 * Y) + Y[:, :1]
    dY[:, 0] += Y.sum(axis=1)
    dX = network.backward(X, dY)
    gradients = network.gradients.copy()

    def at(parameters):
        network.parameters[:] = parameters
        return loss(network.forward(X))

    parameters = network.parameters.copy()
    size = 1 + max(np.abs(gradients).max(), np.abs(dX).max())
    of_parameters = differences(at, parameters)
    network.parameters[:] = parameters
    np.testing.assert_allclose(gradients, of_parameters, rtol=0, atol=3 * TOLERANCE * size)
    of_X = differences(lambda X: loss(network.forward(X)), X).reshape(X.shape)
    np.testing.assert_allclose(dX, of_X, rtol=0, atol=3 * TOLERANCE * size)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [1, 5, 4096, 5000])
def test_the_gradient_of_the_networks_own_loss_has_the_same_bits(dtype, count):
    network = make(dtype=dtype)
    X, y = rows(count).astype(dtype), rows(count, 3).astype(dtype)
    network.loss_and_gradients(X, y)
    expected = network.gradients.copy()
    network.backward(X, (network.forward(X) - y) * np.asarray(1 / count, dtype))
    assert network.gradients.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("output", _core.OUTPUTS)
@pytest.mark.parametrize("hidden", ["relu", "gelu", "mish"])
def test_the_twin_agrees(dtype, output, hidden):
    network, twin = (
        make(kind, hidden=hidden, output=output, dtype=dtype)
        for kind in (fastmlp.Network, reference.Network)
    )
    X, dY = rows(50), rows(50, 3)
    tolerance = {"rtol": 0, "atol": 200 * np.finfo(dtype).eps}
    np.testing.assert_allclose(network.backward(X, dY), twin.backward(X, dY), **tolerance)
    tolerance["atol"] *= 50  # of the sum over the rows
    np.testing.assert_allclose(network.gradients, twin.gradients, **tolerance)
    tolerance["atol"] /= 50
    np.testing.assert_allclose(network.jacobian(X), twin.jacobian(X), **tolerance)


def test_input_gradients_are_those_of_backward_and_leave_the_gradients():
    network, X, dY = make(dtype="float32"), rows(5000), rows(5000, 3)
    dX = network.backward(X, dY)
    network.gradients[:] = 7
    assert network.input_gradients(X, dY).tobytes() == dX.tobytes()
    assert (network.gradients == 7).all()
    J = network.jacobian(X)
    np.testing.assert_allclose(np.einsum("ij,ijk->ik", dY, J), dX, rtol=0, atol=1e-4)
    assert (network.gradients == 7).all()


def test_the_rows_of_a_result_do_not_depend_on_each_other():
    network, X, dY = make(dtype="float32"), rows(4100), rows(4100, 3)
    J, dX = network.jacobian(X), network.input_gradients(X, dY)
    for row in (0, 1, 4095, 4096, 4099):
        one = slice(row, row + 1)
        assert network.jacobian(X[one])[0].tobytes() == J[row].tobytes()
        assert network.input_gradients(X[one], dY[one])[0].tobytes() == dX[row].tobytes()


@pytest.mark.parametrize("layers", [(4, 3), (4, 1), (1, 1), (1, 3), (1, 8, 3), (4, 9, 1)])
def test_small_networks(layers):
    network, twin = make(layers=layers), make(reference.Network, layers)
    X, dY = rows(5, layers[0]), rows(5, layers[-1])
    np.testing.assert_allclose(network.backward(X, dY), twin.backward(X, dY), atol=1e-14)
    np.testing.assert_allclose(network.gradients, twin.gradients, atol=1e-13)
    np.testing.assert_allclose(network.jacobian(X), twin.jacobian(X), atol=1e-14)


def test_one_output_takes_a_vector():
    network, X = make(layers=(4, 5, 1)), rows()
    dX = network.backward(X, np.ones((6, 1)))
    assert network.backward(X, np.ones(6)).tobytes() == dX.tobytes()
    assert network.input_gradients(X, [1] * 6).tobytes() == dX.tobytes()


def test_sparse_rows_give_the_same_as_dense_ones():
    network = make(dtype="float32")
    X, dY = rows(30) * (RNG.random((30, 4)) < 0.3), rows(30, 3)
    dense = network.backward(X, dY)
    gradients = network.gradients.copy()
    sparse = scipy.sparse.csr_matrix(X.astype(np.float32))
    assert network.backward(sparse, dY).tobytes() == dense.tobytes()
    assert network.gradients.tobytes() == gradients.tobytes()
    assert network.jacobian(sparse).tobytes() == network.jacobian(X).tobytes()


@KINDS
def test_derivatives_of_a_scaled_network_are_those_of_raw_rows(kind):
    scaling = {
        "input_mean": [1.0, 2, 3, 4],
        "input_scale": [0.5, 2, 8, 3],
        "output_mean": [9.0, 0, 1],
        "output_scale": [3.0, 0.5, 2],
    }
    network, X, dY = make(kind), rows(), rows(6, 3)
    network.fold_scaling(**scaling)
    expected = network.input_gradients(X, dY), network.jacobian(X)
    network._unfold_scaling()
    found = network.input_gradients(X, dY), network.jacobian(X)
    network._refold_scaling()
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_no_rows_give_no_gradient():
    network = make()
    network.gradients[:] = 5
    assert network.backward(np.empty((0, 4)), np.empty((0, 3))).shape == (0, 4)
    assert (network.gradients == 0).all()
    assert network.input_gradients(np.empty((0, 4)), np.empty((0, 3))).shape == (0, 4)
    assert network.jacobian(np.empty((0, 4))).shape == (0, 3, 4)


@pytest.mark.parametrize("call", ["backward", "input_gradients"])
@pytest.mark.parametrize(
    ("X", "dY", "message"),
    [
        (rows(), rows(6, 2), r"dY has shape \(6, 2\); it must be that of the outputs, \(6, 3\)"),
        (rows(), rows(5, 3), r"dY has shape \(5, 3\); it must be that of the outputs, \(6, 3\)"),
        (rows(), np.ones(6), r"dY has shape \(6, 1\); it must be that"),
        (rows(6, 3), rows(6, 3), r"X has shape \(6, 3\); this network takes 4 features"),
        (rows(), np.full((6, 3), "a"), "dY"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(call, X, dY, message):
    network = make()
    network.gradients[:] = 5
    with pytest.raises((ValueError, TypeError), match=f"^{call}: .*{message}"):
        getattr(network, call)(X, dY)
    assert (network.gradients == 5).all()


def test_views_of_the_network_may_be_given():
    network = make(layers=(4, 4))
    X, dY = network.weights[0], network.gradients[:16].reshape(4, 4)
    dY[:] = rows(4)
    expected = make(layers=(4, 4)).backward(X.copy(), dY.copy())
    assert network.backward(X, dY).tobytes() == expected.tobytes()


def test_a_step_on_a_loss_of_the_user_is_that_of_the_library():
    ours, own = (make(output="identity", dtype="float32", loss="huber") for _ in range(2))
    X, y = rows(64).astype(np.float32), rows(64, 3).astype(np.float32)
    optimizers = fastmlp.Adam(), fastmlp.Adam()
    for _ in range(5):
        ours.train_epoch(X, y, np.arange(64), batch_size=64, optimizer=optimizers[0])
        own.backward(X, np.clip(own.forward(X) - y, -1, 1) * np.float32(1 / 64))
        own.apply_gradients(optimizers[1])
    assert ours.parameters.tobytes() == own.parameters.tobytes()


@KINDS
@pytest.mark.parametrize("layers", [(4, 3), (4, 6, 5, 3)])
def test_activations_are_the_outputs_of_each_layer(kind, layers):
    network, X = make(kind, layers=layers, hidden="gelu", output="softmax", dtype="float32"), rows()
    found = network.activations(X)
    assert [a.shape for a in found] == [(6, n) for n in layers[1:]]
    A = X.astype(np.float32)
    for layer, (W, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        step = make(layers=W.shape, output="identity" if layer < len(layers) - 2 else "softmax")
        step.weights[0][:], step.biases[0][:] = W, b
        Z = step.forward(A)
        A = reference.ops.gelu(Z) if layer < len(layers) - 2 else Z
        np.testing.assert_allclose(found[layer], A, rtol=1e-5, atol=1e-6)
    assert found[-1].tobytes() == network.forward(X).tobytes()


def test_activations_of_many_rows_are_those_of_each_row():
    network, X = make(dtype="float32"), rows(1100).astype(np.float32)
    network.fold_scaling(input_mean=[1, 2, 3, 4], output_scale=[9, 1, 2])
    found = network.activations(X)
    for row in (0, 511, 512, 1099):
        for a, one in zip(found, network.activations(X[row]), strict=True):
            assert a[row].tobytes() == one.tobytes()
    first = network.activations(scipy.sparse.csr_matrix(X))
    assert [a.tobytes() for a in first] == [a.tobytes() for a in found]
    assert [a.shape for a in network.activations(X[:0])] == [(0, 7), (0, 5), (0, 3)]


def test_one_row_gives_results_without_the_axis_of_rows():
    network, x, dy = make(), rows(1)[0], rows(1, 3)[0]
    for call in (network.backward, network.input_gradients):
        assert call(x, dy).tobytes() == call(x[np.newaxis], dy[np.newaxis]).tobytes()
        assert call(x, dy).shape == call(x, dy[np.newaxis]).shape == (4,)
        assert call(list(x), list(dy)).shape == (4,)
    assert network.jacobian(x).tobytes() == network.jacobian(x[np.newaxis]).tobytes()
    assert network.jacobian(x).shape == (3, 4)
    with pytest.raises(ValueError, match=r"dY has shape \(1, 2\); it must be .*\(1, 3\)"):
        network.backward(x, dy[:2])
