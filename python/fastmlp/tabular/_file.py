"""A tabular model as one safetensors file: nothing is pickled, and everything in it is checked.

The metadata key `fastmlp_tabular` holds JSON without floats: the columns, the target, the settings
of the networks and of their training. Floats are tensors, or texts where they are only shown. What
each column has learned is restored by its kind in _columns.py. Start at `save` and `load`.
"""

import json
import math
import numbers
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from fastmlp.formats.network_file import (
    OPTIONAL_SETTINGS,
    SETTINGS,
    TABULAR_KEY,
    checked_settings,
    count_of_tensors,
    expected_tensors,
    network_of,
    settings_of,
    tensors_of,
)
from fastmlp.formats.safetensors import (
    FORMAT,
    MOST,
    AnyPath,
    Expected,
    checked_path,
    file_parts,
    is_list,
    naming_file,
    open_file,
    read_header,
    read_tensors,
    refuse,
    replace_file,
    require_integer,
    settings_in,
)
from fastmlp.network import Network
from fastmlp.tabular._columns import BY_NAME, check_types
from fastmlp.tabular._encoder import Encoder
from fastmlp.tabular._members import Member
from fastmlp.tabular._recipe import Recipe
from fastmlp.tabular._target import Amounts

Array = npt.NDArray[Any]

KEYS = {"format", "model", "arguments", "columns", "members", "named", "networks", "recipe"}
KEYS |= {"labels", "seed", "target"}
MODELS = ("TabularClassifier", "TabularRegressor")
LABELS = {"text": np.str_, "integer": np.int64, "boolean": np.bool_}
COLUMN: dict[str, type] = {"name": str, "kind": str, "settings": dict, "tensors": dict}
LEFT_OUT: dict[str, type] = {"name": str, "left_out": str}
AMOUNTS = ("center", "scale", "least", "largest")
DEEPEST = 3  # how deep an argument is nested
HISTORY = ("loss", "val_error", "temperature")  # NaN if there is none


class Content(NamedTuple):
    """What is in a file."""

    model: str
    arguments: dict[str, Any]  # of the constructor
    encoder: Encoder
    named: bool
    target: str | None
    classes: Array | None
    amounts: Amounts | None
    seed: int
    recipe: Recipe
    members: list[Member]


# Writing


def save(content: Content, path: AnyPath) -> None:
    """Write a model."""
    checked_path(path, "save")
    columns: list[dict[str, Any]] = []
    tensors: dict[str, Array] = {}
    for index, name in enumerate(content.encoder.names):
        kind = content.encoder.kinds.get(name)
        if kind is None:
            columns.append({"name": name, "left_out": content.encoder.left_out[name]})
            continue
        settings, learned = kind.settings()
        lengths = {key: len(values) for key, values in learned.items()}
        columns.append({"name": name, "kind": kind.name, "settings": settings, "tensors": lengths})
        tensors |= {f"columns.{index}.{key}": values for key, values in learned.items()}
    networks = [member.network.copy() for member in content.members]
    for index, network in enumerate(networks):
        tensors |= tensors_of(network, f"networks.{index}.")
    histories = [member.history for member in content.members]
    tensors["history"] = np.array(
        [_nan_for_none(history[key]) for history in histories for key in HISTORY]
    )
    if content.amounts is not None:
        tensors["target"] = np.array([getattr(content.amounts, name) for name in AMOUNTS])
    settings = {
        "format": FORMAT,
        "model": content.model,
        "arguments": {name: packed(value) for name, value in content.arguments.items()},
        "columns": columns,
        "named": content.named,
        "target": content.target,
        "labels": None if content.classes is None else _label_settings(content.classes),
        "seed": content.seed,
        "recipe": {name: packed(value) for name, value in content.recipe.settings().items()},
        "members": [
            {key: history[key] for key in ("epochs", "best_epoch")} for history in histories
        ],
        "networks": [settings_of(network) for network in networks],
    }
    metadata = {TABULAR_KEY: json.dumps(settings, sort_keys=True)}
    replace_file(path, *file_parts(metadata, tensors, "model"))


def _nan_for_none(value: float | None) -> float:
    return math.nan if value is None else value


def _label_settings(classes: Array) -> dict[str, Any]:
    kind = next(name for name, dtype in LABELS.items() if np.issubdtype(classes.dtype, dtype))
    return {"type": kind, "values": [str(label) for label in classes.tolist()]}


def packed(value: Any) -> Any:
    """Return an argument as JSON that has no floats and no negative numbers."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.bool_ | np.ndarray):
        return packed(value.tolist())
    if isinstance(value, numbers.Integral):
        value = int(value)
        return value if 0 <= value < 2**64 else ["int", str(value)]
    if isinstance(value, Mapping):
        return ["dict", *([packed(key), packed(entry)] for key, entry in value.items())]
    if isinstance(value, Set):
        value = sorted(value, key=repr)  # the same file each time
    if isinstance(value, Iterable) and not isinstance(value, Iterator | bytes):
        return ["tuple" if isinstance(value, tuple) else "list", *map(packed, value)]
    if isinstance(value, numbers.Real):
        return ["float", repr(float(value))]
    raise TypeError(
        f"it holds an object of type {type(value).__name__}, which cannot be saved; use numbers, "
        "texts, lists and dicts"
    )


# Reading


def load(path: AnyPath) -> Content:
    """Read a model."""
    path = checked_path(path, "load")
    what = "a model that fastmlp.tabular wrote"
    with open_file(path, "rb") as file, naming_file(path, what):
        return read(file)


def read(file: BinaryIO) -> Content:
    """Read a stream to its end; allocate no more than a small multiple of its size."""
    metadata, entries = read_header(file)
    if TABULAR_KEY not in metadata:
        raise ValueError(
            f"the metadata has no key {TABULAR_KEY!r}"
            + ("; it holds a network, which Network.load reads" if "fastmlp" in metadata else "")
        )
    settings = settings_in(metadata, TABULAR_KEY, KEYS)
    _check(settings)
    tensors = read_tensors(file, entries, _expected(settings, len(entries)))
    encoder = _encoder(settings["columns"], tensors)
    is_classifier = settings["model"] == "TabularClassifier"
    classes = _classes(settings) if is_classifier else None
    amounts = None if is_classifier else _amounts(tensors["target"])
    members = _members(settings, tensors)
    n_out = {member.network.layers[-1] for member in members}
    if {member.network.layers[0] for member in members} != {encoder.width} or len(n_out) != 1:
        raise ValueError("the networks do not fit the columns")
    if classes is not None and n_out != {len(classes)}:
        raise ValueError("the networks do not fit the labels")
    return Content(
        settings["model"],
        {name: _unpacked(value) for name, value in settings["arguments"].items()},
        encoder,
        settings["named"],
        settings["target"],
        classes,
        amounts,
        settings["seed"],
        _recipe(settings["recipe"]),
        members,
    )


def _check(settings: dict[str, Any]) -> None:
    """Check the settings as far as the tensors are concerned."""
    if missing := KEYS - settings.keys():
        raise ValueError(f"the metadata {TABULAR_KEY!r} has no {sorted(missing)[0]!r}")
    if settings.get("model") not in MODELS:
        refuse(settings, "model", f"one of {list(MODELS)}")
    for key in ("arguments", "recipe"):
        if not isinstance(settings.get(key), dict):
            refuse(settings, key, "an object")
    if type(settings.get("named")) is not bool:
        refuse(settings, "named", "true or false")
    if type(settings["target"]) not in (str, type(None)):
        refuse(settings, "target", "the name of a column, or null")
    require_integer(settings, "seed", 0, 2**64 - 1)
    columns: Any = settings.get("columns")
    networks: Any = settings.get("networks")
    members: Any = settings.get("members")
    if not is_list(columns, dict) or not columns:
        refuse(settings, "columns", "a list of objects")
    if not is_list(networks, dict) or not networks:
        refuse(settings, "networks", "a list of objects")
    if not is_list(members, dict) or len(members) != len(networks):
        refuse(settings, "members", "an object for each network")
    for network in networks:
        if unknown := network.keys() - SETTINGS - OPTIONAL_SETTINGS:
            raise ValueError(f"a network has the keys {sorted(unknown)!r:.80}, which are not known")
        require_integer(network, "format", FORMAT, FORMAT)
        checked_settings(network)
    for member in members:
        check_types(member, {"epochs": int, "best_epoch": int})
        for key in member:
            require_integer(member, key, 0, MOST)
    for column in columns:
        check_types(column, LEFT_OUT if "left_out" in column else COLUMN)
        if column.get("kind", "number") not in BY_NAME:
            refuse(column, "kind", f"one of {sorted(BY_NAME)}")
        for key in column.get("tensors", ()):
            require_integer(column["tensors"], key, 1, MOST)
    names = {column["name"] for column in columns}
    if len(names) != len(columns):
        raise ValueError("two columns have the same name")


def _expected(settings: dict[str, Any], count: int) -> Expected:
    """Return what the tensors must be; `count` is the number of tensors in the header."""
    has_amounts = settings["model"] == "TabularRegressor"
    needed = sum(map(count_of_tensors, settings["networks"]))
    needed += sum(len(column.get("tensors", ())) for column in settings["columns"])
    needed += 1 + has_amounts
    if count != needed:  # before many layers allocate anything
        raise ValueError(f"the file has {count} tensors; its model has {needed}")
    double = np.dtype("<f8")
    tensors: Expected = {"history": (double, [len(HISTORY) * len(settings["members"])])}
    if has_amounts:
        tensors["target"] = double, [len(AMOUNTS)]
    for index, column in enumerate(settings["columns"]):
        for key, length in column.get("tensors", {}).items():
            tensors[f"columns.{index}.{key}"] = double, [length]
    for index, network in enumerate(settings["networks"]):
        tensors |= expected_tensors(network, f"networks.{index}.")
    if len(tensors) != needed:
        raise ValueError("two of its tensors have the same name")
    return tensors


def _encoder(columns: list[dict[str, Any]], tensors: dict[str, Array]) -> Encoder:
    kinds, left_out = {}, {}
    for index, column in enumerate(columns):
        name = column["name"]
        if "left_out" in column:
            left_out[name] = column["left_out"]
            continue
        own = {key: tensors[f"columns.{index}.{key}"] for key in column["tensors"]}
        try:
            kinds[name] = BY_NAME[column["kind"]].restore(column["settings"], own)
        except ValueError as error:
            raise ValueError(f"column {name!r:.80}: {error}") from error
    if not kinds:
        raise ValueError("no column is used")
    return Encoder([column["name"] for column in columns], kinds, left_out)


def _classes(settings: dict[str, Any]) -> Array:
    labels: Any = settings.get("labels")
    check_types(labels, {"type": str, "values": list})
    kind, texts = labels["type"], labels["values"]
    if kind not in LABELS:
        refuse(labels, "type", f"one of {list(LABELS)}")
    if kind == "text":
        classes = np.array(texts, dtype=str)
    elif kind == "boolean":
        classes = np.array([text == "True" for text in texts])
    else:
        try:
            classes = np.array([int(text) for text in texts if len(text) <= 20], dtype=np.int64)
        except OverflowError:
            raise ValueError(f"labels are {texts!r:.80}, which are too large") from None
    if len(texts) < 2 or len(np.unique(classes)) != len(texts):
        refuse(labels, "values", "two or more different labels")
    if classes.tolist() != sorted(classes.tolist()):
        refuse(labels, "values", "sorted")
    return classes


def _amounts(target: Array) -> Amounts:
    if not np.isfinite(target).all() or not target[1] > 0:
        raise ValueError(f"target is {target.tolist()}; it must be {list(AMOUNTS)}")
    return Amounts(*target.tolist())


def _members(settings: dict[str, Any], tensors: dict[str, Array]) -> list[Member]:
    numbers = tensors["history"].reshape(-1, len(HISTORY)).tolist()
    members = []
    for index, network in enumerate(settings["networks"]):
        found = zip(HISTORY, numbers[index], strict=True)
        history = {key: None if math.isnan(value) else value for key, value in found}
        members.append(
            Member(
                network_of(Network, network, tensors, f"networks.{index}."),
                {**settings["members"][index], **history},
            )
        )
    return members


def _recipe(texts: dict[str, Any]) -> Recipe:
    given = {name: _unpacked(value) for name, value in texts.items()}
    if given.keys() != Recipe.__dataclass_fields__.keys():
        raise ValueError(f"recipe has the keys {sorted(given)!r:.120}")
    for name, field in Recipe.__dataclass_fields__.items():
        if type(given[name]) is not (tuple if name == "hidden" else field.type):
            refuse(given, name, f"a {field.type}")
    return Recipe(**given)


def _unpacked(value: Any, depth: int = 0) -> Any:
    """Return the argument that `packed` has packed."""
    if depth > DEEPEST:
        raise ValueError("an argument is nested too deeply")
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, list) and value:
        kind, *entries = value
        if kind in ("list", "tuple"):
            found = [_unpacked(entry, depth + 1) for entry in entries]
            return tuple(found) if kind == "tuple" else found
        if kind == "dict" and all(isinstance(pair, list) and len(pair) == 2 for pair in entries):
            return {
                _hashable(_unpacked(key, depth + 1)): _unpacked(entry, depth + 1)
                for key, entry in entries
            }
        if kind in ("float", "int") and is_list(entries, str) and len(entries) == 1:
            return float(entries[0]) if kind == "float" else int(entries[0][:100])
    raise ValueError(f"{value!r:.80} is no argument that `save` writes")


def _hashable(key: Any) -> Any:
    if isinstance(key, list | dict):
        raise ValueError(f"{key!r:.80} is no key of a dict")
    return key
