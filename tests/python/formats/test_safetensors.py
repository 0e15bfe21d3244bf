"""Files: what is written, that it is whole or not there, and that nothing else is believed."""

import errno
import io
import itertools
import json
import math
import os
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import safetensors
import safetensors.numpy

import fastmlp
import file_corpus
from fastmlp.formats import safetensors as container
from fastmlp.formats.safetensors import PIECE

DTYPES = ["float32", "float64"]


def network(dtype="float32", **options):
    options = {"hidden": ["relu", "tanh"], "output": "softmax", "seed": 2**64 - 1, **options}
    made = fastmlp.Network([3, 4, 2, 2], dtype=dtype, **options)
    made.fit([[1, 2, 3], [3, 2, 1]], [0, 1], epochs=2)
    return made


def settings_of(path):
    with safetensors.safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    assert set(metadata) == {"fastmlp"}
    return metadata["fastmlp"]


def write(path, settings, tensors):
    text = settings if isinstance(settings, str) else json.dumps(settings)
    safetensors.numpy.save_file(tensors, path, {"fastmlp": text})


@pytest.fixture
def saved(tmp_path):
    """A file, and what it holds."""
    path = tmp_path / "model.safetensors"
    network().save(path)
    return path, json.loads(settings_of(path)), safetensors.numpy.load_file(path)


# Round trips


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("as_type", [str, lambda path: path])
def test_load_gives_back_what_save_was_given(tmp_path, dtype, as_type):
    path = as_type(tmp_path / "model.safetensors")
    before = network(dtype)
    before.save(path)
    after = fastmlp.Network.load(path)
    assert type(after) is fastmlp.Network
    assert repr(after) == repr(before)
    assert after.epochs_trained == before.epochs_trained == 2
    assert after.parameters.tobytes() == before.parameters.tobytes()


def test_training_goes_on_from_a_file_as_if_nothing_had_been(tmp_path):
    before = network()
    before.save(tmp_path / "model.safetensors")
    after = fastmlp.Network.load(tmp_path / "model.safetensors")
    X, y = np.arange(30).reshape(10, 3) % 7, np.arange(10) % 2
    for each in (before, after):
        each.fit(X, y, epochs=3, batch_size=4)
    assert after.parameters.tobytes() == before.parameters.tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.0])
def test_every_value_survives(tmp_path, value):
    before = network()
    before.parameters[3] = value
    before.save(tmp_path / "model.safetensors")
    after = fastmlp.Network.load(tmp_path / "model.safetensors")
    assert after.parameters.tobytes() == before.parameters.tobytes()


def test_a_network_without_hidden_layers_has_a_file_too(tmp_path):
    before = fastmlp.Network([2, 1], seed=0)
    before.save(tmp_path / "model.safetensors")
    assert repr(fastmlp.Network.load(tmp_path / "model.safetensors")) == repr(before)


def test_load_makes_an_instance_of_a_subclass_whatever_its_constructor_takes(tmp_path):
    class Mine(fastmlp.Network):
        def __init__(self, name):
            super().__init__([2, 3, 1], seed=1)
            self.name = name

    before = Mine("a")
    before.save(tmp_path / "model.safetensors")
    after = Mine.load(tmp_path / "model.safetensors")
    assert type(after) is Mine
    assert after.parameters.tobytes() == before.parameters.tobytes()


# The format


@pytest.mark.parametrize(("dtype", "name"), [("float32", "F32"), ("float64", "F64")])
def test_the_tensors_are_those_of_the_layers(tmp_path, dtype, name):
    made = network(dtype)
    made.save(tmp_path / "model.safetensors")
    tensors = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    expected = {}
    for index, (W, b) in enumerate(zip(made.weights, made.biases, strict=True)):
        expected |= {f"layers.{index}.weight": W, f"layers.{index}.bias": b}
    assert set(tensors) == set(expected)
    for key, values in expected.items():
        np.testing.assert_array_equal(tensors[key], values, strict=True)
    header = (tmp_path / "model.safetensors").read_bytes()[8:].split(b"}}")[0]
    assert header.count(f'"dtype":"{name}"'.encode()) == len(expected)


def test_the_metadata_is_sorted_json(saved):
    path, _, _ = saved
    assert settings_of(path) == (
        '{"dtype": "float32", "epochs_trained": 2, "format": 1, "hidden": ["relu", "tanh"], '
        '"layers": [3, 4, 2, 2], "output": "softmax", "seed": 18446744073709551615}'
    )


# Writing


def test_a_file_has_the_permissions_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        network().save(tmp_path / "model.safetensors")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model.safetensors").stat().st_mode) == 0o640


def test_save_replaces_a_file_and_leaves_no_other(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_text("old")
    network().save(path)
    assert fastmlp.Network.load(path).layers == (3, 4, 2, 2)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_save_that_fails_leaves_everything_as_it_was(tmp_path, monkeypatch, step, error):
    def fail(*arguments):
        raise error("no")

    path = tmp_path / "model.safetensors"
    path.write_text("old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(error):
        network().save(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_data_is_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    steps = []
    for step in ("fsync", "replace"):
        real = getattr(os, step)
        monkeypatch.setattr(
            os, step, lambda *given, step=step, real=real: (steps.append(step), real(*given))
        )
    network().save(tmp_path / "model.safetensors")
    assert steps == ["fsync", "replace"]


def test_save_writes_through_a_symbolic_link(tmp_path):
    (tmp_path / "models").mkdir()
    target, link = tmp_path / "models" / "a.safetensors", tmp_path / "link.safetensors"
    link.symlink_to(target)
    network().save(link)
    assert link.is_symlink()
    assert fastmlp.Network.load(target).layers == (3, 4, 2, 2)


def test_save_to_no_folder_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        network().save(tmp_path / "none" / "model.safetensors")


# Files that are not there, foreign or damaged


def test_a_missing_file_is_a_file_not_found_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        fastmlp.Network.load(tmp_path / "none.safetensors")


def test_a_folder_is_an_oserror(tmp_path):
    with pytest.raises(IsADirectoryError):
        fastmlp.Network.load(tmp_path)


def refused(path, message):
    with pytest.raises(ValueError, match=message) as raised:
        fastmlp.Network.load(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY" * 20, b"\xff" * 100])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    refused(path, "damaged or not a network that `save` wrote")


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}])
def test_a_safetensors_file_of_another_program_is_refused(tmp_path, metadata):
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file({"layers.0.weight": np.zeros((2, 1), np.float32)}, path, metadata)
    refused(path, "no key 'fastmlp'")


SETTINGS = {
    "not JSON": ("{", "not JSON"),
    "deeply nested": ("[" * 100000, "does not begin with '{'"),
    "a list": ("[]", "does not begin with '{'"),
    "no format": ({"format": None}, "format is None; this version reads format 1"),
    "a later format": ({"format": 2}, "format is 2; this version reads format 1"),
    "no layers": ({"layers": None}, "layers is None"),
    "one layer": ({"layers": [3]}, r"layers is \[3\]"),
    "layers of text": ({"layers": ["3", 4, 2, 2]}, "two or more positive integers"),
    "layers of bools": ({"layers": [3, 4, True, 2]}, "two or more positive integers"),
    "layers of floats": ({"layers": [3.0, 4, 2, 2]}, "3.0 is not an integer"),
    "layers with 0": ({"layers": [3, 4, 0, 2]}, "two or more positive integers"),
    "layers too large": ({"layers": [3, 10**12, 2, 2]}, "layers.0.weight is {'dtype': 'F32'"),
    "layers too many": (
        {"layers": [3, 4, 2, 2, 2], "hidden": ["relu"] * 3},
        "6 tensors; its layers have 8",
    ),
    "layers too few": ({"layers": [3, 4, 2], "hidden": ["relu"]}, "6 tensors; its layers have 4"),
    "hidden a name": ({"hidden": "relu"}, "hidden is 'relu'; it must be 2 names"),
    "hidden too short": ({"hidden": ["relu"]}, "it must be 2 names"),
    "hidden unknown": ({"hidden": ["relu", "cube"]}, "cube"),
    "output unknown": ({"output": "cube"}, "cube"),
    "output no name": ({"output": 1}, "output is 1"),
    "dtype unknown": ({"dtype": "float16"}, "dtype is 'float16'"),
    "dtype not that of the tensors": ({"dtype": "float64"}, "must be {'dtype': 'F64'"),
    "seed negative": ({"seed": -1}, "-1 is not an integer"),
    "seed too large": ({"seed": 2**64}, "seed is 18446744073709551616"),
    "seed a float": ({"seed": 1.0}, "1.0 is not an integer"),
    "epochs negative": ({"epochs_trained": -1}, "-1 is not an integer"),
    "epochs too large": ({"epochs_trained": 2**63}, "epochs_trained is"),
    "epochs a bool": ({"epochs_trained": True}, "epochs_trained is True"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_metadata_that_cannot_be_is_refused(saved, case):
    path, settings, tensors = saved
    changed, message = SETTINGS[case]
    write(path, changed if isinstance(changed, str) else settings | changed, tensors)
    refused(path, message)


@pytest.mark.parametrize("key", ["layers", "hidden", "output", "dtype", "seed", "epochs_trained"])
def test_metadata_without_a_key_is_refused(saved, key):
    path, settings, tensors = saved
    del settings[key]
    write(path, settings, tensors)
    refused(path, f"{key} is None")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"layers.1.bias": None}, "5 tensors; its layers have 6"),
        ({"extra": np.zeros(1, np.float32)}, "7 tensors; its layers have 6"),
        ({"layers.1.bias": None, "extra": np.zeros(2, np.float32)}, "layers.1.bias is None"),
        ({"layers.0.bias": np.zeros(5, np.float32)}, r"must be {.*'shape': \[4\]"),
        ({"layers.0.weight": np.zeros((4, 3), np.float32)}, r"must be {.*'shape': \[3, 4\]"),
        ({"layers.0.bias": np.zeros((4, 1), np.float32)}, r"must be {.*'shape': \[4\]"),
        ({"layers.0.bias": np.zeros(4)}, "layers.0.bias is {'dtype': 'F64'"),
        ({"layers.0.bias": np.zeros(4, np.int32)}, "layers.0.bias is {'dtype': 'I32'"),
    ],
)
def test_tensors_that_do_not_fit_the_metadata_are_refused(saved, changed, message):
    path, settings, tensors = saved
    tensors = {key: value for key, value in (tensors | changed).items() if value is not None}
    write(path, settings, tensors)
    refused(path, message)


@pytest.fixture
def small(tmp_path):
    """A file that is quick to damage in every place."""
    path = tmp_path / "model.safetensors"
    fastmlp.Network([2, 1], seed=0).save(path)
    return path


def test_a_file_cut_off_anywhere_is_refused(small):
    content = small.read_bytes()
    for size in range(len(content)):
        small.write_bytes(content[:size])
        refused(small, "damaged or not a network that `save` wrote")


def test_a_flipped_bit_is_refused_or_harmless(small):
    """It may stand in a value: of a parameter, the seed or epochs_trained."""
    content = bytearray(small.read_bytes())
    header_size = 8 + struct.unpack("<Q", content[:8])[0]
    loaded = 0
    for position in range(header_size):
        for bit in {position % 8, 5 * position % 8}:  # all eight take long
            content[position] ^= 1 << bit
            small.write_bytes(content)
            try:
                found = fastmlp.Network.load(small)
            except ValueError:
                pass
            else:
                loaded += 1
                assert (found.layers, found.hidden) == ((2, 1), ())
                assert (found.output, found.dtype) == ("sigmoid", np.float32)
            content[position] ^= 1 << bit
    assert loaded <= 8  # of the header's bits, those of the two numbers


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_save_writes_to_a_pipe_and_does_not_replace_it(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    received = []
    reader = threading.Thread(target=lambda: received.append(path.read_bytes()))
    reader.start()
    network = fastmlp.Network([2, 1], seed=0)
    network.save(path)
    reader.join()
    assert path.is_fifo()
    regular = tmp_path / "regular"
    network.save(regular)
    assert received == [regular.read_bytes()]


def test_save_keeps_the_mode_of_the_file_it_replaces(tmp_path):
    path = tmp_path / "private"
    path.touch(mode=0o600)
    fastmlp.Network([2, 1], seed=0).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_error_of_save_names_the_callers_path(tmp_path):
    path = tmp_path / "nowhere" / "model"
    with pytest.raises(FileNotFoundError) as raised:
        fastmlp.Network([2, 1], seed=0).save(path)
    assert raised.value.filename == str(path)


# Both readers


def test_the_stored_corpus_is_that_of_the_script():
    assert file_corpus.FILE.read_text() == file_corpus.as_json()


def test_every_file_of_the_corpus_gets_the_answer_that_the_cpp_reader_gives_too(tmp_path):
    path = tmp_path / "model.safetensors"
    for name, (content, saved) in file_corpus.CASES.items():
        path.write_bytes(content)
        if saved is None:
            with pytest.raises(ValueError, match="is damaged or not a network"):
                pytest.fail(f"{name}: {fastmlp.Network.load(path)}")
        else:
            fastmlp.Network.load(path).save(path)
            assert path.read_bytes() == file_corpus.CASES[saved][0], name


def test_the_safetensors_library_reads_every_file_that_is_loaded():
    for content, saved in file_corpus.CASES.values():
        if saved is not None:
            loaded = safetensors.numpy.load(content)
            assert sum(name.startswith("layers.") for name in loaded) in (2, 4)


# What a file can do to the process that loads it


def hostile(count):
    """Headers that want much memory for few bytes."""
    layers = {"layers": [1] * count, "hidden": ["elu"] * (count - 2)}
    yield file_corpus.header(json.dumps(json.loads(file_corpus.SETTINGS) | layers))
    yield '{"x":[' + "{}," * count + "{}]}"
    yield '{"x":[' + "[]," * count + "[]" + " " * 5 * count + "]}"
    yield '{"x":[' + "{}," * count + "{}" + " " * 9 * count + "]}"
    yield '{"x":[' + "300," * count + "300]}"
    yield '{"x":[' + '"ab",' * count + "1]}"
    yield "{" + ",".join(f'"{i}":300' for i in range(count)) + " " * 3 * count + "}"
    yield "{" + ",".join(f'"{i}":{{}}' for i in range(count)) + " " * 9 * count + "}"
    yield '{"x":' + "[" * count + "]" * count + "}"
    yield '{"x":"' + '\\"' * count
    vectors = {f"training.optimizer.{i}": ("F32", 13) for i in range(count // 10)}
    training = file_corpus.BARE.replace('"vectors": 0', f'"vectors": {len(vectors)}')
    whole = file_corpus.checkpoint(training, file_corpus.OPTIONAL + file_corpus.VECTORS, **vectors)
    yield whole[8 : 8 + struct.unpack("<Q", whole[:8])[0]].decode()
    yield '{"x":"' + "\\u0100" * count + '"}'


def test_a_hostile_header_allocates_a_small_multiple_of_the_file_at_most(tmp_path):
    path = tmp_path / "model.safetensors"
    for header in hostile(10_000):
        content = file_corpus.file(header)
        path.write_bytes(content)
        tracemalloc.start()
        try:
            refused(path, "damaged or not")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 100_000 + 20 * len(content), header[:40]


@pytest.mark.parametrize("layers", [[10**9, 1], [1, 10**9, 1], [2**40, 2**20]])
def test_layers_larger_than_the_file_allocate_nothing(tmp_path, layers):
    """Sizes in the metadata and in the header agree; the file ends before."""
    tensors, begin = [], 0
    for index, (n_in, n_out) in enumerate(itertools.pairwise(layers)):
        for part, shape in (("bias", [n_out]), ("weight", [n_in, n_out])):
            end = begin + 4 * math.prod(shape)
            tensors.append(file_corpus.tensor(f"layers.{index}.{part}", shape, (begin, end)))
            begin = end
    settings = file_corpus.SETTINGS.replace("[2, 3, 1]", str(layers))
    settings = settings.replace('["relu"]', json.dumps(["relu"] * (len(layers) - 2)))
    header = file_corpus.header(settings).partition(',"layers.0')[0]
    path = tmp_path / "model.safetensors"
    path.write_bytes(file_corpus.file(",".join([header, *tensors]) + "}"))
    refused(path, "the file ends in its tensors")


def test_a_file_that_is_cut_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    fastmlp.Network([1000, 1000]).save(path)
    real = container._begins

    def cut_first(*arguments):
        os.truncate(path, 2 * PIECE)
        return real(*arguments)

    monkeypatch.setattr(container, "_begins", cut_first)
    refused(path, "the file ends in its tensors")


# Paths that are no ordinary files


@pytest.mark.parametrize("path", [0, 1, True, None, 1.5, ["a"], io.BytesIO()])
def test_a_wrong_path_type_is_refused_and_named(path, capfd):
    rule = r"path is .*, of type \w+; it must be the name of a file: a str, bytes or os.PathLike"
    with pytest.raises(TypeError, match="save: " + rule):
        network().save(path)
    with pytest.raises(TypeError, match="load: " + rule):
        fastmlp.Network.load(path)
    print("still open")
    assert capfd.readouterr().out == "still open\n"


def test_paths_of_bytes_are_taken(tmp_path):
    path = os.fsencode(tmp_path) + b"/mod\xe4l"
    network().save(path)
    assert fastmlp.Network.load(path).layers == (3, 4, 2, 2)
    assert os.listdir(os.fsencode(tmp_path)) == [b"mod\xe4l"]


def test_save_to_a_folder_is_an_oserror_and_changes_nothing(tmp_path):
    for path in (tmp_path, f"{tmp_path}/", f"{tmp_path}/."):
        with pytest.raises(IsADirectoryError):
            network().save(path)
    with pytest.raises(OSError):  # noqa: PT011
        network().save("")
    assert list(tmp_path.iterdir()) == []


def test_save_refuses_a_loop_of_links(tmp_path):
    path = tmp_path / "loop"
    path.symlink_to("loop")
    with pytest.raises(OSError, match="symbolic links") as raised:
        network().save(path)
    assert raised.value.errno == errno.ELOOP
    assert path.is_symlink()


@pytest.mark.skipif(sys.platform == "win32", reason="os.seteuid")
def test_save_refuses_a_read_only_file():
    made = network()
    with tempfile.TemporaryDirectory() as folder:  # tmp_path is in a folder of its owner only
        os.chmod(folder, 0o777)
        path = os.path.join(folder, "model")
        made.save(path)
        before = os.stat(path)
        os.chmod(path, 0o444)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(65534)  # permissions do not bind root
        try:
            with pytest.raises(PermissionError) as raised:
                made.save(path)
        finally:
            if is_root:
                os.seteuid(0)
        assert raised.value.filename == path
        assert os.stat(path).st_mtime_ns == before.st_mtime_ns
        assert os.listdir(folder) == ["model"]


needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")


@needs_pipes
@pytest.mark.parametrize("change", [lambda raw: raw, lambda raw: raw + b"x", lambda raw: raw[:-1]])
def test_load_reads_a_pipe_to_its_end(saved, tmp_path, change):
    path, _, _ = saved
    content = change(path.read_bytes())
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[content])
    writer.start()
    if content == path.read_bytes():
        loaded = fastmlp.Network.load(pipe)
        assert loaded.parameters.tobytes() == fastmlp.Network.load(path).parameters.tobytes()
    else:
        refused(pipe, "more bytes follow|the file ends in its tensors")
    writer.join()


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="/dev/fd")
def test_load_reads_what_a_shell_substitutes(saved):
    """As in `fastmlp inspect <(zcat model.gz)`."""
    path, _, _ = saved
    receive, send = os.pipe()
    os.write(send, path.read_bytes())  # less than a pipe holds
    os.close(send)
    assert fastmlp.Network.load(f"/dev/fd/{receive}").layers == (3, 4, 2, 2)
    os.close(receive)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/null"])
def test_a_device_without_a_network_is_refused(device):
    if os.path.exists(device):
        refused(device, "damaged or not")


@needs_pipes
def test_ctrl_c_ends_a_load_that_waits_for_a_pipe(tmp_path):
    """In a process of its own: polars, where imported, lets a blocked `open` ignore Ctrl-C."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    program = f"""
import signal, threading, fastmlp
signal.signal(signal.SIGINT, signal.default_int_handler)
main = threading.get_ident()
threading.Timer(0.2, signal.pthread_kill, [main, signal.SIGINT]).start()
try:
    fastmlp.Network.load({str(pipe)!r})
except KeyboardInterrupt:
    print("interrupted")
"""
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == "interrupted\n"


# Temporary files

PREFIX = ".fastmlp-b08b665a-"  # of those for "model", in C++ too

flock = pytest.mark.skipif(sys.platform == "win32", reason="locks of POSIX")


@flock
def test_the_next_save_removes_what_a_killed_save_left(tmp_path):
    path = tmp_path / "model"
    program = f"""
import os, signal, fastmlp
os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
fastmlp.Network([2, 1]).save({str(path)!r})
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == -signal.SIGKILL
    (left,) = os.listdir(tmp_path)
    assert left.startswith(PREFIX)
    network().save(tmp_path / "other")
    assert set(os.listdir(tmp_path)) == {"other", left}
    network().save(path)
    assert set(os.listdir(tmp_path)) == {"other", "model"}


@flock
def test_a_save_leaves_alone_what_another_save_writes(tmp_path):
    import fcntl

    running, other = tmp_path / f"{PREFIX}0.tmp", tmp_path / "x.tmp"
    other.touch()
    with open(running, "xb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        network().save(tmp_path / "model")
    assert running.exists()
    assert other.exists()


@flock
def test_a_save_whose_file_is_taken_for_a_left_one_makes_another(tmp_path, monkeypatch):
    real, waiting = container._lock, [True]

    def lock_late(file, flag=0):
        if waiting and waiting.pop():
            network().save(tmp_path / "model")  # finds the file, which is not locked yet
            assert not os.path.exists(file.name)
        return real(file, flag)

    monkeypatch.setattr(container, "_lock", lock_late)
    network().save(tmp_path / "model")
    assert os.listdir(tmp_path) == ["model"]


def test_many_threads_save_to_one_path_and_each_file_is_whole(tmp_path):
    path = tmp_path / "model"
    made = fastmlp.Network([2, 1], seed=0)
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(made.save, path) for _ in range(40)]:
            done.result()
    assert os.listdir(tmp_path) == ["model"]
    assert fastmlp.Network.load(path).layers == (2, 1)


def test_save_to_a_name_as_long_as_names_may_be(tmp_path):
    path = tmp_path / ("m" * 255)
    network().save(path)
    assert fastmlp.Network.load(path).layers == (3, 4, 2, 2)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("new/", IsADirectoryError),
        ("no/../new", FileNotFoundError),
        ("new/.", FileNotFoundError),
        ("", FileNotFoundError),
    ],
)
def test_a_path_that_open_would_not_write_is_refused(tmp_path, monkeypatch, path, error):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error):
        open(path, "wb")  # noqa: SIM115
    with pytest.raises(error) as raised:
        fastmlp.Network([2, 1], seed=0).save(path)
    assert raised.value.filename == path
    assert os.listdir(tmp_path) == []


def test_a_network_whose_header_no_reader_would_take_is_not_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(fastmlp.formats.safetensors, "MOST_HEADER", 500)
    with pytest.raises(ValueError, match="save: the network has so many layers"):
        fastmlp.Network([2] * 9).save(tmp_path / "model")
    assert os.listdir(tmp_path) == []
