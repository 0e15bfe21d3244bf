"""The parameters of a network alone: state dicts of PyTorch and lists of Keras, without either.

A state dict has the names that `Network.to_torch` gives: "0.weight" (n_out, n_in), "0.bias",
"2.weight" and so on; the odd numbers are the activations. Start at `load_state_dict`.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastmlp.formats.network_file import KEY
from fastmlp.formats.safetensors import (
    BFLOAT16,
    TENSOR_DTYPES,
    Expected,
    checked_path,
    is_list,
    open_file,
    read_header,
    read_tensors,
)

Array = npt.NDArray[Any]


class IncompatibleKeys(NamedTuple):
    """The names that `load_state_dict` found to differ, as PyTorch returns them."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def get_weights(network: Any) -> list[Array]:
    """Do what `Network.get_weights` says."""
    return split(network, network._snapshot()[0])


def set_weights(network: Any, weights: Sequence[Any]) -> None:
    """Do what `Network.set_weights` says."""
    expected = [array.shape for array in get_weights(network)]
    if len(weights) != len(expected):
        raise ValueError(
            f"set_weights: weights has {len(weights)} arrays; it must have {len(expected)}, a "
            f"weight and a bias for each of the {len(expected) // 2} layers"
        )
    arrays = [_numbers(f"set_weights: weights[{i}]", array) for i, array in enumerate(weights)]
    for i, (array, shape) in enumerate(zip(arrays, expected, strict=True)):
        if array.shape != shape:
            raise ValueError(
                f"set_weights: weights[{i}] has shape {array.shape}; it must be {shape}"
            )
    _write(network, arrays)


def state_dict(network: Any) -> dict[str, Array]:
    """Do what `Network.state_dict` says."""
    arrays = (np.ascontiguousarray(array.T) for array in get_weights(network))
    return dict(zip(_names(network), arrays, strict=True))


def load_state_dict(network: Any, state: Any, strict: bool) -> IncompatibleKeys:
    """Do what `Network.load_state_dict` says."""
    if isinstance(state, Mapping):
        found, ordered = dict(state), True
    else:
        found, ordered = _read(state), False
    own = state_dict(network)
    found = _renamed(found, list(own), ordered)
    keys = IncompatibleKeys([n for n in own if n not in found], [n for n in found if n not in own])
    errors = []
    if strict:
        for kind, names in zip(("Missing", "Unexpected"), keys, strict=True):
            if names:
                quoted = ", ".join(f'"{name}"' for name in names)
                errors.append(f"{kind} key(s) in state_dict: {quoted}.")
    for name in own:
        if name in found:
            values = _numbers(f"load_state_dict: {name}", found[name])
            if values.shape != own[name].shape:
                errors.append(
                    f"size mismatch for {name}: copying a param with shape {values.shape} from "
                    f"checkpoint, the shape in current model is {own[name].shape}."
                )
            own[name] = values
    if errors:
        text = "\n\t".join([f"for {type(network).__name__}:", *errors])
        raise ValueError(f"load_state_dict: Error(s) in loading state_dict {text}")
    _write(network, [values.T for values in own.values()])
    return keys


def _names(network: Any) -> list[str]:
    depth = len(network.layers) - 1
    return [f"{2 * layer}.{part}" for layer in range(depth) for part in ("weight", "bias")]


def split(network: Any, parameters: Array) -> list[Array]:
    """Return W_1, b_1, W_2, b_2, … as views of an array like `parameters`."""
    arrays, end = [], 0
    for n_in, n_out in itertools.pairwise(network.layers):
        for shape in ((n_in, n_out), (n_out,)):
            begin, end = end, end + int(np.prod(shape))
            arrays.append(parameters[begin:end].reshape(shape))
    return arrays


def _write(network: Any, arrays: Sequence[Array]) -> None:
    """Set W_1, b_1, W_2, b_2, … at once."""
    flat = np.concatenate(
        [array.ravel() for array in arrays], dtype=network.dtype, casting="unsafe"
    )
    network._restore(flat, network.epochs_trained)


def _numbers(what: str, values: Any) -> Array:
    """Return real numbers as an array; a tensor of PyTorch may be a parameter, or on a GPU."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if str(values.dtype) == "torch.bfloat16":  # NumPy has no such type
            values = values.float()
    array = np.asarray(values)
    if array.dtype == BFLOAT16:
        array = (array.view("<u2").astype("<u4") << 16).view("<f4")
    elif array.dtype.kind == "V" and array.dtype.type is not np.void:  # of the package ml_dtypes
        array = array.astype(np.float32)
    if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
        raise TypeError(f"{what} is of type {array.dtype}; it must have real numbers")
    return array


def _renamed(found: dict[str, Any], names: list[str], ordered: bool) -> dict[str, Any]:
    """Give the layers of a model the names of ours, if it has the same number of them.

    Their order is that of the numbers in their names, or else of the dict.
    """
    layers = list(dict.fromkeys(re.sub("(weight|bias)$", "", str(name)) for name in found))
    theirs = [layer + part for layer in layers for part in ("weight", "bias")]
    if set(theirs) != set(found) or len(theirs) != len(names) or set(theirs) == set(names):
        return found
    if len({re.sub(r"\d+", "0", layer) for layer in layers}) == 1:
        layers.sort(key=lambda layer: [int(number) for number in re.findall(r"\d+", layer)])
    elif not ordered:
        raise ValueError(
            f"load_state_dict: the names {layers} do not tell the order of the layers, and a "
            "safetensors file has none; give a dict of the arrays in the order of the layers"
        )
    theirs = [layer + part for layer in layers for part in ("weight", "bias")]
    return {name: found[their] for name, their in zip(names, theirs, strict=True)}


def _read(path: Any) -> dict[str, Array]:
    """Read the tensors of a safetensors file."""
    path = checked_path(path, "load_state_dict", "state_dict")
    try:
        with open_file(path, "rb") as file:
            metadata, entries = read_header(file)
            if KEY in metadata:
                raise ValueError("Network.save wrote it; use Network.load")
            expected: Expected = {}
            for name, entry in entries.items():
                parts = entry if isinstance(entry, dict) else {}
                dtype = TENSOR_DTYPES.get(str(parts.get("dtype")))
                if dtype is None or not is_list(parts.get("shape"), int):
                    raise ValueError(
                        f"{name} is {entry!r:.120}; its dtype must be one of {list(TENSOR_DTYPES)}"
                    )
                expected[name] = dtype, parts["shape"]
            return read_tensors(file, entries, expected)
    except ValueError as error:
        raise ValueError(
            f"load_state_dict: {path} is damaged or not a safetensors file of PyTorch: {error}"
        ) from error
