"""Networks in files of NumPy: what they hold, and that nothing damaged or hostile is believed."""

import contextlib
import io
import json
import os
import pickle
import random
import threading
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastmlp
from fastmlp.cli.app import run
from fastmlp.cli.errors import guarded

NETWORKS = {
    "softmax": {"hidden": ["relu", "tanh"], "output": "softmax", "seed": 2**64 - 1},
    "exp": {"hidden": "gelu", "output": "exp"},
    "huber": {"output": "identity", "loss": "huber", "delta": 0.1},
    "absolute_error": {"output": "identity", "loss": "absolute_error"},
    "pinball": {"output": "identity", "loss": "pinball", "quantiles": [0.1, 0.9]},
}


def network(dtype="float32", name="softmax"):
    made = fastmlp.Network([3, 4, 5, 2], dtype=dtype, **{"seed": 1, **NETWORKS[name]})
    random = np.random.default_rng(0)
    made.parameters[:] = random.normal(size=made.n_parameters)
    scaling = {"input_mean": [1, 2, 3], "input_scale": [1, 2, 3]}
    if made.output == "identity":
        scaling |= {"output_mean": [1, 1], "output_scale": [2, 2]}
    made.fold_scaling(**scaling)
    made.parameters[:3] = [np.nan, np.inf, -0.0]
    made.epochs_trained = 7
    made.feature_names = ["a", "größe", 'c"\0']
    made.metadata["trained on"] = "\U0001f600\0"
    return made


def same(a, b):
    assert repr(a) == repr(b)
    assert a.parameters.tobytes() == b.parameters.tobytes()
    assert a.metadata == b.metadata
    assert a.epochs_trained == b.epochs_trained
    assert (a.scaling is None) == (b.scaling is None)
    for name, values in (a.scaling or {}).items():
        assert values.tobytes() == b.scaling[name].tobytes()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_load_npz_gives_back_what_save_npz_was_given(path, dtype, name):
    before = network(dtype, name)
    before.save_npz(path)
    same(fastmlp.Network.load_npz(path), before)


def test_a_network_without_hidden_layers_or_texts_has_a_file_too(path):
    before = fastmlp.Network([2, 1], seed=0)
    before.save_npz(str(path))
    same(fastmlp.Network.load_npz(os.fsencode(path)), before)
    with np.load(path) as arrays:
        assert "metadata" not in arrays


def test_training_goes_on_from_a_file_as_if_nothing_had_been(path):
    before = fastmlp.Network([3, 8, 1], seed=3)
    X, y = np.arange(30).reshape(10, 3) % 7, np.arange(10) % 2
    before.fit(X, y, epochs=2, standardize=True)
    before.save_npz(path)
    after = fastmlp.Network.load_npz(path)
    for each in (before, after):
        each.fit(X, y, epochs=3, batch_size=4, standardize=True)
    same(after, before)


def test_numpy_reads_every_array_without_pickle(path):
    made = network(name="pinball")
    made.save_npz(path)
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file}
    for index, (weight, bias) in enumerate(zip(made.weights, made.biases, strict=True)):
        assert np.array_equal(arrays[f"layers.{index}.weight"], weight, equal_nan=True)
        assert np.array_equal(arrays[f"layers.{index}.bias"], bias)
    assert arrays["layers"].tolist() == [3, 4, 5, 2]
    assert arrays["hidden"].tolist() == ["relu", "relu"]
    assert arrays["output"] == "identity"
    assert arrays["loss"] == "pinball"
    assert arrays["loss.parameters"].tolist() == [0.1, 0.9]
    assert arrays["seed"].dtype == np.uint64
    assert arrays["epochs_trained"] == 7
    assert json.loads(str(arrays["metadata"])) == made.metadata
    assert arrays["scaling.output_scale"].tolist() == [2, 2]


def test_the_same_network_gives_the_same_bytes(path):
    network().save_npz(path)
    first = path.read_bytes()
    network().save_npz(path)
    assert path.read_bytes() == first


def test_load_npz_makes_an_instance_of_a_subclass(path):
    class Mine(fastmlp.Network):
        def __init__(self, name):
            super().__init__([2, 1])

    Mine("a").save_npz(path)
    assert type(Mine.load_npz(path)) is Mine


WRITERS = {
    "savez_compressed": np.savez_compressed,
    "Fortran order": lambda path, **arrays: np.savez(
        path, **{name: np.asarray(values, order="F") for name, values in arrays.items()}
    ),
    "big-endian": lambda path, **arrays: np.savez(
        path,
        **{name: values.astype(values.dtype.newbyteorder(">")) for name, values in arrays.items()},
    ),
    "another order": lambda path, **arrays: np.savez(path, **dict(reversed(arrays.items()))),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_that_numpy_has_written_again_is_read(path, writer):
    before = network()
    before.save_npz(path)
    with np.load(path) as file:
        arrays = dict(file)
    WRITERS[writer](path, **arrays)
    same(fastmlp.Network.load_npz(path), before)


# Files that are not believed


def changed(path, **changes):
    """Write a file whose arrays are these instead; None leaves one out."""
    network(name="huber").save_npz(path)
    with np.load(path) as file:
        arrays = dict(file) | changes
    np.savez(path, **{name: values for name, values in arrays.items() if values is not None})


def refused(path, match):
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"load_npz: .*{path.name} is damaged or not a network"):
        fastmlp.Network.load_npz(path)
    with pytest.raises(ValueError, match=match):
        fastmlp.Network.load_npz(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"format": None}, "the format is None; this version reads format 1"),
        ({"format": np.array(2)}, "the format is 2; this version reads format 1"),
        ({"layers": None}, "layers is None; it must be"),
        ({"layers": np.array([3.0, 4, 5, 2])}, r"layers is \[3.0, 4.0, 5.0, 2.0\]; it must be"),
        ({"layers": np.array([3, 2**62, 5, 2])}, "layers.0.weight is float32 of shape"),
        ({"layers": np.array([3, 4, 2])}, "hidden is .*; it must be 1 names"),
        ({"layers": np.array([[3, 4, 5, 2]])}, "layers is"),
        ({"hidden": np.array(["relu", "relo"])}, "relo"),
        ({"output": np.array(["identity"])}, r"output is \['identity'\]; it must be a name"),
        ({"output": np.array("softmax")}, "it has 11 arrays of numbers; its layers have 9"),
        ({"loss": np.array(3)}, "loss is 3; it must be a name"),
        ({"seed": np.array(-1)}, r"seed is -1; it must be an integer in \[0"),
        ({"epochs_trained": np.array(1.0)}, "epochs_trained is 1.0; it must be an integer"),
        ({"layers.0.weight": None}, "dtype is None|it has 11 arrays"),
        ({"layers.1.bias": None}, "it has 10 arrays of numbers; its layers have 11"),
        ({"layers.1.bias": None, "other": np.zeros(5)}, "layers.1.bias is missing; it must be"),
        ({"other": np.zeros(5)}, "it has 12 arrays of numbers; its layers have 11"),
        ({"layers.1.bias": np.zeros(5)}, r"layers.1.bias is float64 of shape \(5,\); it must be f"),
        ({"layers.1.bias": np.zeros(4, "f4")}, r"float32 of shape \(4,\); it .* shape \(5,\)"),
        ({"layers.0.weight": np.zeros((3, 4), "i4")}, "dtype is 'int32'"),
        ({"layers.0.weight": np.zeros((3, 4), "U1")}, "dtype is 'str32'"),
        ({"scaling.input_scale": np.zeros(3)}, "scal"),
        ({"loss.parameters": np.array([-1.0])}, "delta"),
        ({"metadata": np.array(3)}, "metadata is not a text"),
        ({"metadata": np.array("[1]")}, "metadata does not begin with '{'"),
        ({"metadata": np.array('{"a": 1}')}, "the metadata 'a' is not a string"),
        ({"metadata": np.array('{"fastmlp": "1"}')}, "reserved"),
        ({"metadata": np.array('{"a": "\\ud800"}')}, "surrogates|codec"),
        ({"hidden": np.array([b"relu"])}, "'hidden' is not an array of numbers or texts"),
        ({"seed": np.array(True)}, "'seed' is not an array of numbers or texts"),
        ({"seed": np.array([(1, 2)], "i4,i4")}, "'seed' is not an array of numbers or texts"),
        ({"layers.0.weight": np.zeros((3, 4), "c8")}, "is not an array of numbers or texts"),
        ({"layers.1.bias": np.zeros((1, 1, 5), "f4")}, "'layers.1.bias' has 20 bytes"),
    ],
)
def test_an_array_that_is_missing_or_wrong_is_named(path, changes, match):
    changed(path, **changes)
    refused(path, match)


class Explosive:
    def __reduce__(self):
        return (os.abort, ())


def test_pickles_are_not_read(path):
    network().save_npz(path)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, "seed": np.array(Explosive(), dtype=object)})
    refused(path, "'seed' is not an array of numbers or texts")
    path.write_bytes(pickle.dumps(Explosive()))
    refused(path, "it is no zip file, or a damaged one: File is not a zip file")
    network().save(path)
    refused(path, "it is no zip file")


def with_member(path, name, data, compression=zipfile.ZIP_STORED):
    network().save_npz(path)
    with zipfile.ZipFile(path, "a", compression) as archive:
        archive.writestr(name, data)


HEADER = "\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }%s\n"


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "'x' is not an array"),
        (b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, ", "'x' is not an array"),
        ((HEADER % ("9" * 18 + ",", " " * 42)).encode("latin1"), "'x' has 0 bytes of values"),
        ((HEADER % ("9" * 190 + ",", "")).encode("latin1"), "'x' has 0 bytes of values"),
        ((HEADER % ("5,", "")).encode("latin1") + b"1234", "'x' has 4 bytes of values"),
        ((HEADER % ("1,", "")).replace("<f4", "<U0").encode("latin1"), "'x' is not an array"),
        ((HEADER % ("1,", "")).replace("<f4", "|O").encode("latin1"), "'x' is not an array"),
        (
            (HEADER % ("1,", "")).replace("<f4", "<U1").encode("latin1") + b"\xff" * 4,
            "it has 9 arrays",
        ),
    ],
)
def test_an_array_that_does_not_fit_its_header_is_refused(path, data, match):
    with_member(path, "x.npy", data)
    refused(path, match)


def test_a_name_twice_and_other_members_are_refused(path):
    array = io.BytesIO()
    np.save(array, np.array(1))
    with pytest.warns(UserWarning, match="Duplicate"):
        with_member(path, "seed.npy", array.getvalue())
    refused(path, "the array 'seed' is there twice")
    with_member(path, "seed", array.getvalue())
    refused(path, "the array 'seed' is there twice")
    with_member(path, "readme.txt", b"text")
    refused(path, r"'readme\.txt' is not an array")
    with_member(path, "x.npy", array.getvalue(), zipfile.ZIP_LZMA)
    refused(path, "compressed by a method that NumPy has not")


@pytest.mark.parametrize("says", ["the truth", "less"])
def test_a_bomb_is_not_unpacked(path, says):
    """20 MB of zeros in 20 kB; the directory may also tell a lie about their size."""
    size = 20_000_000
    with_member(path, "x.npy", bytes(size), zipfile.ZIP_DEFLATED)
    match = r"its arrays have 2\d{7} bytes; in a file of this size they can have 6\d{5}"
    if says == "less":
        data = path.read_bytes()
        assert data.count(size.to_bytes(4, "little")) == 2
        path.write_bytes(data.replace(size.to_bytes(4, "little"), (1000).to_bytes(4, "little")))
        match = "Bad CRC-32 for file 'x.npy'"
    tracemalloc.start()
    try:
        refused(path, match)
        assert tracemalloc.get_traced_memory()[1] < 20 * path.stat().st_size + 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.sweep
@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_damage_is_a_value_error(path, write):
    network("float32", "pinball").save_npz(path)
    with np.load(path) as file:
        arrays = dict(file)
    write(path, **arrays)
    whole, rng = path.read_bytes(), random.Random(0)
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="load_npz"):
            fastmlp.Network.load_npz(path)
    for _ in range(3000):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        with contextlib.suppress(ValueError):
            fastmlp.Network.load_npz(path)  # a time of day may change without harm


# Writing


def test_a_refused_save_leaves_the_old_file(path):
    made = network()
    made.save_npz(path)
    before = path.read_bytes()
    for metadata, match in (
        ({"fastmlp": "x"}, "save_npz: metadata: the key 'fastmlp' begins with"),
        ({"a": "\ud800"}, "save_npz: .*surrogates"),
        ({str(i): "" for i in range(101)}, "save_npz: the metadata has 101 entries"),
    ):
        made.metadata.clear()
        made.metadata.update(metadata)
        with pytest.raises(ValueError, match=match):
            made.save_npz(path)
    made.metadata.clear()
    made.metadata["a"] = 1
    with pytest.raises(TypeError, match="save_npz: metadata"):
        made.save_npz(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_network_that_another_thread_trains_is_not_saved(path):
    errors = []

    def save(network, *_):
        with ThreadPoolExecutor(1) as pool:
            errors.append(pool.submit(network.save_npz, path).exception())

    fastmlp.Network([2, 1]).fit(np.zeros((4, 2)), np.zeros(4), epochs=1, callbacks=[save])
    assert isinstance(errors[0], RuntimeError)
    assert not path.exists()


def test_a_write_that_fails_leaves_the_old_file(path, monkeypatch):
    network().save_npz(path)
    before = path.read_bytes()

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match=r"No space left on device: .*model\.npz"):
        network("float64").save_npz(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("function", ["save_npz", "load_npz"])
def test_what_is_no_path_is_refused(function):
    with pytest.raises(TypeError, match=f"{function}: path is 3, of type int"):
        getattr(network(), function)(3)
    with pytest.raises(ValueError, match=f"{function}: path is .* must not have a null byte"):
        getattr(network(), function)("a\0b")
    with pytest.raises(FileNotFoundError):
        getattr(network(), function)("no/such/file.npz")


def test_no_ending_is_added(tmp_path):
    network().save_npz(tmp_path / "model")
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_written_and_read(tmp_path):
    pipe, made = tmp_path / "pipe", network()
    os.mkfifo(pipe)
    writer = threading.Thread(target=made.save_npz, args=(pipe,))
    writer.start()
    same(fastmlp.Network.load_npz(pipe), made)
    writer.join()


def test_the_command_writes_a_network(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network().save("model.safetensors")
    assert run(["export", "model.safetensors", "--npz", "model.npz"]) == 0
    assert capsys.readouterr().out.startswith("model.npz: arrays for numpy.load, Network([3, 4")
    same(fastmlp.Network.load_npz("model.npz"), network())
    assert guarded(lambda: run(["export", "model.safetensors", "--npz", "no/model.npz"])) == 2
    assert "the folder 'no' does not exist" in capsys.readouterr().err
