"""Networks in safetensors files: tensors `layers.0.weight`, …, the rest as JSON in the metadata.

Everything in a file is checked before it is used, and a file is replaced as a whole or not at all.
fastmlp/io.hpp reads and writes the same files in C++. Start at `save` and `load`.
"""

import itertools
import json
import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from fastmlp.network import Network

AnyNetwork = TypeVar("AnyNetwork", bound="Network")

FORMAT = 1  # the version of the JSON; a reader refuses any version that it does not know
METADATA_KEY = "fastmlp"
TENSOR_DTYPES = {"float32": "F32", "float64": "F64"}  # safetensors' names


def save(network: "Network", path: str | os.PathLike[str]) -> None:
    """Write a network; see `Network.save`."""
    import safetensors.numpy

    network = network.copy()  # while another thread trains, this raises
    tensors = {}
    for index, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        tensors[f"layers.{index}.weight"] = weight
        tensors[f"layers.{index}.bias"] = bias
    settings = {
        "format": FORMAT,
        "layers": network.layers,
        "hidden": network.hidden,
        "output": network.output,
        "dtype": network.dtype.name,
        "seed": network.seed,
        "epochs_trained": network.epochs_trained,
    }
    metadata = {METADATA_KEY: json.dumps(settings, sort_keys=True)}
    replace_file(path, safetensors.numpy.save(tensors, metadata))


def load(cls: type[AnyNetwork], path: str | os.PathLike[str]) -> AnyNetwork:
    """Read a network; see `Network.load`."""
    from safetensors import SafetensorError, safe_open

    path = os.fspath(path)  # refuses a file descriptor, which open() would take and close
    with open(path, "rb"):
        pass  # raises Python's own error if there is no such file or it cannot be read
    try:
        with safe_open(path, framework="numpy") as file:
            settings = _settings(file.metadata())
            _check_tensors(file, settings)
            network = cls._rebuild(
                *(settings[key] for key in ("layers", "hidden", "output", "dtype", "seed"))
            )
            layers = zip(network.weights, network.biases, strict=True)
            for index, (weight, bias) in enumerate(layers):
                weight[:] = file.get_tensor(f"layers.{index}.weight")
                bias[:] = file.get_tensor(f"layers.{index}.bias")
            network.epochs_trained = settings["epochs_trained"]
            return network
    except SafetensorError as error:
        raise ValueError(f"load: {path} is damaged or not a safetensors file: {error}") from error
    except ValueError as error:
        raise ValueError(f"load: {path}: {error}") from error


def replace_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Write data to path in one step: a reader sees the old file or the new one, never a part."""
    if os.path.exists(path) and not os.path.isfile(path):
        # A device or a pipe is written to, not replaced. For a folder open() raises.
        with open(path, "wb") as file:
            file.write(data)
        return
    target = Path(os.path.realpath(path))  # through a symbolic link, as open() would write
    temporary = target.parent / f".fastmlp-{secrets.token_hex(8)}.tmp"
    try:
        # Not `tempfile`: only the owner could read such a file, but the umask should decide.
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(temporary):
            error.filename = os.fspath(path)  # the path that the caller gave
        raise


def _settings(metadata: dict[str, str] | None) -> dict[str, Any]:
    """Return the JSON of the metadata; the constructor checks the names in it."""
    if metadata is None or METADATA_KEY not in metadata:
        raise ValueError(
            f"the metadata has no key {METADATA_KEY!r}; this file was not written by fastmlp"
        )
    try:
        settings = json.loads(metadata[METADATA_KEY])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the metadata {METADATA_KEY!r} is not JSON: {error}") from error
    if (
        not isinstance(settings, dict)
        or type(settings.get("format")) is not int
        or settings["format"] != FORMAT
    ):
        found = settings.get("format") if isinstance(settings, dict) else settings
        raise ValueError(f"the format is {found!r:.80}; this version reads format {FORMAT}")
    layers: Any = settings.get("layers")
    hidden: Any = settings.get("hidden")
    if not _is_list(layers, int) or len(layers) < 2 or min(layers) < 1:
        _refuse(settings, "layers", "two or more positive integers")
    if not _is_list(hidden, str) or len(hidden) != len(layers) - 2:
        _refuse(settings, "hidden", f"{len(layers) - 2} names")
    if type(settings.get("output")) is not str:
        _refuse(settings, "output", "a name")
    if settings.get("dtype") not in tuple(TENSOR_DTYPES):
        _refuse(settings, "dtype", f"one of {list(TENSOR_DTYPES)}")
    for key, bits in (("seed", 64), ("epochs_trained", 63)):
        if type(settings.get(key)) is not int or not 0 <= settings[key] < 2**bits:
            _refuse(settings, key, f"an integer in [0, 2**{bits})")
    return settings


def _is_list(value: Any, of: type) -> bool:
    """Return whether value is a list of exactly that type; true does not count as an integer."""
    return isinstance(value, list) and all(type(item) is of for item in value)


def _refuse(settings: dict[str, Any], key: str, rule: str) -> NoReturn:
    raise ValueError(f"{key} is {settings.get(key)!r:.80}; it must be {rule}")


def _check_tensors(file: Any, settings: dict[str, Any]) -> None:
    """Compare the tensors with the layers, before anything is allocated for them."""
    layers = settings["layers"]
    expected: dict[str, list[int]] = {}
    for index, (n_in, n_out) in enumerate(itertools.pairwise(layers)):
        expected[f"layers.{index}.weight"] = [n_in, n_out]
        expected[f"layers.{index}.bias"] = [n_out]
    found = set(file.keys())
    for what, names in (("lacks", expected.keys() - found), ("also has", found - expected.keys())):
        if names:
            raise ValueError(f"the file {what} the tensors {sorted(names)!r:.80}")
    dtype = TENSOR_DTYPES[settings["dtype"]]
    for name, shape in expected.items():
        tensor = file.get_slice(name)
        if tensor.get_dtype() != dtype or list(tensor.get_shape()) != shape:
            raise ValueError(
                f"{name} is {tensor.get_dtype()} of shape {tensor.get_shape()}; "
                f"by its metadata it must be {dtype} of shape {shape}"
            )
