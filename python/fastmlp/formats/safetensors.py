"""Networks in safetensors files: tensors `layers.0.weight`, …, the rest as JSON in the metadata.

docs/file_format.md has the rules. Everything in a file is checked before it is used, and a file is
replaced as a whole or not at all. fastmlp/io.hpp reads and writes the same files in C++. A file may
also hold the state of a training run, which _checkpoint.py makes and uses. Start at `save` and
`load`.
"""

import errno
import io
import itertools
import json
import math
import os
import re
import stat
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn, TypeVar

import numpy as np

from fastmlp._trainable import dtype_name

if sys.platform != "win32":
    import fcntl

open_file = io.open  # the built-in name is gone while Python ends
AnyNetwork = TypeVar("AnyNetwork")  # network.py imports this module, not the other way round
AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Part = bytes | np.ndarray[Any, Any]  # of a file

FORMAT = 1  # the version of the JSON; a reader refuses any version that it does not know
METADATA_KEY = "fastmlp"
TRAINING_KEY = "fastmlp_training"  # of a training state; absent from a file of a network alone
MOST_METADATA = 100  # entries
MOST_HEADER = 100_000_000  # bytes; the limit of the safetensors library
DTYPES = ("float32", "float64")
SETTINGS = {"dtype", "epochs_trained", "format", "hidden", "layers", "output", "seed"}
# The settings of a training run: numbers with the least value of each, flags, and strings.
NUMBERS = {
    "batch_size": 1,
    "epochs": 1,
    "first_epoch": 0,
    "numbers": 1,
    "rows": 1,
    "steps": 0,
    "vectors": 0,
}
FLAGS = {"dropout", "early_stopping", "sample_weight", "schedule", "shuffle", "validation"}
TRAINING = {"format", "optimizer", "seed", "stopped_by", *NUMBERS, *FLAGS}
OPTIONAL_TENSORS = ("dropout", "early_stopping", "validation")
ENDINGS = ("epochs", "early_stopping", "callback", "converged", "line_search")
MOST = 2**62  # epochs, steps and the like
STRING = re.compile(r'"(?>[^"\\]+|\\.)*+"?', re.DOTALL)  # possessive: no text makes it slow
PIECE = 1 << 20  # bytes read or written at once: Ctrl-C is noticed between two pieces


def save(network: Any, path: AnyPath) -> None:
    """Write a network; see `Network.save`."""
    checked_path(path, "save")
    network = network.copy()  # while another thread trains, this raises
    replace_file(path, *file_parts(network))


def load(cls: type[AnyNetwork], path: AnyPath) -> AnyNetwork:
    """Read a network; see `Network.load`."""
    path = checked_path(path, "load")
    with open_file(path, "rb") as file:
        try:
            return read(cls, file)
        except ValueError as error:
            raise ValueError(
                f"load: {path} is damaged or not a network that `save` wrote: {error}"
            ) from error


def checked_path(path: AnyPath, function: str, name: str = "path") -> str:
    """Return path as a string; refuse a number, which `open` would take as a file descriptor."""
    if not isinstance(path, str | bytes | os.PathLike):
        raise TypeError(
            f"{function}: {name} is {path!r:.80}, of type {type(path).__name__}; "
            "it must be the name of a file: a str, bytes or os.PathLike"
        )
    name_of_file = os.fsdecode(path)
    if "\0" in name_of_file:
        raise ValueError(f"{function}: {name} is {path!r:.80}; a path must not have a null byte")
    return name_of_file


def network_tensors(network: Any) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Yield the arrays of a network with their names in a file."""
    for index, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        yield f"layers.{index}.weight", weight
        yield f"layers.{index}.bias", bias


# Reading


class Content(NamedTuple):
    """What is in a file: the settings of the network and of the training run, and the tensors."""

    settings: dict[str, Any]
    training: dict[str, Any] | None
    tensors: dict[str, np.ndarray[Any, Any]]


def read(cls: type[AnyNetwork], file: BinaryIO) -> AnyNetwork:
    """Read a network from a stream."""
    settings, _, tensors = read_content(file)
    make: Any = cls
    network: Any = make._rebuild(
        *(settings[key] for key in ("layers", "hidden", "output", "dtype", "seed"))
    )
    for name, values in network_tensors(network):
        values[:] = tensors[name]
    network.epochs_trained = settings["epochs_trained"]
    read: AnyNetwork = network
    return read


def read_content(file: BinaryIO) -> Content:
    """Read a stream to its end; allocate no more than a small multiple of its size."""
    (size,) = struct.unpack("<Q", _take(file, 8, "its first 8 bytes"))
    if size > MOST_HEADER:
        raise ValueError(
            f"its first 8 bytes give a header of {size} bytes; at most {MOST_HEADER} are allowed"
        )
    header = _parse(str(_take(file, size, "its header"), "utf-8"), "its header")
    metadata = _metadata(header.pop("__metadata__", None))
    settings = _settings(metadata)
    training = _training(metadata, settings["hidden"])
    expected = _expected(settings, training, len(header))
    begins = _begins(header, expected)
    size = sum(dtype.itemsize * math.prod(shape) for dtype, shape in expected.values())
    data = _take(file, size, "its tensors")
    if file.read(1):
        raise ValueError("more bytes follow its tensors")
    tensors = {
        name: np.frombuffer(data, dtype, math.prod(shape), begins[name]).reshape(shape)
        for name, (dtype, shape) in expected.items()
    }
    return Content(settings, training, tensors)


def _take(file: BinaryIO, size: int, what: str) -> memoryview:
    """Read size bytes. Memory grows with the data that arrive, because size may be wrong."""
    data = io.BytesIO()
    while data.tell() < size:
        piece = file.read(min(size - data.tell(), PIECE))
        if not piece:
            raise ValueError(f"the file ends in {what}")
        data.write(piece)
    return data.getbuffer()


def _parse(text: str, what: str) -> dict[str, Any]:
    """Parse a JSON object, in which no name may stand twice and every number is an integer."""
    if not text.startswith("{"):
        raise ValueError(f"{what} does not begin with '{{'")
    # Each value needs a comma, a bracket or a colon. What a layer adds has at most one for 4 bytes.
    # A colon counts twice, because a member of an object takes more memory.
    marks = STRING.sub("", text)
    if sum(map(marks.count, "[{,::")) > 1000 + len(text) // 4:
        raise ValueError(f"{what} has more values than a network needs")
    del marks
    try:
        found: dict[str, Any] = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_int=_integer,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is not JSON as `save` writes it: {error}") from error
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has a name twice")
    return found


def _integer(digits: str) -> int:
    if digits.startswith("-") or len(digits) > 20:  # 2**64 has 20 digits
        _refuse_number(digits)
    return int(digits)


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"{text:.80} is not an integer in [0, 2**64)")


def _metadata(metadata: Any) -> dict[str, str]:
    """Return the metadata; refuse other values than strings, and a file without fastmlp's key."""
    if not isinstance(metadata, dict) or METADATA_KEY not in metadata:
        raise ValueError(
            f"the metadata has no key {METADATA_KEY!r}; this file was not written by fastmlp"
        )
    if len(metadata) > MOST_METADATA:
        raise ValueError(
            f"the metadata has {len(metadata)} entries; at most {MOST_METADATA} are allowed"
        )
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise ValueError(f"the metadata {key!r:.80} is not a string")
        (key + value).encode()  # refuses half of a surrogate pair
    return metadata


def _members(metadata: dict[str, str], key: str, known: set[str]) -> dict[str, Any]:
    """Return the JSON object in an entry of the metadata; a missing member is found later."""
    what = f"the metadata {key!r}"
    settings = _parse(metadata[key], what)
    if type(settings.get("format")) is not int or settings["format"] != FORMAT:
        raise ValueError(
            f"the format is {settings.get('format')!r:.80}; this version reads format {FORMAT}"
        )
    if unknown := settings.keys() - known:
        raise ValueError(
            f"{what} has the keys {sorted(unknown)!r:.80}, which format {FORMAT} does not have"
        )
    return settings


def _settings(metadata: dict[str, str]) -> dict[str, Any]:
    """Return the settings of the network; its constructor checks the names in them."""
    settings = _members(metadata, METADATA_KEY, SETTINGS)
    layers: Any = settings.get("layers")
    hidden: Any = settings.get("hidden")
    if not _is_list(layers, int) or len(layers) < 2 or not 1 <= min(layers) <= max(layers) < 2**63:
        _refuse(settings, "layers", "two or more positive integers")
    if not _is_list(hidden, str) or len(hidden) != len(layers) - 2:
        _refuse(settings, "hidden", f"{len(layers) - 2} names")
    if type(settings.get("output")) is not str:
        _refuse(settings, "output", "a name")
    if settings.get("dtype") not in DTYPES:
        _refuse(settings, "dtype", f"one of {list(DTYPES)}")
    _require_integer(settings, "seed", 0, 2**64 - 1)
    _require_integer(settings, "epochs_trained", 0, MOST)
    return settings


def _training(metadata: dict[str, str], hidden: list[str]) -> dict[str, Any] | None:
    """Return the settings of the training run; None if the file holds only a network."""
    if TRAINING_KEY not in metadata:
        return None
    training = _members(metadata, TRAINING_KEY, TRAINING)
    for key, least in NUMBERS.items():
        _require_integer(training, key, least, MOST)
    _require_integer(training, "seed", 0, 2**64 - 1)
    for key in FLAGS:
        if type(training.get(key)) is not bool:
            _refuse(training, key, "true or false")
    if training["dropout"] and not hidden:
        _refuse(training, "dropout", "false without hidden layers")
    if type(training.get("optimizer")) is not str:
        _refuse(training, "optimizer", "a name")
    if training.get("stopped_by") not in ENDINGS:
        _refuse(training, "stopped_by", f"one of {list(ENDINGS)}")
    return training


def _is_list(value: Any, of: type) -> bool:
    """Return whether value is a list of exactly that type; true does not count as an integer."""
    return isinstance(value, list) and all(type(item) is of for item in value)


def _require_integer(settings: dict[str, Any], key: str, least: int, most: int) -> None:
    if type(settings.get(key)) is not int or not least <= settings[key] <= most:
        _refuse(settings, key, f"an integer in [{least}, {most}]")


def _refuse(settings: dict[str, Any], key: str, rule: str) -> NoReturn:
    raise ValueError(f"{key} is {settings.get(key)!r:.80}; it must be {rule}")


Expected = dict[str, tuple[np.dtype[Any], list[int]]]  # the type and the shape of each tensor


def _expected(settings: dict[str, Any], training: dict[str, Any] | None, count: int) -> Expected:
    """Return what the tensors must be; `count` is the number of tensors in the header."""
    layers = settings["layers"]
    n = 2 * len(layers) - 2
    more = 0 if training is None else 3 + training["vectors"]
    more += sum(training[key] for key in OPTIONAL_TENSORS) if training else 0
    # Compare the counts first, so that many layers without tensors allocate nothing.
    if count != n + more:
        also = f" and its training {more}" if training else ""
        raise ValueError(f"the file has {count} tensors; its layers have {n}{also}")
    own, double = np.dtype(settings["dtype"]).newbyteorder("<"), np.dtype("<f8")
    tensors: Expected = {}
    for index, (n_in, n_out) in enumerate(itertools.pairwise(layers)):
        tensors[f"layers.{index}.weight"] = own, [n_in, n_out]
        tensors[f"layers.{index}.bias"] = own, [n_out]
    if training is None:
        return tensors
    n_parameters = sum(math.prod(shape) for _, shape in tensors.values())
    tensors["training.learning_rate"] = tensors["training.loss"] = double, [training["epochs"]]
    tensors["training.optimizer"] = double, [training["numbers"]]
    for index in range(training["vectors"]):
        tensors[f"training.optimizer.{index}"] = own, [n_parameters]
    if training["validation"]:
        tensors["training.val_loss"] = double, [training["epochs"]]
    if training["dropout"]:
        tensors["training.dropout"] = double, [len(layers) - 2]
    if training["early_stopping"]:
        tensors["training.best"] = own, [n_parameters]
    return tensors


def _begins(entries: dict[str, Any], expected: Expected) -> dict[str, int]:
    """Return where each tensor begins; refuse entries that are not exactly the expected ones."""
    begins, ends = {}, {}
    for name, (dtype, shape) in expected.items():
        found = entries.get(name)
        offsets = found.get("data_offsets") if isinstance(found, dict) else None
        begin = offsets[0] if _is_list(offsets, int) and offsets else 0
        end = begin + math.prod(shape) * dtype.itemsize
        right = {"dtype": _tensor_dtype(dtype), "shape": shape, "data_offsets": [begin, end]}
        # Compare the types too, because True == 1 in Python.
        if found != right or not _is_list(found["shape"] + offsets, int):
            raise ValueError(f"{name} is {found!r:.120}; for its settings it must be {right!r}")
        begins[name], ends[begin] = begin, end
    position = 0
    for _ in begins:
        if position not in ends:
            raise ValueError(f"its tensors overlap or leave a hole at byte {position}")
        position = ends[position]
    return begins


def _tensor_dtype(dtype: np.dtype[Any]) -> str:
    """Return the name of float32 or float64 in safetensors."""
    return "F32" if dtype.itemsize == 4 else "F64"


# Writing


def file_parts(
    network: Any,
    training: dict[str, Any] | None = None,
    training_tensors: Iterable[tuple[str, np.ndarray[Any, Any]]] = (),
) -> list[Part]:
    """Return the parts of the file of a network, and of its training run if given, in order."""
    settings = {
        "format": FORMAT,
        "layers": network.layers,
        "hidden": network.hidden,
        "output": network.output,
        "dtype": dtype_name(network),
        "seed": network.seed,
        "epochs_trained": network.epochs_trained,
    }
    metadata = {METADATA_KEY: json.dumps(settings, sort_keys=True)}
    if training is not None:
        metadata[TRAINING_KEY] = json.dumps({"format": FORMAT, **training}, sort_keys=True)
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    tensors = dict(sorted([*network_tensors(network), *training_tensors]))
    for name, values in tensors.items():
        begin, end = end, end + values.nbytes
        header[name] = {
            "dtype": _tensor_dtype(values.dtype),
            "shape": values.shape,
            "data_offsets": (begin, end),
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # aligns the tensors to 8 bytes
    if len(text) > MOST_HEADER:
        raise ValueError(
            f"save: the network has so many layers that the header would have {len(text)} bytes; "
            f"at most {MOST_HEADER} can be read back"
        )
    return [struct.pack("<Q", len(text)), text, *tensors.values()]


def replace_file(path: AnyPath, *parts: Part, function: str = "save") -> None:
    """Write parts to path in one step: a reader sees the old file or the new one, never a part.

    What `open(path, "wb")` refuses is refused. `function` is the caller's name in messages.
    """
    path = checked_path(path, function)
    refuse_folder(path)
    mode = None
    with suppress(FileNotFoundError), open_file(path, "wb", opener=_open_existing) as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            _write(file, parts)  # a device or a pipe is written to, not replaced
            return
    temporary = None
    try:
        target = _target(path)
        with _temporary(target) as file:
            temporary = Path(file.name)
            _write(file, parts)
            os.fsync(file.fileno())
            if mode is not None:
                os.chmod(temporary, stat.S_IMODE(mode))
            if sys.platform == "win32":
                # Windows cannot rename an open file; elsewhere it stays locked until renamed.
                file.close()
            os.replace(temporary, target)
    except BaseException as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = path  # the one that the caller gave
        raise


def refuse_folder(path: str) -> None:
    """Raise what `open(path, "wb")` does if path is empty or ends with a separator."""
    if not os.path.basename(path):
        code = errno.EISDIR if path else errno.ENOENT
        raise OSError(code, os.strerror(code), path)


def refuse_unwritable(path: str) -> None:
    """Raise the OSError that `replace_file` would; leave the folder and the file as they are."""
    refuse_folder(path)
    with suppress(FileNotFoundError):
        open_file(path, "r+b").close()
    try:
        with _temporary(_target(path)) as file:
            pass
        os.unlink(file.name)
    except OSError as error:
        error.filename = path
        raise


def _target(path: str) -> Path:
    """Return the file to replace: through a symbolic link, as `open` would write."""
    os.stat(os.path.dirname(path) or os.curdir)  # which realpath may leave out: "no/such/../file"
    return Path(os.path.realpath(path))


def _open_existing(path: str, flags: int) -> int:
    return os.open(path, flags & ~(os.O_CREAT | os.O_TRUNC))


def _write(file: BinaryIO, parts: Iterable[Part]) -> None:
    for part in parts:
        data = np.frombuffer(part, np.uint8).data
        for begin in range(0, len(data), PIECE):
            file.write(data[begin : begin + PIECE])
    file.flush()


def _temporary_prefix(name: str) -> str:
    """Return how the names of temporary files for a file begin, in C++ too.

    A hash (FNV-1a) stands for the name of the file, because both together may be too long.
    """
    value = 0x811C9DC5
    for byte in os.fsencode(name):
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return f".fastmlp-{value:08x}-"


@contextmanager
def _temporary(target: Path) -> Iterator[BinaryIO]:
    """Make an empty file beside target and lock it; the lock lasts as long as it is open."""
    name = _temporary_prefix(target.name)
    _remove_stale(target.parent, name)
    prefix = target.parent / name
    while True:
        # Not `tempfile`: only the owner could read such a file, but the umask should decide.
        with open_file(f"{prefix}{os.urandom(8).hex()}.tmp", "xb") as file:
            _lock(file)
            # Before it was locked, another save may have removed it as a leftover.
            if os.path.exists(file.name):
                yield file
                return


def _lock(file: BinaryIO, flag: int = 0) -> bool:
    """Lock an open file, until it is closed or the process ends; return whether that was done."""
    if sys.platform == "win32":
        return False
    with suppress(OSError):  # locked by another process, or in a file system without locks
        fcntl.flock(file, fcntl.LOCK_EX | flag)
        return True
    return False


def _remove_stale(folder: Path, prefix: str) -> None:
    """Remove the temporary files that killed processes left: those that nobody has locked."""
    if sys.platform == "win32":
        return
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and entry.is_file(follow_symlinks=False):
                with suppress(OSError), open_file(entry.path, "r+b") as file:
                    if _lock(file, fcntl.LOCK_NB):
                        os.unlink(entry.path)
