"""CSR matrices as X: the bits of the dense rows, no dense copy, and no index is trusted.

The product takes stored entries only; `cpp/src/gemm/sparse.hpp` says why the zeros that it leaves
out change nothing, and when they do. The tests by name aim at those exceptions.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastmlp
from sweeps import sweep

Array = npt.NDArray[Any]
DTYPES = ("float32", "float64")


def csr(data: Any, indices: Any, indptr: Any, shape: Any) -> SimpleNamespace:
    """Return what fastmlp reads of SciPy's csr_matrix((data, indices, indptr), shape)."""
    arrays = zip(
        ("data", "indices", "indptr"), map(np.asarray, (data, indices, indptr)), strict=True
    )
    return SimpleNamespace(format="csr", shape=shape, **dict(arrays))


def dense(X: SimpleNamespace, dtype: str) -> Array:
    """Return the rows with their zeros; entries of the same column are added in their order."""
    out = np.zeros(X.shape, dtype)
    for i in range(X.shape[0]):
        for p in range(X.indptr[i], X.indptr[i + 1]):
            out[i, X.indices[p]] += X.data[p].astype(dtype)
    return out


def bits(array: Any) -> Array:
    """Return the bits of numbers; those of any NaN are the same."""
    array = np.ascontiguousarray(array)
    return np.where(np.isnan(array), 1, array.view(f"u{array.itemsize}"))


def assert_same(a: Any, b: Any) -> None:
    np.testing.assert_array_equal(bits(a), bits(b))


@pytest.fixture(params=fastmlp.available_isas())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    before, threads = fastmlp.isa(), fastmlp.get_num_threads()
    fastmlp.set_isa(request.param)
    yield request.param
    fastmlp.set_isa(before)
    fastmlp.set_num_threads(threads)


def random_rows(rng: np.random.Generator, rows: int, cols: int, dtype: str) -> SimpleNamespace:
    """Unsorted rows with duplicates and stored zeros, up to a tenth of the elements."""
    stored = int(rows * cols * rng.choice([0, 0.003, 0.02, 0.1]))
    index = rng.choice(["int32", "int64"])
    indptr = np.sort(np.append(rng.integers(0, stored + 1, rows - 1), [0, stored])).astype(index)
    data = rng.normal(size=stored)
    kind = rng.integers(4)
    if kind == 1:
        data = data * rng.choice([1, 0, -0.0, np.finfo(dtype).tiny / 8], size=stored)
    if kind == 2:
        data = data * np.sqrt(np.finfo(dtype).tiny) / 1e4  # their products underflow
    if kind == 3:
        data = np.round(3 * data).astype(rng.choice(["int8", "int32", "int64", "float32"]))
    return csr(data, rng.integers(0, cols, stored).astype(index), indptr, (rows, cols))


def random_weights(rng: np.random.Generator, W: Array) -> None:
    kind = rng.integers(5)
    if kind == 1:
        W[rng.integers(W.shape[0]), rng.integers(W.shape[1])] = rng.choice([np.inf, np.nan])
    if kind == 2:
        W[...] = np.where(rng.random(W.shape) < 0.5, -0.0, W)
    if kind == 3:
        W *= np.sqrt(np.finfo(W.dtype).tiny) / 1e4
    if kind == 4:
        W[...] = -np.abs(W)


def networks(layers: list[int], dtype: str, seed: int = 0, **names: str) -> list[fastmlp.Network]:
    return [fastmlp.Network(layers, dtype=dtype, seed=seed, **names) for _ in range(2)]


@pytest.mark.parametrize("seed", [*range(5), *map(sweep, range(5, 40))])
def test_every_call_gives_the_bits_of_the_dense_rows(isa: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    fastmlp.set_num_threads(int(rng.choice([1, 2, 3])))
    rows, cols = int(rng.choice([1, 2, 17])), int(rng.choice([1, 40, 4096, 4097, 8200]))
    hidden = [int(n) for n in rng.choice([1, 2, 13], rng.integers(2))]
    dtype, out = str(rng.choice(DTYPES)), int(rng.choice([1, 3]))
    X, y = random_rows(rng, rows, cols, dtype), rng.random((rows, out))
    D = dense(X, dtype)
    a, b = networks([cols, *hidden, out], dtype, seed, hidden="tanh", output="identity")
    random_weights(rng, a.weights[0])
    b.parameters[...] = a.parameters
    assert_same(a.forward(X), b.forward(D))
    assert_same(a.loss(X, y), b.loss(D, y))
    assert_same(a.loss_and_gradients(X, y), b.loss_and_gradients(D, y))
    assert_same(a.gradients, b.gradients)
    a.gradients[...] = b.gradients[...] = -0.0
    assert_same(a.accumulate_gradients(X, y), b.accumulate_gradients(D, y))
    assert_same(a.gradients, b.gradients)
    a.step(X, y, 0.1), b.step(D, y, 0.1)
    for make in (lambda: fastmlp.SGD(0.05), fastmlp.Adam):
        order, first, second = rng.permutation(rows), make(), make()
        a.train_epoch(X, y, order, batch_size=7, optimizer=first)
        b.train_epoch(D, y, order, batch_size=7, optimizer=second)
        assert_same(a.parameters, b.parameters)


@pytest.mark.parametrize("out", [1, 2])
@pytest.mark.parametrize("after", [1.0, -1.0])
def test_a_sum_that_underflows_to_minus_zero_takes_the_sign_of_the_zeros(
    isa: str, out: int, after: float
) -> None:
    a, b = networks([400, out], "float32", output="identity")
    columns = np.arange(16)  # one for each lane of a sum with a single output
    X = csr(np.full(16, -1e-30), columns, [0, 16], (1, 400))
    for network in (a, b):
        network.weights[0][...] = after
        network.weights[0][columns] = 1e-30
        network.biases[0][...] = -0.0
    result = a.forward(X)
    assert_same(result, b.forward(dense(X, "float32")))
    assert np.signbit(result).all() == (after < 0)


def test_a_stored_minus_zero_counts_as_zero(isa: str) -> None:
    a, b = networks([3, 2], "float32", output="identity")
    X = csr([-1e-30, -0.0], [0, 1], [0, 2, 2, 2, 2, 2, 2, 2, 2], (8, 3))
    for network in (a, b):
        network.weights[0][...] = [[1e-30], [1], [-1]]
        network.biases[0][...] = -0.0
    assert_same(a.forward(X), b.forward(dense(X, "float32")))


def test_a_chunk_without_entries_counts_as_plus_zero(isa: str) -> None:
    a, b = networks([5000, 2], "float32", output="identity")
    X = csr([-1e-30], [4095], [0, 1], (1, 5000))  # -0 in the first chunk, nothing in the second
    for network in (a, b):
        network.weights[0][...] = -1
        network.weights[0][4095] = 1e-30
        network.biases[0][...] = -0.0
    assert_same(a.forward(X), b.forward(dense(X, "float32")))
    assert not np.signbit(a.forward(X)).any()


@pytest.mark.parametrize("out", [1, 2])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_weight_that_is_not_finite_counts_although_its_column_is_not_stored(
    out: int, value: float
) -> None:
    network = fastmlp.Network([9000, out], output="identity", seed=0)
    network.weights[0][8999, 0] = value
    result = network.forward(csr([1.0], [3], [0, 1, 1], (2, 9000)))
    assert np.isnan(result[:, 0]).all()  # 0 times infinity
    assert np.isfinite(result[:, 1:]).all()


def test_a_gradient_that_is_not_finite_reaches_the_columns_that_are_not_stored() -> None:
    a, b = networks([30, 2], "float64", output="identity")
    X, y = csr([1.0, 2.0], [3, 4], [0, 1, 2], (2, 30)), np.array([[np.inf, 1], [0, 1]])
    a.loss_and_gradients(X, y), b.loss_and_gradients(dense(X, "float64"), y)
    assert_same(a.gradients, b.gradients)
    assert np.isnan(a.gradients[:60].reshape(30, 2)[7]).tolist() == [True, False]


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_a_weight_that_overflows_in_a_step_counts_in_the_next_steps(momentum: float) -> None:
    a, b = networks([30, 2], "float32", output="identity")
    X = csr([1e20, 1.0, 1.0], [3, 4, 5], [0, 1, 2, 3], (3, 30))
    y, order = np.zeros((3, 2)), np.arange(3)
    for network, rows in ((a, X), (b, dense(X, "float32"))):
        sgd = fastmlp.SGD(1e-3, momentum=momentum)
        network.train_epoch(rows, y, order, batch_size=1, optimizer=sgd)
    assert np.isnan(a.weights[0][5]).all()
    assert_same(a.parameters, b.parameters)


MEMORY = """
import resource
from types import SimpleNamespace
import numpy as np, fastmlp
rows, cols = 600, 100_000
network = fastmlp.Network([cols, 4, 1], seed=0)
network.gradients[...] = 0
y, order, sgd = np.zeros(rows), np.arange(rows), fastmlp.SGD(0.1)
sparse = SimpleNamespace(
    format="csr",
    shape=(rows, cols),
    data=np.ones(rows, "float32"),
    indices=order,
    indptr=np.arange(rows + 1),
)
converted = np.broadcast_to(np.zeros(cols, "int8"), (rows, cols))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
before = peak()
"""
PREDICT = "network.forward(X), network.loss(X, y);"
TRAIN = """network.step(X, y, 0.1), network.loss_and_gradients(X, y)
network.train_epoch(X, y, order, batch_size=200, optimizer=sgd);"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
@pytest.mark.parametrize(
    ("X", "work", "most"),
    [("sparse", PREDICT + TRAIN, 30), ("converted", "network.forward(X);", 80)],
)
def test_no_dense_copy_of_all_rows_is_made(X: str, work: str, most: int) -> None:
    """512 dense rows would take 195 MiB."""
    code = f"{MEMORY}X = {X}\n{work}\nprint(peak() - before)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(run.stdout) < most


def calls(network: fastmlp.Network) -> dict[str, Callable[[Any], Any]]:
    y = np.zeros(2)
    return {
        "forward": network.forward,
        "loss": lambda X: network.loss(X, y),
        "loss_and_gradients": lambda X: network.loss_and_gradients(X, y),
        "step": lambda X: network.step(X, y, 0.1),
        "train_epoch": lambda X: network.train_epoch(
            X, y, [1, 0], batch_size=2, optimizer=fastmlp.SGD(0.1)
        ),
    }


WRONG = {
    "a column is negative": ([1.0, 1], [0, -1], [0, 1, 2], "row 1 has the column index -1"),
    "a column is too large": ([1.0, 1], [40, 0], [0, 1, 2], "row 0 has the column index 40"),
    "indptr is negative": ([1.0, 1], [0, 1], [-1, 1, 2], "row 0 has the entries -1 to 1"),
    "indptr falls": ([1.0, 1], [0, 1], [0, 2, 1], "row 1 has the entries 2 to 1"),
    "indptr is past the data": ([1.0], [0, 1, 2], [0, 1, 3], "row 1 has the entries 1 to 3"),
    "indptr is past the indices": ([1.0, 1, 1], [0], [0, 1, 2], "row 1 has the entries 1 to 2"),
    "indptr begins past the data": ([1.0, 1], [0, 1], [9, 9, 9], "has the entries 9 to 9"),
}


@pytest.mark.parametrize("index", ["int32", "int64"])
@pytest.mark.parametrize("cols", [41, 4])  # few stored elements, and so many that rows get dense
@pytest.mark.parametrize("wrong", WRONG)
def test_an_index_out_of_range_is_refused_by_every_call(wrong: str, cols: int, index: str) -> None:
    data, indices, indptr, message = WRONG[wrong]
    network = fastmlp.Network([cols, 3, 1], seed=0)
    before = network.parameters.copy()
    indices = [cols if i == 40 else i for i in indices]
    X = csr(data, np.array(indices, index), np.array(indptr, index), (2, cols))
    for call in calls(network).values():
        with pytest.raises(ValueError, match=message.replace("40", str(cols))):
            call(X)
    assert_same(network.parameters, before)


@pytest.mark.parametrize("index", [2**31, 2**32, 2**32 + 1, -(2**31), 2**63 - 1, -(2**63)])
def test_large_indices_are_not_cut_to_32_bits(index: int) -> None:
    network = fastmlp.Network([41, 1], seed=0)
    with pytest.raises(ValueError, match="column index"):
        network.forward(csr([1.0], [index], [0, 1], (1, 41)))
    with pytest.raises(ValueError, match="entries"):
        network.forward(csr([1.0], [0], [0, index], (1, 41)))
    with pytest.raises(ValueError, match="entries"):
        network.forward(csr([1.0], [0], [index, 1], (1, 41)))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"shape": (3, 41)}, ValueError, "one element more than there are rows"),
        ({"shape": (1, 41)}, ValueError, "one element more than there are rows"),
        ({"shape": (2**40, 41)}, ValueError, "one element more than there are rows"),
        ({"shape": (2**63 - 1, 41)}, ValueError, "one element more than there are rows"),
        ({"shape": (2**70, 41)}, ValueError, "fit"),
        ({"shape": (-1, 41), "indptr": np.zeros(0, int)}, ValueError, "one element more"),
        ({"shape": (2, -41)}, ValueError, "features"),
        ({"shape": (2, 2**40)}, ValueError, "features"),
        ({"shape": (2, 41, 1)}, ValueError, "two dimensions"),
        ({"shape": (2,)}, ValueError, "two dimensions"),
        ({"shape": (2.0, 41)}, TypeError, "integer"),
        ({"data": np.ones((1, 2))}, ValueError, "two dimensions"),
        ({"indices": np.zeros((2, 1), int)}, ValueError, "two dimensions"),
        ({"indptr": np.zeros((3, 1), int)}, ValueError, "two dimensions"),
        ({"indices": np.zeros(2)}, TypeError, r"forward: X\.indices has dtype float64; it must be"),
        ({"indices": np.zeros(2, bool)}, TypeError, "integers"),
        ({"indptr": np.array([0.0, 1, 2])}, TypeError, r"X\.indptr has dtype float64; it must be"),
        ({"indices": None}, TypeError, "real numbers"),
        ({"data": np.array(["a", "b"])}, TypeError, "real numbers"),
        ({"data": np.ones(2, complex)}, TypeError, "real numbers"),
    ],
)
def test_arrays_that_are_no_csr_matrix_are_refused(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    X = csr([1.0, 2.0], [3, 0], [0, 1, 2], (2, 41))
    for name, value in change.items():
        setattr(X, name, value)
    with pytest.raises(error, match=message):
        fastmlp.Network([41, 1], seed=0).forward(X)


def strided(array: Array) -> Array:
    return np.repeat(array, 2)[::2]


def misaligned(array: Array) -> Array:
    memory = np.zeros(array.nbytes + 1, np.uint8)
    memory[1:] = array.view(np.uint8)
    return memory[1:].view(array.dtype)


@pytest.mark.parametrize("index", ["int8", "uint8", "int16", "uint32", "uint64", ">i4", ">i8"])
@pytest.mark.parametrize("layout", [np.asarray, strided, misaligned])
def test_arrays_of_any_layout_and_integer_dtype_mean_the_same(
    index: str, layout: Callable[[Array], Array]
) -> None:
    network = fastmlp.Network([41, 3], output="softmax", seed=0)
    X = csr([1.0, 2.0, 3.0], [3, 40, 0], [0, 2, 3], (2, 41))
    other = csr(X.data.astype(">f8"), X.indices.astype(index), X.indptr.astype(index), X.shape)
    for name in ("data", "indices", "indptr"):
        setattr(other, name, layout(getattr(other, name)))
    assert_same(network.forward(other), network.forward(X))


def test_output_may_not_overlap_the_matrix_or_the_network() -> None:
    network = fastmlp.Network([41, 1], output="identity", seed=0)
    X = csr(np.ones(2, "float32"), [3, 0], [0, 1, 2], (2, 41))
    with pytest.raises(ValueError, match="out shares memory with an input"):
        network.forward(X, out=X.data.reshape(2, 1))
    with pytest.raises(ValueError, match="out shares memory with the network's parameters"):
        network.forward(X, out=network.weights[0][:2])


@pytest.mark.parametrize("stored", [200, 4000])  # sparse rows, and rows that are made dense
def test_indices_that_change_during_the_calls_are_used_as_they_were_checked(stored: int) -> None:
    network = fastmlp.Network([5000, 8, 1], seed=0)
    wild = np.array([2**31 - 1, -(2**31), 0, 0], "int32")
    X = csr(np.ones(stored), np.zeros(stored, "int32"), np.array([0, stored], "int32"), (1, 5000))
    ends = threading.Event()

    def disturb() -> None:
        while not ends.is_set():
            for value in wild:
                X.indices[...] = value
                X.indptr[1] = stored if value == 0 else value

    thread = threading.Thread(target=disturb)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread.start()
    calls = refused = 0
    end = time.monotonic() + 10
    try:
        while time.monotonic() < end and (calls < 50 or not refused):
            calls += 1
            try:
                network.forward(X)
            except ValueError:
                refused += 1
    finally:
        ends.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert refused > 0
