"""Networks in safetensors files: tensors `layers.0.weight`, …, the rest as JSON in the metadata.

docs/file_format.md has the rules. Everything in a file is checked before it is used, and a file is
replaced as a whole or not at all. fastmlp/io.hpp reads and writes the same files in C++. Start at
`save` and `load`.
"""

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
from typing import Any, BinaryIO, NoReturn, TypeVar

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
MOST_METADATA = 100  # entries
MOST_HEADER = 100_000_000  # bytes; the limit of the safetensors library
TENSOR_DTYPES = {"float32": "F32", "float64": "F64"}  # safetensors' names
SETTINGS = {"dtype", "epochs_trained", "format", "hidden", "layers", "output", "seed"}
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


def checked_path(path: AnyPath, function: str) -> str:
    """Return path as a string; refuse what `open` takes and is not a path, such as a number."""
    if not isinstance(path, str | bytes | os.PathLike):
        raise TypeError(
            f"{function}: path is {path!r:.80}, of type {type(path).__name__}; "
            "it must be the name of a file: a str, bytes or os.PathLike"
        )
    return os.fsdecode(path)


def _tensors(network: Any) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Yield the arrays of a network with their names in a file."""
    for index, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        yield f"layers.{index}.weight", weight
        yield f"layers.{index}.bias", bias


# Reading


def read(cls: type[AnyNetwork], file: BinaryIO) -> AnyNetwork:
    """Read a network from a stream; allocate no more than a small multiple of its size."""
    (size,) = struct.unpack("<Q", _take(file, 8, "its first 8 bytes"))
    if size > MOST_HEADER:
        raise ValueError(
            f"its header has {size} bytes by the file's first eight; "
            f"at most {MOST_HEADER} are allowed"
        )
    header = _parse(str(_take(file, size, "its header"), "utf-8"), "its header")
    settings = _settings(header.pop("__metadata__", None))
    begins = _begins(header, settings)
    size = sum((n_in + 1) * n_out for n_in, n_out in itertools.pairwise(settings["layers"]))
    dtype = np.dtype(settings["dtype"]).newbyteorder("<")
    data = _take(file, size * dtype.itemsize, "its tensors")
    if file.read(1):
        raise ValueError("more bytes follow its tensors")
    make: Any = cls
    network: Any = make._rebuild(
        *(settings[key] for key in ("layers", "hidden", "output", "dtype", "seed"))
    )
    for name, values in _tensors(network):
        found = np.frombuffer(data, dtype, values.size, begins[name])
        values[:] = found.reshape(values.shape)
    network.epochs_trained = settings["epochs_trained"]
    read: AnyNetwork = network
    return read


def _take(file: BinaryIO, size: int, what: str) -> memoryview:
    """Read size bytes. Memory grows with what the file really has, because size may be a lie."""
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
    # A layer adds at most one comma, bracket or colon for 4 bytes; a colon counts twice, because
    # the member of an object takes more memory.
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


def _settings(metadata: Any) -> dict[str, Any]:
    """Return the JSON of the metadata; the constructor checks the names in it."""
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
    what = f"the metadata {METADATA_KEY!r}"
    settings = _parse(metadata[METADATA_KEY], what)
    if type(settings.get("format")) is not int or settings["format"] != FORMAT:
        raise ValueError(
            f"the format is {settings.get('format')!r:.80}; this version reads format {FORMAT}"
        )
    if unknown := settings.keys() - SETTINGS:
        raise ValueError(f"{what} has the keys {sorted(unknown)!r:.80}, which format 1 has not")
    layers: Any = settings.get("layers")
    hidden: Any = settings.get("hidden")
    if not _is_list(layers, int) or len(layers) < 2 or not 1 <= min(layers) <= max(layers) < 2**63:
        _refuse(settings, "layers", "two or more positive integers")
    if not _is_list(hidden, str) or len(hidden) != len(layers) - 2:
        _refuse(settings, "hidden", f"{len(layers) - 2} names")
    if type(settings.get("output")) is not str:
        _refuse(settings, "output", "a name")
    if settings.get("dtype") not in tuple(TENSOR_DTYPES):
        _refuse(settings, "dtype", f"one of {list(TENSOR_DTYPES)}")
    for key, bits in (("seed", 64), ("epochs_trained", 63)):
        if type(settings.get(key)) is not int or settings[key] >= 2**bits:
            _refuse(settings, key, f"an integer in [0, 2**{bits})")
    return settings


def _is_list(value: Any, of: type) -> bool:
    """Return whether value is a list of exactly that type; true does not count as an integer."""
    return isinstance(value, list) and all(type(item) is of for item in value)


def _refuse(settings: dict[str, Any], key: str, rule: str) -> NoReturn:
    raise ValueError(f"{key} is {settings.get(key)!r:.80}; it must be {rule}")


def _begins(entries: dict[str, Any], settings: dict[str, Any]) -> dict[str, int]:
    """Return where each tensor begins; refuse entries that are not exactly those of the layers."""
    layers = settings["layers"]
    # Numbers are compared first: a long list of layers without tensors must not cost memory.
    if len(entries) != 2 * len(layers) - 2:
        raise ValueError(
            f"the file has {len(entries)} tensors; its layers have {2 * len(layers) - 2}"
        )
    dtype = TENSOR_DTYPES[settings["dtype"]]
    begins, ends = {}, {}
    for index, (n_in, n_out) in enumerate(itertools.pairwise(layers)):
        for part, shape in (("weight", [n_in, n_out]), ("bias", [n_out])):
            name = f"layers.{index}.{part}"
            found = entries.get(name)
            offsets = found.get("data_offsets") if isinstance(found, dict) else None
            begin = offsets[0] if _is_list(offsets, int) and offsets else 0
            end = begin + math.prod(shape) * np.dtype(settings["dtype"]).itemsize
            right = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
            # The types too, because true equals 1.
            if found != right or not _is_list(found["shape"] + offsets, int):
                raise ValueError(f"{name} is {found!r:.120}; for its layers it must be {right!r}")
            begins[name], ends[begin] = begin, end
    position = 0
    for _ in begins:
        if position not in ends:
            raise ValueError(f"its tensors overlap or leave a hole at byte {position}")
        position = ends[position]
    return begins


# Writing


def file_parts(network: Any) -> list[Part]:
    """Return the parts of a network's file, in their order."""
    settings = {
        "format": FORMAT,
        "layers": network.layers,
        "hidden": network.hidden,
        "output": network.output,
        "dtype": dtype_name(network),
        "seed": network.seed,
        "epochs_trained": network.epochs_trained,
    }
    header: dict[str, Any] = {
        "__metadata__": {METADATA_KEY: json.dumps(settings, sort_keys=True)},
    }
    end = 0
    tensors = dict(sorted(_tensors(network)))
    for name, values in tensors.items():
        begin, end = end, end + values.nbytes
        header[name] = {
            "dtype": TENSOR_DTYPES[dtype_name(network)],
            "shape": values.shape,
            "data_offsets": (begin, end),
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # aligns the tensors to 8 bytes
    return [struct.pack("<Q", len(text)), text, *tensors.values()]


def replace_file(path: AnyPath, *parts: Part, function: str = "save") -> None:
    """Write parts to path in one step: a reader sees the old file or the new one, never a part.

    What `open(path, "wb")` refuses is refused. `function` is the caller's name in messages.
    """
    path = checked_path(path, function)
    mode = None
    with suppress(FileNotFoundError), open_file(path, "wb", opener=_open_existing) as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            _write(file, parts)  # a device or a pipe is written to, not replaced
            return
    target = Path(os.path.realpath(path))  # through a symbolic link, as open() would write
    prefix = _temporary_prefix(target.name)
    _remove_stale(target.parent, prefix)
    temporary = None
    try:
        with _temporary(target.parent / prefix) as file:
            temporary = Path(file.name)
            _write(file, parts)
            os.fsync(file.fileno())
            if mode is not None:
                os.chmod(temporary, stat.S_IMODE(mode))
            if sys.platform == "win32":
                file.close()  # Windows renames no open file; elsewhere the lock lasts until after
            os.replace(temporary, target)
    except BaseException as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = path  # the one that the caller gave
        raise


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
def _temporary(prefix: Path) -> Iterator[BinaryIO]:
    """Make an empty file with this prefix and lock it; the lock lasts as long as it is open."""
    while True:
        # Not `tempfile`: only the owner could read such a file, but the umask should decide.
        with open_file(f"{prefix}{os.urandom(8).hex()}.tmp", "xb") as file:
            _lock(file)
            # Before the lock, another save may have taken it for one that was left, and removed it.
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
