"""Tensors of PyTorch and JAX, and the small dtypes of ml_dtypes, as rows, targets and weights."""

import numpy as np
import pytest

import fastmlp
from fastmlp._frames import as_array

pytestmark = pytest.mark.client
torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
ml_dtypes = pytest.importorskip("ml_dtypes")
jnp = jax.numpy

SMALL = [
    name
    for name in dir(ml_dtypes)
    if name.startswith(("bfloat16", "float4", "float6", "float8", "int", "uint"))
]
TORCH_DTYPES = ["float16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool"]
CALLS = {
    "forward": lambda network, X, y: network.forward(X),
    "predict": lambda network, X, y: network.predict(X),
    "loss": lambda network, X, y: network.loss(X, y),
    "loss, weighted": lambda network, X, y: network.loss(X, y, sample_weight=y),
    "loss_and_gradients": lambda network, X, y: network.loss_and_gradients(X, y),
    "step": lambda network, X, y: network.step(X, y, 0.1),
    "fit": lambda network, X, y: network.fit(X, y, epochs=2, validation_data=(X, y)).val_loss,
    "fit, split": lambda network, X, y: (
        network.fit(
            X, y, epochs=2, standardize=True, validation_split=0.3, class_weight="balanced"
        ).loss
    ),
    "input_gradients": lambda network, X, y: network.input_gradients(X, y.reshape(-1, 1)),
    "jacobian": lambda network, X, y: network.jacobian(X),
    "activations": lambda network, X, y: network.activations(X)[0],
    "backward": lambda network, X, y: network.backward(X, y.reshape(-1, 1)),
    "check_gradients": lambda network, X, y: network.check_gradients(X, y),
}


def data():
    random = np.random.default_rng(0)
    return random.integers(-4, 5, (20, 3)).astype("f4"), np.arange(20) % 2


def check_equal(call, given, expected, dtype="float32"):
    results = []
    for X, y in (given, expected):
        network = fastmlp.Network([3, 4, 1], seed=0, dtype=dtype)
        results.append((np.asarray(CALLS[call](network, X, y)), network.parameters.tobytes()))
    (found, found_parameters), (wanted, wanted_parameters) = results
    assert np.array_equal(found, wanted)
    assert found_parameters == wanted_parameters


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
def test_small_floats_give_the_results_of_their_values(call, dtype, library):
    X, y = data()
    given = {
        "numpy": lambda values: values.astype(getattr(ml_dtypes, dtype)),
        "torch": lambda values: torch.from_numpy(values).to(getattr(torch, dtype)),
        "jax": lambda values: jnp.asarray(values).astype(dtype),
    }[library]
    for of in ("float32", "float64"):
        check_equal(call, (given(X), given(y)), (X, y), of)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("dtype", TORCH_DTYPES)
def test_tensors_give_the_results_of_their_arrays(call, dtype):
    X, y = data()
    X = np.abs(X).astype(dtype)
    check_equal(call, (torch.from_numpy(X), torch.from_numpy(y)), (X, y))
    check_equal(call, (jnp.asarray(X), jnp.asarray(y)), (np.asarray(jnp.asarray(X)), y))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("of", ["float32", "float64"])
def test_every_value_of_a_small_dtype_is_exact(name, of):
    dtype = np.dtype(getattr(ml_dtypes, name))
    count = 256**dtype.itemsize
    values = np.arange(count, dtype=f"u{dtype.itemsize}").view(dtype).reshape(-1, 1)
    network = fastmlp.Network([1, 1], output="identity", dtype=of, seed=0)
    network.weights[0][:] = 1
    with np.errstate(invalid="ignore"):  # signaling NaN
        expected = values.astype(of)
    found = network.forward(values)
    # A product with 1, plus 0: every bit stays, but -0 + 0 is 0.
    assert np.array_equal(found, expected, equal_nan=True)
    strided = np.broadcast_to(values, (count, 3))[::2, 1:2]
    assert np.array_equal(network.forward(strided), expected[::2], equal_nan=True)


def test_ops_take_small_floats_as_float32():
    a = np.array([[1.5, -2.0]], ml_dtypes.bfloat16)
    assert fastmlp.ops.relu(a).dtype == np.float32
    assert fastmlp.ops.matmul(a, a.T.astype(ml_dtypes.float8_e4m3fn)).tolist() == [[6.25]]


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
@pytest.mark.parametrize("place", ["X", "y"])
def test_fit_refuses_a_small_float_that_is_not_a_number(name, place):
    X, y = data()
    given = {"X": X.astype(getattr(ml_dtypes, name)), "y": y.astype(getattr(ml_dtypes, name))}
    given[place][7] = np.nan
    with pytest.raises(ValueError, match=f"fit: {place} has nan at row 7"):
        fastmlp.Network([3, 1]).fit(given["X"], given["y"], epochs=1)


@pytest.mark.parametrize("name", ["complex32", "bcomplex32"])
def test_small_complex_numbers_are_refused(name):
    if not hasattr(ml_dtypes, name):
        pytest.skip(f"this ml_dtypes has no {name}")
    X = np.zeros((2, 3), getattr(ml_dtypes, name))
    with pytest.raises(TypeError, match=f"forward: X has dtype {name}; it must be real numbers"):
        fastmlp.Network([3, 1]).forward(X)


LAYOUTS = {
    "contiguous": lambda tensor: tensor.contiguous(),
    "transposed": lambda tensor: tensor.t().contiguous().t(),
    "sliced": lambda tensor: torch.cat([tensor, tensor], 1)[1:, 1:4],
    "stepped": lambda tensor: torch.cat([tensor, tensor], 1)[::3, ::2],
    "expanded": lambda tensor: tensor[:1].expand(5, 3),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_tensor_in_main_memory_is_not_copied(layout):
    tensor = LAYOUTS[layout](torch.from_numpy(data()[0]))
    network = fastmlp.Network([3, 4, 1], seed=0)
    found = as_array("forward: X", tensor, network)
    assert found.__array_interface__["data"][0] == tensor.data_ptr()
    assert found.strides == tuple(4 * step for step in tensor.stride())
    assert np.array_equal(network.forward(tensor), network.forward(tensor.numpy().copy()))


def test_an_array_of_jax_is_not_copied():
    array = jnp.asarray(data()[0])
    found = as_array("forward: X", array, fastmlp.Network([3, 1]))
    assert found.__array_interface__["data"][0] == array.unsafe_buffer_pointer()


TERA = 10**12  # rows, of which only one exists in memory


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "bool"])
def test_rows_of_a_tensor_are_converted_batch_by_batch(dtype):
    X = torch.ones(1, 3, dtype=getattr(torch, dtype)).expand(TERA, 3)
    check_few_rows(X, torch.ones(1, dtype=getattr(torch, dtype)).expand(TERA))


@pytest.mark.parametrize("dtype", SMALL)
def test_rows_of_small_floats_are_converted_batch_by_batch(dtype):
    one = np.ones((1, 3), getattr(ml_dtypes, dtype))
    check_few_rows(np.broadcast_to(one, (TERA, 3)), np.broadcast_to(one[0, :1], TERA))


def check_few_rows(X, y):
    order = torch.tensor([0, 5, TERA // 2])
    losses = []
    for rows in ((X, y), (np.ones((3, 3)), np.ones(3))):
        network = fastmlp.Network([3, 4, 1], output="identity", seed=0)
        rate, chosen = fastmlp.SGD(), order if rows[0] is X else np.arange(3)
        if float(np.asarray(X[0, 0], np.float32)) != 1:  # int1 has -1 and 0
            return
        losses.append(network.train_epoch(*rows, chosen, batch_size=2, optimizer=rate))
    assert losses[0] == losses[1]


REFUSED = {
    "requires_grad": (lambda tensor: tensor.requires_grad_(), r"Use tensor\.detach\(\)"),
    "parameter": (torch.nn.Parameter, r"Use tensor\.detach\(\)"),
    "small and requires_grad": (
        lambda tensor: tensor.bfloat16().requires_grad_(),
        r"Use tensor\.detach\(\)",
    ),
    "sparse": (lambda tensor: tensor.to_sparse(), r"Use Tensor\.to_dense\(\)"),
    "meta": (lambda tensor: tensor.to("meta"), "meta device"),
    "negated": (torch._neg_view, r"Use tensor\.resolve_neg\(\)"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_tensor_without_numbers_to_read_is_refused(kind):
    make, reason = REFUSED[kind]
    tensor = make(torch.from_numpy(data()[0]))
    for call in ("forward", "loss", "step", "fit"):
        with pytest.raises(TypeError, match=rf"^{call}: X is a torch\.\w+, which .*{reason}"):
            CALLS[call](fastmlp.Network([3, 1]), tensor, data()[1])


def test_a_traced_array_is_refused():
    network = fastmlp.Network([3, 1])
    with pytest.raises(TypeError, match=r"forward: X is a jax\.\w+, which NumPy cannot read"):
        jax.jit(network.forward)(data()[0])


def test_complex_tensors_and_tensors_as_out_are_refused():
    network, X = fastmlp.Network([3, 1]), torch.zeros(4, 3)
    with pytest.raises(TypeError, match="forward: X has dtype complex64"):
        network.forward(X.to(torch.complex64))
    with pytest.raises(TypeError, match=r"out is a Tensor; it must be a numpy\.ndarray"):
        network.forward(X, out=torch.zeros(4, 1))
    out = torch.zeros(4, 1)
    network.forward(X, out=out.numpy())
    assert np.array_equal(out.numpy(), network.forward(X))
