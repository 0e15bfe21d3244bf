"""State dicts of PyTorch and weight lists of Keras, in NumPy arrays and without either library.

tests/python/clients/ compares with the libraries themselves.
"""

import json
import struct
import threading

import numpy as np
import pytest
import safetensors.numpy

import fastmlp

LAYERS = [3, 4, 4, 2]
NAMES = ["0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"]


def make(dtype="float32", seed=0, **options):
    return fastmlp.Network(LAYERS, output="identity", dtype=dtype, seed=seed, **options)


def renamed(state, layers):
    """The same arrays under other names, in the same order."""
    names = [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]
    return dict(zip(names, state.values(), strict=True))


# State dicts


def test_a_state_dict_has_the_names_and_the_layout_of_pytorch():
    network = make()
    state = network.state_dict()
    assert list(state) == NAMES
    for index in range(3):
        np.testing.assert_array_equal(state[f"{2 * index}.weight"], network.weights[index].T)
        np.testing.assert_array_equal(state[f"{2 * index}.bias"], network.biases[index])
    assert all(array.flags.c_contiguous and array.dtype == "float32" for array in state.values())


def test_a_state_dict_is_a_copy():
    network = make()
    before = network.parameters.copy()
    for array in network.state_dict().values():
        array[:] = 7
    np.testing.assert_array_equal(network.parameters, before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_state_dict_can_be_loaded_again(dtype):
    network, other = make(dtype), make(dtype, seed=1)
    keys = other.load_state_dict(network.state_dict())
    assert keys == ([], [])
    assert (keys.missing_keys, keys.unexpected_keys) == ([], [])
    np.testing.assert_array_equal(other.parameters, network.parameters)
    assert (other.seed, other.epochs_trained) == (1, 0)


def test_values_of_other_types_are_converted():
    state = make("float64").state_dict()
    network = make("float32", seed=1)
    network.load_state_dict(state)
    np.testing.assert_array_equal(network.state_dict()["2.weight"], np.float32(state["2.weight"]))
    network.load_state_dict({name: array.astype(np.float16) for name, array in state.items()})
    network.load_state_dict({name: np.ones(array.shape, int) for name, array in state.items()})
    assert (network.parameters == 1).all()
    network.load_state_dict({name: array.tolist() for name, array in state.items()})
    np.testing.assert_array_equal(network.state_dict()["2.weight"], np.float32(state["2.weight"]))


@pytest.mark.parametrize(
    "layers",
    [
        ["net.0", "net.3", "net.6"],  # with batch normalisation or dropout between
        ["model.net.0", "model.net.2", "model.net.4"],
        ["fc1", "fc2", "fc3"],
        ["layers.8", "layers.9", "layers.10"],  # 10 is not before 8
        ["zeroth", "middle", "last"],  # of no order but that of the dict
        ["0", "1", "2"],  # two of them are names of ours, for other layers
    ],
)
def test_layers_of_other_names_are_taken_in_their_order(layers):
    network, other = make(), make(seed=1)
    other.load_state_dict(renamed(network.state_dict(), layers))
    np.testing.assert_array_equal(other.parameters, network.parameters)


def test_numbers_in_names_matter_more_than_the_order_of_the_dict():
    network, other = make(), make(seed=1)
    state = renamed(network.state_dict(), ["fc1", "fc2", "fc10"])
    other.load_state_dict(dict(sorted(state.items())))  # bias before weight, 10 before 2
    np.testing.assert_array_equal(other.parameters, network.parameters)


STATE = make().state_dict()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (dict(list(STATE.items())[:-1]), 'Missing key(s) in state_dict: "4.bias".'),
        (STATE | {"5.running_mean": 1}, 'Unexpected key(s) in state_dict: "5.running_mean".'),
        (
            STATE | {"0.weight": np.ones((3, 4))},
            "size mismatch for 0.weight: copying a param with shape (3, 4) from checkpoint, "
            "the shape in current model is (4, 3).",
        ),
        (renamed(STATE, "abc") | {"c.bias": np.ones(3)}, "size mismatch for 4.bias"),
        ({"model_state_dict": STATE}, 'Unexpected key(s) in state_dict: "model_state_dict".'),
        ({}, "Missing key(s)"),
    ],
)
def test_what_does_not_fit_is_refused_in_the_words_of_pytorch(state, message):
    network = make(seed=1)
    before = network.parameters.copy()
    with pytest.raises(ValueError, match="for Network") as raised:
        network.load_state_dict(state)
    assert str(raised.value).startswith(
        "load_state_dict: Error(s) in loading state_dict for Network:\n\t"
    )
    assert message in str(raised.value)
    np.testing.assert_array_equal(network.parameters, before)


def test_not_strict_leaves_what_is_missing_and_ignores_the_rest():
    network, before = make(seed=1), make(seed=1)
    keys = network.load_state_dict({"2.bias": np.ones(4), "head.bias": [1]}, strict=False)
    assert keys.missing_keys == [name for name in NAMES if name != "2.bias"]
    assert keys.unexpected_keys == ["head.bias"]
    assert (network.biases[1] == 1).all()
    np.testing.assert_array_equal(network.weights[1], before.weights[1])
    with pytest.raises(ValueError, match=r"size mismatch for 2\.bias"):
        network.load_state_dict({"2.bias": np.ones(3)}, strict=False)


@pytest.mark.parametrize("value", ["text", [1j, 1, 1, 1], [None] * 4, {"a": 1}])
def test_values_that_are_no_real_numbers_are_refused(value):
    network = make(seed=1)
    with pytest.raises(TypeError, match=r"load_state_dict: 0\.bias is of type .* real numbers"):
        network.load_state_dict(STATE | {"0.bias": value})
    np.testing.assert_array_equal(network.parameters, make(seed=1).parameters)


class Tensor:
    """What a tensor on a GPU is for us: it becomes an array only after detach and cpu."""

    def __init__(self, array, calls=()):
        self.array, self.calls, self.dtype = array, calls, "torch.bfloat16"

    def detach(self):
        return Tensor(self.array, (*self.calls, "detach"))

    def cpu(self):
        return Tensor(self.array, (*self.calls, "cpu"))

    def float(self):
        assert self.calls == ("detach", "cpu")
        return self.array


def test_tensors_are_detached_copied_to_the_cpu_and_converted_from_bfloat16():
    network = make(seed=1)
    network.load_state_dict({name: Tensor(array) for name, array in STATE.items()})
    np.testing.assert_array_equal(network.parameters, make().parameters)


def test_nothing_is_read_or_written_while_another_thread_trains():
    network, refused = make(), []

    def in_another_thread():
        for call in (network.state_dict, lambda: network.load_state_dict(STATE)):
            try:
                call()
            except RuntimeError as error:
                refused.append(str(error))

    def callback(*_):
        thread = threading.Thread(target=in_another_thread)
        thread.start()
        thread.join()

    network.fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1, callbacks=[callback])
    assert len(refused) == 2
    assert all("another thread" in message for message in refused)


# Files


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_safetensors_files_are_read(tmp_path, dtype):
    path = tmp_path / "model.safetensors"
    state = {name: array.astype(dtype) for name, array in STATE.items()}
    safetensors.numpy.save_file(state, path, {"format": "pt"})
    network = make("float64", seed=1)
    assert network.load_state_dict(path) == ([], [])
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, state[name])


def write(path, entries, data=b""):
    header = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


def test_bfloat16_in_a_file_is_the_upper_half_of_float32(tmp_path):
    path = tmp_path / "model.safetensors"
    values = np.array([1.5, -2.0, 3.25], np.float32)
    data = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    write(
        path,
        {
            "weight": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [0, 4]},
            "bias": {"dtype": "BF16", "shape": [1], "data_offsets": [4, 6]},
        },
        data,
    )
    network = fastmlp.Network([2, 1], output="identity")
    network.load_state_dict(path)
    assert network.parameters.tolist() == values.tolist()


def test_layers_in_a_file_need_numbers_in_their_names(tmp_path):
    path = tmp_path / "model.safetensors"
    network = make(seed=1)
    safetensors.numpy.save_file(renamed(STATE, ["fc1", "fc2", "fc10"]), path)
    network.load_state_dict(str(path))
    np.testing.assert_array_equal(network.parameters, make().parameters)
    safetensors.numpy.save_file(renamed(STATE, ["first", "second", "last"]), path)
    with pytest.raises(ValueError, match="do not tell the order of the layers"):
        network.load_state_dict(path)


def test_a_file_of_our_own_is_refused_because_its_layout_differs(tmp_path):
    path = tmp_path / "model.safetensors"
    make().save(path)
    with pytest.raises(ValueError, match=r"Network.save wrote it; use Network.load"):
        make().load_state_dict(path)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "I8", "shape": [2], "data_offsets": [0, 2]},
        {"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 9]},
        {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
        ["F32"],
        7,
    ],
)
def test_damaged_files_are_refused(tmp_path, entry):
    path = tmp_path / "model.safetensors"
    write(path, {"0.bias": entry}, b"\0" * 8)
    with pytest.raises(ValueError, match=r"load_state_dict: .*model.safetensors is damaged or not"):
        make().load_state_dict(path)


def test_other_files_and_objects_are_refused(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"PK\3\4" + b"\0" * 100)
    with pytest.raises(ValueError, match=r"model.pt is damaged or not a safetensors file"):
        make().load_state_dict(path)
    with pytest.raises(FileNotFoundError):
        make().load_state_dict(tmp_path / "none")
    with pytest.raises(TypeError, match="load_state_dict: state_dict is 3"):
        make().load_state_dict(3)


# Lists of weights


def test_get_weights_is_a_list_of_copies_in_the_order_of_keras():
    network = make()
    weights = network.get_weights()
    assert [array.shape for array in weights] == [(3, 4), (4,), (4, 4), (4,), (4, 2), (2,)]
    np.testing.assert_array_equal(np.concatenate([a.ravel() for a in weights]), network.parameters)
    before = network.parameters.copy()
    weights[0][:] = 7
    np.testing.assert_array_equal(network.parameters, before)


def test_set_weights_takes_what_get_weights_returns():
    network = make("float64", seed=1)
    network.set_weights(make().get_weights())
    np.testing.assert_array_equal(network.parameters, make().parameters)


def test_weights_that_do_not_fit_are_refused():
    network, weights = make(seed=1), make().get_weights()
    with pytest.raises(ValueError, match="has 5 arrays; it must have 6, a weight and a bias"):
        network.set_weights(weights[:5])
    with pytest.raises(ValueError, match=r"weights\[0\] has shape \(4, 3\); it must be \(3, 4\)"):
        network.set_weights([weights[0].T, *weights[1:]])
    with pytest.raises(TypeError, match=r"weights\[1\] is of type .* real numbers"):
        network.set_weights([weights[0], ["a"] * 4, *weights[2:]])
    np.testing.assert_array_equal(network.parameters, make(seed=1).parameters)
