"""Networks in files of NumPy: arrays that `numpy.load(path, allow_pickle=False)` reads.

The names and types of the arrays are those of the safetensors file; what is JSON there is an array
here. docs/file_format.md has the rules. Start at `save_npz` and `load_npz`.
"""

import io
import json
import math
import re
import zipfile
import zlib
from typing import Any, BinaryIO, TypeVar

import numpy as np

from fastmlp._metadata import checked_texts
from fastmlp.formats import network_file
from fastmlp.formats.network_file import OPTIONAL_SETTINGS, SETTINGS, Tensors
from fastmlp.formats.safetensors import (
    FORMAT,
    PIECE,
    AnyPath,
    checked_metadata,
    checked_path,
    naming_file,
    open_file,
    parse,
    replacing,
)

AnyNetwork = TypeVar("AnyNetwork")

# The arrays of a file, when they are unpacked, may take MOST_TIMES the size of the file plus
# MOST_MORE bytes. With the parameters and gradients of the network this is at most 20 times and
# 2 MB.
MOST_TIMES, MOST_MORE = 6, 500_000
# The header of an array as NumPy writes it: type, order and shape.
HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<>|]?(?:[iu][1248]|f[48]|U[1-9]\d{0,8}))', "
    rb"'fortran_order': (True|False), 'shape': \(([\d, ]{0,200})\), \} *\n",
    re.DOTALL,
)
OF_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


def save_npz(network: Any, path: AnyPath) -> None:
    """Write a network; see `Network.save_npz`."""
    path = checked_path(path, "save_npz")
    network = network.copy()  # while another thread trains, this raises
    metadata = checked_texts("save_npz: metadata", network.metadata)
    try:
        checked_metadata(metadata)
    except ValueError as error:
        raise ValueError(f"save_npz: {error}") from error
    settings = network_file.settings_of(network)
    settings["hidden"] = np.array(settings["hidden"], dtype=str)  # also if there are none
    settings["seed"] = np.uint64(settings["seed"])
    arrays = {name: np.array(settings[name]) for name in settings.keys() - {"dtype", "scaling"}}
    if metadata:
        arrays["metadata"] = np.array(json.dumps(metadata, sort_keys=True))
    arrays |= network_file.tensors_of(network)
    sorted_arrays: dict[str, Any] = dict(sorted(arrays.items()))
    with replacing(path) as file:
        np.savez(file, **sorted_arrays)


def load_npz(cls: type[AnyNetwork], path: AnyPath) -> AnyNetwork:
    """Read a network; see `Network.load_npz`."""
    path = checked_path(path, "load_npz")
    what = "a network that `save_npz` wrote"
    with open_file(path, "rb") as file, naming_file(path, what, "load_npz"):
        return _network(cls, _arrays(file))


def _network(cls: type[AnyNetwork], arrays: Tensors) -> AnyNetwork:
    """Make a network from the arrays in a file; refuse missing, wrong and unknown ones."""
    metadata = arrays.pop("metadata", np.array("{}")).tolist()
    known = (SETTINGS | OPTIONAL_SETTINGS) - {"dtype", "scaling"}
    settings = {name: arrays.pop(name).tolist() for name in known & arrays.keys()}
    if settings.get("format") != FORMAT:
        raise ValueError(
            f"the format is {settings.get('format')!r:.80}; this version reads format {FORMAT}"
        )
    if "layers.0.weight" in arrays:
        settings["dtype"] = arrays["layers.0.weight"].dtype.name
    if any(name.startswith("scaling.") for name in arrays):
        settings["scaling"] = True
    network_file.checked_settings(settings)
    count = network_file.count_of_tensors(settings)
    if count != len(arrays):
        raise ValueError(f"it has {len(arrays)} arrays of numbers; its layers have {count}")
    for name, (dtype, shape) in network_file.expected_tensors(settings).items():
        found = arrays.get(name)
        if found is None or found.dtype.newbyteorder("<") != dtype or list(found.shape) != shape:
            given = "missing" if found is None else f"{found.dtype.name} of shape {found.shape}"
            raise ValueError(f"{name} is {given}; it must be {dtype.name} of shape {tuple(shape)}")
    if not isinstance(metadata, str):
        raise ValueError("metadata is not a text")
    made = network_file.network_of(cls, settings, arrays)
    made.metadata = checked_metadata(parse(metadata, "metadata"))
    network: AnyNetwork = made
    return network


def _arrays(file: BinaryIO) -> Tensors:
    """Read all arrays of a file; what they take is limited by the size of the file."""
    data = io.BytesIO()
    while piece := file.read(PIECE):
        data.write(piece)
    most = MOST_TIMES * data.tell() + MOST_MORE
    arrays = {}
    try:
        with zipfile.ZipFile(data) as archive:
            entries = archive.infolist()
            if (size := sum(entry.file_size for entry in entries)) > most:
                raise ValueError(
                    f"its arrays have {size} bytes; in a file of this size they can have {most}"
                )
            for entry in entries:
                name = entry.filename.removesuffix(".npy")
                if name in arrays:
                    raise ValueError(f"the array {name!r:.80} is there twice")
                arrays[name] = _array(name, _unpacked(archive, entry))
    except OF_DAMAGE as error:
        reason = str(error) or "it ends too early"
        raise ValueError(f"it is no zip file, or a damaged one: {reason}") from error
    return arrays


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Return the bytes of an entry, at most as many as its header says."""
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename!r:.80} is compressed by a method that NumPy has not")
    with archive.open(entry) as stream:
        return stream.read(entry.file_size)  # this checks the CRC


def _array(name: str, data: bytes) -> np.ndarray[Any, Any]:
    """Return the array in the bytes of an .npy file."""
    header = HEADER.match(data)
    if header is None:
        raise ValueError(f"{name!r:.80} is not an array of numbers or texts as NumPy writes it")
    dtype = np.dtype(header[1].decode())
    shape = [int(size) for size in header[3].replace(b",", b" ").split()]
    values = np.frombuffer(data, np.uint8, offset=header.end())
    if len(shape) > 2 or dtype.itemsize * math.prod(shape) != values.size:
        raise ValueError(
            f"{name!r:.80} has {values.size} bytes of values; its shape is {shape!r:.80}"
        )
    return values.view(dtype).reshape(shape, order="F" if header[2] == b"True" else "C")
