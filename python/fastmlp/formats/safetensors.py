"""Safetensors files of any content: every check in reading, one step in writing.

What a file holds is for the caller: network_file.py has networks, _checkpoint.py training states,
fastmlp.tabular its models. docs/file_format.md has the rules. A file is replaced as a whole or not
at all. fastmlp/io_detail.hpp does the same in C++. Start at `read_header`, `read_tensors` and
`file_parts`.
"""

import errno
import io
import json
import math
import os
import re
import stat
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np

if sys.platform != "win32":
    import fcntl

open_file = io.open  # the built-in name is gone while Python ends
AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Part = bytes | np.ndarray[Any, Any]  # of a file
Expected = dict[str, tuple[np.dtype[Any], list[int]]]  # the type and the shape of each tensor

FORMAT = 1  # the version of the JSON; a reader refuses any version that it does not know
MOST_METADATA = 100  # entries
MOST_HEADER = 100_000_000  # bytes; the limit of the safetensors library
MOST = 2**62  # epochs, steps and the like
STRING = re.compile(r'"(?>[^"\\]+|\\.)*+"?', re.DOTALL)  # possessive: no text makes it slow
BFLOAT16 = np.dtype("V2")  # its bytes; NumPy has no such type
TENSOR_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": BFLOAT16,
    "I64": np.dtype("<i8"),
}
PIECE = 1 << 20  # bytes read or written at once: Ctrl-C is noticed between two pieces


def checked_path(path: AnyPath, function: str, name: str = "path") -> str:
    """Return path as a string; refuse a number, which `open` would take as a file descriptor."""
    if not isinstance(path, str | bytes | os.PathLike):
        name_of_file = getattr(path, "name", None)
        advice = f", such as {name_of_file!r}" if isinstance(name_of_file, str) else ""
        if function == "save" and hasattr(path, "write"):
            advice += "; pickle.dumps(network) gives bytes for an open file"
        raise TypeError(
            f"{function}: {name} is {path!r:.80}, of type {type(path).__name__}; "
            f"it must be the name of a file: a str, bytes or os.PathLike{advice}"
        )
    name_of_file = os.fsdecode(path)
    if "\0" in name_of_file:
        raise ValueError(f"{function}: {name} is {path!r:.80}; a path must not have a null byte")
    return name_of_file


# Reading


@contextmanager
def naming_file(path: str, what: str, function: str = "load") -> Iterator[None]:
    """Let the message of a ValueError begin with the file; `what` is what `save` writes there."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{function}: {path} is damaged or not {what}: {error}") from error


def read_header(file: BinaryIO) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the metadata and the entries of the tensors, which follow in the file.

    Like `read_tensors`, it allocates no more than a small multiple of the bytes that arrive.
    """
    (size,) = struct.unpack("<Q", _take(file, 8, "its first 8 bytes"))
    if size > MOST_HEADER:
        raise ValueError(
            f"its first 8 bytes give a header of {size} bytes; at most {MOST_HEADER} are allowed"
        )
    header = parse(str(_take(file, size, "its header"), "utf-8"), "its header")
    metadata = header.pop("__metadata__", {})
    return checked_metadata(metadata), header


def read_tensors(
    file: BinaryIO, entries: dict[str, Any], expected: Expected
) -> dict[str, np.ndarray[Any, Any]]:
    """Read the tensors, to the end of the file; refuse entries that are not the expected ones."""
    begins = _begins(entries, expected)
    size = sum(dtype.itemsize * math.prod(shape) for dtype, shape in expected.values())
    data = _take(file, size, "its tensors")
    if file.read(1):
        raise ValueError("more bytes follow its tensors")
    return {
        name: np.frombuffer(data, dtype, math.prod(shape), begins[name]).reshape(shape)
        for name, (dtype, shape) in expected.items()
    }


def _take(file: BinaryIO, size: int, what: str) -> memoryview:
    """Read size bytes. Memory grows with the data that arrive, because size may be wrong."""
    data = io.BytesIO()
    while data.tell() < size:
        piece = file.read(min(size - data.tell(), PIECE))
        if not piece:
            raise ValueError(f"the file ends in {what}")
        data.write(piece)
    return data.getbuffer()


def parse(text: str, what: str) -> dict[str, Any]:
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


def checked_metadata(metadata: Any) -> dict[str, str]:
    """Return the metadata; refuse other values than strings, and too many."""
    if not isinstance(metadata, dict):
        raise ValueError("the metadata is not an object")
    if len(metadata) > MOST_METADATA:
        raise ValueError(
            f"the metadata has {len(metadata)} entries; at most {MOST_METADATA} are allowed"
        )
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise ValueError(f"the metadata {key!r:.80} is not a string")
        (key + value).encode()  # refuses half of a surrogate pair
    return metadata


def settings_in(
    metadata: dict[str, str], key: str, known: set[str], optional: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Return the JSON object in an entry of the metadata; a missing member is found later."""
    what = f"the metadata {key!r}"
    settings = parse(metadata[key], what)
    if type(settings.get("format")) is not int or settings["format"] != FORMAT:
        raise ValueError(
            f"the format is {settings.get('format')!r:.80}; this version reads format {FORMAT}"
        )
    if unknown := settings.keys() - known - optional:
        raise ValueError(
            f"{what} has the keys {sorted(unknown)!r:.80}, which format {FORMAT} does not have"
        )
    return settings


def is_list(value: Any, of: type) -> bool:
    """Return whether value is a list of exactly that type; true does not count as an integer."""
    return isinstance(value, list) and all(type(item) is of for item in value)


def require_integer(settings: dict[str, Any], key: str, least: int, most: int) -> None:
    """Refuse a setting that is not an integer in [least, most]."""
    if type(settings.get(key)) is not int or not least <= settings[key] <= most:
        refuse(settings, key, f"an integer in [{least}, {most}]")


def refuse(settings: dict[str, Any], key: str, rule: str) -> NoReturn:
    """Refuse a setting, with the rule in words."""
    raise ValueError(f"{key} is {settings.get(key)!r:.80}; it must be {rule}")


def _begins(entries: dict[str, Any], expected: Expected) -> dict[str, int]:
    """Return where each tensor begins; refuse entries that are not exactly the expected ones."""
    begins, ends = {}, {}
    for name, (dtype, shape) in expected.items():
        found = entries.get(name)
        offsets = found.get("data_offsets") if isinstance(found, dict) else None
        begin = offsets[0] if is_list(offsets, int) and offsets else 0
        end = begin + math.prod(shape) * dtype.itemsize
        right = {"dtype": _tensor_dtype(dtype), "shape": shape, "data_offsets": [begin, end]}
        # Compare the types too, because True == 1 in Python.
        if found != right or not is_list(found["shape"] + offsets, int):
            raise ValueError(f"{name} is {found!r:.120}; for its settings it must be {right!r}")
        begins[name], ends[begin] = begin, end
    position = 0
    for _ in begins:
        if position not in ends:
            raise ValueError(f"its tensors overlap or leave a hole at byte {position}")
        position = ends[position]
    return begins


def _tensor_dtype(dtype: np.dtype[Any]) -> str:
    """Return the name in safetensors of a type that TENSOR_DTYPES has."""
    return next(name for name, known in TENSOR_DTYPES.items() if known == dtype)


# Writing


def file_parts(
    metadata: Mapping[str, str], tensors: Mapping[str, np.ndarray[Any, Any]], what: str = "network"
) -> list[Part]:
    """Return the parts of a file, in order; refuse what `read_header` would refuse."""
    try:
        checked_metadata(dict(metadata))
    except ValueError as error:  # UnicodeEncodeError is one
        raise ValueError(f"save: {error}") from error
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    end = 0
    tensors = dict(sorted(tensors.items()))
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
            f"save: the {what} has so many layers or so much metadata that the header would have "
            f"{len(text)} bytes; at most {MOST_HEADER} can be read back"
        )
    return [struct.pack("<Q", len(text)), text, *tensors.values()]


def replace_file(path: AnyPath, *parts: Part, function: str = "save") -> None:
    """Write parts to path in one step: a reader sees the old file or the new one, never a part.

    What `open(path, "wb")` refuses is refused. `function` is the caller's name in messages.
    """
    with replacing(checked_path(path, function)) as file:
        _write(file, parts)


@contextmanager
def replacing(path: str) -> Iterator[BinaryIO]:
    """Yield a file that replaces the one at path in one step, if nothing is raised until then."""
    refuse_folder(path)
    mode = temporary = None
    try:
        with _opened(path) as existing:
            if existing is not None:
                mode = os.fstat(existing.fileno()).st_mode
                if not stat.S_ISREG(mode):
                    yield existing  # a device or a pipe is written to, not replaced
                    return
        target = _target(path)
        with _temporary(target) as file:
            temporary = Path(file.name)
            yield file
            file.flush()
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


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO | None]:
    """Open an existing file to write, without changing it; None if there is none."""
    try:
        file = open_file(path, "wb", opener=_open_existing)
    except FileNotFoundError:
        yield None
        return
    with file:
        yield file


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
