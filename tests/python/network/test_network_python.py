"""What `Network` adds to the native class in Python: arguments, copies, repr, gradient check."""

import contextlib
import copy
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import fastmlp
from fastmlp import reference
from fastmlp.datasets import load_breast_cancer
from fastmlp.gradient_check import check_gradients

COPIES = {
    "copy()": lambda network: network.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda network, protocol=protocol: pickle.loads(
            pickle.dumps(network, protocol)
        )
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
}


class Named(fastmlp.Network):
    """A user's subclass, with a constructor and attributes of its own."""

    def __init__(self, name):
        super().__init__([2, 3, 1], hidden="tanh", dtype="float64", seed=5)
        self.name = name
        self.notes = ["first"]


class WithCache(Named):
    """A user's subclass that leaves something out of its copies."""

    def __getstate__(self):
        state = super().__getstate__()
        del state["attributes"]["notes"]
        return state


def trained(dtype="float32", **options):
    options = {"hidden": ["relu", "tanh"], "output": "softmax", "seed": 2**64 - 1, **options}
    network = fastmlp.Network([3, 4, 3, 2], dtype=dtype, **options)
    network.fit([[1, 2, 3], [3, 2, 1]], [0, 1], epochs=3)
    return network


# Arguments


def test_the_native_forward_is_called_directly():
    assert not any(
        "forward" in vars(parent)
        for parent in fastmlp.Network.__mro__
        if parent.__module__ != "fastmlp._core"
    )
    assert fastmlp._core.Network in fastmlp.Network.__mro__


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("float32", "float32"),
        ("f8", "float64"),
        (np.float32, "float32"),
        (np.dtype("float64"), "float64"),
        (float, "float64"),
    ],
)
def test_a_dtype_is_anything_that_numpy_takes_for_one(given, name):
    network = fastmlp.Network([2, 1], dtype=given)
    assert network.dtype == np.dtype(name)
    assert network.parameters.dtype == np.dtype(name)


def test_float32_is_the_default():
    assert fastmlp.Network([2, 1]).dtype == np.float32


SWAPPED = np.dtype(np.float32).newbyteorder()


@pytest.mark.parametrize("dtype", ["float16", "int", int, bool, None, "none", 32, SWAPPED, "f4,f4"])
def test_another_dtype_is_refused_with_those_that_are_allowed(dtype):
    with pytest.raises(ValueError, match=r"Network: dtype is .*'float32', 'float64'"):
        fastmlp.Network([2, 1], dtype=dtype)


def test_keywords_only_after_the_layers():
    with pytest.raises(TypeError):
        fastmlp.Network([2, 1], "relu")


def test_the_twin_has_the_same_constructor_and_start():
    options = {"hidden": ["relu", "tanh"], "output": "softmax", "dtype": "float64", "seed": 7}
    native, twin = (each([3, 4, 3, 2], **options) for each in (fastmlp.Network, reference.Network))
    assert native.parameters.tobytes() == twin.parameters.tobytes()
    for name in ("layers", "hidden", "output", "dtype", "seed", "n_parameters", "epochs_trained"):
        assert getattr(native, name) == getattr(twin, name)


@pytest.mark.parametrize("seed", [0, 2**64 - 1])
def test_rows_are_shuffled_as_the_twin_shuffles(seed):
    for rows in (1, 2, 100):
        orders = [
            each([2, 1], seed=0)._permutation(rows, seed, 3)
            for each in (fastmlp.Network, reference.Network)
        ]
        np.testing.assert_array_equal(*orders, strict=True)


def rows(m, n):
    return np.array([[((i * n + j) * 37 % 101 - 50) / 25 for j in range(n)] for i in range(m)])


# Copies


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_copy_is_the_same_network_with_parameters_of_its_own(how, dtype):
    network = trained(dtype)
    other = COPIES[how](network)
    before = network.parameters.copy()
    assert type(other) is fastmlp.Network
    assert repr(other) == repr(network)
    assert other.epochs_trained == network.epochs_trained == 3
    assert other.parameters.tobytes() == before.tobytes()
    other.weights[0][:] = 0
    assert not np.array_equal(other.parameters, before)
    np.testing.assert_array_equal(network.parameters, before)


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_trains_on_as_the_original_does(how):
    network = trained()
    other = COPIES[how](network)
    X, y = np.arange(30).reshape(10, 3) % 7, np.arange(10) % 2
    histories = [each.fit(X, y, epochs=3, batch_size=4) for each in (network, other)]
    assert histories[0] == histories[1]
    assert other.parameters.tobytes() == network.parameters.tobytes()


@pytest.mark.parametrize("how", COPIES)
def test_a_subclass_is_copied_with_its_attributes_whatever_its_constructor_takes(how):
    network = Named("a")
    network.parameters[:] = np.arange(network.n_parameters)
    other = COPIES[how](network)
    assert type(other) is Named
    assert (other.name, other.notes) == ("a", ["first"])
    np.testing.assert_array_equal(other.parameters, network.parameters)


@pytest.mark.parametrize("how", COPIES)
def test_attributes_are_shared_by_a_shallow_copy_only(how):
    network = Named("a")
    assert (COPIES[how](network).notes is network.notes) == (how in ("copy()", "copy.copy"))


@pytest.mark.parametrize("how", COPIES)
def test_a_subclass_may_leave_things_out_of_its_state(how):
    other = COPIES[how](WithCache("a"))
    assert other.name == "a"
    assert not hasattr(other, "notes")


@pytest.mark.parametrize("how", [how for how in COPIES if how not in ("copy()", "copy.copy")])
def test_a_network_that_refers_to_itself_is_copied(how):
    network = Named("a")
    network.itself = network
    other = COPIES[how](network)
    assert other.itself is other
    assert other is not network


def save_and_load(network):
    with tempfile.TemporaryDirectory() as folder:
        network.save(Path(folder) / "x.safetensors")
        return fastmlp.Network.load(Path(folder) / "x.safetensors")


# Each makes a network and then sets its parameters.
REBUILT = {
    **COPIES,
    "load": save_and_load,
    "check_gradients": lambda network: check_gradients(network, [[1.0, 2.0, 3.0]], [1.0]),
}


@pytest.mark.parametrize("how", REBUILT)
def test_no_weights_are_drawn_to_be_overwritten(how, monkeypatch):
    network, drawn = trained(), []
    construct = fastmlp._core.Network.__init__

    def spy(self, *structure, initialize=True):
        construct(self, *structure, initialize=initialize)
        drawn.append((initialize, self.parameters.any()))

    monkeypatch.setattr(fastmlp._core.Network, "__init__", spy)
    REBUILT[how](network)
    assert set(drawn) == {(False, False)}


def test_a_network_without_weights_has_its_structure_and_zeros():
    network = fastmlp.Network._rebuild((3, 4, 2), ("tanh",), "softmax", "float64", 7)
    assert repr(network) == (
        "Network([3, 4, 2], hidden='tanh', output='softmax', dtype='float64', seed=7)"
    )
    assert not network.parameters.any()
    assert network.epochs_trained == 0


class Restored(fastmlp.Network):
    """Counts the calls that restore its parameters."""

    def __init__(self):
        super().__init__([3, 4, 1], dtype="float64", seed=0)
        self.restored = 0

    def _restore(self, parameters, epochs_trained):
        self.restored += 1
        super()._restore(parameters, epochs_trained)


@pytest.mark.parametrize(
    "options",
    [
        {"learning_rate": 1e300},
        {"validation_data": (rows(5, 3), [0, 1, 0, 1, 1]), "early_stopping": 1},
        {"optimizer": "lbfgs"},
    ],
    ids=["diverged", "early stopping", "lbfgs"],
)
def test_fit_sets_parameters_under_the_networks_guard(options):
    network = Restored()
    with contextlib.suppress(FloatingPointError):
        network.fit(rows(5, 3), [0, 1, 0, 1, 1], epochs=2, **options)
    assert network.restored


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("other", ["float16", "float32", "float64", "int8"])
def test_restore_takes_any_vector_of_numbers(dtype, other):
    network = fastmlp.Network([2, 1], dtype=dtype, seed=0)
    values = np.array([1, 9, 2, 9, 3, 9], dtype=other)[::2]
    network._restore(values, 7)
    assert network.parameters.tolist() == [1, 2, 3]
    assert network.epochs_trained == 7


@pytest.mark.parametrize(
    ("parameters", "epochs", "error", "message"),
    [
        (np.zeros(2), 1, ValueError, r"restore: parameters has shape \(2,\); it must be \(3,\)"),
        (np.zeros((3, 1)), 1, ValueError, r"has shape \(3, 1\)"),
        (["a", "b", "c"], 1, TypeError, "restore: parameters has dtype"),
        (np.zeros(3), -1, ValueError, "epochs_trained"),
    ],
)
def test_restore_refuses_what_does_not_fit(parameters, epochs, error, message):
    network = fastmlp.Network([2, 1], seed=0)
    before = network.parameters.tobytes()
    with pytest.raises(error, match=message):
        network._restore(parameters, epochs)
    assert (network.parameters.tobytes(), network.epochs_trained) == (before, 0)


def test_networks_are_equal_to_themselves_only():
    network = trained()
    assert network == network
    assert network != network.copy()
    assert len({network, network.copy()}) == 2


# Repr


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"layers": [30, 64, 32, 1], "seed": 0},
            "Network([30, 64, 32, 1], hidden='relu', output='sigmoid', dtype='float32', seed=0)",
        ),
        (
            {"layers": (3, 4, 2, 2), "hidden": ["relu", "tanh"], "output": "softmax", "seed": 1},
            "Network([3, 4, 2, 2], hidden=['relu', 'tanh'], output='softmax', dtype='float32', "
            "seed=1)",
        ),
        (
            {"layers": [3, 2], "output": "identity", "dtype": "float64", "seed": 2**64 - 1},
            "Network([3, 2], hidden=[], output='identity', dtype='float64', "
            "seed=18446744073709551615)",
        ),
    ],
)
def test_repr_is_a_call_that_makes_the_same_network(options, text):
    network = fastmlp.Network(**options)
    assert repr(network) == text
    again = eval(text, {"Network": fastmlp.Network})
    assert again.parameters.tobytes() == network.parameters.tobytes()
    assert repr(again) == text


def test_repr_names_the_subclass():
    assert repr(Named("a")).startswith("Named([2, 3, 1], ")


# Gradient check


@pytest.mark.sparse
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("output", fastmlp._core.OUTPUTS)
@pytest.mark.parametrize("hidden", fastmlp._core.ACTIVATIONS)
def test_gradients_agree_with_central_differences(hidden, output, dtype):
    network = fastmlp.Network([4, 5, 3], hidden=hidden, output=output, dtype=dtype, seed=1)
    before = network.parameters.copy()
    y = np.arange(6) % 3 if output == "softmax" else (rows(6, 3) + 2) / 4
    error = network.check_gradients(rows(6, 4), y)
    assert type(error) is float
    assert error < 1e-6
    np.testing.assert_array_equal(network.parameters, before)
    assert not network.gradients.any()


def test_a_corner_of_relu_beside_a_parameter_is_no_error():
    network = fastmlp.Network([1, 1, 1], output="identity", dtype="float64", seed=0)
    network.parameters[:] = [1.0, -1.0 + 1e-6, 1.0, 0.0]  # Z_1 = 1e-6 for x = 1
    assert network.check_gradients([[1.0]], [5.0]) < 1e-6


def test_many_corners_of_relu_are_no_errors():
    X, y = load_breast_cancer()
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    network = fastmlp.Network([30, 16, 8, 1], seed=0)
    assert network.check_gradients(X, y) < 1e-6


def test_the_twin_has_its_structure_checked_too():
    network = reference.Network([4, 5, 1], dtype="float64", seed=1)
    assert check_gradients(network, rows(6, 4), [0, 1, 0, 1, 1, 0]) < 1e-6


def test_a_wrong_gradient_is_found(monkeypatch):
    real = fastmlp._core.Network.loss_and_gradients

    def wrong(self, *data):
        loss = real(self, *data)
        self.gradients[7] *= 1.001
        return loss

    class Wrong(fastmlp._core.Network):
        loss_and_gradients = wrong

    network = fastmlp.Network([4, 5, 1], hidden="tanh", seed=1)
    monkeypatch.setattr(fastmlp._core, "Network", Wrong)
    error = check_gradients(network, rows(6, 4), [0, 1, 0, 1, 1, 0])
    assert 1e-4 < error <= 1.001e-3


def test_a_perfect_fit_has_no_error():
    network = fastmlp.Network([2, 1], output="identity", dtype="float64", seed=0)
    network.parameters[:] = 0
    assert network.check_gradients([[0.0, 0.0]], [0.0]) < 1e-6


def test_nan_is_not_hidden_by_the_gradient_check():
    network = fastmlp.Network([2, 1], seed=0)
    network.parameters[0] = np.nan
    assert np.isnan(network.check_gradients([[1.0, 2.0]], [1]))


def test_the_gradient_check_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="check_gradients: "):
        fastmlp.Network([2, 1]).check_gradients([[1.0, 2.0, 3.0]], [1])


# Imports


def test_the_package_imports_nothing_but_numpy_and_the_standard_library():
    program = """
import sys, numpy.random
before = set(sys.modules)
import fastmlp
new = {name.split(".")[0] for name in set(sys.modules) - before}
print(sorted(new - set(sys.stdlib_module_names) - {"numpy"}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout == "['fastmlp']\n"


def test_optimizers_can_be_copied_and_pickled():
    optimizer = fastmlp.SGD(0.25)
    for other in (
        copy.copy(optimizer),
        copy.deepcopy(optimizer),
        pickle.loads(pickle.dumps(optimizer)),
    ):
        assert other.learning_rate == 0.25
