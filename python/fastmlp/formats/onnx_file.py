"""ONNX files: the import of the library `onnx`, and a model to a file and back.

onnx_export.py and onnx_import.py say what is in a model.
"""

import os
from typing import Any

from fastmlp.formats.safetensors import AnyPath, checked_path, replace_file

try:
    import onnx
    import onnx.checker
    import onnx.external_data_helper
except ImportError as error:
    raise ImportError(
        "ONNX files need onnx, which is not installed: pip install 'fastmlp[onnx]'"
    ) from error

__all__ = ["DOMAIN", "MOST_BYTES", "loaded", "onnx", "save"]

DOMAIN = "fastmlp"  # of functions that `to_onnx` writes
MOST_BYTES = 2**31 - 2**20  # of the parameters: a file of protobuf has less than 2**31 bytes


def save(model: Any, path: AnyPath) -> None:
    """Write a model to a file, in one step."""
    replace_file(path, model.SerializeToString(), function="to_onnx")


def loaded(model: Any) -> Any:
    """Return a valid ModelProto with all its tensors, from one or from the path of a file."""
    if isinstance(model, onnx.ModelProto):
        try:
            onnx.checker.check_model(model)
        except Exception as error:  # several classes, by what is wrong
            raise ValueError(f"from_onnx: the model is not valid ONNX: {error}") from error
        return model
    path = os.fsdecode(checked_path(model, "from_onnx"))
    with open(path, "rb"):  # the OSError that names the path
        pass
    try:
        found = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(path)
        onnx.external_data_helper.load_external_data_for_model(found, os.path.dirname(path))
    except Exception as error:  # of protobuf and onnx
        raise ValueError(f"from_onnx: {path} is damaged or not valid ONNX: {error}") from error
    return found
