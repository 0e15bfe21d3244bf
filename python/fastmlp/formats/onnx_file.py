"""The library `onnx`: its import, models in files, and nodes that are run.

onnx_export.py and onnx_import.py say what is in a model.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from fastmlp._trainable import Array
from fastmlp.formats.safetensors import AnyPath, checked_path, replace_file

try:
    import onnx
    import onnx.checker
    import onnx.external_data_helper
    import onnx.inliner
    import onnx.reference
except ImportError as error:
    raise ImportError(
        "ONNX files need onnx, which is not installed: pip install 'fastmlp[onnx]'"
    ) from error

__all__ = ["DOMAIN", "MOST_BYTES", "attributes", "described", "is_float", "load", "onnx", "refuse", "run_nodes", "save"]

DOMAIN = "fastmlp"  # of the functions that `to_onnx` writes
MOST_BYTES = 2**31 - 2**20  # of the parameters: a file of protobuf has less than 2**31 bytes


def save(model: Any, path: AnyPath) -> None:
    """Write a model to a file, in one step."""
    replace_file(path, model.SerializeToString(), function="to_onnx")


def load(model: Any) -> Any:
    """Return a valid model with its tensors: from the path of a file, or from a ModelProto."""
    if isinstance(model, onnx.ModelProto):
        try:
            onnx.checker.check_model(model)
        except Exception as error:  # one of several classes
            raise ValueError(f"from_onnx: the model is not valid ONNX: {error}") from error
        return model
    path = os.fsdecode(checked_path(model, "from_onnx"))
    with open(path, "rb"):  # raises the OSError that names the path
        pass
    try:
        found = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(path)
        onnx.external_data_helper.load_external_data_for_model(found, os.path.dirname(path))
    except Exception as error:  # of protobuf, of onnx, of the file system
        raise ValueError(f"from_onnx: {path} is damaged or not valid ONNX: {error}") from error
    return found


def attributes(node: Any) -> dict[str, Any]:
    """Return the attributes of a node by name."""
    return {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}


def is_float(kind: int) -> bool:
    """Return whether a type of tensors holds floating point numbers."""
    of = onnx.TensorProto
    return kind in (of.FLOAT, of.DOUBLE, of.FLOAT16, of.BFLOAT16)


def described(node: Any) -> str:
    """Return what messages call a node."""
    return f"node {node.name or node.output[0]!r} ({node.op_type})"


def refuse(node: Any, reason: str) -> NoReturn:
    """Raise the error that a node cannot be taken."""
    raise ValueError(f"from_onnx: {described(node)} {reason}")


def run_nodes(nodes: Sequence[Any], tensors: Mapping[str, Array], opset: int) -> Array:
    """Return the first output of the last node, by the reference implementation of ONNX."""
    untyped = onnx.TypeProto()
    graph = onnx.helper.make_graph(
        nodes,
        "nodes",
        [onnx.helper.make_value_info(name, untyped) for name in tensors],
        [onnx.helper.make_value_info(nodes[-1].output[0], untyped)],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    result: Array = onnx.reference.ReferenceEvaluator(model).run(None, dict(tensors))[0]
    return result
