"""Arrays of other libraries, recognised by their protocols.

Those here are made up; real ones are in tests/python/clients/test_arrays.py.
"""

import subprocess
import sys

import numpy as np
import pytest

import fastmlp
from fastmlp._frames import as_array

CALLS = {
    "forward": lambda network, X, y: network.forward(X),
    "predict": lambda network, X, y: network.predict(X),
    "loss": lambda network, X, y: network.loss(X, y),
    "loss_and_gradients": lambda network, X, y: network.loss_and_gradients(X, y),
    "step": lambda network, X, y: network.step(X, y, 0.1),
    "fit": lambda network, X, y: network.fit(X, y, epochs=1).loss,
}
EVERY_CALL = pytest.mark.parametrize("call", CALLS)


class Tensor:
    """What offers only DLPack."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class OnGpu(Tensor):
    def __dlpack__(self, **options):
        raise RuntimeError("it was asked for its memory")

    def __dlpack_device__(self):
        return (2, 0)  # CUDA


class OfCuda:
    @property
    def __cuda_array_interface__(self):
        return {"shape": (4, 3), "typestr": "<f4", "data": (0, True), "version": 3}


class OfCupy(OfCuda, OnGpu):
    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Use `.get()`.\nMore")


def data():
    random = np.random.default_rng(0)
    return random.normal(size=(4, 3)).astype("f4"), np.array([0, 1, 1, 0])


@EVERY_CALL
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint64", "bool"])
def test_dlpack_is_enough(call, dtype):
    X, y = data()
    X = X.astype(dtype)
    expected = CALLS[call](fastmlp.Network([3, 4, 1], seed=0), X, y)
    found = CALLS[call](fastmlp.Network([3, 4, 1], seed=0), Tensor(X), Tensor(y))
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("step", [1, 2, -1])
def test_no_element_is_copied(step):
    X = np.zeros((12, 6), "f4")[::step, ::2]
    found = as_array("forward: X", Tensor(X), fastmlp.Network([3, 1]))
    assert found.__array_interface__["data"][0] == X.__array_interface__["data"][0]
    assert found.strides == X.strides


def test_memory_outlives_the_tensor():
    network = fastmlp.Network([3, 1])
    found = as_array("forward: X", Tensor(np.ones((1000, 3), "f4")), network)
    assert np.array_equal(found, np.ones((1000, 3)))


@EVERY_CALL
@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (OnGpu(None), r"OnGpu, .*it is in the memory of a GPU; copy it to main memory first"),
        (OfCuda(), r"OfCuda, .*it is in the memory of a GPU; copy it to main memory first"),
        (OfCupy(None), r"OfCupy, which NumPy cannot read: Implicit.* Use `.get\(\)`\.$"),
        (Tensor(np.array([["a"]])), r"Tensor, which NumPy cannot read: .+"),
    ],
)
def test_what_numpy_cannot_read_is_refused(call, given, reason):
    network = fastmlp.Network([3, 4, 1], seed=0)
    before = network.parameters.tobytes()
    with pytest.raises(TypeError, match=rf"^\w+: X is a \w+\.{reason}"):
        CALLS[call](network, given, data()[1])
    assert network.parameters.tobytes() == before
    assert network.epochs_trained == 0


def test_no_memory_stays_an_error_of_memory():
    class Large(Tensor):
        def __dlpack__(self, **options):
            raise MemoryError

    with pytest.raises(MemoryError):
        fastmlp.Network([3, 1]).forward(Large(np.zeros((1, 3))))


def test_complex_numbers_are_refused():
    with pytest.raises(TypeError, match="forward: X has dtype complex64; it must be real numbers"):
        fastmlp.Network([3, 1]).forward(Tensor(np.zeros((1, 3), "c8")))


def test_out_must_be_an_array_of_numpy():
    with pytest.raises(TypeError, match=r"out is a Tensor; it must be a numpy\.ndarray"):
        fastmlp.Network([3, 1]).forward(data()[0], out=Tensor(np.zeros((4, 1), "f4")))


def test_the_import_loads_no_library_of_arrays():
    code = (
        "import sys, fastmlp\n"
        "names = {'torch', 'jax', 'tensorflow', 'cupy', 'ml_dtypes', 'pandas', 'scipy'}\n"
        "print(sorted(names & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command, text=True) == "[]\n"
