"""Networks in safetensors files: tensors `layers.0.weight`, …, the rest as JSON in the metadata.

docs/file_format.md has the rules; safetensors.py reads and writes the files. fastmlp/io.hpp reads
and writes the same in C++. A file may also hold the state of a training run, which _checkpoint.py
makes and uses. Start at `save` and `load`.
"""

import itertools
import json
from collections.abc import Iterable
from typing import Any, BinaryIO, NamedTuple, TypeVar

import numpy as np

from fastmlp._trainable import dtype_name
from fastmlp.formats.safetensors import (
    FORMAT,
    MOST,
    AnyPath,
    Expected,
    Part,
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

AnyNetwork = TypeVar("AnyNetwork")  # network.py imports this module, not the other way round
Tensors = dict[str, np.ndarray[Any, Any]]

KEY = "fastmlp"  # in the metadata: the settings of the network
TRAINING_KEY = "fastmlp_training"  # of a training state; absent from a file of a network alone
TABULAR_KEY = "fastmlp_tabular"  # of a file that fastmlp.tabular wrote
DTYPES = ("float32", "float64")
SETTINGS = {"dtype", "epochs_trained", "format", "hidden", "layers", "output", "seed"}
OPTIONAL_SETTINGS = frozenset({"loss", "scaling"})  # absent from a network that has none
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
FLAGS = {"dropout", "early_stopping", "sample_weight", "schedule", "shuffle", "standardize"}
FLAGS |= {"validation"}
TRAINING = {"format", "optimizer", "seed", "stopped_by", *NUMBERS, *FLAGS}
OPTIONAL_TRAINING = frozenset({"own_loss"})  # of `fit(loss=...)`
OPTIONAL_TENSORS = ("dropout", "early_stopping", "validation")
ENDINGS = ("epochs", "early_stopping", "callback", "converged", "line_search")


def save(network: Any, path: AnyPath) -> None:
    """Write a network; see `Network.save`."""
    checked_path(path, "save")
    network = network.copy()  # while another thread trains, this raises
    replace_file(path, *network_parts(network))


def load(cls: type[AnyNetwork], path: AnyPath) -> AnyNetwork:
    """Read a network; see `Network.load`."""
    path = checked_path(path, "load")
    with open_file(path, "rb") as file, naming_file(path, "a network that `save` wrote"):
        return read(cls, file)


# Reading


class Content(NamedTuple):
    """What is in a file: settings of the network and of its training, tensors, the user's texts."""

    settings: dict[str, Any]
    training: dict[str, Any] | None
    tensors: Tensors
    texts: dict[str, str]


def read(cls: type[AnyNetwork], file: BinaryIO) -> AnyNetwork:
    """Read a network from a stream."""
    content = read_content(file)
    network = network_of(cls, content.settings, content.tensors)
    network.metadata.update(content.texts)
    found: AnyNetwork = network
    return found


def network_of(cls: Any, settings: dict[str, Any], tensors: Tensors, prefix: str = "") -> Any:
    """Make a network of the tensors whose names begin with prefix."""
    structure = (settings[key] for key in ("layers", "hidden", "output", "dtype", "seed"))
    network = cls._rebuild(*structure, **loss_in(settings, tensors, prefix))
    for name, values in layers_of(network, prefix).items():
        values[:] = tensors[name]
    network.scaling = scaling_in(settings, tensors, prefix)
    network.epochs_trained = settings["epochs_trained"]
    return network


def read_content(file: BinaryIO) -> Content:
    """Read a stream to its end; allocate no more than a small multiple of its size."""
    metadata, entries = read_header(file)
    if KEY not in metadata:
        if TABULAR_KEY in metadata:
            raise ValueError(
                "it holds a model of fastmlp.tabular; read it with TabularClassifier.load or "
                "TabularRegressor.load"
            )
        raise ValueError(f"the metadata has no key {KEY!r}; this file was not written by fastmlp")
    settings = checked_settings(settings_in(metadata, KEY, SETTINGS, OPTIONAL_SETTINGS))
    training = _training(metadata, settings["hidden"])
    tensors = read_tensors(file, entries, _expected(settings, training, len(entries)))
    texts = {key: text for key, text in metadata.items() if key not in (KEY, TRAINING_KEY)}
    if unknown := [key for key in texts if key.startswith("fastmlp")]:
        raise ValueError(f"the metadata has the key {unknown[0]!r:.80}, which is not known here")
    return Content(settings, training, tensors, texts)


def checked_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a network; its constructor checks the names in them."""
    layers: Any = settings.get("layers")
    hidden: Any = settings.get("hidden")
    if not is_list(layers, int) or len(layers) < 2 or not 1 <= min(layers) <= max(layers) < 2**63:
        refuse(settings, "layers", "two or more positive integers")
    if not is_list(hidden, str) or len(hidden) != len(layers) - 2:
        refuse(settings, "hidden", f"{len(layers) - 2} names")
    if type(settings.get("output")) is not str:
        refuse(settings, "output", "a name")
    if settings.get("dtype") not in DTYPES:
        refuse(settings, "dtype", f"one of {list(DTYPES)}")
    require_integer(settings, "seed", 0, 2**64 - 1)
    require_integer(settings, "epochs_trained", 0, MOST)
    if settings.get("scaling", True) is not True:
        refuse(settings, "scaling", "true, or left out")
    if type(settings.get("loss", "")) is not str:
        refuse(settings, "loss", "a name, or left out")
    return settings


def _training(metadata: dict[str, str], hidden: list[str]) -> dict[str, Any] | None:
    """Return the settings of the training run; None if the file holds only a network."""
    if TRAINING_KEY not in metadata:
        return None
    training = settings_in(metadata, TRAINING_KEY, TRAINING, OPTIONAL_TRAINING)
    for key, least in NUMBERS.items():
        require_integer(training, key, least, MOST)
    require_integer(training, "seed", 0, 2**64 - 1)
    for key in FLAGS:
        if type(training.get(key)) is not bool:
            refuse(training, key, "true or false")
    if training.get("own_loss", True) is not True:
        refuse(training, "own_loss", "true, or left out")
    if training["dropout"] and not hidden:
        refuse(training, "dropout", "false without hidden layers")
    if type(training.get("optimizer")) is not str:
        refuse(training, "optimizer", "a name")
    if training.get("stopped_by") not in ENDINGS:
        refuse(training, "stopped_by", f"one of {list(ENDINGS)}")
    return training


def scaling_names(settings: dict[str, Any]) -> list[str]:
    """Return the names of the vectors of a network's scaling; only identity scales its outputs."""
    sides = ("input", "output") if settings["output"] == "identity" else ("input",)
    return [f"{side}_{part}" for side in sides for part in ("mean", "scale")]


def scaling_in(
    settings: dict[str, Any], tensors: Tensors, prefix: str = ""
) -> dict[str, np.ndarray[Any, Any]] | None:
    """Return the scaling in a file; None if there is none."""
    if not settings.get("scaling"):
        return None
    return {name: tensors[f"{prefix}scaling.{name}"] for name in scaling_names(settings)}


def loss_in(settings: dict[str, Any], tensors: Tensors, prefix: str = "") -> dict[str, Any]:
    """Return the arguments of a network for its loss; none if there is no loss in the file."""
    arguments = {"loss": settings["loss"]} if "loss" in settings else {}
    if settings.get("loss") == "huber":
        arguments["delta"] = float(tensors[f"{prefix}loss.parameters"][0])
    if settings.get("loss") == "pinball":
        arguments["quantiles"] = tensors[f"{prefix}loss.parameters"].tolist()
    return arguments


def size_of_loss(settings: dict[str, Any]) -> int:
    """Return the size of the tensor with delta or the quantiles; 0 without that tensor."""
    sizes: dict[str, int] = {"huber": 1, "pinball": settings["layers"][-1]}
    return sizes.get(settings.get("loss", ""), 0)


def expected_tensors(settings: dict[str, Any], prefix: str = "") -> Expected:
    """Return what the tensors of a network must be."""
    layers = settings["layers"]
    own, double = np.dtype(settings["dtype"]).newbyteorder("<"), np.dtype("<f8")
    tensors: Expected = {}
    for index, (n_in, n_out) in enumerate(itertools.pairwise(layers)):
        tensors[f"{prefix}layers.{index}.weight"] = own, [n_in, n_out]
        tensors[f"{prefix}layers.{index}.bias"] = own, [n_out]
    for name in scaling_names(settings) if settings.get("scaling") else ():
        size = layers[0 if name.startswith("input") else -1]
        tensors[f"{prefix}scaling.{name}"] = double, [size]
    if size := size_of_loss(settings):
        tensors[f"{prefix}loss.parameters"] = double, [size]
    return tensors


def count_of_tensors(settings: dict[str, Any]) -> int:
    """Return their number without making them, so that many layers in a file allocate nothing."""
    scaling = len(scaling_names(settings)) if settings.get("scaling") else 0
    return 2 * len(settings["layers"]) - 2 + scaling + (size_of_loss(settings) > 0)


def _expected(settings: dict[str, Any], training: dict[str, Any] | None, count: int) -> Expected:
    """Return what the tensors must be; `count` is the number of tensors in the header."""
    n = count_of_tensors(settings)
    more = 0 if training is None else 3 + training["vectors"]
    more += sum(training[key] for key in OPTIONAL_TENSORS) if training else 0
    if count != n + more:
        also = f" and its training {more}" if training else ""
        raise ValueError(f"the file has {count} tensors; its layers have {n}{also}")
    tensors = expected_tensors(settings)
    if training is None:
        return tensors
    own, double = np.dtype(settings["dtype"]).newbyteorder("<"), np.dtype("<f8")
    layers = settings["layers"]
    n_parameters = sum((n_in + 1) * n_out for n_in, n_out in itertools.pairwise(layers))
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


# Writing


def layers_of(network: Any, prefix: str = "") -> Tensors:
    """Return the weights and biases of a network by their names in a file."""
    tensors = {}
    for index, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        tensors[f"{prefix}layers.{index}.weight"] = weight
        tensors[f"{prefix}layers.{index}.bias"] = bias
    return tensors


def tensors_of(network: Any, prefix: str = "") -> Tensors:
    """Return all arrays of a network by their names in a file."""
    scaling = network.scaling or {}
    of_scaling = {f"{prefix}scaling.{name}": values for name, values in scaling.items()}
    of_loss = {"huber": [network.delta], "pinball": network.quantiles}.get(network.loss_name, ())
    parameters = {f"{prefix}loss.parameters": np.array(of_loss)} if of_loss else {}
    return layers_of(network, prefix) | of_scaling | parameters


def settings_of(network: Any) -> dict[str, Any]:
    """Return the settings of a network as `checked_settings` wants them."""
    settings = {
        "format": FORMAT,
        "layers": network.layers,
        "hidden": network.hidden,
        "output": network.output,
        "dtype": dtype_name(network),
        "seed": network.seed,
        "epochs_trained": network.epochs_trained,
    }
    loss = {"loss": network.loss_name} if network.loss_name else {}
    return settings | loss | ({"scaling": True} if network.scaling else {})


def network_parts(
    network: Any,
    training: dict[str, Any] | None = None,
    training_tensors: Iterable[tuple[str, np.ndarray[Any, Any]]] = (),
) -> list[Part]:
    """Return the parts of the file of a network, and of its training run if given, in order."""
    metadata = {**network.metadata, KEY: json.dumps(settings_of(network), sort_keys=True)}
    if training is not None:
        metadata[TRAINING_KEY] = json.dumps({"format": FORMAT, **training}, sort_keys=True)
    return file_parts(metadata, tensors_of(network) | dict(training_tensors))
