"""What an ONNX model says beside its layers: the output to take, labels of classes, metadata."""

import json
from typing import Any

import numpy as np

from fastmlp.formats.network_file import KEY, TABULAR_KEY
from fastmlp.formats.onnx_file import attributes, is_float
from fastmlp.formats.onnx_import_constants import to_array
from fastmlp.formats.safetensors import FORMAT, MOST


def network_output(graph: Any) -> str:
    """Return the name of the output with the numbers of the network; others are labels."""
    names = [one.name for one in graph.output if _is_numbers(one.type)]
    if "probabilities" in names:  # labels may be numbers too
        return "probabilities"
    if len(names) != 1:
        raise ValueError(
            f"from_onnx: the model has the outputs {[one.name for one in graph.output]}, of which "
            f"{len(names)} hold numbers; one must: make a model of it by onnx.utils.extract_model"
        )
    return str(names[0])


def _is_numbers(kind: Any) -> bool:
    if kind.HasField("sequence_type"):  # of ZipMap: a dict for each row
        return True
    return is_float(kind.tensor_type.elem_type)


def classes_in(graph: Any, network: Any) -> list[Any] | None:
    """Return the labels of the classes, if the graph makes labels for the network."""
    if network._labels == "threshold" and network.layers[-1] != 1:
        return None
    count = 2 if network._labels == "threshold" else network.layers[-1]
    tensors = {one.name: one for one in graph.initializer}
    for node in graph.node:
        found: Any = None
        if node.op_type in ("ArrayFeatureExtractor", "Gather") and node.input[0] in tensors:
            found = to_array(tensors[node.input[0]]).ravel().tolist()
        elif node.op_type == "ZipMap":
            settings = attributes(node)
            texts = [text.decode() for text in settings.get("classlabels_strings", ())]
            found = settings.get("classlabels_int64s") or texts
        if found and len(found) == count:
            return list(found)
    return None


def metadata_in(model: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the settings that `to_onnx` wrote beside the graph, and the user's texts."""
    texts = {one.key: one.value for one in model.metadata_props}
    if not all(isinstance(text, str) for pair in texts.items() for text in pair):
        raise ValueError("from_onnx: the metadata are not UTF-8; the file is damaged")
    if TABULAR_KEY in texts:
        raise ValueError(
            "from_onnx: the file holds a TabularClassifier or a TabularRegressor, which cannot be "
            "read back from ONNX; keep the file that `save` writes"
        )
    written = texts.pop(KEY, None)
    texts = {key: text for key, text in texts.items() if not key.startswith("fastmlp")}
    settings = {"seed": 0, "epochs_trained": 0, "loss": {}, "scaling": None}
    if written is None:
        for key in ("classes", "feature_names"):  # of another program, with another meaning
            texts.pop(key, None)
        return settings, texts
    try:
        found = json.loads(written)
        if found.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        if found.keys() != settings.keys():
            raise ValueError(f"its keys are {sorted(found)}, not {sorted(settings)}")
        for name, most in (("seed", 2**64 - 1), ("epochs_trained", MOST)):
            if type(found[name]) is not int or not 0 <= found[name] <= most:
                raise ValueError(f"{name} is {found[name]!r:.80}; it must be in [0, {most}]")
        scaling = {name: np.array(values, float) for name, values in found["scaling"].items()}
        found |= {"loss": dict(found["loss"]), "scaling": scaling or None}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"from_onnx: the metadata {KEY!r} is damaged: {error}") from error
    return found, texts
